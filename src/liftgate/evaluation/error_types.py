"""Error types of TIDE (Bolya et al. 2020), what each costs in mAP50, and the confusion matrix.

Types are decided at one confidence threshold. An error belongs to the first type that fits:

    class       IoU ≥ 0.5 with an object of another class that no right detection has found
    duplicate   IoU ≥ 0.5 with an object of its own class that a better detection has found
    location    0.1 ≤ IoU < 0.5 with an object of its own class
    both        0.1 ≤ IoU < 0.5 with an object of another class
    background  none of these: no object is there
    missed      an object that no detection found, and that no class or location error is about

TIDE weighs a type by the AP that fixing its errors would gain; here that is `cost` in mAP50, one type at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.alignment import align
from liftgate.evaluation.average_precision import average_precision, mean_over_classes
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.matching import match

FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1
_BIT = np.uint16(1)  # IoU 0.5
TYPES = ("class", "location", "both", "duplicate", "background", "missed")
_CLASS, _LOCATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(6)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorTypes:
    """Errors at one confidence threshold."""

    conf: float
    count: Mapping[str, int]
    """type → number of errors"""
    cost: Mapping[str, float]
    """type → mAP50 that fixing this type alone would gain"""
    confusion: NDArray[np.int64]
    """(K+1, K+1) true class (row) by predicted class (column); last row: no object there, last column: not detected"""
    classes: tuple[str, ...]
    by_image: tuple[Mapping[str, int], ...] = ()
    """Of each image of the truth, type → number, without those that are not there"""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "conf": self.conf,
            "count": dict(self.count),
            "cost": dict(self.cost),
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
        }


def errors_by_type(
    truth: Dataset, predictions: Predictions, *, conf: float = 0.25, table: MatchTable | None = None
) -> ErrorTypes:
    """Assign every error at score ≥ `conf` to a type, and count which classes are confused.

    Args:
        truth: the images and their objects.
        predictions: on these images.
        conf: confidence threshold.
        table: the predictions matched by box, to reuse; greedy matching by score does not depend on the threshold.

    Raises:
        UsageError: as `evaluate`.
    """
    chosen = align(truth, predictions)
    table = _above_confidence(match(truth, chosen) if table is None else table, conf)
    kind, target = _assign_types(truth, chosen, table)
    missed = _missed(truth, table, kind, target)
    count = {name: int(np.sum(kind == number)) for number, name in enumerate(TYPES)} | {"missed": int(missed.sum())}
    return ErrorTypes(
        conf,
        count,
        _costs(table, kind, target, missed),
        _confusion(truth, table, kind, target),
        truth.classes,
        _by_image(truth, table, kind, missed),
    )


def _by_image(
    truth: Dataset, table: MatchTable, kind: NDArray[np.int64], missed: NDArray[np.bool_]
) -> tuple[Mapping[str, int], ...]:
    counts = np.zeros((len(truth.images), len(TYPES)), dtype=np.int64)
    wrong = kind >= 0
    np.add.at(counts, (table.image[wrong], kind[wrong]), 1)
    np.add.at(counts, (truth.labels.image[missed], np.full(int(missed.sum()), _MISSED)), 1)
    return tuple({name: int(n) for name, n in zip(TYPES, row, strict=True) if n} for row in counts.tolist())


def _above_confidence(table: MatchTable, conf: float) -> MatchTable:
    """Return the rows at score ≥ `conf`."""
    kept = table.score >= conf
    return replace(
        table,
        start=np.concatenate([[0], np.cumsum(kept)])[table.start].astype(np.int64),
        hit=table.hit[:, kept],
        skip=table.skip[:, kept],
        **{name: getattr(table, name)[kept] for name in ("image", "score", "rank", "row", "found")},
    )


def _assign_types(
    truth: Dataset, predictions: Predictions, table: MatchTable
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Type of every wrong row of the table (−1: right or not judged) and the object it concerns (−1: none)."""
    labels, counted = truth.labels, table.counted[0]
    judged = table.skip[0] & _BIT == 0
    wrong = judged & (table.hit[0] & _BIT == 0)
    taken = np.zeros(len(labels), dtype=np.bool_)
    taken[table.found[judged & ~wrong]] = True
    kind, target = np.full(len(wrong), -1, dtype=np.int64), np.full(len(wrong), -1, dtype=np.int64)
    cls = table.cls
    objects_of = _rows_by_image(labels.image, counted, len(truth.images))
    for d in np.flatnonzero(wrong):
        near = objects_of[table.image[d]]
        overlap = iou(predictions.boxes[table.row[[d]]], labels.boxes[near])[0]
        own = labels.cls[near] == cls[d]
        kind[d], target[d] = _error_type(overlap, own, taken[near], near)
    return kind, target


def _error_type(
    overlap: NDArray[np.float64], own: NDArray[np.bool_], taken: NDArray[np.bool_], near: NDArray[np.int64]
) -> tuple[int, int]:
    choices = (
        (_CLASS, ~own & ~taken & (overlap >= FOREGROUND_IOU)),
        (_DUPLICATE, own & taken & (overlap >= FOREGROUND_IOU)),
        (_LOCATION, own & (overlap >= BACKGROUND_IOU) & (overlap < FOREGROUND_IOU)),
        (_BOTH, ~own & (overlap >= BACKGROUND_IOU) & (overlap < FOREGROUND_IOU)),
    )
    for number, fits in choices:
        if fits.any():
            return number, int(near[np.argmax(np.where(fits, overlap, -1.0))])
    return _BACKGROUND, -1


def _missed(truth: Dataset, table: MatchTable, kind: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.bool_]:
    reached = np.zeros(len(truth.labels), dtype=np.bool_)
    right = (table.hit[0] & ~table.skip[0] & _BIT) != 0
    reached[table.found[right]] = True
    reached[target[(kind == _CLASS) | (kind == _LOCATION)]] = True
    missed: NDArray[np.bool_] = table.counted[0] & ~reached
    return missed


def _costs(
    table: MatchTable, kind: NDArray[np.int64], target: NDArray[np.int64], missed: NDArray[np.bool_]
) -> dict[str, float]:
    """Return type → mAP50 gained by fixing it: the best error on an unmatched object becomes right, others vanish."""
    one_unit, one = np.zeros(len(table.images), dtype=np.int64), np.ones((1, 1))

    def map50(changed: MatchTable) -> float:
        value = mean_over_classes(average_precision(changed, one_unit, one), (0,))[0]
        return 0.0 if np.isnan(value) else float(value)

    before = map50(table)
    right = (table.hit[0] & ~table.skip[0] & _BIT) != 0
    costs = {}
    for number, name in enumerate(TYPES[:_MISSED]):
        free = set(np.flatnonzero(table.counted[0]).tolist()) - set(table.found[right].tolist())
        hit, skip, cls = table.hit.copy(), table.skip.copy(), table.cls
        of_type = np.flatnonzero(kind == number)
        for d in of_type[np.argsort(-table.score[of_type], kind="stable")]:
            if number in (_CLASS, _LOCATION) and target[d] in free:
                free.remove(int(target[d]))
                hit[0, d] |= _BIT
                cls[d] = table.label_class[target[d]]
            else:
                skip[0, d] |= _BIT
        costs[name] = map50(_resorted(replace(table, hit=hit, skip=skip), cls)) - before
    counted = table.counted.copy()
    counted[0] &= ~missed
    costs["missed"] = map50(replace(table, counted=counted)) - before
    return costs


def _resorted(table: MatchTable, cls: NDArray[np.int64]) -> MatchTable:
    """Return the table sorted again after some rows changed their class."""
    order = np.lexsort((-table.score, cls))
    return replace(
        table,
        start=np.searchsorted(cls[order], np.arange(len(table.classes) + 1)).astype(np.int64),
        image=table.image[order],
        score=table.score[order],
        rank=table.rank[order],
        row=table.row[order],
        hit=table.hit[:, order],
        skip=table.skip[:, order],
        found=table.found[order],
    )


def _confusion(
    truth: Dataset, table: MatchTable, kind: NDArray[np.int64], target: NDArray[np.int64]
) -> NDArray[np.int64]:
    n = len(truth.classes)
    matrix = np.zeros((n + 1, n + 1), dtype=np.int64)
    right = np.flatnonzero((table.hit[0] & ~table.skip[0] & _BIT) != 0)
    confused = np.flatnonzero(kind == _CLASS)
    others = np.flatnonzero((kind >= 0) & (kind != _CLASS))
    cls, seen = table.cls, np.zeros(len(truth.labels), dtype=np.bool_)
    np.add.at(matrix, (truth.labels.cls[table.found[right]], cls[right]), 1)
    seen[table.found[right]] = True
    for d in confused:
        row = n if seen[target[d]] else truth.labels.cls[target[d]]  # an object is in one row once
        seen[target[d]] = True
        matrix[row, cls[d]] += 1
    np.add.at(matrix, (np.full(len(others), n), cls[others]), 1)
    np.add.at(matrix, (truth.labels.cls[table.counted[0] & ~seen], n), 1)
    return matrix


def _rows_by_image(image: NDArray[np.int64], counted: NDArray[np.bool_], n_images: int) -> list[NDArray[np.int64]]:
    rows = np.flatnonzero(counted)
    rows = rows[np.argsort(image[rows], kind="stable")]
    return np.split(rows, np.searchsorted(image[rows], np.arange(1, n_images)))
