"""evaluate: predictions against truth → every metric with its interval, per class, per image, as curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.dataset import Dataset
from liftgate.data.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.measure.average_precision import average_precision
from liftgate.measure.curves import curves
from liftgate.measure.metrics import COCO, OKS, RATES, averaged, fraction, rate, shown
from liftgate.measure.operating_point import OperatingPoint, class_counts, operating_point
from liftgate.measure.records import Evaluation
from liftgate.measure.resampling import Units, affordable, units
from liftgate.measure.sigmas import resolve_sigmas
from liftgate.measure.table import MAX_DETECTIONS, MatchTable, aligned, match
from liftgate.measure.ultralytics_convention import as_ultralytics
from liftgate.stats.clustered import cluster_ratio_t, jackknife_t, jackknife_variance, median_interval
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard


def evaluate(
    truth: Dataset,
    predictions: Predictions,
    *,
    level: float = 0.95,
    conf: float = 0.25,
    sigmas: Sequence[float] | str | float | None = None,
) -> Evaluation:
    """Measure `predictions` against `truth`.

    Returns:
        Evaluation: the 12 COCO numbers (with keypoints on both sides also the 10 of OKS), recall, precision, median
        best confidence and false positives per image at score ≥ `conf` and IoU 0.5, each with its interval over the
        groups of the truth's images; per class, per image (worst first) and as curves. Undefined numbers are None.

    Raises:
        UsageError: no images, images that were not predicted on, level or conf out of range, OKS without sigmas.
    """
    if not 0 < level < 1:
        raise UsageError("a level lies between 0 and 1", got=level, hint="95% is 0.95")
    if not 0 <= conf <= 1:
        raise UsageError("a confidence threshold lies in 0 … 1", got=conf)
    predictions = covering(truth, predictions)
    table = match(truth, predictions)
    point = operating_point(table, conf)
    groups = units(truth.groups, affordable(len(predictions)))
    estimates, intervals = _averaged_with_intervals(table, COCO, groups, level)
    _add_rates(estimates, intervals, point, truth, level)
    settings: dict[str, Any] = {"conf": conf, "iou": 0.5, "max_det": MAX_DETECTIONS["iou"]}
    if truth.labels.keypoints is not None and predictions.keypoints is not None:
        spread = resolve_sigmas(truth, sigmas)
        more, more_intervals = _averaged_with_intervals(
            match(truth, predictions, similarity="oks", sigmas=spread), OKS, groups, level
        )
        estimates |= more
        intervals |= more_intervals
        settings |= {"sigmas": list(spread), "max_det_oks": MAX_DETECTIONS["oks"]}
    return Evaluation(
        metrics=estimates,
        intervals=intervals,
        per_class=_per_class(table, conf),
        settings=settings | {"predictions": dict(predictions.settings)},
        truth=truth.truth_hash(),
        predictions=predictions.content_hash(),
        level=level,
        method=_method(groups),
        n_images=len(truth.images),
        n_groups=groups.n_groups,
        images=_images(truth, point),
        curves=curves(table),
        as_ultralytics=as_ultralytics(_unlimited(truth, predictions, table)),
    )


def _unlimited(truth: Dataset, predictions: Predictions, table: MatchTable) -> MatchTable:
    """The table without a limit of detections; the same one where the limit cut nothing."""
    return table if len(table.score) == len(predictions) else match(truth, predictions, max_detections=len(predictions))


def covering(truth: Dataset, predictions: Predictions) -> Predictions:
    """Return the predictions on the truth's images, in the truth's classes.

    Raises:
        UsageError: the truth has no images, or some of them were not predicted on.
    """
    if not truth.images:
        raise UsageError("the truth has no images", where=truth.source, hint="is the split's name right?")
    if predictions.images == tuple(image.id for image in truth.images) and predictions.classes == truth.classes:
        return predictions
    chosen = aligned(truth, predictions)
    missing = {image.id for image in truth.images} - set(chosen.images)
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(truth.images)} images were not predicted on, for example {min(missing)!r}",
            where=truth.source,
            hint="an image without detections must still be listed among the predictions' images; --common measures the"
            " images that were looked at",
        )
    return chosen


def _averaged_with_intervals(
    table: MatchTable, names: Iterable[str], groups: Units, level: float
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    lanes = averaged(table, names, groups.of_image, groups.leave_one_out())
    n_images = len(table.images)
    simple: Mapping[str, float] = {}
    if groups.n_groups < n_images:
        alone = units(table.images, affordable(len(table.score)))
        image_lanes = averaged(table, names, alone.of_image, alone.leave_one_out())
        simple = {name: jackknife_variance(values[1:]) for name, values in image_lanes.items()}
    estimates = {name: None if math.isnan(values[0]) else float(values[0]) for name, values in lanes.items()}
    intervals = {
        name: jackknife_t(
            estimate,
            lanes[name][1:],
            level,
            n_images=n_images,
            n_groups=groups.n_groups,
            simple_variance=simple.get(name),
            within=(0.0, 1.0),
        )
        for name, estimate in estimates.items()
        if estimate is not None
    }
    return estimates, intervals


def _add_rates(
    estimates: dict[str, float | None],
    intervals: dict[str, Interval],
    point: OperatingPoint,
    truth: Dataset,
    level: float,
) -> None:
    groups = units(truth.groups, max_units=len(truth.images))
    for name in RATES:
        value = float(rate(point, name, groups.of_image, groups.all())[0])
        estimates[name] = None if math.isnan(value) else value
        if not math.isnan(value):
            intervals[name] = rate_interval(point, name, groups, level)


def rate_interval(point: OperatingPoint, name: str, groups: Units, level: float) -> Interval:
    """Interval of one of RATES, by the method that holds for it."""
    n_images = len(point.true)
    if name == "best_confidence_median":
        return median_interval(point.best[shown(point)], groups.of_image[shown(point)], level)
    top, bottom = fraction(point, name)
    k, n = (np.bincount(groups.of_image, column, minlength=groups.count) for column in (top, bottom))
    if name == "false_positives_per_image":
        simple = float(np.var(top, ddof=1)) / n_images if n_images > 1 else None
        return cluster_ratio_t(k, n, level, n_images=n_images, simple_variance=simple)
    return korn_graubard(k, n, level, n_images=n_images)


def _method(groups: Units) -> str:
    return (
        f"AP and AR: {groups.method()}; recall and precision: korn-graubard; "
        "false positives per image: cluster-se-t; median: woodruff-korn-graubard"
    )


def _per_class(table: MatchTable, conf: float) -> dict[str, dict[str, float | int | None]]:
    everyone = np.zeros(len(table.images), dtype=np.int64)
    ap = average_precision(table, everyone, np.ones((1, 1)))[:, :, 0]
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


def _images(truth: Dataset, point: OperatingPoint) -> tuple[dict[str, Any], ...]:
    """Worst first: lowest F1, then most mistakes, then by name."""
    f1, wrong = point.f1, point.false + point.missed
    order: NDArray[np.int64] = np.lexsort((np.array([image.id for image in truth.images]), -wrong, f1))
    return tuple(
        {
            "id": truth.images[i].id,
            "group": truth.images[i].group,
            "tp": int(point.true[i]),
            "fp": int(point.false[i]),
            "fn": int(point.missed[i]),
            "best_confidence": float(point.best[i]),
        }
        for i in order
    )
