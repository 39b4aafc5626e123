"""`liftgate data prelabel FRAMES --predictions FILE --out DIR`: a model's boxes on new frames, for CVAT."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.cli.data_source import READS, add_images, add_terms, declared_terms_of
from liftgate.cli.output import Screen, add_json, emit_json, progress, say, show
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.data.core.dataset import Dataset


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
    from liftgate.data.prelabels import export_prelabels, with_prelabels
    from liftgate.data.provenance.declared_terms import known_terms, with_terms
    from liftgate.data.remote.hosts import plain_http_warning, require_allowed_host
    from liftgate.ledger.recorded_files import require_unchanged_predictions

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
        labelled = with_prelabels(with_terms(frames, terms), read_predictions(args.predictions, frames), args.conf)
        made = export_prelabels(
            labelled,
            args.out,
            forms=args.to,
            made_by=f"liftgate data prelabel --conf {args.conf:g}",
            consent=terms.consent,
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
        emit_json({"folder": str(made.folder), "files": files, **counts, "conf": args.conf, "task": task})
        return 0
    show(f"{made.n_images} frames, {made.n_prelabels} pre-labels from confidence {args.conf:g} on")
    for file in made.files:
        show(file)
    if left_out:
        say(f"left out: {left_out} frames without predictions of the model")
    if task is not None:
        show(f"task {task} on {args.server}")
    else:
        say(f"in CVAT: a task with {made.folder}/labels.json and images.zip, then Upload annotations")
    return 0


def _open(args: argparse.Namespace, bar: Screen) -> Dataset:
    from liftgate.data.formats.coco.predictions import named_classes
    from liftgate.data.formats.read import is_dataset, read
    from liftgate.data.prelabels import frames_dataset

    if is_dataset(args.path):
        return read(args.path, images=args.images, progress=bar)
    return frames_dataset(args.path, args.classes or named_classes(args.predictions), bar)
