"""What informs a metric: how much each group weighs in its variance, and in which groups two models differ at all.

A group without objects says nothing about recall, and a group in which two models answer alike nothing about their
difference. The weight of a group is what it would add to the variance if its images were independent: Σ 1/N² over its
objects, N being the objects of the same class, because average precision is a mean over classes; of a rate its trials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.image_level import ImageLevelScores, image_level_fraction
from liftgate.evaluation.match_table import SIZES, MatchTable
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS, Averaged
from liftgate.evaluation.metrics import fraction, shown
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.evaluation.resampling import Units
from liftgate.stats.groups import GroupCount, count_groups

if TYPE_CHECKING:
    from liftgate.evaluation.matched_predictions import MatchedPredictions

Weights = NDArray[np.float64]


def groups_of_average(table: MatchTable, metric: Averaged, groups: Units) -> GroupCount:
    """Count the groups that inform one model's average precision or recall.

    Near 0 and 1 only the groups that hold a hit, or a mistake, tell how far it can move: no more than these count.
    """
    information = _of_objects(table, metric, groups)
    found = count_groups(information, groups.n_groups)
    bit = np.uint16(1 << metric.thresholds[0])
    a = SIZES.index(metric.size)
    hit = (table.hit[a] & ~table.skip[a] & bit) != 0
    judged = ((table.skip[a] & bit) == 0) & (table.rank < table.limit)
    hits = np.bincount(groups.group[table.image[hit]], minlength=groups.n_groups + 1)[: groups.n_groups]
    counted = groups.group[table.label_image[table.counted[a]]]
    missed = np.bincount(counted, minlength=groups.n_groups + 1)[: groups.n_groups] - hits
    wrong = missed > 0
    if metric.kind == "AP" and hit.any():
        loud = judged & ~hit & (table.score >= np.median(table.score[hit]))
        wrong |= np.bincount(groups.group[table.image[loud]], minlength=groups.n_groups + 1)[: groups.n_groups] > 0
    fewest = min(int((hits > 0).sum()), int(wrong.sum()))
    return found._replace(effective=max(1.0, min(found.effective, float(fewest)))) if found.informative else found


def groups_of_rate(point: OperatingPoint, name: str, groups: Units) -> GroupCount:
    """Count the groups that inform one of RATES."""
    return count_groups(_of_images(_rate_weight(point, name), groups), groups.n_groups)


def groups_of_image_level(answers: ImageLevelScores, name: str, groups: Units) -> GroupCount:
    """Count the groups that inform an image-level metric; AUC needs both kinds of images: the scarcer counts."""
    found = count_groups(_of_images(_image_level_weight(answers, name), groups), groups.n_groups)
    return found._replace(informative=_scarcer(answers, groups)) if name == "AUC" else found


def groups_of_difference(
    first: MatchedPredictions, second: MatchedPredictions, metric: str, groups: Units
) -> GroupCount:
    """Count the groups that inform the difference of two models.

    They hold what the metric is about, and the two models do not answer alike in them.
    """
    weight = _weight(first, metric, groups)
    if metric == "precision":  # each model has trials of its own
        weight = weight + _weight(second, metric, groups)
    found = count_groups(np.where(_differ(first, second, metric, groups), weight, 0.0), groups.n_groups)
    if metric != "AUC":
        return found
    assert first.image_level is not None
    return found._replace(informative=min(found.informative, _scarcer(first.image_level, groups)))


def class_groups_of_difference(
    first: MatchedPredictions, second: MatchedPredictions, metric: str, groups: Units
) -> list[GroupCount]:
    """Count the units that inform the difference in each class, as `groups_of_difference` does over all."""
    assert first.table is not None and second.table is not None and first.point is not None
    table, units = first.table, groups.count
    averaged = (COCO | OKS).get(metric)
    size = "all" if averaged is None else averaged.size
    weight = table.positives(size, groups.of_image, units)
    if metric == "precision":
        weight = sum(
            (_detections(one, first.point.conf, groups.of_image, units) for one in (table, second.table)),
            start=np.zeros_like(weight),
        )
    elif metric == "false_positives_per_image":
        weight = np.broadcast_to(np.bincount(groups.of_image, minlength=units)[:units].astype(np.float64), weight.shape)
    conf = 0.0 if averaged is not None else first.point.conf
    prints = [_prints(one, averaged, conf, groups.of_image, units, by_class=True) for one in (table, second.table)]
    return [count_groups(np.where(one != other, row, 0.0)) for row, one, other in zip(weight, *prints, strict=True)]


def _weight(arm: MatchedPredictions, metric: str, groups: Units) -> Weights:
    if metric in IMAGE_LEVEL:
        assert arm.image_level is not None
        return _of_images(_image_level_weight(arm.image_level, metric), groups)
    assert arm.table is not None and arm.point is not None
    if (averaged := (COCO | OKS).get(metric)) is not None:
        return _of_objects(arm.table, averaged, groups)
    return _of_images(_rate_weight(arm.point, metric), groups)


def _of_objects(table: MatchTable, metric: Averaged, groups: Units) -> Weights:
    """(G,) Σ 1/N² over the objects of each group, N being the objects of the same class."""
    counted = table.counted[SIZES.index(metric.size)]
    group, cls = groups.group[table.label_image[counted]], table.label_class[counted]
    inside = group < groups.n_groups
    group, cls = group[inside], cls[inside]
    number = np.bincount(cls, minlength=len(table.classes)).astype(np.float64)
    return np.bincount(group, 1 / number[cls] ** 2, minlength=groups.n_groups).astype(np.float64)


def _of_images(weight: Weights, groups: Units) -> Weights:
    return np.bincount(groups.group, weight, minlength=groups.n_groups + 1)[: groups.n_groups].astype(np.float64)


def _rate_weight(point: OperatingPoint, name: str) -> Weights:
    if name == "best_confidence_median":
        return shown(point).astype(np.float64)
    return fraction(point, name)[1].astype(np.float64)


def _image_level_weight(answers: ImageLevelScores, name: str) -> Weights:
    if name == "AUC":  # a mean over two classes of images
        positive = answers.positive
        each = np.where(positive, 1 / max(1, positive.sum()), 1 / max(1, (~positive).sum()))
        return np.asarray(each**2, dtype=np.float64)
    return image_level_fraction(answers, name)[1].astype(np.float64)


def _scarcer(answers: ImageLevelScores, groups: Units) -> int:
    """Groups that hold images of the kind, positive or not, that fewer groups hold."""
    kinds = (answers.positive, ~answers.positive)
    return min(int((_of_images(kind.astype(np.float64), groups) > 0).sum()) for kind in kinds)


def _differ(first: MatchedPredictions, second: MatchedPredictions, metric: str, groups: Units) -> NDArray[np.bool_]:
    """(G,) whether the two models answer unlike anywhere in the group."""
    count = groups.n_groups
    if metric in IMAGE_LEVEL:
        assert first.image_level is not None and second.image_level is not None
        unlike = (
            first.image_level.score != second.image_level.score if metric == "AUC"
            else first.image_level.flagged != second.image_level.flagged
        )  # fmt: skip
        return _of_images(unlike.astype(np.float64), groups) > 0
    assert first.point is not None and second.point is not None
    if (averaged := (COCO | OKS).get(metric)) is not None:
        assert first.table is not None and second.table is not None
        one, other = (_prints(arm, averaged, 0.0, groups.group, count) for arm in (first.table, second.table))
        return np.asarray(one[0] != other[0])
    a, b = first.point, second.point
    unlike = {
        "recall": a.true != b.true,
        "precision": (a.true != b.true) | (a.false != b.false),
        "false_positives_per_image": a.false != b.false,
        "best_confidence_median": (a.best != b.best) & shown(a),
    }[metric]
    return _of_images(unlike.astype(np.float64), groups) > 0


def _prints(
    table: MatchTable,
    metric: Averaged | None,
    conf: float,
    unit: NDArray[np.int64],
    count: int,
    *,
    by_class: bool = False,
) -> Weights:
    """(K or 1, count) a sum over the detections of each unit that differs where what the metric sees of them does."""
    a = 0 if metric is None else SIZES.index(metric.size)
    bits = np.uint16(sum(1 << t for t in ((0,) if metric is None else metric.thresholds)))
    hit, skip = (column[a] & bits for column in (table.hit, table.skip))
    seen = (table.score >= conf) & (skip != bits) & (unit[table.image] < count)
    if metric is not None:
        seen &= table.rank < table.limit
    cls = table.cls[seen]
    # Of rates the score does not matter once it reaches the threshold; of AR it does not matter at all.
    score = table.score[seen] if metric is not None and metric.kind == "AP" else np.ones(len(cls))
    mark = (score + 0.618) * (1.0 + hit[seen] * 0.7548776662) * (1.0 + skip[seen] * 0.5698402910) * (cls + 1.3247179572)
    row = cls if by_class else np.zeros_like(cls)
    rows = len(table.classes) if by_class else 1
    cell = row * count + unit[table.image[seen]]
    return np.bincount(cell, mark, minlength=rows * count).reshape(rows, count).astype(np.float64)


def _detections(table: MatchTable, conf: float, unit: NDArray[np.int64], count: int) -> Weights:
    """(K, count) detections that are right or wrong at the confidence threshold, by class and unit."""
    seen = (table.skip[0] & np.uint16(1) == 0) & (table.score >= conf)
    cell = table.cls[seen] * count + unit[table.image[seen]]
    return np.bincount(cell, minlength=len(table.classes) * count).reshape(-1, count).astype(np.float64)
