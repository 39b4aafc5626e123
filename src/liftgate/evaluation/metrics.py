"""Metrics by name, computed from matched detections under many weightings: estimate and bootstrap draws in one call."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from liftgate.errors import UsageError
from liftgate.evaluation.average_precision import average_precision, mean_over_classes, recall
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.metric_names import COCO, OKS, RATES, AveragedMetric, Computed
from liftgate.evaluation.operating_point import OperatingPoint


def averaged_metrics(
    table: MatchTable, names: Iterable[str], unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return COCO or OKS metrics under every weighting; AP and recall that several of them share are computed once.

    Args:
        table: the matched detections.
        names: of the metrics.
        unit: (n_images,) index of each image's unit.
        weights: (U, L) how often each unit counts; one column per weighting.

    Returns:
        name → (L,); NaN where there is no truth.
    """
    wanted = {name: (COCO | OKS)[name] for name in names}
    by_class = shared_by_metrics(table, wanted.values(), unit, weights)
    return {name: mean_over_classes(by_class[metric.computed], metric.thresholds) for name, metric in wanted.items()}


def shared_by_metrics(
    table: MatchTable, metrics: Iterable[AveragedMetric], unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[Computed, NDArray[np.float64]]:
    """Return what each metric is the mean of: `computed` → (K, 10, L), as `by_threshold` returns it."""
    return {key: by_threshold(table, one, unit, weights) for key, one in {m.computed: m for m in metrics}.items()}


def thresholds_reached(table: MatchTable) -> NDArray[np.float64]:
    """Return (n_images,) which share of the ten thresholds the objects of each image are matched at, on average.

    An object that is not found counts as none; NaN: the image has no object that counts. With a table of keypoints
    this ranks images by OKS: 1 is an OKS of 0.95 or more on every object.
    """
    right = table.hit[0] & ~table.skip[0]
    reached = np.zeros(len(table.images))
    np.add.at(reached, table.image, np.bitwise_count(right) / 10)
    objects = np.bincount(table.label_image[table.counted[0]], minlength=len(table.images))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(objects > 0, reached / objects, np.nan)


def class_averages(
    table: MatchTable, metric: AveragedMetric, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the metric of each class, shape (K, L); NaN where the weighting holds no truth of the class."""
    return np.asarray(by_threshold(table, metric, unit, weights)[:, list(metric.thresholds)].mean(axis=1))


def by_threshold(
    table: MatchTable, metric: AveragedMetric, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return AP or recall of each class at every IoU threshold, shape (K, 10, L)."""
    if metric.kind == "AP":
        return average_precision(table, unit, weights, size=metric.size)
    return recall(table, unit, weights, size=metric.size, max_detections=metric.max_detections)


def rate(
    point: OperatingPoint, name: str, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one of RATES under every weighting (U, L), shape (L,); NaN where it is undefined."""
    if name == "best_confidence_median":
        return _weighted_median(point.best[has_objects(point)], weights[unit[has_objects(point)]])
    top, bottom = rate_fraction(point, name)
    n_units = len(weights)
    numerator = np.bincount(unit, top, minlength=n_units) @ weights
    denominator = np.bincount(unit, bottom, minlength=n_units) @ weights
    undefined = np.full(weights.shape[1], np.nan)
    ratio: NDArray[np.float64] = np.divide(numerator, denominator, out=undefined, where=denominator > 0)
    return ratio


def rate_fraction(point: OperatingPoint, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numerator and denominator of a rate, each (n_images,)."""
    if name == "recall":
        return point.true, point.objects
    if name == "precision":
        return point.true, point.true + point.false
    if name == "false_positives_per_image":
        return point.false, np.ones_like(point.false)
    raise UsageError(f"no metric {name!r}", expected=", ".join((*COCO, *RATES)))


def has_objects(point: OperatingPoint) -> NDArray[np.bool_]:
    """Return (n_images,) which images hold an object; the median best confidence is over these."""
    return point.objects > 0


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of `values` (n,), each repeated as often as each column of `weights` (n, L) says."""
    if not len(values):
        return np.full(weights.shape[1], np.nan)
    order = np.argsort(values, kind="stable")
    ordered, reached = values[order], np.cumsum(weights[order], axis=0)
    half = reached[-1] / 2
    lower = ordered[np.minimum((reached < half).sum(axis=0), len(values) - 1)]
    upper = ordered[np.minimum((reached <= half).sum(axis=0), len(values) - 1)]
    return np.where(half > 0, (lower + upper) / 2, np.nan)
