"""`liftgate data merge [NAME=]DATA [NAME=]DATA … --out DIR, or --plan`: several data sets as one, conflicts first."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from liftgate.cli.data_convert import FORMATS
from liftgate.cli.data_source import READS, print_faults, print_losses, print_table
from liftgate.cli.output import add_json, emit_json, progress, say, show

OUT = "a new folder; images become links"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data merge`."""
    add_parts(parser)
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--out", type=Path, metavar="DIR", help=OUT)
    goal.add_argument("--plan", action="store_true", help="show classes and conflicts, write nothing")
    parser.add_argument("--to", choices=FORMATS, default="yolo", help="the format to write (default yolo)")
    add_json(parser)


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that merge and mix share."""
    parser.add_argument("parts", nargs="+", metavar="[NAME=]DATA", help=READS)
    parser.add_argument(
        "--rules",
        type=Path,
        metavar="FILE",
        help="YAML: rename (synonyms), drop, keep, order; by data set also keypoints, groups, licence, origin, "
        "confidential. Or a CSV dataset,class,becomes",
    )
    parser.add_argument("--keep", nargs="+", default=[], metavar="CLASS", help="only these classes of the result")
    parser.add_argument(
        "--backgrounds", action="store_true", help="images that lose all their boxes stay (default: they are left out)"
    )
    parser.add_argument(
        "--accept",
        nargs="+",
        default=[],
        choices=("alike", "same_image", "unknown_class"),
        help="go on in spite of conflicts of these kinds",
    )


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data merge` and return its exit code."""
    from liftgate.services.merge import merge

    with progress() as bar:
        done = merge(
            args.parts,
            args.out,
            to=args.to,
            rules=args.rules,
            keep=args.keep,
            backgrounds=args.backgrounds,
            accept=args.accept,
            progress=bar,
        )
    print_faults(done.faults)
    print_losses(done.losses)
    if args.json:
        emit_json(done.to_dict())
        return 0
    lines: list[list[object]] = [["data set", "class", "becomes", "objects"]]
    lines += [[row.dataset, row.name, row.becomes or "(dropped)", row.objects] for row in done.classes]
    print_table(lines)
    for conflict in done.conflicts:
        say(f"conflict, {conflict.kind}: {conflict.message}")
    print_emptied(done.emptied, backgrounds=done.backgrounds)
    if done.files:
        show(f"{done.n_images:,} images, {done.n_objects:,} objects → {args.to}")
    for path in done.files:
        show(path)
    return 0


def print_emptied(emptied: Mapping[str, int], *, backgrounds: bool) -> None:
    """Print what happens to images that lose all their boxes."""
    outcome = "stay as backgrounds" if backgrounds else "are left out (--backgrounds keeps them)"
    for name, count in emptied.items():
        say(f"{count} images of {name} lose all their boxes and {outcome}")
