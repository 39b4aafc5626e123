"""liftgate data convert DATA --to FORMAT --out DIR"""

from __future__ import annotations

import argparse
from pathlib import Path

from liftgate.cli.data_source import add_source, source_of
from liftgate.cli.output import add_json, emit_json, progress, say

FORMATS = ("yolo", "coco", "voc", "cvat")


def configure(parser: argparse.ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument("--to", required=True, choices=FORMATS, help="the format to write")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder; images become links")
    parser.add_argument("--verify", action="store_true", help="read the result again and say how it differs")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from liftgate.services import convert

    with progress() as bar:
        record = convert.data_convert(source_of(args), args.to, args.out, verify=args.verify, progress=bar)
    if args.json:
        emit_json(record)
        return 0
    print(f"{record['n_images']} images, {record['n_objects']} objects: {record['from']} → {record['to']}")
    for path in record["files"]:
        print(path)
    for loss in record["losses"]:
        say(f"not held: {loss['what']} ({loss['count']}, such as {loss['example']})")
    if back := record["read_back"]:
        away = "" if back["largest_px"] is None else f", every side within {back['largest_px']:.2g} px"
        print(f"read back: {back['n_objects']:,} of {record['n_objects']:,} objects{away}")
        for key in ("images_missing", "objects_missing", "objects_added", "flags_changed", "visibility_changed"):
            if back[key]:
                print(f"  {key.replace('_', ' ')}: {back[key]:,}")
    return 0
