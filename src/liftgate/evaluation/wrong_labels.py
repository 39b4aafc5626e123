"""Labels that may be wrong: what each could have said instead, and truths with the changes that matter most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import areas, iou
from liftgate.data.core.dataset import Dataset, Labels, stack_labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.matching import match
from liftgate.evaluation.resampling import units
from liftgate.kernels.matching import IOU_THRESHOLDS

_SAME_OBJECT = 0.1
"""IoU from which a detection may be what a wrong label should have said"""

Rows = NDArray[np.int64]


class Change(NamedTuple):
    """One label that may be wrong."""

    worth: int
    """How many hits it moves from one model to the other, at all IoU thresholds of the metric together"""
    score: float
    cls: int
    """Class whose share of wrong labels it counts towards"""
    label: int
    """Row of the labels; −1: one is missing"""
    detection: int
    """Row of the favoured model's predictions, which is what the label should have said; −1: the object is elsewhere"""


class MatchedLabels(NamedTuple):
    """One model's detections of sufficient confidence, matched to the labels."""

    hit_by: Rows
    """(m,) row of the detection that hits each label at IoU 0.5; −1: none"""
    hits: Rows
    """(n,) at how many of the metric's IoU thresholds each detection hits"""
    free: NDArray[np.bool_]
    """(n,) detections that hit nothing at IoU 0.5"""
    image: Rows
    """(n,) index into the truth's images"""
    of_image: Sequence[Rows]
    """Rows of sufficient confidence of each image"""
    predictions: Predictions
    thresholds: NDArray[np.float64]
    """IoU thresholds of the metric"""

    def free_of(self, image: int) -> Rows:
        """Return the detections of an image that hit nothing."""
        rows = self.of_image[image]
        return np.asarray(rows[self.free[rows]], dtype=np.int64)

    def hits_of(self, label: int) -> int:
        """Return at how many thresholds a label is hit."""
        row = self.hit_by[label]
        return 0 if row < 0 else int(self.hits[row])

    def would_hit(self, box: NDArray[np.float64], rows: Rows) -> int:
        """Return at how many thresholds one of these detections would hit an object with this box."""
        return int((iou(box[None, :], self.predictions.boxes[rows])[0].max(initial=0.0) >= self.thresholds).sum())

    def of_class(self, image: int, cls: int) -> Rows:
        """Return the detections of one class of an image."""
        rows = self.of_image[image]
        return np.asarray(rows[self.predictions.cls[rows] == cls], dtype=np.int64)


def image_weights(truth: Dataset, weights: Mapping[str, float] | None) -> NDArray[np.float64]:
    """Return how many images each stands for: more than 1 on a drawn sample."""
    known = weights or {}
    return np.array([known.get(group or "", 1.0) for group in truth.groups], dtype=np.float64)


def matched_labels(truth: Dataset, predictions: Predictions, conf: float, thresholds: Sequence[int]) -> MatchedLabels:
    """Match one model's detections to the labels.

    Args:
        truth: the labels.
        predictions: of the model.
        conf: confidence from which detections count.
        thresholds: indices of the metric's IoU thresholds.
    """
    table = match(truth, predictions)
    sure = table.score >= conf
    hit = sure & (table.hit[0] & 1 != 0) & (table.skip[0] & 1 == 0)
    wrong = sure & (table.hit[0] & 1 == 0) & (table.skip[0] & 1 == 0)
    hit_by = np.full(len(truth.labels), -1, dtype=np.int64)
    hit_by[table.found[hit]] = table.row[hit]
    free = np.zeros(len(predictions), dtype=np.bool_)
    free[table.row[wrong]] = True
    image = np.full(len(predictions), -1, dtype=np.int64)
    image[table.row] = table.image
    hits = np.zeros(len(predictions), dtype=np.int64)
    hits[table.row[sure]] = sum(table.hit[0][sure] >> bit & 1 for bit in thresholds)
    rows = np.sort(table.row[sure]).astype(np.int64)
    rows = rows[np.argsort(image[rows], kind="stable")]
    of_image = np.split(rows, np.searchsorted(image[rows], np.arange(1, len(truth.images))))
    return MatchedLabels(hit_by, hits, free, image, of_image, predictions, IOU_THRESHOLDS[list(thresholds)])


def _counted(labels: Labels) -> NDArray[np.bool_]:
    return ~(labels.crowd | labels.ignore)


def paired_changes(truth: Dataset, favoured: MatchedLabels, other: MatchedLabels) -> Iterable[Change]:
    """Yield the labels that, if wrong, move hits from the other model to the favoured one."""
    labels, every = truth.labels, len(favoured.thresholds)
    for label in np.flatnonzero(_counted(labels)).tolist():
        image, cls = int(labels.image[label]), int(labels.cls[label])
        if favoured.hit_by[label] >= 0:
            yield from _drawn_after(labels, label, favoured, other)
            continue
        near = favoured.free_of(image)
        overlap = iou(labels.boxes[[label]], favoured.predictions.boxes[near])[0]
        best = int(near[overlap.argmax()]) if overlap.max(initial=0.0) >= _SAME_OBJECT else -1
        lost = other.hits_of(label)
        if other.hit_by[label] >= 0:
            score = float(other.predictions.scores[other.hit_by[label]])
            if best >= 0:
                yield Change(lost + every, score, cls, label, best)
            if lost:  # also where the detection is taken by another label
                yield Change(lost, score, cls, label, -1)
        elif best >= 0:
            yield Change(every, float(favoured.predictions.scores[best]), cls, label, best)
    for row in np.flatnonzero(favoured.free).tolist():
        box, image, cls = favoured.predictions.boxes[row], int(favoured.image[row]), int(favoured.predictions.cls[row])
        rivals = other.free_of(image)
        worth = every - other.would_hit(box, rivals[other.predictions.cls[rivals] == cls])
        if worth > 0:
            yield Change(worth, float(favoured.predictions.scores[row]), cls, -1, row)


def _drawn_after(labels: Labels, label: int, favoured: MatchedLabels, other: MatchedLabels) -> Iterable[Change]:
    """Yield the label as it would be if it had been drawn after the detection of the favoured model that hits it."""
    row, image, cls = int(favoured.hit_by[label]), int(labels.image[label]), int(labels.cls[label])
    after = other.would_hit(favoured.predictions.boxes[row], other.of_class(image, cls))
    worth = len(favoured.thresholds) - int(favoured.hits[row]) - (after - other.hits_of(label))
    if worth > 0:
        yield Change(worth, float(favoured.predictions.scores[row]), cls, label, row)


def lost_hits(truth: Dataset, arm: MatchedLabels) -> Iterable[Change]:
    """Yield the labels that a model finds: each may lie elsewhere."""
    for label in np.flatnonzero(_counted(truth.labels) & (arm.hit_by >= 0)).tolist():
        score = float(arm.predictions.scores[arm.hit_by[label]])
        if hits := arm.hits_of(label):
            yield Change(hits, score, int(truth.labels.cls[label]), label, -1)


def gained_hits(truth: Dataset, arm: MatchedLabels) -> Iterable[Change]:
    """Yield the detections that hit nothing, or not at every threshold: each may be an object as it is.

    Of those that hit nothing it may be an object that is labelled elsewhere, or one that is not. One that is labelled
    elsewhere leaves the number of objects as it is, which is worth more.
    """
    labels, own, every = truth.labels, arm.predictions, len(arm.thresholds)
    unfound = np.flatnonzero(_counted(labels) & (arm.hit_by < 0))
    unfound = unfound[np.argsort(labels.image[unfound], kind="stable")]
    by_image = np.split(unfound, np.searchsorted(labels.image[unfound], np.arange(1, len(truth.images))))
    for row in np.flatnonzero(arm.free).tolist():
        score, cls, rows = float(own.scores[row]), int(own.cls[row]), by_image[arm.image[row]]
        for label in rows[labels.cls[rows] == cls].tolist():
            yield Change(2 * every, score, cls, label, row)
        yield Change(every, score, cls, -1, row)
    for label in np.flatnonzero(_counted(labels) & (arm.hit_by >= 0)).tolist():
        row = int(arm.hit_by[label])
        if missed := every - int(arm.hits[row]):
            yield Change(missed, float(own.scores[row]), int(labels.cls[label]), label, row)


def beyond_the_mean(
    truth: Dataset, arm: MatchedLabels, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n_images,) the hits, and the false detections, of an image's group beyond those of the mean group.

    Wrong labels widen an interval most where they lie together, in a group that differs from the others already.
    Every image counts by its weight, (n_images,).
    """
    counted, group = _counted(truth.labels), units(truth.groups).group
    n = len(group)  # at most as many groups
    of_label, worth = group[truth.labels.image[counted]], weights[truth.labels.image[counted]]
    objects, hits = np.bincount(of_label, worth, n), np.bincount(of_label, worth * (arm.hit_by[counted] >= 0), n)
    at = arm.image[arm.free]
    images, false = np.bincount(group, weights, n), np.bincount(group[at], weights[at], n)
    found, wrong = hits.sum() / max(1.0, objects.sum()), false.sum() / max(1.0, images.sum())
    return (hits - found * objects)[group], (false - wrong * images)[group]


def with_changes(
    truth: Dataset,
    arm: MatchedLabels,
    changes: Iterable[Change],
    rate: float,
    weights: NDArray[np.float64],
    first: NDArray[np.float64] | None = None,
    *,
    by_score: bool = False,
) -> tuple[Dataset, int]:
    """Return the truth with the changes that are worth most, within the rate in each class, and their number.

    Every label counts as often as its image; the last one of a class may go beyond the rate. Of changes that are worth
    the same those come first whose image has the larger value in `first`, (n_images,), then the more confident.
    `by_score`: a hit is worth its score, as an average precision, which ranks by scores, hangs most on the first.
    """
    labels, own = truth.labels, arm.predictions
    counted = _counted(labels)
    objects = np.bincount(labels.cls[counted], weights[labels.image[counted]], minlength=len(truth.classes))
    left = (rate * objects - 1e-9).tolist()
    cls, boxes, area = labels.cls.copy(), labels.boxes.copy(), labels.area.copy()
    missing: list[int] = []
    used_labels: set[int] = set()
    used_detections: set[int] = set()

    def urgency(change: Change) -> tuple[float, ...]:
        image = labels.image[change.label] if change.label >= 0 else arm.image[change.detection]
        before = 0.0 if first is None else -float(first[image])
        worth = change.worth * (max(0.0, change.score) if by_score else 1.0)
        return -worth, before, -change.score, change.label, change.detection

    for one in sorted(changes, key=urgency):
        if left[one.cls] <= 0 or one.label in used_labels or one.detection in used_detections:
            continue
        left[one.cls] -= weights[labels.image[one.label] if one.label >= 0 else arm.image[one.detection]]
        if one.detection >= 0:
            used_detections.add(one.detection)
        if one.label < 0:
            missing.append(one.detection)
            continue
        used_labels.add(one.label)
        if one.detection >= 0:
            cls[one.label], boxes[one.label] = own.cls[one.detection], own.boxes[one.detection]
            area[one.label] = areas(boxes[[one.label]])[0]
        else:  # nobody knows where: outside the image, where nothing is found
            boxes[one.label] -= 10 * float(np.max(truth.images[labels.image[one.label]].upright))
    table = replace(labels, cls=cls, boxes=boxes, area=area, sides=None)
    if missing:
        table = stack_labels([table, Labels.build(arm.image[missing], own.cls[missing], own.boxes[missing])])
        table = table.take(np.argsort(table.image, kind="stable"))
    return replace(truth, labels=table), len(used_labels) + len(missing)
