"""liftgate status [STUDY or folder …]"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate import api
from liftgate.cli.output import add_json, emit_json, say
from liftgate.pipeline.control.status import Status
from liftgate.progress import duration


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="STUDY or folder", help="study.yaml, or where to look (default: here)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    found = api.status(args.paths or [Path()])
    if args.json:
        emit_json({"studies": [status.to_dict() for status in found]})
        return 0
    if not found:
        say("no study has run here")
    for status in found:
        print("\n".join(_lines(status)))
    return 0


def _lines(status: Status) -> list[str]:
    """Return a heading and what is known beside it."""
    who = f" (process {status.pid} on {status.host}, since {status.since})" if status.pid else ""
    lines = [f"{status.study}: {status.state}{who}" + (f": {status.reason}" if status.reason else "")]
    if status.step is not None:
        at = f", epoch {status.epoch} of {status.epochs}" if status.epoch is not None else ""
        left = "" if status.seconds_left is None else f", {duration(status.seconds_left)} left at most"
        lines.append(f"  {status.step}{at}{left}")
    if status.metrics:
        shown = [f"{name} {'–' if value is None else f'{value:.4g}'}" for name, value in status.metrics.items()]
        lines.append(f"  validation at this epoch: {', '.join(shown)}")
    if status.verdicts:
        lines.append("  " + ", ".join(f"{gate} {word}" for gate, word in status.verdicts.items()))
    if status.gpu_hours * 3600 >= 1:
        usd = "" if status.usd is None else f", ${status.usd:,.2f}"
        lines.append(f"  trained for {duration(status.gpu_hours * 3600)} ({status.gpu_hours:.3g} hours{usd})")
    if status.state == "paused":
        lines.append("  the same command goes on from the last finished epoch")
    return lines
