"""Likely mistakes in labels, by a model's predictions: objects without a label, empty labels, classes, boxes.

Every suspicion is a number from 0 to 1 that ranks; it is no probability. A model finds the mistakes of labels that it
was not trained on: predictions on its own training images agree with their mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unknown_truth
from liftgate.data.core.predictions import Predictions

MistakeKind = Literal["missing", "spurious", "class", "box"]
MISTAKE_KINDS: tuple[MistakeKind, ...] = get_args(MistakeKind)

FLAGGED = 0.5
"""Suspicion from which a mistake is reported"""
_SEEN = 0.05  # detections below say nothing
_NEAR, _AT = 0.3, 0.5  # IoU of boxes about one object, and at one place
_TIGHT = 0.6  # from here on a box is as good as people draw it


@dataclass(frozen=True, slots=True)
class LabelMistake:
    """A likely mistake."""

    kind: MistakeKind
    image: int
    """Index into Dataset.images"""
    label: int
    """Row of the labels; −1: there is none"""
    detection: int
    """Row of the predictions that speaks against the label; −1: none does"""
    suspicion: float


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """Labels and detections of one image."""

    index: int
    labels: NDArray[np.int64]
    detections: NDArray[np.int64]
    boxes: NDArray[np.float64]
    """Of the detections"""
    overlap: NDArray[np.float64]
    """(labels, detections) IoU"""
    same: NDArray[np.bool_]
    """(labels, detections) whether the classes are the same"""
    score: NDArray[np.float64]


def find_mistakes(dataset: Dataset, predictions: Predictions) -> list[LabelMistake]:
    """Return likely mistakes of the images that were predicted on, the most suspicious first.

    Args:
        dataset: the labels; crowds, ignored objects and images whose labels could not be read are passed over.
        predictions: of a model that was trained on other images, in any of the data set's classes.
    """
    known = ~unknown_truth(dataset)
    place = {image.id: index for index, image in enumerate(dataset.images) if known[index]}
    column = {name: index for index, name in enumerate(dataset.classes)}
    to_class = np.array([column.get(name, -1) for name in predictions.classes], dtype=np.int64)
    found: list[LabelMistake] = []
    images = list(_images(dataset, predictions, place, to_class))
    recall = _recall(dataset, images)
    for one in images:
        found += _of_image(one, dataset, recall)
    return sorted(found, key=lambda mistake: (-mistake.suspicion, mistake.image, mistake.label, mistake.detection))


def _images(
    dataset: Dataset, predictions: Predictions, place: dict[str, int], to_class: NDArray[np.int64]
) -> Iterator[_Image]:
    labels, boxes = dataset.labels, predictions.boxes
    by_label = _rows_by(labels.image, len(dataset.images))
    by_detection = _rows_by(predictions.image, len(predictions.images))
    for number, id_ in enumerate(predictions.images):
        index = place.get(id_)
        if index is None:
            continue
        rows, detections = by_label[index], by_detection[number]
        detections = detections[
            (predictions.scores[detections] >= _SEEN) & (to_class[predictions.cls[detections]] >= 0)
        ]
        detections = detections[np.argsort(-predictions.scores[detections], kind="stable")]
        same = labels.cls[rows][:, None] == to_class[predictions.cls[detections]][None, :]
        overlap = iou(labels.boxes[rows], boxes[detections])
        yield _Image(index, rows, detections, boxes[detections], overlap, same, predictions.scores[detections])


def _rows_by(image: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    order = np.argsort(image, kind="stable").astype(np.int64)
    return np.split(order, np.searchsorted(image[order], np.arange(1, count))) if count else []


def _recall(dataset: Dataset, images: list[_Image]) -> NDArray[np.float64]:
    """Return (K,) the share of each class's labels near which anything is detected: how much silence says."""
    seen, number = np.zeros(len(dataset.classes)), np.zeros(len(dataset.classes))
    for one in images:
        cls = dataset.labels.cls[one.labels]
        near = (one.overlap >= _NEAR).any(axis=1) if one.overlap.size else np.zeros(len(cls), dtype=np.bool_)
        np.add.at(seen, cls, near)
        np.add.at(number, cls, 1)
    return (seen + 1) / (number + 2)


def _of_image(one: _Image, dataset: Dataset, recall: NDArray[np.float64]) -> Iterator[LabelMistake]:
    labels = dataset.labels
    hidden = (labels.crowd | labels.ignore)[one.labels]
    explained = np.zeros(len(one.detections), dtype=np.bool_)
    taken = np.asarray(((one.overlap >= _TIGHT) & one.same).any(axis=0), dtype=np.bool_)
    for place, row in enumerate(one.labels.tolist()):
        if hidden[place]:
            explained |= one.overlap[place] >= 0.1
            continue
        overlap, same = one.overlap[place], one.same[place]
        explained |= overlap >= _NEAR
        mistake = _of_label(one, row, overlap, same, taken, float(recall[labels.cls[row]]))
        if mistake is not None:
            yield mistake
    kept: list[int] = []
    for place in np.flatnonzero(
        ~explained
    ).tolist():  # surest first: a second detection of one object is no other object
        if (iou(one.boxes[[place]], one.boxes[kept]) < _NEAR).all():
            kept.append(place)
            yield LabelMistake("missing", one.index, -1, int(one.detections[place]), float(one.score[place]))


def _of_label(
    one: _Image,
    row: int,
    overlap: NDArray[np.float64],
    same: NDArray[np.bool_],
    taken: NDArray[np.bool_],
    recall: float,
) -> LabelMistake | None:
    """Return what is most likely wrong with one label, or None."""
    own = float(one.score[same & (overlap >= _AT)].max(initial=0.0))
    other = np.flatnonzero(~same & (overlap >= _AT))
    if len(other) and (strength := float(one.score[other[0]]) * (1 - own)) >= FLAGGED:
        return LabelMistake("class", one.index, row, int(one.detections[other[0]]), strength)
    if not (same & (overlap >= _TIGHT)).any():
        shifted = np.flatnonzero(same & (overlap >= 0.15) & ~taken)
        if len(shifted):
            best = shifted[0]
            suspicion = float(one.score[best]) * min(1.0, (1 - float(overlap[best])) / (1 - _TIGHT))
            return LabelMistake("box", one.index, row, int(one.detections[best]), suspicion)
    support = float(one.score[overlap >= _NEAR].max(initial=0.0))
    if support < FLAGGED and not len(other):
        return LabelMistake("spurious", one.index, row, -1, (1 - support) ** 2 * recall**4)
    return None
