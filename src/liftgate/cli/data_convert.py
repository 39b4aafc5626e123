"""`liftgate data convert DATA --to FORMAT --out DIR`: write YOLO, COCO, Pascal VOC or CVAT, and report what is lost."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import add_source, print_faults, print_losses, source_of
from liftgate.cli.output import add_json, emit_json, progress, say, show

if TYPE_CHECKING:
    from liftgate.data.formats.read_back import ReadBack

FORMATS = ("yolo", "coco", "voc", "cvat")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data convert`."""
    add_source(parser)
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format to write")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder; images become links")
    parser.add_argument("--verify", action="store_true", help="read the copy again; exit 1 where it differs")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data convert` and return its exit code."""
    from liftgate.services.convert import convert

    with progress() as bar:
        done = convert(source_of(args), args.to, args.out, verify=args.verify, progress=bar)
    differs = done.read_back is not None and not done.read_back.same
    if args.json:
        emit_json(done.to_dict())
    else:
        show(f"{done.n_images:,} images, {done.n_objects:,} objects: {done.from_format} → {done.to_format}")
        for path in done.files:
            show(path)
    if done.emptied:
        outcome = "stay as backgrounds" if args.backgrounds else "are left out (--backgrounds keeps them)"
        say(f"{done.emptied:,} images that had boxes of other classes only {outcome}")
    print_faults(done.faults)
    print_losses(done.losses)
    if done.read_back is not None and not args.json:
        _print_read_back(done.read_back, done.n_objects_read)
    return 1 if differs else 0


def _print_read_back(found: ReadBack, n_read: int) -> None:
    away = "" if found.largest_px is None else f", every side within {found.largest_px:.2g} px"
    show(f"read back: {found.n_objects:,} of {n_read:,} objects{away}")
    for what, count in (
        ("images missing", found.images_missing),
        ("objects missing", found.objects_missing),
        ("objects added", found.objects_added),
        ("flags changed", found.flags_changed),
        ("visibility changed", found.visibility_changed),
    ):
        if count:
            show(f"  {what}: {count:,}")
