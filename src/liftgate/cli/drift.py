"""`liftgate drift PRODUCTION --against REFERENCE`: what moved, by camera, and which images are new."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import liftgate
from liftgate.cli.output import add_json, emit_json, progress, show
from liftgate.errors import EXIT_CODES, FindingsError

if TYPE_CHECKING:
    from liftgate.deploy.production.drift import DriftFinding

_MOST_SHOWN = 20
_EXIT = {"no drift seen": 0, "drift": FindingsError.exit_code, "cannot tell": EXIT_CODES["MARGINAL"]}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate drift`."""
    parser.add_argument("production", type=Path, help="folder of a log of `liftgate serve`, or predictions on --images")
    parser.add_argument(
        "--against", type=Path, metavar="REFERENCE",
        help="a data set, such as the one trained on, or another log (default: the same log before --since)",
    )  # fmt: skip
    parser.add_argument("--since", metavar="DATE", help="first day of production (UTC)")
    parser.add_argument("--until", metavar="DATE", help="first day after it (UTC)")
    parser.add_argument(
        "--images", type=Path, metavar="FRAMES", help="frames.csv (image, camera, day) or folder: names what is new"
    )
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="of the model on the data set --against")
    parser.add_argument("--groups", metavar="RULE", help="of the data set: regex with (?P<group>…), CSV, folder …")
    parser.add_argument("--cameras", metavar="RULE", help="of the data set: regex with a named group, CSV#COLUMN …")
    parser.add_argument("--split", default="train", help="of the data set (default: %(default)s)")
    parser.add_argument("--conf", type=float, default=0.25, help="detections below are not there (default: 0.25)")
    parser.add_argument("--alpha", type=float, default=0.05, help="rate of any false alarm at all (default: 0.05)")
    parser.add_argument("--new-share", type=float, default=0.01, metavar="X", help="called new wrongly: 0.01 of images")
    parser.add_argument("--study", type=Path, metavar="STUDY", help="study.yaml whose ledger records the answer")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate drift` and return its exit code."""
    with progress() as bars:
        found = liftgate.drift(
            args.production, args.against, since=args.since, until=args.until, images=args.images,
            predictions=args.predictions, groups=args.groups, cameras=args.cameras, split=args.split, conf=args.conf,
            alpha=args.alpha, new_share=args.new_share, study=args.study, progress=bars,
        )  # fmt: skip
    if args.json:
        emit_json(_as_json(found))
    else:
        show(*found.sentences)
        for one in found.new_frames[:_MOST_SHOWN]:
            show(f"  new: {one.image} ({one.distance:.2f} from {one.nearest})")
        if len(found.new_frames) > _MOST_SHOWN:
            show(f"  and {len(found.new_frames) - _MOST_SHOWN} more: --json has all")
    return _EXIT[found.answer]


def _as_json(found: DriftFinding) -> dict[str, object]:
    return {
        "answer": found.answer,
        "reference": found.reference,
        "alpha": found.alpha,
        "level": found.level,
        "n_before": found.n_before,
        "n_after": found.n_after,
        "rows": [
            {
                "statistic": row.statistic,
                "camera": row.camera,
                "word": row.word,
                "before": row.shift.before,
                "after": row.shift.after,
                "delta": row.shift.delta,
                "interval": None if row.shift.low is None else [row.shift.low, row.shift.high],
                "p": row.p_adjusted,
                "days": [row.shift.n_before, row.shift.n_after],
                "note": row.shift.note,
            }
            for row in found.rows
        ],
        "new_threshold": None if found.novelty is None else found.novelty.threshold,
        "n_frames": found.n_frames,
        "new_frames": [
            {"image": one.image, "camera": one.camera, "distance": one.distance, "nearest": one.nearest}
            for one in found.new_frames
        ],
    }
