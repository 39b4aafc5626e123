"""Pair the detections of two models on the same images: where they agree, and in which of four ways they do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.core.predictions import Predictions

Kind = Literal["agreed", "only_control", "only_treatment", "other_class", "badly_placed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""agreed: same class, IoU ≥ 0.5; other_class: IoU ≥ 0.5; badly_placed: same class, IoU 0.3 to 0.5"""

AGREE, NEAR = 0.5, 0.3
"""IoU from which two boxes are at one place, and from which they are about one object"""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is judged as one: a pair of detections, or a detection that has no partner. Columns have length n."""

    kind: NDArray[np.int64]
    """(n,) index into KINDS"""
    image: NDArray[np.int64]
    """(n,) index into the images"""
    control: NDArray[np.int64]
    """(n,) row of the control's predictions; −1: none"""
    treatment: NDArray[np.int64]
    """(n,) row of the treatment's predictions; −1: none"""
    overlap: NDArray[np.float64]
    """(n,) IoU of the two; 0 without a partner"""

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def agreed(self) -> NDArray[np.bool_]:
        """(n,) whether both models found the same."""
        return np.asarray(self.kind == KINDS.index("agreed"), dtype=np.bool_)

    @property
    def agreement(self) -> float:
        """Share of both models' detections that are in agreed pairs; 1 without detections."""
        detections = int((self.control >= 0).sum() + (self.treatment >= 0).sum())
        return 2 * int(self.agreed.sum()) / detections if detections else 1.0

    def count(self, kind: Kind) -> int:
        """Return the number of units of a kind."""
        return int((self.kind == KINDS.index(kind)).sum())


def pair_detections(control: Predictions, treatment: Predictions, conf: float) -> Units:
    """Pair the detections of score ≥ `conf`, image by image, one to one, greatest IoU first.

    First those of one class at one place (repeated detections of a model come last, so that they do not take the
    partner of the first), then those of one class that lie near each other, then those of two classes at one place.

    Args:
        control: predictions of one model.
        treatment: of the other, on the same images in the same order, in the same classes.
        conf: confidence threshold.
    """
    rows: list[tuple[int, int, int, int, float]] = []
    ours, theirs = (_rows_by_image(one, conf) for one in (control, treatment))
    for index in range(len(control.images)):
        rows += [
            (kind, index, a, b, value) for kind, a, b, value in _pair(control, treatment, ours[index], theirs[index])
        ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    kind, image, first, second = (table[:, column].astype(np.int64) for column in range(4))
    return Units(kind, image, first, second, table[:, 4])


def repeats(boxes: NDArray[np.float64], cls: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (m,) which detections of one image lie on a surer one of the same model and class."""
    if not len(boxes):
        return np.zeros(0, dtype=np.bool_)
    order = np.lexsort((np.arange(len(scores)), -scores))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    surer = (place[None, :] < place[:, None]) & (cls[:, None] == cls[None, :])
    return np.asarray((surer & (iou(boxes, boxes) >= AGREE)).any(axis=1), dtype=np.bool_)


def _rows_by_image(predictions: Predictions, conf: float) -> list[NDArray[np.int64]]:
    rows = np.flatnonzero(predictions.scores >= conf)
    rows = rows[np.argsort(predictions.image[rows], kind="stable")]
    ends = np.searchsorted(predictions.image[rows], np.arange(1, len(predictions.images)))
    return [np.asarray(part, dtype=np.int64) for part in np.split(rows, ends)]


def _pair(
    control: Predictions, treatment: Predictions, ours: NDArray[np.int64], theirs: NDArray[np.int64]
) -> Iterator[tuple[int, int, int, float]]:
    """Yield (kind, row of control, row of treatment, IoU) of one image; −1: no row."""
    overlap = iou(control.boxes[ours], treatment.boxes[theirs])
    same = control.cls[ours][:, None] == treatment.cls[theirs][None, :]
    again = (
        repeats(control.boxes[ours], control.cls[ours], control.scores[ours])[:, None]
        | repeats(treatment.boxes[theirs], treatment.cls[theirs], treatment.scores[theirs])[None, :]
    )
    free = (np.ones(len(ours), dtype=np.bool_), np.ones(len(theirs), dtype=np.bool_))
    rounds: tuple[tuple[Kind, NDArray[np.bool_]], ...] = (
        ("agreed", same & (overlap >= AGREE) & ~again),
        ("agreed", same & (overlap >= AGREE)),
        ("badly_placed", same & (overlap >= NEAR)),
        ("other_class", ~same & (overlap >= AGREE)),
    )
    for kind, allowed in rounds:
        for a, b in _best_first(np.where(allowed, overlap, 0.0), free):
            yield KINDS.index(kind), int(ours[a]), int(theirs[b]), float(overlap[a, b])
    for row in ours[free[0]].tolist():
        yield KINDS.index("only_control"), row, -1, 0.0
    for row in theirs[free[1]].tolist():
        yield KINDS.index("only_treatment"), -1, row, 0.0


def _best_first(
    overlap: NDArray[np.float64], free: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> Iterator[tuple[int, int]]:
    first, second = np.nonzero(overlap > 0)
    for place in np.lexsort((second, first, -overlap[first, second])):
        a, b = int(first[place]), int(second[place])
        if free[0][a] and free[1][b]:
            free[0][a] = free[1][b] = False
            yield a, b
