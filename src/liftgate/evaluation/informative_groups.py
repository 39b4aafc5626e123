"""Informative groups: how many groups a metric, or the difference of two models, really rests on.

A group without objects holds no information on recall, and a group in which two models give the same detections none
on their difference. The information of a group is what it would add to the variance if its images were independent:
Σ 1/N² over its objects, N being the objects of the same class, because average precision is a mean over classes; for
a rate, its number of trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.image_level import ImageLevelScores, image_level_fraction
from liftgate.evaluation.match_table import SIZES, MatchTable
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS, AveragedMetric
from liftgate.evaluation.metrics import has_objects, rate_fraction
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.evaluation.resampling import Units
from liftgate.stats.groups import GroupCount, count_groups, count_with_leverage, effective_spread
from liftgate.stats.size_trend import with_trend

if TYPE_CHECKING:
    from liftgate.evaluation.matched_predictions import MatchedPredictions

Floats = NDArray[np.float64]

_MORE_THAN_SEEN = 2
"""Groups that count beside those that hold an error of AUC: with them a single error leaves a usable interval"""
MANY_GROUPS = 200
"""So many groups leave t within 1% of the normal quantile: more of them need not be looked for"""


def groups_of_average(table: MatchTable, metric: AveragedMetric, groups: Units) -> GroupCount:
    """Count the groups that inform one model's average precision or recall.

    Near 0 and 1 only groups that hold a hit, or an error, show how far the value can move: at most these count, and
    where hits or errors are unevenly spread over them, fewer (`effective_spread`). Of a mean over IoU thresholds it is
    the geometric mean of two counts: at the first threshold, and over all of them in the proportion of p (1 − p), p
    being the share of the objects that are found there. Where all are found at IoU 0.5, the value still moves by the
    strict thresholds. How sizes of groups go with what is found in them is that of the recall at the first threshold.
    """
    found = count_groups(_object_information(table, metric, groups), groups.n_groups)
    if not found.informative:
        return found
    hits, objects = found_by_group(table, metric, groups, metric.thresholds[0])
    effective = min(found.effective, _groups_that_move(table, metric, groups, hits, objects))
    return with_trend(found._replace(effective=max(1.0, effective)), found.effective, hits, objects)


def _groups_that_move(
    table: MatchTable, metric: AveragedMetric, groups: Units, hits: NDArray[np.int64], objects: NDArray[np.int64]
) -> float:
    """Return the effective number of groups that hold a hit, or an error, whichever are fewer.

    `hits` and `objects` are (G,) those of `found_by_group` at the first threshold.
    """
    first = _of_threshold(table, metric, groups, metric.thresholds[0], hits, objects)
    if first.fewest >= MANY_GROUPS:
        return first.fewest
    rest = metric.thresholds[1:]
    each = [first, *(_of_threshold(table, metric, groups, t, *found_by_group(table, metric, groups, t)) for t in rest)]
    weight = sum(one.weight for one in each)
    mean = sum(one.weight * one.fewest for one in each) / weight if weight else 0.0
    return math.sqrt(mean * max(1.0, first.fewest))


def found_by_group(
    table: MatchTable, metric: AveragedMetric, groups: Units, threshold: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (G,) how many objects of each group are found at an IoU threshold, and (G,) how many there are."""
    rows, bit = table.ranked(metric.size), np.uint16(1 << threshold)
    hit = np.flatnonzero((rows.hit & bit) != 0)
    hit = hit[rows.rank[hit] < metric.max_detections]
    objects = table.objects(metric.size, groups.group, groups.n_groups).group
    return _count(groups.group[rows.image[hit]], groups.n_groups), _count(objects, groups.n_groups)


class _OfThreshold(NamedTuple):
    fewest: float
    """Effective number of groups that hold a hit, or of those that hold an error, whichever are fewer"""
    weight: float
    """p (1 − p)"""


def _of_threshold(
    table: MatchTable, metric: AveragedMetric, groups: Units, threshold: int, hits: NDArray[np.int64],
    objects: NDArray[np.int64],
) -> _OfThreshold:  # fmt: skip
    wrong = objects - hits + _count(groups.group[table.image[_is_confident_error(table, metric, threshold)]], len(hits))
    share = hits.sum() / max(1, objects.sum())
    return _OfThreshold(min(_effective_holders(hits), _effective_holders(wrong)), float(share * (1 - share)))


def _is_confident_error(table: MatchTable, metric: AveragedMetric, threshold: int) -> NDArray[np.bool_]:
    """Return (n,) which detections are false ones of an AP, at least as confident as half of its hits."""
    a, bit = SIZES.index(metric.size), np.uint16(1 << threshold)
    hit, judged = (table.hit[a] & ~table.skip[a] & bit) != 0, (table.skip[a] & bit) == 0
    if metric.kind != "AP" or not hit.any():
        return np.zeros(len(table.image), dtype=np.bool_)
    confident = table.score >= _median(table.score[hit])
    return np.asarray(judged & ~hit & (table.rank < table.limit) & confident)


def whole_groups(table: MatchTable, metric: AveragedMetric, groups: Units) -> float:
    """Return how many even groups a mean over classes is worth, by what each group holds of it.

    A group holds of the mean what its objects do, Σ 1/N, N being the objects of the same class: a site with classes of
    its own may hold most of it. Confident errors count as objects of their class. It is the least of this count, of
    that by information and of that by objects and errors.
    """
    threshold, size = metric.thresholds[0], groups.n_groups
    wrong = _is_confident_error(table, metric, threshold)
    place, cls = groups.group[table.image[wrong]], table.cls[wrong]
    trials = found_by_group(table, metric, groups, threshold)[1] + _count(place, size)
    number = table.objects(metric.size, groups.group, groups.n_groups).number
    each = np.divide(1.0, number, out=np.zeros_like(number), where=number > 0)
    errors = np.bincount(place, each[cls], minlength=size + 1)[:size]
    shares = _object_information(table, metric, groups, power=1)
    shares = shares + (errors if groups.weight is None else errors * groups.weight)
    found = (_object_information(table, metric, groups), trials, shares)
    return min(count_groups(one).effective for one in found)


def _median(values: Floats) -> float:
    """Return what `np.median` does for finite values, without the masked arrays that it imports."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    low, high = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return float(low + high) / 2


def _effective_holders(number: NDArray[np.int64] | Floats) -> float:
    """Return how many groups hold any of (G,) a number, at most as many as it is effectively spread over."""
    return min(float(np.count_nonzero(number)), effective_spread(number))


def _count(group: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """Return (G,) how often each group occurs; images outside a slice have group G, which is left out."""
    return np.bincount(group, minlength=n_groups + 1)[:n_groups]


def groups_of_rate(point: OperatingPoint, name: str, groups: Units) -> GroupCount:
    """Count the groups that inform one of RATES."""
    return count_groups(_sum_by_group(_rate_information(point, name), groups), groups.n_groups)


def groups_of_image_level(scores: ImageLevelScores, name: str, groups: Units) -> GroupCount:
    """Count the groups that inform an image-level metric; for AUC the rarer kind of image decides.

    Where most positive images have no detection, and so no score, only groups that hold a scored one show how far AUC
    can move: at most these count. Near 1 those count that hold a pair in the wrong order (near 0: in the right one),
    each by how much of a positive image it has lost, up to one, and two more; fewer where these are unevenly spread.
    """
    found = count_groups(_sum_by_group(_image_level_information(scores, name), groups), groups.n_groups)
    if name != "AUC":
        return found
    scored = scores.positive & (scores.score > 0)
    holding = float((_sum_by_group(scored.astype(np.float64), groups) > 0).sum())
    size, wrong = _orders(scores)
    by_group, lost = (np.bincount(groups.group, column, minlength=groups.n_groups) for column in (size, wrong))
    rarer = lost if wrong[scores.positive].sum() <= scores.positive.sum() / 2 else by_group - lost
    holding = min(holding, float(np.minimum(rarer, 1).sum()) + _MORE_THAN_SEEN)
    effective = max(1.0, min(found.effective, holding, effective_spread(rarer)))
    counted = found._replace(informative=_groups_of_rarer_kind(scores, groups), effective=effective)
    return with_trend(counted, found.effective, by_group - lost, by_group)


def _orders(scores: ImageLevelScores) -> tuple[Floats, Floats]:
    """Return (n,) how many pairs each image is part of, and (n,) how many in the wrong order, in positive images."""
    positive, score = scores.positive, scores.score
    n_positive, n_negative = max(1, int(positive.sum())), max(1, int((~positive).sum()))
    wrong = np.zeros(len(score))
    for one, other, sign, of in ((positive, ~positive, 1, n_negative), (~positive, positive, -1, n_negative)):
        ordered = np.sort(sign * score[other])
        below = np.searchsorted(ordered, sign * score[one], side="left")
        ties = np.searchsorted(ordered, sign * score[one], side="right") - below
        wrong[one] = (len(ordered) - below - ties / 2) / of
    return np.where(positive, 1.0, n_positive / n_negative), wrong


def groups_of_difference(
    first: MatchedPredictions, second: MatchedPredictions, metric: str, groups: Units
) -> GroupCount:
    """Count the groups that inform the difference of two models.

    These hold what the metric counts, and the two models differ in them.
    """
    weight = _information(first, metric, groups)
    if metric == "precision":  # each model has trials of its own
        weight = weight + _information(second, metric, groups)
    differs = _groups_that_differ(first, second, metric, groups)
    found = count_with_leverage(np.where(differs, weight, 0.0), groups.n_groups)
    if metric != "AUC":
        return found
    assert first.image_level is not None
    return found._replace(informative=min(found.informative, _groups_of_rarer_kind(first.image_level, groups)))


def class_groups_of_difference(
    first: MatchedPredictions, second: MatchedPredictions, metric: str, groups: Units
) -> list[GroupCount]:
    """Count the units that inform the difference in each class; see `groups_of_difference`."""
    assert first.table is not None and second.table is not None and first.point is not None
    table, units = first.table, groups.count
    averaged = (COCO | OKS).get(metric)
    size = "all" if averaged is None else averaged.size
    weight = table.positives(size, groups.of_image, units)
    if metric == "precision":
        weight = sum(
            (_detection_counts(one, first.point.conf, groups.of_image, units) for one in (table, second.table)),
            start=np.zeros_like(weight),
        )
    elif metric == "false_positives_per_image":
        weight = np.broadcast_to(np.bincount(groups.of_image, minlength=units)[:units].astype(np.float64), weight.shape)
    conf = 0.0 if averaged is not None else first.point.conf
    fingerprints = [
        _fingerprints(one, averaged, conf, groups.of_image, units, by_class=True) for one in (table, second.table)
    ]
    return [
        count_with_leverage(np.where(one != other, row, 0.0))
        for row, one, other in zip(weight, *fingerprints, strict=True)
    ]


def shares_of_groups(arms: Sequence[MatchedPredictions], metric: str, groups: Units) -> Floats:
    """Return (G,) how much of a metric of one model, or of the difference of two, each group holds."""
    counted = arms if metric == "precision" else arms[:1]  # each model has trials of its own
    return np.asarray(np.sum([_information(arm, metric, groups, power=1) for arm in counted], axis=0))


def _information(arm: MatchedPredictions, metric: str, groups: Units, power: int = 2) -> Floats:
    if metric in IMAGE_LEVEL:
        assert arm.image_level is not None
        return _sum_by_group(_image_level_information(arm.image_level, metric, power), groups, power)
    assert arm.table is not None
    if (averaged := (COCO | OKS).get(metric)) is not None:
        return _object_information(arm.table, averaged, groups, power)
    assert arm.point is not None
    return _sum_by_group(_rate_information(arm.point, metric), groups, power)


def _object_information(table: MatchTable, metric: AveragedMetric, groups: Units, power: int = 2) -> Floats:
    """Return (G,) Σ 1/N² over the objects of each group, N being the objects of the same class.

    With `power` 1 it is Σ 1/N: what the group holds of a mean over classes.
    """
    objects = table.objects(metric.size, groups.group, groups.n_groups)
    weight = objects.number[objects.cls] ** -power
    found = np.bincount(objects.group, weight, minlength=groups.n_groups).astype(np.float64)
    return found if groups.weight is None else found * groups.weight**power


def _sum_by_group(weight: Floats, groups: Units, power: int = 2) -> Floats:
    found = np.bincount(groups.group, weight, minlength=groups.n_groups + 1)[: groups.n_groups].astype(np.float64)
    return found if groups.weight is None else found * groups.weight**power


def _rate_information(point: OperatingPoint, name: str) -> Floats:
    if name == "best_confidence_median":
        return has_objects(point).astype(np.float64)
    return rate_fraction(point, name)[1].astype(np.float64)


def _image_level_information(scores: ImageLevelScores, name: str, power: int = 2) -> Floats:
    if name == "AUC":  # a mean over two classes of images
        positive = scores.positive
        each = np.where(positive, 1 / max(1, positive.sum()), 1 / max(1, (~positive).sum()))
        return np.asarray(each**power, dtype=np.float64)
    return image_level_fraction(scores, name)[1].astype(np.float64)


def _groups_of_rarer_kind(scores: ImageLevelScores, groups: Units) -> int:
    """Return how many groups hold positive images, or negative ones, whichever are fewer."""
    kinds = (scores.positive, ~scores.positive)
    return min(int((_sum_by_group(kind.astype(np.float64), groups) > 0).sum()) for kind in kinds)


def _groups_that_differ(
    first: MatchedPredictions, second: MatchedPredictions, metric: str, groups: Units
) -> NDArray[np.bool_]:
    """Return (G,) whether the two models differ anywhere in the group, as far as the metric can tell."""
    count = groups.n_groups
    if metric in IMAGE_LEVEL:
        assert first.image_level is not None and second.image_level is not None
        differs = (
            first.image_level.score != second.image_level.score if metric == "AUC"
            else first.image_level.flagged != second.image_level.flagged
        )  # fmt: skip
        return _sum_by_group(differs.astype(np.float64), groups) > 0
    assert first.point is not None and second.point is not None
    if (averaged := (COCO | OKS).get(metric)) is not None:
        assert first.table is not None and second.table is not None
        one, other = (_fingerprints(arm, averaged, 0.0, groups.group, count) for arm in (first.table, second.table))
        return np.asarray(one[0] != other[0])
    a, b = first.point, second.point
    differs = {
        "recall": a.true != b.true,
        "precision": (a.true != b.true) | (a.false != b.false),
        "false_positives_per_image": a.false != b.false,
        "best_confidence_median": (a.best != b.best) & has_objects(a),
    }[metric]
    return _sum_by_group(differs.astype(np.float64), groups) > 0


def _fingerprints(
    table: MatchTable,
    metric: AveragedMetric | None,
    conf: float,
    unit: NDArray[np.int64],
    count: int,
    *,
    by_class: bool = False,
) -> Floats:
    """Return (K or 1, count) a checksum of each unit's detections that differs if they differ for the metric."""
    a = 0 if metric is None else SIZES.index(metric.size)
    bits = np.uint16(sum(1 << t for t in ((0,) if metric is None else metric.thresholds)))
    hit, skip = (column[a] & bits for column in (table.hit, table.skip))
    seen = (table.score >= conf) & (skip != bits) & (unit[table.image] < count)
    if metric is not None:
        seen &= table.rank < table.limit
    cls = table.cls[seen]
    # For rates the score matters only by reaching the threshold; for AR it does not matter at all.
    score = table.score[seen] if metric is not None and metric.kind == "AP" else np.ones(len(cls))
    mark = (score + 0.618) * (1.0 + hit[seen] * 0.7548776662) * (1.0 + skip[seen] * 0.5698402910) * (cls + 1.3247179572)
    row = cls if by_class else np.zeros_like(cls)
    rows = len(table.classes) if by_class else 1
    cell = row * count + unit[table.image[seen]]
    return np.bincount(cell, mark, minlength=rows * count).reshape(rows, count).astype(np.float64)


def _detection_counts(table: MatchTable, conf: float, unit: NDArray[np.int64], count: int) -> Floats:
    """Return (K, count) detections that count as right or wrong at the confidence threshold, by class and unit."""
    seen = (table.skip[0] & np.uint16(1) == 0) & (table.score >= conf)
    cell = table.cls[seen] * count + unit[table.image[seen]]
    return np.bincount(cell, minlength=len(table.classes) * count).reshape(-1, count).astype(np.float64)
