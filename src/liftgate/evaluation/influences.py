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
from liftgate.kernels.matching import IOU_THRESHOLDS

if TYPE_CHECKING:
    from liftgate.evaluation.matched_predictions import MatchedPredictions

Floats = NDArray[np.float64]
_CELLS = 10**6
"""IoU thresholds × detections of a class that are looked at together"""
_THRESHOLDS = np.arange(len(IOU_THRESHOLDS), dtype=np.uint16)


def influences(arm: MatchedPredictions, metric: str, groups: Units, variance: float = 0.0) -> Floats:
    """Return (n_images,) the influences on a metric of one model; on a median so that its variance is `variance`."""
    weight = image_weights(groups)
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


def image_weights(groups: Units) -> Floats:
    """Return (n_images,) how much each image counts: 1, or as many as it represents; 0 outside of a slice."""
    inside = groups.group < groups.n_groups
    if groups.weight is None:
        return inside.astype(np.float64)
    return np.where(inside, groups.weight[np.minimum(groups.of_image, groups.count - 1)], 0.0)


def fraction_influences(top: NDArray[np.int64] | Floats, bottom: NDArray[np.int64] | Floats, weight: Floats) -> Floats:
    """Return (n_images,) influences on Σ top / Σ bottom."""
    total = float(weight @ bottom)
    return np.asarray(weight * (top - float(weight @ top) / total * bottom) / total)


def average_influences(table: MatchTable, metric: AveragedMetric, groups: Units) -> Floats:
    """Return (n_images,) influences on AP or AR, as a mean over classes and IoU thresholds.

    AP is taken with precision at every hit instead of at 101 points of recall: that is smooth in the weights.
    """
    weight, rows = image_weights(groups), table.ranked(metric.size)
    counted = table.counted[SIZES.index(metric.size)]
    object_image, object_class = table.label_image[counted], table.label_class[counted]
    found, classes = np.zeros(len(weight)), 0
    for k in range(len(table.classes)):
        objects = object_image[object_class == k]
        number = float(weight[objects].sum())
        if not number:
            continue
        classes += 1
        own = slice(rows.start[k], rows.start[k + 1])
        image, best = rows.image[own], rows.rank[own] < metric.max_detections
        at_once = max(1, _CELLS // max(1, len(image)))  # IoU thresholds, so that memory stays small
        for first in range(0, len(metric.thresholds), at_once):
            bits = np.uint16(1) << _THRESHOLDS[list(metric.thresholds[first : first + at_once])][:, None]
            hit, live = (rows.hit[own] & bits != 0) & best, (rows.skip[own] & bits == 0) & best
            each, value = _of_class(hit, live, weight[image], precise=metric.kind == "AP")
            found += np.bincount(image, each * weight[image], minlength=len(weight)) / number
            found -= np.bincount(objects, minlength=len(weight)) * weight * value / number**2
    return found / max(1, classes * len(metric.thresholds))


def _of_class(
    hit: NDArray[np.bool_], live: NDArray[np.bool_], weight: Floats, *, precise: bool
) -> tuple[Floats, float]:
    """Return (n,) by how much the detections of a class move Σ precision of hits, and that sum; sums over (T, n)."""
    if not precise:
        return hit.sum(axis=0).astype(np.float64), float((hit @ weight).sum())
    true, seen = np.cumsum(hit * weight, axis=1), np.cumsum(live * weight, axis=1)
    precision = np.divide(true, seen, out=np.zeros_like(true), where=hit & (seen > 0))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    place = np.arange(hit.shape[1])
    at = np.where(hit & (precision >= envelope), place, len(place) - 1)
    at = np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]  # the hit whose precision counts for this one
    flat = at + len(place) * np.arange(len(hit))[:, None]
    carried = np.bincount(flat[hit], np.broadcast_to(weight, hit.shape)[hit], minlength=hit.size).reshape(hit.shape)
    pull = np.divide(carried, seen, out=np.zeros_like(seen), where=seen > 0)
    later, spoilt = (np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (pull, pull * precision))
    each = hit * (envelope + later) - live * spoilt
    return each.sum(axis=0), float(((hit * envelope) @ weight).sum())


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
