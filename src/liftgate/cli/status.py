"""`liftgate status [STUDY or folder …]`: the state of studies, from any shell."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, emit_json, say, show
from liftgate.progress import dollars, duration

if TYPE_CHECKING:
    from liftgate.pipeline.control.status import Status


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate status`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="STUDY or folder", help="study.yaml, or where to look (default: here)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate status` and return its exit code."""
    from liftgate.services import running

    found = running.status(args.paths or [Path()])
    if args.json:
        emit_json({"studies": [status.to_dict() for status in found]})
        return 0
    if not found:
        say("no study has run here")
    for status in found:
        show(*_lines(status))
    return 0


def _lines(status: Status) -> list[str]:
    """Return a heading and the lines below it."""
    who = f" (process {status.pid} on {status.host}, since {status.since})" if status.pid else ""
    lines = [f"{status.study}: {status.state}{who}" + (f": {status.reason}" if status.reason else "")]
    if status.step is not None:
        at = f", epoch {status.epoch} of {status.epochs}" if status.epoch is not None else ""
        left = "" if status.seconds_left is None else f", {duration(status.seconds_left)} left at most"
        lines.append(f"  {status.step}{at}{left}")
    if status.tasks is not None:
        counts = ", ".join(f"{number} {state}" for state, number in sorted(status.tasks.counts.items()))
        lines.append(f"  tasks on {status.tasks.engine}: {counts}")
        lines += [f"    {one.name}: job {one.handle}, attempt {one.attempts}" for one in status.tasks.running]
    if status.metrics:
        shown = [f"{name} {'–' if value is None else f'{value:.4g}'}" for name, value in status.metrics.items()]
        lines.append(f"  validation at this epoch: {', '.join(shown)}")
    for row in status.expected:
        actual = "unknown" if row.actual is None else f"{row.actual:.4g}"
        band = f"{row.low:g} to {row.high:g}"
        lines.append(f"  epoch {row.epoch}: {row.metric} {actual}, expected {band}: {row.said}")
    lines += [f"  {text}" for text in status.said]
    shown_already = set(status.said)
    lines += [f"  decided: {one.arm}: {one.reason}" for one in status.decisions if one.reason not in shown_already]
    lines += [f"  {line}" for one in status.mistakes for line in one.lines]
    lines += [f"  {one.text}" for one in status.worth]
    if status.verdicts:
        lines.append("  " + ", ".join(f"{gate} {word}" for gate, word in status.verdicts.items()))
    if status.answer is not None:
        lines.append(f"  answer: {status.answer}, by the gate {status.answered_by}")
    if status.hours * 3600 >= 1:
        parts = [f"{status.hours:.3g} hours"]
        parts += [f"{status.gpu_hours:.3g} GPU hours"] if status.gpu_hours > status.hours else []
        parts += [dollars(status.usd)] if status.usd is not None else []
        parts += [f"{status.kwh:.3g} kWh"] if status.kwh is not None else []
        lines.append(f"  trained for {duration(status.hours * 3600)} ({', '.join(parts)})")
    if status.state == "paused":
        lines.append("  the same command goes on from the last finished epoch")
    return lines
