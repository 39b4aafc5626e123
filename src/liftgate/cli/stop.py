"""`liftgate stop STUDY [--now | --never-mind]`: pause a running study, from any shell."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

from liftgate.cli.output import add_json, emit_json, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate stop`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="study.yaml, or the folder of its results")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--now", action="store_true", help="do not wait for the end of the epoch, which is lost")
    how.add_argument("--never-mind", action="store_true", help="take the request back, if it did not stop yet")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate stop` and return its exit code."""
    from liftgate.services import running

    how: Literal["now", "never mind", "epoch"] = "now" if args.now else "never mind" if args.never_mind else "epoch"
    status = running.stop(args.study, how)
    if args.json:
        emit_json(status.to_dict())
    elif how == "never mind":
        show(f"{status.study}: taken back; it goes on, unless that epoch has just ended (process {status.pid})")
    else:
        when = "at once" if args.now else "after this epoch, or before the next step"
        show(f"{status.study}: stops {when}; `liftgate run` goes on later (process {status.pid})")
    return 0
