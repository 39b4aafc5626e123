"""`liftgate demo [DIR]`: the whole story on the CPU in minutes."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from liftgate.cli.live_view import NoticePrinter
from liftgate.cli.output import add_json, emit_json, progress
from liftgate.cli.run import pausing


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate demo`."""
    parser.add_argument("dir", type=Path, nargs="?", metavar="DIR", help="folder (default: liftgate-demo, -CASE)")
    parser.add_argument(
        "--case",
        choices=("improve", "kill-switch", "monthly"),
        help="what a real project found out too late, on small data, without torch and in a minute; "
        "monthly: three months of a model in production (extras train, export, serve)",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate demo`; exit code 0 when it ran to its end, whatever the verdict."""
    from liftgate.demo.cases import run_case
    from liftgate.demo.walkthrough import run_demo

    with progress() as screen, pausing() as pause:

        def say(text: str) -> None:
            for line in text.split("\n"):  # of the demo's own words
                screen.say(line)

        told = run_demo if args.case is None else partial(run_case, args.case)
        folder = args.dir or Path("liftgate-demo" if args.case is None else f"liftgate-demo-{args.case}")
        result = told(folder, say, notify=NoticePrinter(screen), should_stop=pause.requested, progress=screen)
    if args.json:
        emit_json(
            {
                "verdicts": {name: verdict["word"] for name, verdict in result.verdicts.items()},
                "details": {name: dict(verdict) for name, verdict in result.verdicts.items()},
                "report": str(result.report),
                "study": str(result.study),
                "seconds": round(result.seconds, 1),
            }
        )
    return 0
