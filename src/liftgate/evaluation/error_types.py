"""Kinds of mistakes, what each kind costs (the types of TIDE, Bolya et al. 2020), and who is taken for whom.

Types are decided at one confidence threshold. A mistake is put down to the first type that fits:

    class       IoU ≥ 0.5 with an object of another class that nothing right has found
    duplicate   IoU ≥ 0.5 with an object of its own class that a better detection has found
    location    0.1 ≤ IoU < 0.5 with an object of its own class
    both        0.1 ≤ IoU < 0.5 with an object of another class
    background  none of these: there is nothing there
    missed      an object that no detection found, nor came near enough to be called class or location

TIDE measures a type by the AP that mending it would win; here that is `cost` in mAP50, one type mended at a time.
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
from liftgate.evaluation.match_table import MatchTable, match

NEAR, FAR = 0.5, 0.1
_BIT = np.uint16(1)  # IoU 0.5
TYPES = ("class", "location", "both", "duplicate", "background", "missed")
_CLASS, _LOCATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(6)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorTypes:
    """Mistakes at one confidence threshold."""

    conf: float
    count: Mapping[str, int]
    """type → how many mistakes"""
    cost: Mapping[str, float]
    """type → mAP50 that mending it alone would win"""
    confusion: NDArray[np.int64]
    """(K+1, K+1) true class by class said; last row: nothing was there, last column: nothing was said"""
    classes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
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
    """Sort every mistake at score ≥ `conf` into a type, and count who is taken for whom.

    `table` is the match of these predictions by box, where it has been made: a threshold changes no match above it.

    Raises:
        UsageError: as `evaluate`.
    """
    chosen = align(truth, predictions)
    table = _from(match(truth, chosen) if table is None else table, conf)
    kind, target = _sort_out(truth, chosen, table)
    missed = _missed(truth, table, kind, target)
    count = {name: int(np.sum(kind == number)) for number, name in enumerate(TYPES)} | {"missed": int(missed.sum())}
    return ErrorTypes(
        conf, count, _costs(table, kind, target, missed), _confusion(truth, table, kind, target), truth.classes
    )


def _from(table: MatchTable, conf: float) -> MatchTable:
    """The rows at score ≥ `conf`."""
    kept = table.score >= conf
    return replace(
        table,
        start=np.concatenate([[0], np.cumsum(kept)])[table.start].astype(np.int64),
        hit=table.hit[:, kept],
        skip=table.skip[:, kept],
        **{name: getattr(table, name)[kept] for name in ("image", "score", "rank", "row", "found")},
    )


def _sort_out(
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
    objects_of = _by_image(labels.image, counted, len(truth.images))
    for d in np.flatnonzero(wrong):
        near = objects_of[table.image[d]]
        overlap = iou(predictions.boxes[table.row[[d]]], labels.boxes[near])[0]
        own = labels.cls[near] == cls[d]
        kind[d], target[d] = _type_of(overlap, own, taken[near], near)
    return kind, target


def _type_of(
    overlap: NDArray[np.float64], own: NDArray[np.bool_], taken: NDArray[np.bool_], near: NDArray[np.int64]
) -> tuple[int, int]:
    choices = (
        (_CLASS, ~own & ~taken & (overlap >= NEAR)),
        (_DUPLICATE, own & taken & (overlap >= NEAR)),
        (_LOCATION, own & (overlap >= FAR) & (overlap < NEAR)),
        (_BOTH, ~own & (overlap >= FAR) & (overlap < NEAR)),
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
    """mAP50 won by mending one type: a mistake about a free object becomes right (the best one does), others vanish."""
    everyone, one = np.zeros(len(table.images), dtype=np.int64), np.ones((1, 1))

    def map50(changed: MatchTable) -> float:
        value = mean_over_classes(average_precision(changed, everyone, one), (0,))[0]
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
    """The table after some rows changed their class."""
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
    mixed_up = np.flatnonzero(kind == _CLASS)
    others = np.flatnonzero((kind >= 0) & (kind != _CLASS))
    cls, seen = table.cls, np.zeros(len(truth.labels), dtype=np.bool_)
    np.add.at(matrix, (truth.labels.cls[table.found[right]], cls[right]), 1)
    seen[table.found[right]] = True
    for d in mixed_up:
        row = n if seen[target[d]] else truth.labels.cls[target[d]]  # an object is in one row once
        seen[target[d]] = True
        matrix[row, cls[d]] += 1
    np.add.at(matrix, (np.full(len(others), n), cls[others]), 1)
    np.add.at(matrix, (truth.labels.cls[table.counted[0] & ~seen], n), 1)
    return matrix


def _by_image(image: NDArray[np.int64], counted: NDArray[np.bool_], n_images: int) -> list[NDArray[np.int64]]:
    rows = np.flatnonzero(counted)
    rows = rows[np.argsort(image[rows], kind="stable")]
    return np.split(rows, np.searchsorted(image[rows], np.arange(1, n_images)))
