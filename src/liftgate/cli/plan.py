"""`liftgate plan STUDY`: what would run, what is cached and why, hours and money."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.live_view import NoticePrinter
from liftgate.cli.output import add_json, add_overrides, emit_json, progress, show
from liftgate.cli.run import pausing
from liftgate.progress import dollars, duration

if TYPE_CHECKING:
    from liftgate.pipeline.runner import Planned


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate plan`."""
    parser.add_argument("study", type=Path, help="study.yaml")
    parser.add_argument(
        "--measure", action="store_true", help="first train one epoch of what was never timed, in a scratch folder"
    )
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
            notify=NoticePrinter(screen),
            should_stop=pause.requested,
            progress=screen,
        )
    work = [line for line in lines if line.state == "run"]
    if args.json:
        emit_json({"steps": [asdict(line) for line in lines], "total": _total(work)})
        return 0
    width = max((len(line.step) for line in lines), default=0)
    for line in lines:
        show(f"{line.state:<9} {line.step:<{width}}  {line.why}{_expected_cost(line)}")
    show(f"{len(work)} of {len(lines)} steps would run{_total_text(work)}")
    return 0


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
