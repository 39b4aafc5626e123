"""liftgate demo [DIR]"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.live_view import Watch
from liftgate.cli.output import add_json, emit_json, progress
from liftgate.cli.run import pausing


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", type=Path, nargs="?", default=Path("liftgate-demo"), metavar="DIR")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when the story was told to its end: whichever verdict came out, nothing is wrong."""
    from liftgate.demo import walkthrough

    with progress() as screen, pausing() as pause:
        told = walkthrough.run_demo(
            args.dir, screen.say, notify=Watch(screen), should_stop=pause.asked, progress=screen
        )
    if args.json:
        emit_json(
            {
                "verdicts": {name: verdict["word"] for name, verdict in told.verdicts.items()},
                "details": {name: dict(verdict) for name, verdict in told.verdicts.items()},
                "report": str(told.report),
                "study": str(told.study),
                "seconds": round(told.seconds, 1),
            }
        )
    return 0
