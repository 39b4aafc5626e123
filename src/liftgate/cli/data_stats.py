"""`liftgate data stats DATA`: counts, sizes, class balance and groups."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import READS, add_groups, add_images
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.data.overview import ComparedSet, DatasetDifference, Overview


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data stats`."""
    parser.add_argument("path", type=Path, metavar="DATA", help=READS)
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="OTHER",
        help="another data set, side by side; may be given again for a table of several",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write one self-contained page.html")
    parser.add_argument("--imgsz", type=int, default=640, help="size at which the detector will see it (default 640)")
    add_images(parser)
    parser.add_argument("--against-images", type=Path, metavar="DIR", help="the same for OTHER")
    add_groups(parser)
    parser.add_argument("--against-groups", metavar="RULE", help="the same for OTHER (default: as --groups)")
    parser.add_argument("--keep", nargs="+", metavar="CLASS", help="only these classes")
    parser.add_argument("--split", type=Path, metavar="CSV", help="a frozen split of DATA")
    parser.add_argument("--seed", type=at_least(0), default=0, help="which images are opened and shown (default 0)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data stats` and return its exit code."""
    from liftgate.services import statistics
    from liftgate.services.dataset_source import DatasetSource

    if args.out and len(args.against) > 1:
        raise UsageError(
            "a page shows one data set, or two side by side", hint="leave out --out, or all but one --against"
        )
    keep = tuple(args.keep) if args.keep else None
    source = DatasetSource(args.path, args.images, args.groups, args.split, keep)
    groups = args.groups if args.against_groups is None else args.against_groups
    others = [DatasetSource(path, args.against_images, groups, None, keep) for path in args.against]
    with progress() as bar:
        seen = statistics.dataset_statistics(source, *others, imgsz=args.imgsz, seed=args.seed, progress=bar)
        if args.out:
            from liftgate.reporting.dataset_pages import dataset_page, render_dataset

            command = shlex.join(["liftgate", *sys.argv[1:]])
            render_dataset(dataset_page(seen.datasets, seen.views, seen.difference, command), args.out)
    if args.out:
        say(f"page: {args.out}")
    if args.json:
        emit_json(seen.to_dict())
        return 0
    for view in seen.views:
        _print_overview(view, f"{view.name}: " if seen.sides else "")
    if seen.sides:
        _print_comparison(seen.comparison)
        _print_distances(seen.sides, seen.views)
    return 0


def _print_overview(view: Overview, prefix: str) -> None:
    from liftgate.data.overview.record import remarks
    from liftgate.stats.interval import sample

    c = view.counts
    show(f"{c.name} ({c.format}): {sample(c.n_images, c.n_groups)}, {c.n_objects:,} objects")
    rows: list[Sequence[str]] = [("split", "images", "groups", "objects", "empty", "unlabelled")]
    rows += [
        tuple(f"{value:,}" if isinstance(value, int) else str(value or "none") for value in (
            row.split, row.n_images, row.n_groups, row.n_objects, row.n_background, row.n_unlabelled
        ))
        for row in c.splits
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
        show(f"at imgsz {view.imgsz}: {seen}; sizes are √(width × height)")
    for line in remarks(view):
        say(f"note: {prefix}{line}")


def _print_comparison(sets: Sequence[ComparedSet]) -> None:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    shown: list[tuple[str, Callable[[ComparedSet], str]]] = [
        ("images", lambda row: f"{row.n_images:,}"),
        ("groups", lambda row: f"{row.n_groups:,}"),
        ("objects", lambda row: f"{row.n_objects:,}"),
        ("classes with objects", lambda row: str(row.n_classes)),
        ("objects an image", lambda row: number(row.objects_per_image, ".1f")),
        ("median box, px", lambda row: number(row.box_size, ".1f")),
        ("boxes under 32 px", lambda row: number(row.under_32, ".1%")),
        ("median box shape", lambda row: number(row.box_aspect, ".2f")),
        ("median brightness", lambda row: number(row.brightness, ".2f")),
        ("labelled empty", lambda row: f"{row.n_background:,}"),
        ("origin", lambda row: row.origin),
        ("licence", lambda row: row.licence or "unknown"),
        ("images of the first", lambda row: number(row.shared_images, ",")),
        ("groups of the first", lambda row: number(row.shared_groups, ",")),
    ]
    show("side by side")
    _table([("", *(row.name for row in sets)), *((title, *map(value, sets)) for title, value in shown)])


def _print_distances(sides: Sequence[DatasetDifference], views: Sequence[Overview]) -> None:
    first, *others = (view.name for view in views)
    show(f"distance from {first}: 0 the same, 1 nothing in common; in brackets what chance gives")
    titles = {d.name: d.title for side in sides for d in side.distances}
    rows: list[Sequence[str]] = [("measure", *others)]
    rows += [(title, *(_distance(side, name) for side in sides)) for name, title in titles.items()]
    _table(rows)
    show("+ more than chance, = no more than chance, ? unknown: fewer than 5 groups")


def _distance(side: DatasetDifference, name: str) -> str:
    found = next((d for d in side.distances if d.name == name), None)
    if found is None:
        return "-"
    chance = "-" if found.by_chance is None else f"{found.by_chance:.2f}"
    return f"{found.distance:.2f} ({chance}) {({None: '?', True: '+', False: '='})[found.differs]}"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        show("  " + "  ".join(cells).rstrip())
