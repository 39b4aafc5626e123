"""`liftgate data prelabel FRAMES --predictions FILE --out DIR`: a model's boxes on new frames, for CVAT."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import READS, add_groups, add_images, add_terms, declared_terms_of
from liftgate.cli.output import Screen, add_json, emit_json, progress, say, show
from liftgate.cli.parser import at_least, refuse_given
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.data.core.dataset import Dataset
    from liftgate.data.prelabels.halves import Halves


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate data prelabel`."""
    parser.add_argument("path", type=Path, metavar="FRAMES", help=f"frames.csv, a folder of images, or {READS}")
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="FILE", help="COCO results, YOLO txt … of any detector"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for what CVAT imports")
    parser.add_argument("--to", nargs="+", choices=("cvat", "coco", "yolo"), default=["cvat"], help="cvat always")
    parser.add_argument("--conf", type=float, default=0.25, help="detections below are left out (default 0.25)")
    parser.add_argument(
        "--classes", nargs="+", metavar="NAME", help="of bare frames, where predictions do not name them"
    )
    parser.add_argument(
        "--blur",
        type=Path,
        metavar="FILE",
        help="JSON list of {image_id, bbox}, such as a face detector's COCO results: these boxes are made "
        "unrecognisable in images.zip",
    )
    add_images(parser)
    saving = parser.add_argument_group("what pre-labels save, measured: see `data corrections --times`")
    saving.add_argument(
        "--measure-saving", action="store_true",
        help="half of the groups, drawn at random, go out without boxes, to be drawn from nothing",
    )  # fmt: skip
    saving.add_argument("--seed", type=at_least(0), default=0, help="of that draw (default: %(default)s)")
    add_groups(parser)
    add_terms(parser)
    add_server(parser, "--push", "make a task of it on this CVAT server (token in CVAT_ACCESS_TOKEN)")
    parser.add_argument("--name", help="of the task (default: the frames' name)")
    add_json(parser)


def add_server(parser: argparse.ArgumentParser, verb: str, summary: str, *, sends: bool = True) -> None:
    """Add the arguments of push and pull; those that permit sending only if `sends`."""
    group = parser.add_argument_group("a CVAT server (the `cvat` extra)")
    group.add_argument(verb, dest="server", metavar="URL", help=summary)
    group.add_argument("--organisation", metavar="SLUG", help="of CVAT, whose task it is")
    if sends:
        group.add_argument("--allow-remote", action="append", default=[], metavar="HOST", help="may be sent to")


def run(args: argparse.Namespace) -> int:
    """Run `liftgate data prelabel` and return its exit code."""
    from liftgate.data.core.blurring import read_blur_boxes
    from liftgate.data.detections import read_predictions
    from liftgate.data.grouping.groups import assign_groups
    from liftgate.data.prelabels import export_prelabels, with_prelabels
    from liftgate.data.prelabels.halves import draw_halves
    from liftgate.data.provenance.declared_terms import known_terms, with_terms
    from liftgate.data.remote.hosts import plain_http_warning, require_allowed_host
    from liftgate.ledger.recorded_files import require_unchanged_predictions

    if not args.measure_saving:
        refuse_given(args, ("seed",), "it draws the half that goes out without boxes", expected="--measure-saving")
    if not args.server:
        refuse_given(
            args, ("organisation", "allow_remote", "name"), "these are of a CVAT server", expected="--push URL"
        )
    if not 0 <= args.conf <= 1:
        raise UsageError("--conf is out of range", expected="0 to 1", got=args.conf)
    with progress() as bar:
        frames = _open(args, bar)
        terms = known_terms(frames, declared_terms_of(args))
        if args.server:  # refused before anything is made
            require_allowed_host(
                args.server, confidential=terms.confidential, allowed=args.allow_remote, what=frames.name
            )
            if note := plain_http_warning(args.server):
                bar.say(f"note: {note}")
        require_unchanged_predictions(args.predictions)
        if args.groups:
            frames = assign_groups(frames, args.groups, base=Path.cwd())
        labelled = with_prelabels(with_terms(frames, terms), read_predictions(args.predictions, frames), args.conf)
        halves = draw_halves(labelled, args.seed) if args.measure_saving else None
        made = export_prelabels(
            labelled,
            args.out,
            forms=args.to,
            made_by=f"liftgate data prelabel --conf {args.conf:g}",
            consent=terms.consent,
            halves=halves,
            blur=None if args.blur is None else read_blur_boxes(args.blur, [image.id for image in labelled.images]),
        )
    task = None
    if args.server:
        from liftgate.data.prelabels.server import push

        task = push(made.folder, args.server, name=args.name or frames.name, organisation=args.organisation)
    left_out = len(frames.images) - made.n_images
    if args.json:
        files = [str(file) for file in made.files]
        counts = {"n_images": made.n_images, "n_prelabels": made.n_prelabels, "n_without_predictions": left_out}
        drawn = None if halves is None else {"seed": halves.seed, "images_without": halves.count(False).images}
        record = {"folder": str(made.folder), "files": files, **counts, "conf": args.conf, "task": task}
        emit_json(record | {"halves": drawn})
        return 0
    show(f"{made.n_images} frames, {made.n_prelabels} pre-labels from confidence {args.conf:g} on")
    for file in made.files:
        show(file)
    if left_out:
        say(f"left out: {left_out} frames without predictions of the model")
    if halves is not None:
        _say_halves(halves)
    if task is not None:
        show(f"task {task} on {args.server}")
    else:
        say(f"in CVAT: a task with {made.folder}/labels.json and images.zip, then Upload annotations")
    return 0


def _say_halves(halves: Halves) -> None:
    from liftgate.stats.interval import MIN_GROUPS, sample

    had, had_not = halves.count(True), halves.count(False)
    show(f"with pre-labels: {sample(*had)}; to be drawn from nothing: {sample(*had_not)} (seed {halves.seed})")
    if min(had.groups, had_not.groups) < MIN_GROUPS:
        say(f"an interval of what is saved needs {MIN_GROUPS} groups in each half: there will be none")
    if all(group.startswith("image:") for group in halves.groups):
        say("no groups are known: every image counts as one, which is too sure where images are near-copies (--groups)")


def _open(args: argparse.Namespace, bar: Screen) -> Dataset:
    from liftgate.data.formats.coco.predictions import named_classes
    from liftgate.data.formats.read import is_dataset, read
    from liftgate.data.prelabels import frames_dataset

    if is_dataset(args.path):
        return read(args.path, images=args.images, progress=bar)
    return frames_dataset(args.path, args.classes or named_classes(args.predictions), bar)
