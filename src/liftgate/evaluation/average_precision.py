"""Average precision and recall of a match table under weights: the sample itself, a draw, or all groups but one.

A lane is one set of weights over units (images, groups, or blocks of groups). Lanes run side by side, in batches on all
cores. Precision is evaluated where a row of true positives ends: elsewhere it can only be lower, and the envelope, the
best precision at a recall or beyond, does not see it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import SIZES, MatchTable
from liftgate.kernels.average_precision import ap_lanes
from liftgate.kernels.matching import ALL_BITS, IOU_THRESHOLDS

_LANES = 64  # measured on AVX-512: 32 lanes 0.58 ms a draw, 64 0.39
_N_THRESHOLDS = len(IOU_THRESHOLDS)


def average_precision(
    table: MatchTable, unit: NDArray[np.int64], weights: NDArray[np.float64], *, size: str = "all"
) -> NDArray[np.float64]:
    """AP of each class at each IoU threshold in every lane, shape (K, 10, L); NaN where the lane holds no truth.

    `unit` (n_images,) says which unit an image belongs to, `weights` (U, L) how often each unit counts in a lane. A
    weight of 2 is the same as the unit's images standing in the data twice, except within ties of the score.
    """
    a = SIZES.index(size)
    # Without rows that count nowhere in this size range, and those beyond COCO's limit.
    live = (table.skip[a] != ALL_BITS) & (table.rank < table.limit)
    start = np.concatenate([[0], np.cumsum(live)])[table.start].astype(np.int64)
    columns = (start, unit[table.image[live]], table.hit[a][live] & ~table.skip[a][live], table.skip[a][live])
    positives = table.positives(size, unit, len(weights)) @ weights
    out = np.full((len(table.classes), _N_THRESHOLDS, weights.shape[1]), np.nan)

    def batch(first: int) -> None:
        some, objects = (np.ascontiguousarray(each[:, first : first + _LANES]) for each in (weights, positives))
        result = np.full((*out.shape[:2], some.shape[1]), np.nan)
        ap_lanes(*columns, some, objects, np.empty((1 + 5 * _N_THRESHOLDS, some.shape[1])), result)
        out[:, :, first : first + _LANES] = result

    batches = range(0, weights.shape[1], _LANES)
    if len(batches) == 1:
        batch(0)
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(batch, batches))
    return out


def recall(
    table: MatchTable,
    unit: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    size: str = "all",
    max_detections: int = 100,
) -> NDArray[np.float64]:
    """Recall of each class at each IoU threshold in every lane, shape (K, 10, L); NaN where the lane holds no truth."""
    a = SIZES.index(size)
    masks = table.hit[a] & ~table.skip[a]
    live = np.flatnonzero((masks != 0) & (table.rank < min(max_detections, table.limit)))
    n_units, n_classes = len(weights), len(table.classes)
    cell = table.cls[live] * n_units + unit[table.image[live]]
    bits = [(masks[live] >> t) & 1 for t in range(_N_THRESHOLDS)]
    true = np.stack([np.bincount(cell, bit, minlength=n_classes * n_units) for bit in bits])
    # One product for all: many small ones spend their time waking threads.
    lanes = (true.reshape(_N_THRESHOLDS * n_classes, n_units) @ weights).reshape(_N_THRESHOLDS, n_classes, -1)
    positives = np.broadcast_to(table.positives(size, unit, n_units) @ weights, lanes.shape)
    ratio: NDArray[np.float64] = np.divide(lanes, positives, out=np.full(lanes.shape, np.nan), where=positives > 0)
    return ratio.transpose(1, 0, 2)


def mean_over_classes(
    values: NDArray[np.float64], thresholds: tuple[int, ...] = tuple(range(_N_THRESHOLDS))
) -> NDArray[np.float64]:
    """(K, 10, L) → (L,): mean over the classes that have truth and the chosen thresholds; NaN where none has."""
    chosen = values[:, list(thresholds)]
    known = ~np.isnan(chosen)
    count = known.sum(axis=(0, 1))
    total = np.where(known, chosen, 0.0).sum(axis=(0, 1))
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean
