"""What a model's detections say about labels: the evidence by which mistakes are told from what is right.

Each label, and each detection without one, becomes a row of numbers. The same numbers are taken of mistakes that are
planted for comparison: labels given another class or place, boxes put where nothing is labelled, and detections whose
own label is looked away from. How often these numbers occur among planted mistakes and among the labels as they are
gives the odds of `label_mistakes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unknown_truth
from liftgate.data.core.predictions import Predictions

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

_LEAST_SCORE = 0.01
"""Detections below say nothing"""
SURE_ENOUGH = 0.05
"""Detections below are never reported as objects without a label"""
AT, NEAR, TIGHT, SHIFTED = 0.5, 0.3, 0.65, (0.1, 0.6)
"""IoU of boxes at one place, about one object, drawn alike, and of a label with the object that it misses"""
_EXPLAINED = 0.45
_EDGE = 2.0  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class ImageEvidence:
    """Labels and detections of one image, surest detection first."""

    index: int
    """Index into Dataset.images"""
    size: Floats
    """(2,) width and height"""
    labels: Rows
    """(l,) rows of the labels"""
    label_cls: Rows
    label_boxes: Floats
    hidden: Mask
    """(l,) crowds and ignored objects: never mistakes, and what lies in them is explained"""
    detections: Rows
    """(d,) rows of the predictions"""
    cls: Rows
    """(d,) class of the detections, as the data set counts them"""
    boxes: Floats
    scores: Floats
    found: Mask
    """(l, d) whether label and detection are of one class and at one place"""

    def of_labels(self, cls: Rows, boxes: Floats, own: Rows) -> Floats:
        """Return (n, 7) evidence about labels of these classes and boxes.

        Args:
            cls: (n,) their classes.
            boxes: (n, 4) their boxes.
            own: (n,) index of the label that each stands for, which then explains no detection; −1: none.
        """
        overlap = iou(boxes, self.boxes)
        same, score = cls[:, None] == self.cls[None, :], self.scores[None, :]
        mine = np.where(own[:, None] >= 0, self.found[np.maximum(own, 0)], False) if len(self.labels) else False
        taken = self.found.sum(axis=0)[None, :] - mine > 0
        shifted = same & (overlap >= SHIFTED[0]) & (overlap < SHIFTED[1]) & ~taken
        columns = (
            _best(score, same & (overlap >= AT)),
            _best(score, ~same & (overlap >= AT)),
            _best(score, overlap >= NEAR),
            _best(score, same & (overlap >= TIGHT)),
            _best(score, shifted),
            _best(score, overlap >= SHIFTED[0]),
        )
        tightest = np.where(same & (score >= 2 * SURE_ENOUGH), overlap, 0.0).max(axis=1, initial=0.0)
        return np.stack([*(_logit(column) for column in columns), tightest], axis=1)

    def against(self, place: int, kind: str) -> int:
        """Return the row of the predictions that speaks against a label; −1: none does."""
        overlap, same = iou(self.label_boxes[[place]], self.boxes)[0], self.label_cls[place] == self.cls
        if kind == "class":
            found = np.flatnonzero(~same & (overlap >= AT))
        else:
            found = np.flatnonzero(same & (overlap >= SHIFTED[0]) & (overlap < SHIFTED[1]))
        return int(self.detections[found[0]]) if len(found) else -1

    def of_detections(self, typical: Floats) -> Iterator[tuple[int, bool, Floats]]:
        """Yield of every detection: its index, whether its label is there, and (6,) evidence without that label.

        Repeated detections and those that another label explains are left out.

        Args:
            typical: (K,) logarithm of each class's usual area.
        """
        kept: list[int] = []
        for at in np.flatnonzero(self.scores >= SURE_ENOUGH).tolist():
            if (iou(self.boxes[[at]], self.boxes[kept]) < _EXPLAINED).all():
                kept.append(at)
        for at in kept:
            overlap = iou(self.label_boxes, self.boxes[[at]])[:, 0]
            mine = int(overlap.argmax()) if len(overlap) else -1
            matched = mine >= 0 and bool(self.found[mine, at])
            others = np.ones(len(overlap), dtype=np.bool_)
            if matched:
                if self.hidden[mine]:
                    continue
                others[mine] = False
            nearest = float(overlap[others].max(initial=0.0))
            if nearest >= _EXPLAINED or (overlap[self.hidden] >= SHIFTED[0]).any():
                continue
            yield at, matched, self._of_detection(at, nearest, others, typical)

    def _of_detection(self, at: int, nearest: float, others: Mask, typical: Floats) -> Floats:
        box = self.boxes[at]
        area = float(np.prod(box[2:] - box[:2]))
        beside = self.label_boxes[others]
        shared = np.minimum(beside[:, 2:], box[2:]) - np.maximum(beside[:, :2], box[:2])
        inside = float(np.prod(np.clip(shared, 0, None), axis=1).max(initial=0.0)) / max(area, 1.0)
        edge = bool((box[:2] < _EDGE).any() or (box[2:] > self.size - _EDGE).any())
        rival = (self.cls != self.cls[at]) & (iou(self.boxes[[at]], self.boxes)[0] >= AT)
        scores = _logit(np.array([self.scores[at], self.scores[rival].max(initial=0.0)]))
        odd = abs(np.log(area + 1) - typical[self.cls[at]])
        return np.array([scores[0], nearest, min(1.0, inside), float(edge), odd, scores[1]])


def image_evidence(dataset: Dataset, predictions: Predictions) -> Iterator[ImageEvidence]:
    """Yield the images that were predicted on and whose labels are known.

    Args:
        dataset: the labels.
        predictions: in any of the data set's classes; others are left out.
    """
    known = ~unknown_truth(dataset)
    place = {image.id: index for index, image in enumerate(dataset.images) if known[index]}
    column = {name: index for index, name in enumerate(dataset.classes)}
    to_class = np.array([column.get(name, -1) for name in predictions.classes], dtype=np.int64)
    labels = dataset.labels
    by_label = _rows_by(labels.image, len(dataset.images))
    by_detection = _rows_by(predictions.image, len(predictions.images))
    for number, id_ in enumerate(predictions.images):
        if (index := place.get(id_)) is None:
            continue
        rows, found = by_label[index], by_detection[number]
        found = found[(predictions.scores[found] >= _LEAST_SCORE) & (to_class[predictions.cls[found]] >= 0)]
        found = found[np.argsort(-predictions.scores[found], kind="stable")]
        cls, boxes = to_class[predictions.cls[found]], predictions.boxes[found]
        same = labels.cls[rows][:, None] == cls[None, :]
        yield ImageEvidence(
            index, np.array(dataset.images[index].upright, dtype=np.float64), rows, labels.cls[rows],
            labels.boxes[rows], (labels.crowd | labels.ignore)[rows], found, cls, boxes, predictions.scores[found],
            np.asarray(same & (iou(labels.boxes[rows], boxes) >= AT), dtype=np.bool_),
        )  # fmt: skip


def _rows_by(image: Rows, count: int) -> list[Rows]:
    order = np.argsort(image, kind="stable").astype(np.int64)
    return np.split(order, np.searchsorted(image[order], np.arange(1, count))) if count else []


def _best(score: Floats, allowed: Mask) -> Floats:
    return np.asarray(np.where(allowed, score, 0.0).max(axis=1, initial=0.0), dtype=np.float64)


def _logit(score: Floats) -> Floats:
    inside = np.clip(score, 0.005, 0.995)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)
