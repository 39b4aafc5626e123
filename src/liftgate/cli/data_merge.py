"""liftgate data merge [NAME=]DATA [NAME=]DATA … --out DIR, or --plan"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.data_convert import FORMATS
from liftgate.cli.data_source import READS, tell_table
from liftgate.cli.output import add_json, emit_json, progress, say

OUT = "a new folder; images become links"


def configure(parser: argparse.ArgumentParser) -> None:
    add_parts(parser)
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--out", type=Path, metavar="DIR", help=OUT)
    goal.add_argument("--plan", action="store_true", help="show classes and conflicts, write nothing")
    parser.add_argument("--to", choices=FORMATS, default="yolo")
    add_json(parser)


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Add what merge and mix share."""
    parser.add_argument("parts", nargs="+", metavar="[NAME=]DATA", help=READS)
    parser.add_argument(
        "--rules", type=Path, metavar="YAML", help="rename, drop, order; by data set also licence, origin, confidential"
    )
    parser.add_argument(
        "--accept",
        nargs="+",
        default=[],
        choices=("alike", "same_image", "unknown_class"),
        help="go on in spite of conflicts of these kinds",
    )


def run(args: argparse.Namespace) -> int:
    from liftgate.data import combining

    with progress() as bar:
        record = combining.data_merge(
            args.parts, args.out, to=args.to, rules=args.rules, accept=args.accept, progress=bar
        )
    if args.json:
        emit_json(record)
        return 0
    lines: list[list[object]] = [["data set", "class", "becomes", "objects"]]
    lines += [
        [row["dataset"], row["class"], row["becomes"] or "(dropped)", row["objects"]] for row in record["classes"]
    ]
    tell_table(lines)
    for conflict in record["conflicts"]:
        say(f"conflict, {conflict['kind']}: {conflict['message']}")
    for path in record["files"]:
        print(path)
    for loss in record["losses"]:
        say(f"not held: {loss['what']} ({loss['count']}, such as {loss['example']})")
    return 0
