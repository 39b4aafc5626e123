"""`liftgate data snapshot`: prove later that the data are still the same.

liftgate data snapshot DATA --out manifest.json, and later --verify manifest.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import add_images, print_faults
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.errors import Refused

if TYPE_CHECKING:
    from liftgate.data.provenance.snapshot import SnapshotDifference

_SHOWN = 20
_CHANGED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data snapshot`."""
    parser.add_argument("path", type=Path, metavar="DATA", help="data.yaml, COCO JSON or Pascal VOC folder")
    add_images(parser)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--out", type=Path, metavar="MANIFEST", help="write the manifest")
    task.add_argument("--verify", type=Path, metavar="MANIFEST", help="compare with it: exit 0 the same, 3 not")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data snapshot` and return its exit code."""
    from liftgate.data.formats.read import read
    from liftgate.data.provenance.snapshot import read_snapshot, take_snapshot, verify_snapshot, write_snapshot
    from liftgate.services.dataset_source import faults_of

    before = read_snapshot(args.verify) if args.verify else None
    with progress() as bar:
        dataset = read(args.path, images=args.images, progress=bar)
        faults = faults_of(dataset)
        print_faults(faults)
        if before is not None:
            found = verify_snapshot(before, dataset, progress=bar)
            if args.json:
                emit_json({**found.to_dict(), **faults.to_dict()})
            else:
                _print_difference(found, args.verify)
            return 0 if found.same else _CHANGED
        if args.out.exists():
            raise Refused("a file is there", where=args.out, hint="a manifest is kept, not overwritten: another --out")
        made = take_snapshot(dataset, progress=bar)
        write_snapshot(made, args.out)
    if args.json:
        emit_json(
            {
                "manifest": str(args.out),
                "sha256": made.sha256,
                "n_files": len(made.files),
                "n_images": made.n_images,
                **faults.to_dict(),
            }
        )
    else:
        show(f"{made.sha256}  {args.out}")
        say(f"{len(made.files):,} files of {made.name}; keep the hash somewhere else, and the manifest is proof")
    return 0


def _print_difference(found: SnapshotDifference, manifest: Path) -> None:
    if found.same:
        show(f"the same: {found.n_files:,} files as in {manifest}")
        return
    for word, names in (("changed", found.changed), ("vanished", found.vanished), ("appeared", found.appeared)):
        for name in names[:_SHOWN]:
            show(f"{word:<9} {name}")
        if len(names) > _SHOWN:
            show(f"{word:<9} … and {len(names) - _SHOWN:,} more (--json names all)")
    for sentence in found.sentences:
        say(f"note: {sentence}")
    show(
        f"not the same: {len(found.changed):,} changed, {len(found.vanished):,} vanished, "
        f"{len(found.appeared):,} appeared"
    )
