"""Arguments of every sub-verb that reads a data set: its path, groups, classes and split."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.output import say, show
from liftgate.visible import visible_line

if TYPE_CHECKING:
    from liftgate.data.core.counts import SplitCounts
    from liftgate.data.formats.losses import Loss
    from liftgate.data.provenance.declared_terms import DeclaredTerms
    from liftgate.services.dataset_source import DatasetSource, ReadFaults

READS = "data.yaml, COCO JSON, Pascal VOC folder, CVAT XML or zip"


def add_source(parser: argparse.ArgumentParser, *, frozen: bool = True) -> None:
    """Add DATA and how to read it; `frozen`: an existing split may be named."""
    parser.add_argument("path", type=Path, metavar="DATA", help=READS)
    add_images(parser)
    add_groups(parser)
    parser.add_argument("--keep", nargs="+", metavar="CLASS", help="only these classes, in this order")
    parser.add_argument("--backgrounds", action="store_true", help="with --keep: images that lose all boxes stay")
    parser.add_argument(
        "--keypoints", nargs="+", metavar="NAME", help="only these, in this order; flip_idx and sigmas follow"
    )
    add_terms(parser)
    if frozen:
        parser.add_argument("--split", type=Path, metavar="CSV", help="a frozen split")


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add --images."""
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images, where labels do not name it")


def add_groups(parser: argparse.ArgumentParser) -> None:
    """Add --groups."""
    rules = "regex with (?P<group>…), a CSV image,group, folder, exif or name-time"
    parser.add_argument("--groups", metavar="RULE", help=rules)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add --licence and other terms of a data set, for data without a card."""
    terms = parser.add_argument_group("terms of the data (default: those of its card)")
    terms.add_argument("--licence", metavar="SPDX", help="such as CC-BY-4.0")
    terms.add_argument("--origin", choices=("real", "synthetic"), help="photographed, or made (default real)")
    terms.add_argument("--consent", metavar="TEXT", help="how the people in the images agreed")
    terms.add_argument("--confidential", action="store_true", help="nothing of it may leave this machine")


def declared_terms_of(args: argparse.Namespace) -> DeclaredTerms:
    """Return the terms that `add_terms` parsed."""
    from liftgate.data.provenance.declared_terms import DeclaredTerms

    return DeclaredTerms(args.licence, args.origin, args.confidential, args.consent)


def source_of(args: argparse.Namespace) -> DatasetSource:
    """Return the source that `add_source` parsed."""
    from liftgate.services.dataset_source import DatasetSource

    keep = tuple(args.keep) if args.keep else None
    return DatasetSource(
        args.path,
        args.images,
        args.groups,
        getattr(args, "split", None),
        keep,
        declared_terms_of(args),
        keypoints=tuple(args.keypoints) if args.keypoints else None,
        backgrounds=args.backgrounds,
    )


def print_faults(faults: ReadFaults) -> None:
    """Print on stderr what the readers left out, which is in no result."""
    for line in faults.lines:
        say(f"note: {line}")


def print_losses(losses: Sequence[Loss]) -> None:
    """Print on stderr which content of the source is missing or changed in the copy."""
    for loss in losses:
        say(f"not held: {loss.what} ({loss.count:,}, such as {loss.example})")


def print_splits(rows: Sequence[SplitCounts]) -> None:
    """Print images, groups, objects and the first classes of every split."""
    shown = list(rows[0].objects_by_class)[:12] if rows else []
    lines: list[list[object]] = [["split", "images", "groups", "objects", *shown]]
    for row in rows:
        counts = [row.objects_by_class[name] for name in shown]
        lines.append([row.split or "no split", row.n_images, row.n_groups, row.n_objects, *counts])
    print_table(lines)


def print_table(lines: Sequence[Sequence[object]]) -> None:
    """Print columns: the first aligned left, the others right."""
    shown = [[visible_line(str(cell)) for cell in line] for line in lines]
    widths = [max(len(line[at]) for line in shown) for at in range(len(shown[0]))]
    for first, *others in shown:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        show("  ".join(cells).rstrip())
