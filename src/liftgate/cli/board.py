"""`liftgate board [STUDY or folder …]`: a local page over all ledgers."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, say, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate board`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="STUDY or folder", help="study.yaml, or where to look (default: here)"
    )
    parser.add_argument("--port", type=int, default=8765, help="of 127.0.0.1; 0: any free one (default: %(default)s)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate board` until it is interrupted, and return its exit code."""
    from liftgate import api

    def ready(address: str) -> None:
        if args.json:
            emit_json({"address": address})
            return
        show(address)
        say("read only, for this machine and anybody who has the token; Ctrl-C ends it")
        port = address.partition("127.0.0.1:")[2].partition("/")[0]
        say(f"from another machine: ssh -L {port}:127.0.0.1:{port} THIS_MACHINE, then the same address there")

    api.board(args.paths or [Path()], port=args.port, on_ready=ready)
    return 0
