"""`liftgate report STUDY`: a study's report again: HTML, Markdown, tables and figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, add_overrides, emit_json, say, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate report`."""
    parser.add_argument("study", type=Path, help="study.yaml")
    add_overrides(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate report` and return its exit code."""
    from liftgate import api

    page = api.report(args.study, overrides=args.overrides)
    if args.json:
        emit_json({"report": str(page), "folder": str(page.with_suffix(""))})
    else:
        show(page)
        say(f"tables and figures: {page.with_suffix('')}")
    return 0
