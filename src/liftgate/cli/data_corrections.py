"""`liftgate data corrections EXPORTED CORRECTED`: count what people changed in pre-labels."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_prelabel import add_server
from liftgate.cli.data_source import add_groups, print_table
from liftgate.cli.output import add_json, emit_json, progress, say, show
from liftgate.cli.parser import refuse_given
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.data.core.dataset import Dataset
    from liftgate.data.prelabels.halves import Halves
    from liftgate.evaluation.corrections import Corrections
    from liftgate.evaluation.saving import WorkTimes
    from liftgate.stats.interval import Interval


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data corrections`."""
    parser.add_argument("exported", type=Path, metavar="EXPORTED", help="the folder that `data prelabel` wrote")
    parser.add_argument(
        "corrected",
        type=Path,
        metavar="CORRECTED",
        help="CVAT's export (CVAT 1.1, COCO 1.0, YOLO 1.1)",
    )
    add_groups(parser)
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (default 0.95)")
    parser.add_argument(
        "--seconds", action="append", default=[], metavar="WORK=X", help="of draw, kept, moved, relabelled or deleted"
    )
    parser.add_argument(
        "--times", type=Path, metavar="CSV",
        help="seconds of work: columns image,seconds, or CVAT's events of the task; with --pull these are fetched "
        "where the file is not there",
    )  # fmt: skip
    parser.add_argument("--to", choices=("yolo", "coco", "voc", "cvat"), default="coco", help="format of --out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the corrected data set into a new folder")
    add_server(parser, "--pull", "fetch CORRECTED from this server first (token in CVAT_ACCESS_TOKEN)", sends=False)
    parser.add_argument("--task", type=int, help="number of the task to pull, or whose events --times has")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data corrections` and return its exit code."""
    from liftgate.data.formats.read import read
    from liftgate.data.formats.write import write_dataset
    from liftgate.data.grouping.groups import GROUPS_FILE, assign_groups
    from liftgate.data.prelabels import read_corrected
    from liftgate.data.prelabels.export import XML
    from liftgate.data.prelabels.halves import prelabelled_half, read_halves
    from liftgate.data.provenance.card import build_card
    from liftgate.data.provenance.declared_terms import known_terms, with_terms
    from liftgate.evaluation.corrections import corrections
    from liftgate.stats.interval import LEAST_LEVEL

    if not args.out:
        refuse_given(args, ("to",), "it is the format of the corrected data set", expected="--out DIR")
    if not args.server:
        refuse_given(args, ("organisation",), "it is of a CVAT server", expected="--pull URL")
    if not LEAST_LEVEL <= args.level < 1:
        raise UsageError("--level is out of range", expected=f"from {LEAST_LEVEL:g}, below 1", got=args.level)
    with progress() as bar:
        before = read(args.exported / XML, images=args.exported / "images", progress=bar)
        terms = known_terms(before)
        before = with_terms(before, terms)
        groups_file = args.exported / GROUPS_FILE
        if rule := args.groups or (str(groups_file.absolute()) if groups_file.is_file() else None):
            before = assign_groups(before, rule, base=Path.cwd())
        halves = read_halves(args.exported)
        prelabelled = before if halves is None else prelabelled_half(before, halves, exported=True)
        if args.server:
            _pull(args)
        after = read_corrected(args.corrected, before, bar)
        corrected = after if halves is None else prelabelled_half(after, halves)
        seconds = dict(_seconds(text) for text in args.seconds)
        found = corrections(prelabelled, corrected, level=args.level, seconds=seconds)
        measured = None if args.times is None else _measured(args, before, after, halves)
        if args.out:
            made_by = f"pre-labels of {before.name}, corrected by people"
            written = write_dataset(after, args.to, args.out, build_card(after, made_by, consent=terms.consent))
    if args.json:
        files = [str(file) for file in written.files] if args.out else []
        emit_json(found.to_dict() | {"files": files, "measured": None if measured is None else asdict(measured)})
        return 0
    _print_corrections(found)
    if measured is not None:
        show(*measured.lines)
    elif halves is not None:
        say("half of the groups had no pre-labels: --times CSV says what the other half saved")
    if args.out:
        show(*written.files)
    return 0


def _measured(args: argparse.Namespace, before: Dataset, after: Dataset, halves: Halves | None) -> WorkTimes:
    """Return how long the work took, in both halves where there are two."""
    from liftgate.data.prelabels.work_times import read_times
    from liftgate.evaluation.saving import work_times

    seconds = read_times(args.times, [image.id for image in before.images], args.corrected, args.task)
    return work_times(after, seconds, None if halves is None else halves.of_image, args.level)


def _pull(args: argparse.Namespace) -> None:
    """Fetch the labels; nothing is sent, so confidential labels may be fetched from any server."""
    from liftgate.data.prelabels.server import pull, pull_events
    from liftgate.data.remote.hosts import plain_http_warning, require_allowed_host

    if args.task is None:
        raise UsageError("--pull needs --task NUMBER")
    require_allowed_host(args.server, confidential=False, what="the task")
    if note := plain_http_warning(args.server):
        say(f"note: {note}")
    if args.times is not None and not args.times.exists():  # first: a server without events has sent nothing yet
        pull_events(args.task, args.server, args.times, organisation=args.organisation)
    pull(args.task, args.server, args.corrected, organisation=args.organisation)


def _print_corrections(found: Corrections) -> None:
    from liftgate.stats.interval import sample

    show(f"{sample(found.n_images, found.n_groups)}: {found.n_prelabels} pre-labels became {found.n_objects} objects")
    lines: list[list[object]] = [
        ["class", "kept", "moved", "IoU", "relabelled", "deleted", "added", "precision", "recall"]
    ]
    for row in (*found.classes, found.total):
        lines.append(
            [row.name, row.kept, row.moved, "" if row.moved_iou is None else f"{row.moved_iou:.2f}", row.relabelled,
             row.deleted, row.added, _share(row.precision), _share(row.recall)]
        )  # fmt: skip
    print_table(lines)
    for name, value in (("precision", found.total.precision), ("recall", found.total.recall)):
        if value is not None:
            show(f"{name} of the pre-labels at IoU 0.5: {value}{'; ' + value.note if value.note else ''}")
    for old, new, count in found.relabelled[:10]:
        show(f"relabelled: {old} → {new} ({count})")
    show(
        f"about {found.minutes_saved:.0f} minutes saved: {found.minutes_with:.0f} with pre-labels, "
        f"{found.minutes_without:.0f} if every object had been drawn"
    )
    say("assumed seconds a box: " + ", ".join(f"{work} {cost:g}" for work, cost in found.seconds.items()))
    if found.not_returned:
        say(f"{len(found.not_returned)} frames did not come back, such as {found.not_returned[0]}: not counted")
    if found.n_left_out:
        say(f"{found.n_left_out} boxes are crowd, ignored or without an area: not counted")


def _share(value: Interval | None) -> str:
    return "" if value is None else f"{value.estimate:.3f}"


def _seconds(text: str) -> tuple[str, float]:
    work, _, cost = text.partition("=")
    try:
        seconds = float(cost)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise UsageError("not a time", expected="WORK=SECONDS", got=text)
    return work, seconds
