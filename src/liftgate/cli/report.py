"""`liftgate report STUDY`: a study's report again: HTML, Markdown, tables and figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.output import add_json, add_overrides, emit_json, say, show
from liftgate.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate report`."""
    parser.add_argument("study", type=Path, help="study.yaml")
    parser.add_argument("--months", action="store_true", help="all runs of this study beside each other: months.html")
    parser.add_argument("--registry", type=Path, metavar="FOLDER", help="with --months: which version was in use")
    parser.add_argument("--show-confidential", action="store_true", help="pictures of confidential data as well")
    add_overrides(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate report` and return its exit code."""
    from liftgate import api

    if args.registry is not None and not args.months:
        raise UsageError("--registry belongs to --months", got=args.registry)
    if args.months:
        page = api.months(args.study, registry=args.registry)
        if args.json:
            emit_json({"months": str(page)})
        else:
            show(page)
        return 0
    page = api.report(args.study, overrides=args.overrides, show_confidential=args.show_confidential)
    if args.json:
        emit_json({"report": str(page), "folder": str(page.with_suffix(""))})
    else:
        show(page)
        say(f"tables and figures: {page.with_suffix('')}")
    return 0
