"""`liftgate evaluate`: metrics with intervals, for any detector's predictions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import liftgate
from liftgate.cli.measurement_options import (
    PREDICTIONS,
    add_breakdown,
    add_label_errors,
    add_measuring,
    add_sample,
    measuring,
    of_sample,
    share_one_heap,
)
from liftgate.cli.output import add_json, add_open_anyway, emit_json, progress, say, show
from liftgate.cli.parser import refuse_given
from liftgate.cli.production_test import OF_AN_API, add_production_test, lines_of, run_production_test, show_marks
from liftgate.errors import UsageError

if TYPE_CHECKING:
    from liftgate.evaluation.records import Evaluation

_SHOWN_CONFUSIONS = 5
_SHOWN_SLICES = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `liftgate evaluate`."""
    parser.add_argument("--truth", type=Path, help="COCO JSON, data.yaml or VOC folder")
    parser.add_argument("--predictions", type=Path, help=PREDICTIONS)
    add_measuring(parser)
    parser.add_argument("--errors", action="store_true", help="types of mistakes, what each costs, and who is confused")
    parser.add_argument(
        "--pck", metavar="LENGTH=SHARE", action="append", default=[],
        help="keypoints within a share of box_diagonal, max_side or torso:KEYPOINT,KEYPOINT: box_diagonal=0.05",
    )  # fmt: skip
    add_breakdown(parser)
    add_label_errors(parser)
    add_sample(parser)
    add_production_test(parser)
    add_open_anyway(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run `liftgate evaluate` and return its exit code."""
    if args.marks is not None:
        show_marks(args)
        return 0
    _require_sources(args)
    if args.api_url is None:
        refuse_given(args, OF_AN_API, "these are of a model behind HTTP", expected="--api-url URL")
    if args.val_truth is not None and not args.val:
        raise UsageError("--val-truth is of predictions on val", got=args.val_truth, expected="--val PREDICTIONS")
    if args.api_url is not None:
        test = run_production_test(args)
        _show(args, test.evaluation, test.to_dict() if args.json else {}, list(lines_of(test)))
        return 0
    from liftgate.data.detections import prefetch

    share_one_heap()
    predictions = prefetch(args.predictions)  # while all that measures is imported
    with progress() as bar:
        if args.sample is not None:
            evaluation = liftgate.evaluate_sample(args.truth, predictions, args.sample, progress=bar, **of_sample(args))
        else:
            evaluation = liftgate.evaluate(
                args.truth,
                predictions,
                errors=args.errors,
                pck=args.pck,
                val=_single_val(args.val),
                progress=bar,
                **measuring(args),
            )
    _show(args, evaluation, evaluation.to_dict() if args.json else {}, [])
    return 0


def _show(args: argparse.Namespace, evaluation: Evaluation, record: Mapping[str, object], more: Sequence[str]) -> None:
    for name in (
        "contaminated", "truth_faults", "left_out", "groups", "remarks", "max_det_cut", "max_det_oks_cut", "no_boxes",
        "label_errors",
    ):  # fmt: skip
        if name in evaluation.settings:
            say(f"warning: {str(evaluation.settings[name]).removeprefix('warning: ')}")
    if args.json:
        emit_json(record)
        return
    show(*table(evaluation), *more)


def _require_sources(args: argparse.Namespace) -> None:
    """Require a truth, and predictions in a file or behind an address.

    Raises:
        UsageError: one is missing, or both ways are given.
    """
    missing = [name for name, value in (("--truth", args.truth), ("--predictions", args.predictions)) if value is None]
    if args.api_url is not None:
        missing = [name for name in missing if name != "--predictions"]
    elif args.out is not None:
        raise UsageError("--out is of a production test", expected="--api-url URL")
    if missing:
        hint = "liftgate evaluate --help"
        raise UsageError(f"the following arguments are required: {', '.join(missing)}", hint=hint)


def _single_val(val: Sequence[Path]) -> Path | None:
    if len(val) > 1:
        raise UsageError("one model has one set of predictions on val", got=f"--val {len(val)} times")
    return val[0] if val else None


def table(evaluation: Evaluation) -> list[str]:
    """Return the metrics as lines of text, in COCO's order, with notes on their limits."""
    from liftgate.stats.interval import percent, sample

    level = percent(evaluation.level)
    lines = [f"{'metric':<26} {'value':>7}  {f'{level} interval':<18} {'deff':>5} {'n_eff':>7} {'groups':>7}  method"]
    for name, value in evaluation.metrics.items():
        interval = evaluation.intervals.get(name)
        if value is None:
            lines.append(f"{name:<26} {'–':>7}  undefined: no truth of that kind")
        elif interval is None:
            lines.append(f"{name:<26} {value:>7.1f}  {'':<18} {'':>5} {'':>7} {'':>7}  as measured when predicting")
        else:
            effect = "" if interval.design_effect is None else f"{interval.design_effect:.2f}"
            worth = "" if interval.n_effective is None else f"{interval.n_effective:,.0f}"
            bounds = _bounds([interval.low, interval.high])
            even = "" if interval.groups_effective is None else f"{interval.groups_effective:.3g}"
            lines.append(f"{name:<26} {value:>7.3f}  {bounds:<18} {effect:>5} {worth:>7} {even:>7}  {interval.method}")
    of = f"{sample(evaluation.n_images, evaluation.n_groups)}; {level} intervals over groups"
    lines += ["", f"{of}; deff: design effect, n_eff: what the sample is worth in independent ones"]
    lines += ["groups: how many even groups inform the number"]
    lines += [*_settings_and_remarks(evaluation), *_slices(evaluation), *_pck(evaluation), *_errors(evaluation)]
    common = evaluation.settings.get("common")
    notes = [*([common] if common else []), *sorted({i.note for i in evaluation.intervals.values() if i.note})]
    return [*lines, *(f"note: {note}" for note in notes)]


def _settings_and_remarks(evaluation: Evaluation) -> Iterator[str]:
    """Yield the settings of the evaluation, and remarks."""
    if "conf" in evaluation.settings:
        conf = evaluation.settings["conf"]
        yield f"recall, precision and false positives at confidence ≥ {conf:g} and IoU 0.5"
    if screen := evaluation.screening:
        yield (
            f"whole images: flagged from score {screen['threshold']:g} of {', '.join(screen['threats'])} on "
            f"({screen['chosen']})"
        )
    if flagged := evaluation.flagged_images:
        yield f"whole images: {flagged}"
    if (best := evaluation.curves.get("best_confidence")) and None not in best["value"]:
        values = dict(zip(best["quantile"], best["value"], strict=True))
        shown = ", ".join(f"{q:.0%} {values[q]:.2f}" for q in (0.1, 0.25, 0.5, 0.75, 0.9))
        yield f"best confidence, quantiles over images with an object: {shown}"
    if f1 := [pair for pair in _f1(evaluation) if pair[0] is not None]:
        value, at = max(f1, key=lambda pair: pair[0] or 0)
        yield f"best F1 {value:.3f} at confidence {at:.2f} (choose it on val: of these very images it flatters)"
    if (ece := evaluation.calibration.get("ece")) is not None:
        n = evaluation.calibration["n_detections"]
        yield f"calibration error {ece:.3f} over {n} detections in 10 bins (no interval: small samples inflate it)"
    if (ultralytics := evaluation.as_ultralytics) and None not in ultralytics.values():
        numbers = ", ".join(f"{name.removeprefix('ultralytics_')} {value:.3f}" for name, value in ultralytics.items())
        yield f"by Ultralytics' formulas: {numbers} (its precision and recall are at the best F1)"


def _f1(evaluation: Evaluation) -> Iterator[tuple[float | None, float]]:
    curve = evaluation.curves.get("confidence", {})
    yield from zip(curve.get("f1", ()), curve.get("conf", ()), strict=True)


def _slices(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each slice."""
    if not evaluation.slices:
        return
    names = [
        name for name in ("mAP50-95", "mAP50", "recall", "accuracy", "detection_rate") if name in evaluation.metrics
    ]
    names = names[:3]
    yield ""
    yield f"{'slice':<20} {'images':>6} {'groups':>6}  " + "  ".join(f"{name:<24}" for name in names).rstrip()
    for slice_name, row in list(evaluation.slices.items())[:_SHOWN_SLICES]:
        cells = []
        for name in names:
            value = row["metrics"].get(name)
            cells.append("–" if value is None else f"{value:.3f} {_bounds(row['intervals'][name])}")
        shown = "  ".join(f"{cell:<24}" for cell in cells).rstrip()
        yield f"{slice_name[:20]:<20} {row['n_images']:>6} {row['n_groups']:>6}  {shown}"
    if len(evaluation.slices) > _SHOWN_SLICES:
        yield f"and {len(evaluation.slices) - _SHOWN_SLICES} more slices: --json has them all"
    yield "intervals of slices are each slice's own, not adjusted for looking at several"


def _pck(evaluation: Evaluation) -> Iterator[str]:
    for normaliser, rows in evaluation.pck.items():
        yield ""
        yield f"{f'PCK {normaliser}':<36} {'value':>7}  {'interval':<18}  method"
        for name, interval in rows.items():
            bounds = _bounds([interval.low, interval.high])
            yield f"{name[:36]:<36} {interval.estimate:>7.3f}  {bounds:<18}  {interval.method}"


def _errors(evaluation: Evaluation) -> Iterator[str]:
    """Yield the types of errors, and the pairs of classes that are confused most."""
    if not (errors := evaluation.errors):
        return
    title = f"mistakes at confidence ≥ {errors['conf']:g}"
    yield from ("", f"{title:<30} {'number':>7}  mAP50 gained without it")
    for name, number in errors["count"].items():
        yield f"{name:<30} {number:>7}  {errors['cost'][name]:+.3f}"
    classes = [*errors["classes"], "nothing"]
    pairs = [
        (number, classes[true], classes[found])
        for true, row in enumerate(errors["confusion"][:-1])
        for found, number in enumerate(row[:-1])
        if number and true != found
    ]
    if pairs:
        most = sorted(pairs, key=lambda pair: -pair[0])[:_SHOWN_CONFUSIONS]
        yield "taken for each other: " + ", ".join(f"{true} for {found} {number}" for number, true, found in most)


def _bounds(bounds: Sequence[float | None]) -> str:
    low, high = bounds
    return "not established" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
