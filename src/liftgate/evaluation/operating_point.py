"""The operating point: what the model says at one confidence threshold, image by image, at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import MatchTable

_BIT = np.uint16(1)  # IoU 0.5


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """Counts at a confidence threshold; every column has one entry per image of the truth."""

    conf: float
    true: NDArray[np.int64]
    """Detections that found an object"""
    false: NDArray[np.int64]
    """Detections that found none; those on crowds and ignored objects are neither"""
    objects: NDArray[np.int64]
    """Objects that count"""
    best: NDArray[np.float64]
    """Highest score of any detection that is not on a crowd or ignored object, whatever the threshold; 0 without one"""

    @property
    def missed(self) -> NDArray[np.int64]:
        """Objects without a detection, per image."""
        return self.objects - self.true

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each image; 1 where there was nothing and nothing was said."""
        total = 2 * self.true + self.false + self.missed
        return np.where(total > 0, 2 * self.true / np.maximum(total, 1), 1.0)


def operating_point(table: MatchTable, conf: float, cls: int | None = None) -> OperatingPoint:
    """Count true, false and missed in every image at score ≥ `conf`, of all classes together or of one.

    Matches need no second pass: greedy matching goes by score, so a threshold never changes a match above it.
    """
    n = len(table.images)
    rows = slice(None) if cls is None else slice(table.start[cls], table.start[cls + 1])
    image, score = table.image[rows], table.score[rows]
    judged = table.skip[0, rows] & _BIT == 0
    said = judged & (score >= conf)
    right = said & (table.hit[0, rows] & _BIT != 0)
    best = np.zeros(n)
    np.maximum.at(best, image[judged], score[judged])
    counted = table.counted[0] if cls is None else table.counted[0] & (table.label_class == cls)
    return OperatingPoint(
        conf=conf,
        true=np.bincount(image[right], minlength=n),
        false=np.bincount(image[said & ~right], minlength=n),
        objects=np.bincount(table.label_image[counted], minlength=n),
        best=best,
    )


def class_counts(table: MatchTable, conf: float) -> NDArray[np.int64]:
    """(K, 4) by class: objects, detections, true, false at score ≥ `conf` and IoU 0.5."""
    n = len(table.classes)
    cls = table.cls
    said = (table.skip[0] & _BIT == 0) & (table.score >= conf)
    right = said & (table.hit[0] & _BIT != 0)
    columns = (table.label_class[table.counted[0]], cls, cls[right], cls[said & ~right])
    return np.stack([np.bincount(column, minlength=n) for column in columns], axis=1)
