"""`liftgate logs STUDY [-f]`: show the logs of a study."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, say
from liftgate.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate logs`."""
    parser.add_argument("study", type=Path, metavar="STUDY", help="study.yaml, or the folder of its results")
    parser.add_argument("-f", "--follow", action="store_true", help="show what comes, until the run ends")
    parser.add_argument("--lines", type=int, default=20, metavar="N", help="last lines of each log (default: 20)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate logs` and return its exit code."""
    from liftgate.services import running

    if args.lines < 0:
        raise UsageError("--lines counts lines", got=args.lines, expected="0 or more")
    if args.json and args.follow:
        raise UsageError("--json is one value, and --follow has no end", hint="leave one of them out")
    passages = running.logs(args.study, lines=args.lines, follow_on=args.follow)
    if args.json:
        emit_json({"logs": [{"path": str(passage.path), "lines": passage.lines} for passage in passages]})
        return 0
    shown: Path | None = None
    for passage in passages:
        if passage.path != shown:
            say(f"==> {passage.path} <==")
            shown = passage.path
        if passage.lines:
            print("\n".join(passage.lines), flush=True)
    if shown is None:
        say("nothing was logged yet: `liftgate run --detach` keeps a log, and every training has its own")
    return 0
