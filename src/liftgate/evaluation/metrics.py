"""The metrics by name: each is a weighting of the match table, so an estimate, a draw and a jackknife are one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.errors import UsageError
from liftgate.evaluation.average_precision import average_precision, mean_over_classes, recall
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Averaged:
    """A metric that averages over classes and IoU thresholds."""

    kind: str
    """`AP` or `AR`"""
    size: str = "all"
    thresholds: tuple[int, ...] = tuple(range(10))
    """Indices into IOU_THRESHOLDS"""
    max_detections: int = 100


COCO: dict[str, Averaged] = {
    "mAP50-95": Averaged("AP"),
    "mAP50": Averaged("AP", thresholds=(0,)),
    "mAP75": Averaged("AP", thresholds=(5,)),
    "mAP_small": Averaged("AP", "small"),
    "mAP_medium": Averaged("AP", "medium"),
    "mAP_large": Averaged("AP", "large"),
    "AR_1": Averaged("AR", max_detections=1),
    "AR_10": Averaged("AR", max_detections=10),
    "AR_100": Averaged("AR"),
    "AR_small": Averaged("AR", "small"),
    "AR_medium": Averaged("AR", "medium"),
    "AR_large": Averaged("AR", "large"),
}
"""The twelve numbers of COCO's box evaluation, in its order."""

OKS: dict[str, Averaged] = {
    "OKS-mAP50-95": Averaged("AP"),
    "OKS-mAP50": Averaged("AP", thresholds=(0,)),
    "OKS-mAP75": Averaged("AP", thresholds=(5,)),
    "OKS-mAP_medium": Averaged("AP", "medium"),
    "OKS-mAP_large": Averaged("AP", "large"),
    "OKS-AR": Averaged("AR"),
    "OKS-AR50": Averaged("AR", thresholds=(0,)),
    "OKS-AR75": Averaged("AR", thresholds=(5,)),
    "OKS-AR_medium": Averaged("AR", "medium"),
    "OKS-AR_large": Averaged("AR", "large"),
}
"""The ten numbers of COCO's keypoint evaluation, in its order."""

RATES = ("recall", "precision", "best_confidence_median", "false_positives_per_image")
"""At the confidence threshold and IoU 0.5, over all classes together."""

SCREENING = ("accuracy", "detection_rate", "false_alarm_rate", "AUC")
"""Of whole images: is there a threat on it? AUC takes no threshold. See evaluation/image_level.py."""

LATENCY = "ms_per_image"
"""Median time per image as whoever predicted has measured it; no sample of ours, so it has no interval."""

LESS_IS_BETTER = frozenset({"false_positives_per_image", "false_alarm_rate", LATENCY})


def averaged(
    table: MatchTable, names: Iterable[str], unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """COCO or OKS metrics in every lane: name → (L,); NaN where there is no truth. Shared work is done once."""
    wanted = {name: (COCO | OKS)[name] for name in names}
    by_size = {
        size: average_precision(table, unit, weights, size=size)
        for size in {metric.size for metric in wanted.values() if metric.kind == "AP"}
    }
    by_limit = {
        key: recall(table, unit, weights, size=key[0], max_detections=key[1])
        for key in {(metric.size, metric.max_detections) for metric in wanted.values() if metric.kind == "AR"}
    }
    return {
        name: mean_over_classes(
            by_size[metric.size] if metric.kind == "AP" else by_limit[metric.size, metric.max_detections],
            metric.thresholds,
        )
        for name, metric in wanted.items()
    }


def rate(
    point: OperatingPoint, name: str, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One of RATES in every lane, shape (L,)."""
    if name == "best_confidence_median":
        return _weighted_median(point.best[shown(point)], weights[unit[shown(point)]])
    top, bottom = fraction(point, name)
    n_units = len(weights)
    numerator = np.bincount(unit, top, minlength=n_units) @ weights
    denominator = np.bincount(unit, bottom, minlength=n_units) @ weights
    undefined = np.full(weights.shape[1], np.nan)
    ratio: NDArray[np.float64] = np.divide(numerator, denominator, out=undefined, where=denominator > 0)
    return ratio


def fraction(point: OperatingPoint, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numerator and denominator of a rate, per image."""
    if name == "recall":
        return point.true, point.objects
    if name == "precision":
        return point.true, point.true + point.false
    if name == "false_positives_per_image":
        return point.false, np.ones_like(point.false)
    raise UsageError(f"no metric {name!r}", expected=", ".join((*COCO, *RATES)))


def shown(point: OperatingPoint) -> NDArray[np.bool_]:
    """Images that hold an object: those on which a model has something to be confident about."""
    return point.objects > 0


def comparable_metric(name: str, *, pose: bool = True) -> str:
    """Return the name of a metric that two models can be compared by, or raise with the nearest one.

    Args:
        name: as in `Evaluation.metrics`.
        pose: whether the metrics of keypoints are among them.

    Raises:
        UsageError: no such metric.
    """
    names = [*COCO, *RATES, *SCREENING, *(OKS if pose else ())]
    if name in names:
        return name
    raise UsageError(f"no metric {name!r}", expected=", ".join(names), hint=did_you_mean(name, names, cutoff=0.4))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of `values` (n,) under each column of `weights` (n, L), as if values stood there that often."""
    if not len(values):
        return np.full(weights.shape[1], np.nan)
    order = np.argsort(values, kind="stable")
    ordered, reached = values[order], np.cumsum(weights[order], axis=0)
    half = reached[-1] / 2
    lower = ordered[np.minimum((reached < half).sum(axis=0), len(values) - 1)]
    upper = ordered[np.minimum((reached <= half).sum(axis=0), len(values) - 1)]
    return np.where(half > 0, (lower + upper) / 2, np.nan)
