"""Decide between two readings of a results file by how many boxes overlap the truth, where ids allow both."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes, iou
from liftgate.data.core.dataset import Dataset

_MAX_VOTES = 20_000
"""Detections that are counted, highest scores first"""
_MIN_IOU = 0.5
_CLEAR_MAJORITY = 3
"""Times as many votes, and at least as many more, as the other reading needs for a clear decision"""


class Vote(NamedTuple):
    """Detections that only one of two readings puts on an object of the truth."""

    first: int
    second: int

    @property
    def answer(self) -> int:
        """The reading that fits clearly better, 1 or 2; 0: undecided."""
        if self.first >= _CLEAR_MAJORITY * self.second + _CLEAR_MAJORITY:
            return 1
        return 2 if self.second >= _CLEAR_MAJORITY * self.first + _CLEAR_MAJORITY else 0


def surest(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of the detections that are counted, shape (k,): those with the highest scores."""
    if len(scores) <= _MAX_VOTES:
        return np.arange(len(scores), dtype=np.int64)
    return np.argpartition(-scores, _MAX_VOTES)[:_MAX_VOTES].astype(np.int64)


def matched_class(dataset: Dataset, image: NDArray[np.int64], boxes: Boxes) -> NDArray[np.int64]:
    """Return the class of the object that each box matches at IoU 0.5, −1: none; shape (n,).

    Args:
        dataset: the truth.
        image: (n,) index into its images.
        boxes: (n, 4) xyxy.
    """
    found = np.full(len(image), -1, dtype=np.int64)
    labels = dataset.labels
    order = np.argsort(labels.image, kind="stable")
    starts = np.searchsorted(labels.image[order], np.arange(len(dataset.images) + 1))
    by_image = np.argsort(image, kind="stable")
    edges = np.flatnonzero(np.diff(image[by_image], prepend=-1, append=-1))
    for first, last in itertools.pairwise(edges):
        rows = by_image[first:last]
        objects = order[starts[image[rows[0]]] : starts[image[rows[0]] + 1]]
        if not len(objects):
            continue
        overlap = iou(boxes[rows], labels.boxes[objects])
        best = overlap.argmax(axis=1)
        hit = overlap[np.arange(len(rows)), best] >= _MIN_IOU
        found[rows[hit]] = labels.cls[objects[best[hit]]]
    return found


def vote(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Vote:
    """Return how many rows are right by the first reading alone, and by the second alone; both (k,) masks."""
    return Vote(int((first & ~second).sum()), int((second & ~first).sum()))
