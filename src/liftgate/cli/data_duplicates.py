"""`liftgate data duplicates`: copies, siblings and neighbours in time, and the groups that keep them together.

liftgate data duplicates DATA… [--groups-out groups.csv] [--page pairs.html]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import READS, add_images
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from liftgate.checks.duplicates import Link
    from liftgate.checks.images.copies import LocatedImage
    from liftgate.checks.subject import Subject
    from liftgate.data.core.dataset import Dataset
    from liftgate.reporting.dataset_pages.pairs import PairImage

_MAX_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data duplicates`."""
    parser.add_argument("paths", type=Path, nargs="+", metavar="DATA", help=READS)
    add_images(parser)
    parser.add_argument(
        "--groups", metavar="RULE", help="groups that are known already: regex, CSV, folder, exif or name-time"
    )
    parser.add_argument(
        "--groups-out",
        type=Path,
        metavar="CSV",
        help="write image,group for `--groups`; of several data sets one file each, CSV-NAME",
    )
    parser.add_argument("--page", type=Path, metavar="HTML", help="write the pairs side by side")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data duplicates` and return its exit code."""
    from liftgate.checks.duplicates import find_links, group_names, summary
    from liftgate.checks.subject import Subject
    from liftgate.services.dataset_source import DatasetSource

    if args.groups_out and args.groups_out.suffix.lower() != ".csv":
        raise UsageError("--groups-out writes a CSV", got=args.groups_out, expected="a name that ends in .csv")
    with progress() as bar:
        datasets: dict[str, Dataset] = {}
        for path in args.paths:
            dataset = DatasetSource(path, args.images, args.groups).open(bar)
            name = dataset.name if dataset.name not in datasets else f"{dataset.name}-{len(datasets) + 1}"
            datasets[name] = replace(dataset, name=name)
        subject = Subject(datasets=datasets, progress=bar)
        links = find_links(subject)
    groups = group_names(subject, links)
    record = summary(subject, links, groups)
    record["groups_files"] = _write_groups(args.groups_out, groups) if args.groups_out else []
    record["page"] = str(_write_page(args.page, subject, links, record)) if args.page else None
    if args.json:
        emit_json({**record, "pairs": [link.to_dict() for link in links]})
        return 0
    for link in links[:_MAX_SHOWN]:
        across = f"  across {link.first.image.split} and {link.second.image.split}" if link.crosses else ""
        show(f"{link.kind:<6}  {link.first.name} = {link.second.name}{across}")
    if len(links) > _MAX_SHOWN:
        say(f"… and {len(links) - _MAX_SHOWN:,} more pairs; --json has them all, --page shows them")
    crossing = sum(record["crossing"].values())
    counted = f"{record['n_images']:,} images, {len(links):,} pairs ({crossing:,} across splits)"
    show(f"{counted}, {record['n_groups']:,} groups")
    for path in (*record["groups_files"], *([record["page"]] if record["page"] else [])):
        say(f"wrote {path}")
    return 0


def _write_groups(path: Path, groups: Mapping[str, Mapping[str, str]]) -> list[str]:
    from liftgate.checks.duplicates import groups_csv
    from liftgate.files import write_text

    written = []
    for name, members in groups.items():
        target = path if len(groups) == 1 else path.with_stem(f"{path.stem}-{Path(name).name}")
        write_text(target, groups_csv(members))
        written.append(str(target))
    return written


def _write_page(path: Path, subject: Subject, links: Sequence[Link], record: Mapping[str, object]) -> Path:
    from liftgate.reporting.dataset_pages.pairs import MAX_PAIRS_SHOWN, ImagePair, PairsPage, render_pairs

    shown = [
        ImagePair(_side(link.first), _side(link.second), link.kind, link.similarity, link.crosses)
        for link in links[:MAX_PAIRS_SHOWN]
    ]
    return render_pairs(PairsPage(", ".join(subject.datasets), record, shown, len(links)), path)


def _side(one: LocatedImage) -> PairImage:
    from liftgate.reporting.dataset_pages.pairs import PairImage
    from liftgate.reporting.pictures import small_jpeg

    return PairImage(one.dataset, one.image.id, one.image.split, small_jpeg(one.image.path))
