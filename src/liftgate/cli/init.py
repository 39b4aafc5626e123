"""`liftgate init DIR --template NAME`: write a study to edit, from a template."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from liftgate.cli.output import add_json, emit_json, say, show
from liftgate.study.templates import MORE_DATA, TEMPLATES, TemplateInputs, require_used, write


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate init`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write; it may exist, its files may not")
    parser.add_argument(
        "--template",
        required=True,
        metavar="NAME",
        help="; ".join(f"{name}: {about}" for name, about in TEMPLATES.items()),
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help="data.yaml, COCO JSON or Pascal VOC folder")
    parser.add_argument(
        "--more-data",
        type=Path,
        metavar="PATH",
        help="measure-first: frames to train on; two-stage: what to pre-train on; improve: a second set; "
        "kill-switch: the synthetic one",
    )
    parser.add_argument("--weights", default=TemplateInputs.weights, help="start weights (default: %(default)s)")
    parser.add_argument(
        "--class", dest="cls", default=TemplateInputs.cls, help="measure-first: the class (default: %(default)s)"
    )
    parser.add_argument("--groups", metavar="RULE", help="regex with (?P<group>…), CSV, folder, exif or name-time")
    parser.add_argument("--by", metavar="RULE", help="slices of the report, such as frames.csv#category")
    parser.add_argument(
        "--held-out", metavar="NAME=DATA", action="append", default=[], type=_named,
        help="one more held-out set, all of it test: of the deployment, in winter, at night; may be given again",
    )  # fmt: skip
    add_json(parser)


def _named(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not sign or not path or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise argparse.ArgumentTypeError(f"expected NAME=DATA, such as winter=winter/data.yaml, got {text!r}")
    return name, Path(path)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate init` and return its exit code."""
    inputs = TemplateInputs(
        args.data, args.more_data, args.weights, args.cls, args.groups, args.by, tuple(args.held_out)
    )
    require_used(args.template, inputs)
    study = write(args.folder, args.template, inputs)
    if args.json:
        emit_json({"study": str(study), "template": args.template})
        return 0
    show(study)
    if args.data is None:
        say(f"next: put the path of your data into {study}")
    if args.more_data is None and args.template in MORE_DATA:
        say(f"next: {MORE_DATA[args.template]} in it is the path of the second set: edit it")
    say(f"then: liftgate check {study}")
    return 0
