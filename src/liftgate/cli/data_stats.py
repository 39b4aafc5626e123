"""liftgate data stats DATA"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import add_json, emit_json, progress, say

if TYPE_CHECKING:
    from liftgate.data.overview import Overview, Side


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="DATA", help="data.yaml, COCO JSON or Pascal VOC folder")
    parser.add_argument("--against", type=Path, metavar="OTHER", help="a second data set, side by side")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write one self-contained page.html")
    parser.add_argument("--imgsz", type=int, default=640, help="size at which the detector will see it (default 640)")
    parser.add_argument("--images", type=Path, help="folder of the images, where the labels do not say")
    parser.add_argument("--against-images", type=Path, help="the same for OTHER")
    parser.add_argument("--groups", help="regex with (?P<group>…), a CSV image,group, folder, exif or name-time")
    parser.add_argument("--against-groups", help="the same for OTHER (default: as --groups)")
    parser.add_argument("--keep", nargs="+", metavar="CLASS", help="only these classes")
    parser.add_argument("--split", type=Path, metavar="CSV", help="a frozen split of DATA")
    parser.add_argument("--seed", type=int, default=0, help="which images are opened and shown (default 0)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from liftgate.data.overview import look
    from liftgate.data.verbs import Source

    keep = tuple(args.keep) if args.keep else None
    source = Source(args.path, args.images, args.groups, args.split, keep)
    against = None
    if args.against is not None:
        groups = args.groups if args.against_groups is None else args.against_groups
        against = Source(args.against, args.against_images, groups, None, keep)
    with progress() as bar:
        seen = look(source, against, imgsz=args.imgsz, seed=args.seed, progress=bar)
        if args.out:
            from liftgate.report.dataset import dataset_page, render_dataset

            command = shlex.join(["liftgate", *sys.argv[1:]])
            render_dataset(dataset_page(seen.datasets, seen.views, seen.difference, command), args.out)
    if args.out:
        say(f"page: {args.out}")
    if args.json:
        emit_json(seen.to_dict())
        return 0
    for view in seen.views:
        _tell(view)
    if seen.difference is not None:
        _tell_difference(seen.difference, seen.views)
    return 0


def _tell(view: Overview) -> None:
    from liftgate.data.overview.remarks import remarks

    c = view.counts
    print(
        f"{c['name']} ({c['format']}): {c['n_images']:,} images in {c['n_groups']:,} groups, {c['n_objects']:,} objects"
    )
    rows: list[Sequence[str]] = [("split", "images", "groups", "objects", "empty", "unlabelled")]
    rows += [
        tuple(f"{value:,}" if isinstance(value, int) else str(value or "none") for value in (
            row["split"], row["n_images"], row["n_groups"], row["n_objects"], row["n_background"], row["n_unlabelled"]
        ))
        for row in c["splits"]
    ]  # fmt: skip
    _table(rows)
    limits = list(view.under)
    splits = list(view.classes[0].by_split) if view.classes else []
    rows = [("class", "objects", "images", "groups", *splits, "median px", *(f"<{limit}" for limit in limits))]
    rows += [
        (
            row.name,
            *(f"{value:,}" for value in (row.n_objects, row.n_images, row.n_groups, *row.by_split.values())),
            "-" if row.median_size is None else f"{row.median_size:.1f}",
            *(f"{row.under[limit]:.1%}" if row.under else "-" for limit in limits),
        )
        for row in view.classes
    ]
    _table(rows)
    if limits:
        seen = ", ".join(f"{share:.1%} under {limit} px" for limit, share in view.under.items())
        print(f"at imgsz {view.imgsz}: {seen}; sizes are √(width × height)")
    for line in remarks(view):
        say(f"note: {line}")


def _tell_difference(side: Side, views: Sequence[Overview]) -> None:
    print(f"{views[0].name} against {views[1].name}: 0 the same, 1 nothing in common")
    rows: list[Sequence[str]] = [("measure", "distance", "by chance", "more than chance?")]
    for d in side.distances:
        chance = "-" if d.by_chance is None else f"{d.by_chance:.2f}"
        rows.append(
            (d.title, f"{d.distance:.2f}", chance, {None: "cannot be told", True: "yes", False: "no"}[d.differs])
        )
    _table(rows)
    print(f"{len(side.shared_images):,} images are in both, byte for byte")


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
