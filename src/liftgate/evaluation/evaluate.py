"""evaluate: every metric of predictions against truth, with intervals, per class, per image, and as curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import align, known_truth
from liftgate.evaluation.average_precision import average_precision
from liftgate.evaluation.calibration import calibration
from liftgate.evaluation.cell_matching import CellMatcher
from liftgate.evaluation.curves import best_confidence, curves
from liftgate.evaluation.error_types import ErrorTypes, errors_by_type
from liftgate.evaluation.group_hints import group_caveats
from liftgate.evaluation.image_level import ImageLevelScores, image_level_scores, screening_record
from liftgate.evaluation.intervals import average_intervals, image_level_intervals, rate_intervals
from liftgate.evaluation.match_table import MAX_DETECTIONS, MatchTable
from liftgate.evaluation.matching import keypoints_of, match
from liftgate.evaluation.metric_names import COCO, LATENCY, OKS, RATES
from liftgate.evaluation.metrics import has_objects, thresholds_reached
from liftgate.evaluation.oks_sigmas import Sigmas, resolve_sigmas
from liftgate.evaluation.operating_point import OperatingPoint, class_counts, operating_point
from liftgate.evaluation.pck import pck
from liftgate.evaluation.records import Evaluation, ImageCounts
from liftgate.evaluation.resampling import Units, affordable_draws, units
from liftgate.evaluation.slices import evaluate_slices
from liftgate.evaluation.spec import EvaluationSpec
from liftgate.evaluation.ultralytics_convention import as_ultralytics
from liftgate.stats.interval import Interval


def evaluate(
    truth: Dataset,
    predictions: Predictions,
    spec: EvaluationSpec = EvaluationSpec(),  # noqa: B008 (frozen)
    *,
    matcher: CellMatcher | None = None,
) -> Evaluation:
    """Measure `predictions` against `truth`.

    Predictions of whole images (no boxes) have image-level metrics only. Images whose labels could not be read are
    left out; `settings["left_out"]` then counts them.

    Args:
        truth: images, objects and groups.
        predictions: on these images.
        spec: what is measured.
        matcher: finds the matches, as on other machines; None: this process.

    Returns:
        Evaluation: the 12 COCO numbers (with keypoints on both sides also the 10 of OKS), recall, precision, median
        best confidence and false positives per image at score ≥ `spec.conf` and IoU 0.5, each with its interval over
        the groups of the truth's images; per class, per image (worst first), as curves, and how well confidence is
        calibrated. Undefined numbers are None.

    Raises:
        UsageError: no images, images that were not predicted on, level or conf out of range, OKS without sigmas, sigmas
            or PCK without keypoints, or predictions of whole images without a threshold.
    """
    spec.validate()
    truth, _, left_out = known_truth(truth)
    _require_keypoints(truth, predictions, spec)
    predictions = align(truth, predictions)
    level, conf, threshold, by = spec.level, spec.conf, spec.threshold, spec.slices
    image_level = None if threshold is None else image_level_scores(truth, predictions, threshold)
    common: dict[str, Any] = {
        "truth": truth.truth_hash(), "predictions": predictions.content_hash(), "level": level,
        "n_images": len(truth.images), "n_groups": len(set(truth.groups)),
        "screening": screening_record(truth, threshold, image_level) if threshold and image_level else {},
    }  # fmt: skip
    estimates: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    settings: dict[str, Any] = {"predictions": dict(predictions.settings)}
    if left_out:
        settings["left_out"] = left_out
    if caveats := group_caveats(truth):
        settings["groups"] = "; ".join(caveats)
    groups = units(truth.groups, affordable_draws(len(predictions)))
    if image_level is not None:
        estimates, intervals = image_level_intervals(image_level, groups, level)
    if predictions.image_level:
        if image_level is None:
            hint = "--threats gun,knife --threshold 0.4 (in Python: threats=, threshold=)"
            raise UsageError("these are predictions of whole images: they have no boxes to match", hint=hint)
        _add_latency(estimates, predictions)
        slices = {} if by is None else evaluate_slices(truth, by, (), None, image_level, level)
        return Evaluation(
            metrics=estimates, intervals=intervals, per_class={}, settings=settings, method=_IMAGE_LEVEL_METHOD,
            slices=slices, images=_image_level_rows(truth, image_level), **common,
        )  # fmt: skip
    table = match(truth, predictions, matcher=matcher)
    point = operating_point(table, conf)
    of_image_level = (estimates, intervals)
    estimates, intervals = average_intervals(table, tuple(COCO), groups, level)
    for more, more_intervals in (of_image_level, rate_intervals(point, groups, level)):
        estimates |= more
        intervals |= more_intervals
    settings |= {"conf": conf, "iou": 0.5, "max_det": MAX_DETECTIONS["iou"]}
    if table.beyond_limit:
        settings["max_det_cut"] = table.limit_note()
    if not predictions.has_boxes:  # a box around detected keypoints is no box that the model predicted
        of_boxes = (*COCO, *RATES)
        estimates |= dict.fromkeys(of_boxes)
        intervals = {name: interval for name, interval in intervals.items() if name not in of_boxes}
        settings["no_boxes"] = NO_BOXES
    errors = (
        errors_by_type(truth, predictions, conf=conf, table=table) if spec.errors and predictions.has_boxes else None
    )
    tables = [table]
    if truth.labels.keypoints is not None and _has_keypoints(truth, predictions, spec.sigmas):
        spread = resolve_sigmas(truth, spec.sigmas)
        tables.append(match(truth, predictions, similarity="oks", sigmas=spread, matcher=matcher))
        more, more_intervals = average_intervals(tables[1], tuple(OKS), groups, level)
        estimates |= more
        intervals |= more_intervals
        settings |= {"sigmas": list(spread), "max_det_oks": MAX_DETECTIONS["oks"]}
        if tables[1].beyond_limit:
            settings["max_det_oks_cut"] = f"OKS: {tables[1].limit_note()}"
    _add_latency(estimates, predictions)
    return Evaluation(
        metrics=estimates,
        intervals=intervals,
        per_class=_class_rows(table, conf) if predictions.has_boxes else {},
        settings=settings,
        method=_method(groups) + ("" if threshold is None else f"; {_IMAGE_LEVEL_METHOD}"),
        images=_image_rows(truth, point, errors, tables) if predictions.has_boxes else (),
        curves=curves(table) | {"best_confidence": best_confidence(point.best[has_objects(point)])},
        as_ultralytics=as_ultralytics(table),
        calibration={} if "scores_outside_0_1" in predictions.settings else calibration(table),
        slices={}
        if spec.slices is None
        else evaluate_slices(truth, spec.slices, tuple(tables), point, image_level, level),
        errors={} if errors is None else errors.to_dict(),
        pck={str(one): pck(truth, predictions, one, level=level, table=table) for one in spec.pck},
        **common,
    )


NO_BOXES = "the predictions have keypoints and no boxes: box metrics are undefined"


_IMAGE_LEVEL_METHOD = "of whole images: korn-graubard, AUC: bootstrap-se-logit-t"


def _require_keypoints(truth: Dataset, predictions: Predictions, spec: EvaluationSpec) -> None:
    if spec.sigmas is None and not spec.pck:
        return
    if truth.labels.keypoints is None or keypoints_of(truth, predictions) is None:
        missing = "the truth" if truth.labels.keypoints is None else "the predictions"
        raise UsageError(f"OKS sigmas and PCK need keypoints, and {missing} has none", where=truth.source)


def _has_keypoints(truth: Dataset, predictions: Predictions, sigmas: Sigmas) -> bool:
    """Return whether OKS is computed; where there is no detection at all, this depends on whether sigmas are known."""
    known = sigmas is not None or (truth.keypoints is not None and truth.keypoints.sigmas is not None)
    return predictions.keypoints is not None or (known and keypoints_of(truth, predictions) is not None)


def _add_latency(estimates: dict[str, float | None], predictions: Predictions) -> None:
    """Add the time per image that was measured during prediction, where it was."""
    speed = predictions.settings.get("speed")
    took = speed.get("p50_ms") if isinstance(speed, Mapping) else None
    if isinstance(took, int | float) and math.isfinite(took):
        estimates[LATENCY] = float(took)


def _method(groups: Units) -> str:
    return (
        f"AP and AR: {groups.method('bootstrap-se-logit-t')}; recall and precision: korn-graubard; "
        "false positives per image: cluster-se-t; median: woodruff-korn-graubard"
    )


def _class_rows(table: MatchTable, conf: float) -> dict[str, dict[str, float | int | None]]:
    one_unit = np.zeros(len(table.images), dtype=np.int64)
    ap = average_precision(table, one_unit, np.ones((1, 1)))[:, :, 0]
    rows: dict[str, dict[str, float | int | None]] = {}
    for k, (objects, detections, true, false) in enumerate(class_counts(table, conf).tolist()):
        rows[table.classes[k]] = {
            "AP50-95": float(ap[k].mean()) if objects else None,
            "AP50": float(ap[k, 0]) if objects else None,
            "recall": true / objects if objects else None,
            "precision": true / (true + false) if true + false else None,
            "n_objects": objects,
            "n_detections": detections,
        }
    return rows


def _image_level_rows(truth: Dataset, image_level: ImageLevelScores) -> tuple[ImageCounts, ...]:
    """Return one row per image: wrong ones first, the most confident first among them."""
    flagged, positive = image_level.flagged, image_level.positive
    order = np.lexsort((np.array([image.id for image in truth.images]), -image_level.score, flagged == positive))
    return tuple(
        {
            "id": truth.images[i].id,
            "group": truth.images[i].group,
            "tp": int(flagged[i] and positive[i]),
            "fp": int(flagged[i] and not positive[i]),
            "fn": int(positive[i] and not flagged[i]),
            "best_confidence": float(image_level.score[i]),
        }
        for i in order
    )


def _image_rows(
    truth: Dataset, point: OperatingPoint, errors: ErrorTypes | None, tables: Sequence[MatchTable]
) -> tuple[ImageCounts, ...]:
    """Return one row per image, worst first: lowest F1, then most errors, then by name."""
    f1, wrong = point.f1, point.false + point.missed
    order: NDArray[np.int64] = np.lexsort((np.array([image.id for image in truth.images]), -wrong, f1))
    counts = zip(
        *(column[order].tolist() for column in (point.true, point.false, point.missed, point.best)), strict=True
    )
    rows: list[ImageCounts] = []
    for i, (true, false, missed, best) in zip(order.tolist(), counts, strict=True):
        id_, group = truth.images[i].id, truth.images[i].group
        rows.append({"id": id_, "group": group, "tp": true, "fp": false, "fn": missed, "best_confidence": best})
    if errors is not None:
        for row, i in zip(rows, order, strict=True):
            row["errors"] = errors.by_image[i]
    for table in tables[1:]:  # of keypoints
        for row, share in zip(rows, thresholds_reached(table)[order].tolist(), strict=True):
            if not math.isnan(share):
                row["oks"] = share
    return tuple(rows)
