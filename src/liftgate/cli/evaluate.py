"""liftgate evaluate: metrics with intervals, for any detector's predictions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import liftgate
from liftgate.cli.output import add_json, emit_json, progress, say

if TYPE_CHECKING:
    from liftgate.measure.records import Evaluation


PREDICTIONS = "COCO results, FiftyOne JSON, CSV of answers, or folder of YOLO txt"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truth", required=True, type=Path, help="COCO JSON, data.yaml or VOC folder")
    parser.add_argument("--predictions", required=True, type=Path, help=PREDICTIONS)
    add_common(parser)
    add_measuring(parser)
    add_json(parser)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that evaluate and compare share."""
    parser.add_argument("--common", action="store_true", help="only the images that were looked at; the result says so")


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Options that evaluate, compare and size share."""
    parser.add_argument("--split", help="split to measure (default: val, where the truth has one)")
    parser.add_argument(
        "--groups", metavar="RULE", help="regex with (?P<group>…), CSV with columns image,group, or folder"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images, where the labels do not say")
    parser.add_argument("--conf", type=float, default=0.25, help="confidence threshold of rates (default: %(default)s)")
    parser.add_argument("--level", type=float, default=0.95, help="level of intervals (default: %(default)s)")
    parser.add_argument("--sigmas", help="OKS sigmas: coco, one number, or one for each keypoint with commas between")


def run(args: argparse.Namespace) -> int:
    with progress() as bar:
        evaluation = liftgate.evaluate(
            args.truth,
            args.predictions,
            groups=args.groups,
            split=args.split,
            images=args.images,
            level=args.level,
            conf=args.conf,
            sigmas=args.sigmas,
            common=args.common,
            progress=bar,
        )
    if args.json:
        emit_json(evaluation.to_dict())
    else:
        print(table(evaluation))
        if "truth_faults" in evaluation.settings:
            say(f"warning: {evaluation.settings['truth_faults']}")
        if evaluation.n_groups == evaluation.n_images:
            say("hint: every image counts as independent; if they are frames of videos, say so with --groups")
    return 0


def table(evaluation: Evaluation) -> str:
    """The metrics as text, in COCO's order, with what a reader must know before believing them."""
    from liftgate.stats.interval import percent

    level = percent(evaluation.level)
    lines = [f"{'metric':<26} {'value':>7}  {f'{level} interval':<18} {'deff':>5}  method"]
    for name, value in evaluation.metrics.items():
        interval = evaluation.intervals.get(name)
        if value is None or interval is None:
            lines.append(f"{name:<26} {'–':>7}  undefined: no truth of that kind")
            continue
        bounds = f"[{interval.low:.3f}, {interval.high:.3f}]" if interval.established else "not established"
        effect = "" if interval.design_effect is None else f"{interval.design_effect:.2f}"
        lines.append(f"{name:<26} {value:>7.3f}  {bounds:<18} {effect:>5}  {interval.method}")
    conf = evaluation.settings["conf"]
    lines += [
        "",
        f"{evaluation.n_images} images in {evaluation.n_groups} groups; {level} intervals over groups;",
        f"recall, precision and false positives at confidence ≥ {conf:g} and IoU 0.5",
    ]
    if (beside := evaluation.as_ultralytics) and None not in beside.values():
        said = ", ".join(f"{name.removeprefix('ultralytics_')} {value:.3f}" for name, value in beside.items())
        lines += ["", f"by Ultralytics' formulas: {said} (its precision and recall are at the best F1)"]
    common = evaluation.settings.get("common")
    notes = [*([common] if common else []), *sorted({i.note for i in evaluation.intervals.values() if i.note})]
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])
