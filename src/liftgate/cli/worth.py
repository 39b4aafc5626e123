"""`liftgate worth STUDY`: what more training images would bring, and how long their labels take."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, progress, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate worth`."""
    parser.add_argument("study", type=Path, help="study.yaml with three arms or more that differ only in `take`")
    parser.add_argument(
        "--more", type=int, metavar="N", help="images beyond those of the largest arm (default: as many again)"
    )
    parser.add_argument("--metric", help="default: that of the study's first comparison, else mAP50")
    parser.add_argument("--seconds-per-image", type=float, metavar="S", help="time to label one: adds the hours")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate worth` and return its exit code."""
    from liftgate import api

    with progress() as bars:
        found = api.worth(
            args.study, args.more, metric=args.metric, seconds_per_image=args.seconds_per_image, progress=bars
        )
    if args.json:
        emit_json(found.to_dict())
    else:
        show(*textwrap.wrap(found.text, 100))
    return 0
