"""`liftgate plan STUDY`: what would run, what is cached and why, hours and money."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.live_view import NoticePrinter
from liftgate.cli.output import add_engine, add_json, add_overrides, emit_json, progress, show
from liftgate.cli.run import pausing
from liftgate.progress import dollars, duration

if TYPE_CHECKING:
    from liftgate.pipeline.engine import EngineForecast
    from liftgate.pipeline.flow_plan import Planned
    from liftgate.services.study_runs import Plan


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate plan`."""
    parser.add_argument("study", type=Path, help="study.yaml")
    parser.add_argument(
        "--measure", action="store_true", help="first train one epoch of what was never timed, in a scratch folder"
    )
    add_engine(parser)
    add_overrides(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate plan` and return its exit code."""
    from liftgate import api

    with progress() as screen, pausing() as pause:
        lines = api.plan(
            args.study,
            overrides=args.overrides,
            measure=args.measure,
            engine=args.engine,
            notify=NoticePrinter(screen),
            should_stop=pause.requested,
            progress=screen,
        )
    work = [line for line in lines if line.state == "run"]
    if args.json:
        emit_json(
            {"steps": [asdict(line) for line in lines], "total": _total(work), "engine": _engine(lines.engine)}
            | _licences(lines)
        )
        return 0
    width = max((len(line.step) for line in lines), default=0)
    for line in lines:
        show(f"{line.state:<9} {line.step:<{width}}  {line.why}{_expected_cost(line)}")
    show(f"{len(work)} of {len(lines)} steps would run{_total_text(work)}")
    if lines.engine is not None:
        show(_engine_text(lines.engine))
    for licence in dict.fromkeys(lines.licences.values()):
        arms = ", ".join(arm for arm, its in lines.licences.items() if its == licence)
        show(f"weights of {arms}: {licence}")
    return 0


def _licences(lines: Plan) -> dict[str, object]:
    """Return the licence of each arm's weights, where it is known of one."""
    return {"licences": dict(lines.licences)} if lines.licences else {}


def _engine(found: EngineForecast | None) -> dict[str, object] | None:
    return None if found is None else asdict(found)


def _engine_text(found: EngineForecast) -> str:
    """Return what the engine means for the plan in one line: what is not known is called unknown."""
    at_once = "as many at once as the cluster gives" if found.slots is None else f"{found.slots} at once"
    queue = "unknown" if found.queued is None else f"{found.queued} jobs before them"
    parts = [f"engine {found.engine}: {found.tasks} tasks, {at_once}", f"queue: {queue}"]
    if found.hours is None or found.wall_hours is None:
        parts += [f"hours: unknown, as those of {found.unknown} tasks are", "money: unknown"]
    else:
        parts.append(f"hours: {found.hours:.3g}, at least {found.wall_hours:.3g} from start to end without the queue")
        parts.append("money: unknown" if found.usd is None else f"money: {dollars(found.usd)}")
    return "; ".join(parts)


def _expected_cost(line: Planned) -> str:
    if line.state != "run":
        return ""
    if line.expected is None:
        return f" (time unknown: {line.basis})" if line.kind == "train" else ""
    usd = "" if line.usd is None else f", {dollars(line.usd)}"
    length = f"about {duration(line.expected)}" if line.expected >= 1 else "under a second"
    return f" ({length}{usd}: {line.basis})"


def _total(work: Sequence[Planned]) -> dict[str, float | int | None]:
    """Return seconds and money of the steps where they are known, and how many are unknown."""
    prices = [line.usd for line in work if line.usd is not None]
    return {
        "seconds": sum(line.expected for line in work if line.expected is not None),
        "usd": sum(prices) if prices else None,
        "steps": len(work),
        "steps_unknown": sum(line.expected is None for line in work),
        "trainings_unknown": sum(line.expected is None and line.kind == "train" for line in work),
    }


def _total_text(work: Sequence[Planned]) -> str:
    total = _total(work)
    if not work:
        return ""
    if total["steps_unknown"] == total["steps"]:
        return "; for how long is unknown: --measure trains one epoch to find out"
    usd = "" if total["usd"] is None else f" and {dollars(total['usd'])} of training"
    unknown = total["steps_unknown"]
    more = f", and {unknown} {'step' if unknown == 1 else 'steps'} of unknown length" if unknown else ""
    hint = "; --measure trains one epoch to find out" if total["trainings_unknown"] else ""
    return f": about {duration(total['seconds'] or 0)}{usd}{more}{hint}"
