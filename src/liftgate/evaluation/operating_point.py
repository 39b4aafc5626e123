"""Operating point: true and false positives and objects of each image, at one confidence threshold and IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import MatchTable

_BIT = np.uint16(1)  # IoU 0.5


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """Counts at a confidence threshold, each (n,) over the images of the truth."""

    conf: float
    true: NDArray[np.int64]
    """True positives: detections that are matched to an object"""
    false: NDArray[np.int64]
    """False positives: detections without a match; those on crowds and ignored objects are neither"""
    objects: NDArray[np.int64]
    """Objects that count"""
    best: NDArray[np.float64]
    """Highest score of a detection not on a crowd or ignored object, at any threshold; 0 without a detection"""

    @property
    def missed(self) -> NDArray[np.int64]:
        """False negatives: objects without a match, per image."""
        return self.objects - self.true

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each image; 1 where there is neither an object nor a detection."""
        total = 2 * self.true + self.false + self.missed
        return np.where(total > 0, 2 * self.true / np.maximum(total, 1), 1.0)


def operating_point(table: MatchTable, conf: float, cls: int | None = None) -> OperatingPoint:
    """Count true and false positives and objects in every image, at score ≥ `conf`.

    The match is reused: greedy matching goes by score, so a threshold never changes a match above it.

    Args:
        table: detections matched by box.
        conf: confidence threshold.
        cls: index of one class; None: all classes together.
    """
    n = len(table.images)
    rows = slice(None) if cls is None else slice(table.start[cls], table.start[cls + 1])
    image, score = table.image[rows], table.score[rows]
    judged = table.skip[0, rows] & _BIT == 0
    detected = judged & (score >= conf)
    right = detected & (table.hit[0, rows] & _BIT != 0)
    best = np.zeros(n)
    np.maximum.at(best, image[judged], score[judged])
    counted = table.counted[0] if cls is None else table.counted[0] & (table.label_class == cls)
    return OperatingPoint(
        conf=conf,
        true=np.bincount(image[right], minlength=n),
        false=np.bincount(image[detected & ~right], minlength=n),
        objects=np.bincount(table.label_image[counted], minlength=n),
        best=best,
    )


def class_counts(table: MatchTable, conf: float) -> NDArray[np.int64]:
    """Return (K, 4): objects, detections of any score, true and false positives at score ≥ `conf`, by class."""
    n = len(table.classes)
    cls = table.cls
    detected = (table.skip[0] & _BIT == 0) & (table.score >= conf)
    right = detected & (table.hit[0] & _BIT != 0)
    columns = (table.label_class[table.counted[0]], cls, cls[right], cls[detected & ~right])
    return np.stack([np.bincount(column, minlength=n) for column in columns], axis=1)
