"""Influences: by how much each image moves a metric, from which follows how much groups of images differ.

The influence of an image is the derivative of the metric in the image's weight (Hampel 1974; the infinitesimal
jackknife). Those of a group add up to what the group pulls the metric away from what the others say; those of two
models subtract to that of their difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.image_level import ImageLevelScores, image_level_fraction
from liftgate.evaluation.match_table import SIZES, MatchTable
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS, AveragedMetric
from liftgate.evaluation.metrics import has_objects, rate_fraction
from liftgate.evaluation.resampling import Units
from liftgate.kernels.influences import add_influences

if TYPE_CHECKING:
    from liftgate.evaluation.matched_predictions import MatchedPredictions

Floats = NDArray[np.float64]


def influences(arm: MatchedPredictions, metric: str, groups: Units, variance: float = 0.0) -> Floats:
    """Return (n_images,) the influences on a metric of one model; on a median so that its variance is `variance`."""
    weight = groups.image_weights()
    if metric in IMAGE_LEVEL:
        assert arm.image_level is not None
        if metric == "AUC":
            return auc_influences(arm.image_level, weight)
        return fraction_influences(*image_level_fraction(arm.image_level, metric), weight)
    assert arm.table is not None
    if (average := (COCO | OKS).get(metric)) is not None:
        return average_influences(arm.table, average, groups)
    assert arm.point is not None
    if metric == "best_confidence_median":
        return median_influences(arm.point.best, weight * has_objects(arm.point), groups, variance)
    return fraction_influences(*rate_fraction(arm.point, metric), weight)


def fraction_influences(top: NDArray[np.int64] | Floats, bottom: NDArray[np.int64] | Floats, weight: Floats) -> Floats:
    """Return (n_images,) influences on Σ top / Σ bottom."""
    total = float(weight @ bottom)
    return np.asarray(weight * (top - float(weight @ top) / total * bottom) / total)


def average_influences(table: MatchTable, metric: AveragedMetric, groups: Units) -> Floats:
    """Return (n_images,) influences on AP or AR, as a mean over classes and IoU thresholds.

    AP is taken with precision at every hit instead of at 101 points of recall: that is smooth in the weights.
    """
    weight, rows = groups.image_weights(), table.ranked(metric.size)
    counted = table.counted[SIZES.index(metric.size)]
    object_image, object_class = table.label_image[counted], table.label_class[counted]
    number = np.bincount(object_class, weight[object_image], minlength=len(table.classes)).astype(np.float64)
    found, sums = np.zeros(len(weight)), np.zeros(len(number))
    thresholds = sum(1 << t for t in metric.thresholds)
    scratch = np.empty(len(rows.image), dtype=np.int64), np.empty(len(rows.image))
    add_influences(
        rows.start, rows.image, rows.hit, rows.skip, rows.rank, metric.max_detections, thresholds,
        int(metric.kind == "AP"), weight, number, *scratch, found, sums,
    )  # fmt: skip
    # More objects lower the share that the hits are of them.
    share = np.divide(sums, number**2, out=np.zeros_like(sums), where=number > 0)
    found -= weight * np.bincount(object_image, share[object_class], minlength=len(weight))
    return found / max(1, int((number > 0).sum()) * len(metric.thresholds))


def auc_influences(scores: ImageLevelScores, weight: Floats) -> Floats:
    """Return (n_images,) influences on AUC."""
    positive, score = scores.positive, scores.score
    kinds = float(weight[positive].sum()), float(weight[~positive].sum())
    below = np.zeros(len(score))
    for one, other, sign in ((positive, ~positive, 1), (~positive, positive, -1)):
        order = np.argsort(sign * score[other], kind="stable")
        ordered, reached = (sign * score[other])[order], np.append(0.0, np.cumsum(weight[other][order]))
        left, right = (np.searchsorted(ordered, sign * score[one], side=side) for side in ("left", "right"))
        below[one] = (reached[left] + reached[right]) / 2 / reached[-1]
    value = float(weight[positive] @ below[positive]) / kinds[0]
    return np.asarray(weight * (below - value) / np.where(positive, *kinds))


def median_influences(best: Floats, weight: Floats, groups: Units, variance: float) -> Floats:
    """Return (n_images,) influences on a median, in proportion; of the size that gives its variance between groups."""
    counted = weight > 0
    ordered = np.argsort(best[counted], kind="stable")
    reached = np.cumsum(weight[counted][ordered])
    median = best[counted][ordered][np.searchsorted(reached, reached[-1] / 2)]
    found = weight * (np.where(best > median, 0.5, np.where(best < median, -0.5, 0.0)))
    found = found - weight * float(found.sum()) / float(weight.sum())
    inside = groups.group < groups.n_groups
    pull = np.bincount(groups.group[inside], found[inside], minlength=groups.n_groups)
    square = float(np.sum(pull**2))
    return found * math.sqrt(variance / square) if square else found * 0
