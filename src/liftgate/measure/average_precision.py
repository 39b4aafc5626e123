"""Average precision and recall of a match table under weights: the sample itself, a draw, or all groups but one.

A lane is one set of weights over units (images, groups, or blocks of groups). Lanes run side by side, in batches on all
cores. Precision is evaluated at true positives only: elsewhere it can only be lower, and the envelope does not see it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from liftgate.measure.compiled import compiled
from liftgate.measure.matching import ALL_BITS, IOU_THRESHOLDS, RECALL_POINTS
from liftgate.measure.table import SIZES, MatchTable

_LANES = 32  # measured on AVX-512: 8 lanes 1.8 ms a draw, 16 1.4, 32 1.2, 64 1.4
_N_THRESHOLDS = len(IOU_THRESHOLDS)


def average_precision(
    table: MatchTable, unit: NDArray[np.int64], weights: NDArray[np.float64], *, size: str = "all"
) -> NDArray[np.float64]:
    """AP of each class at each IoU threshold in every lane, shape (K, 10, L); NaN where the lane holds no truth.

    `unit` (n_images,) says which unit an image belongs to, `weights` (U, L) how often each unit counts in a lane. A
    weight of 2 is the same as the unit's images standing in the data twice, except within ties of the score.
    """
    a = SIZES.index(size)
    live = table.skip[a] != ALL_BITS  # rows that count nowhere in this size range
    start = np.concatenate([[0], np.cumsum(live)])[table.start].astype(np.int64)
    columns = (start, unit[table.image[live]], table.hit[a][live] & ~table.skip[a][live], table.skip[a][live])
    positives = table.positives(size, unit, len(weights)) @ weights
    out = np.full((len(table.classes), _N_THRESHOLDS, weights.shape[1]), np.nan)

    def batch(first: int) -> None:
        lanes = slice(first, first + _LANES)
        out[:, :, lanes] = _ap_lanes(
            *columns, np.ascontiguousarray(weights[:, lanes]), np.ascontiguousarray(positives[:, lanes]), RECALL_POINTS
        )

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
    live = np.flatnonzero((masks != 0) & (table.rank < max_detections))
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


@compiled
def _ap_lanes(
    start: NDArray[np.int64],
    unit: NDArray[np.int64],
    hit: NDArray[np.uint16],
    skip: NDArray[np.uint16],
    weights: NDArray[np.float64],
    positives: NDArray[np.float64],
    points: NDArray[np.float64],
) -> NDArray[np.float64]:
    n_classes, n_lanes, n_bits = len(start) - 1, weights.shape[1], 10
    out = np.full((n_classes, n_bits, n_lanes), np.nan)
    tiny = np.spacing(1.0)
    for c in range(n_classes):
        first = np.zeros(n_bits + 1, dtype=np.int64)  # where the true positives of each threshold begin
        for d in range(start[c], start[c + 1]):
            for t in range(n_bits):
                first[t + 1] += (hit[d] >> t) & 1
        first = np.cumsum(first)
        fill = first.copy()
        true_at = np.empty((first[-1], n_lanes))
        precision_at = np.empty((first[-1], n_lanes))
        seen = np.zeros(n_lanes)
        true = np.zeros((n_bits, n_lanes))
        skipped = np.zeros((n_bits, n_lanes))
        for d in range(start[c], start[c + 1]):
            weight = weights[unit[d]]
            for lane in range(n_lanes):
                seen[lane] += weight[lane]
            if hit[d] == 0 and skip[d] == 0:
                continue
            for t in range(n_bits):
                if (skip[d] >> t) & 1:
                    for lane in range(n_lanes):
                        skipped[t, lane] += weight[lane]
                elif (hit[d] >> t) & 1:
                    at = fill[t]
                    fill[t] += 1
                    for lane in range(n_lanes):
                        true[t, lane] += weight[lane]
                        true_at[at, lane] = true[t, lane]
                        precision_at[at, lane] = true[t, lane] / (seen[lane] - skipped[t, lane] + tiny)
        for t in range(n_bits):
            _envelope(
                true_at[first[t] : first[t + 1]], precision_at[first[t] : first[t + 1]], positives[c], points, out[c, t]
            )
    return out


@compiled
def _envelope(
    true_at: NDArray[np.float64],
    precision_at: NDArray[np.float64],
    positives: NDArray[np.float64],
    points: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Mean over the recall points of the best precision at that recall or beyond; from the last true positive back."""
    n_events, n_lanes = true_at.shape
    best = np.zeros(n_lanes)
    total = np.zeros(n_lanes)
    here = np.zeros(n_lanes)  # recall at this true positive, and at the one before it
    before = np.zeros(n_lanes)
    left = np.full(n_lanes, len(points))  # recall points not yet passed; the next one is points[left - 1]
    wanted = np.full(n_lanes, points[-1])
    for lane in range(n_lanes):
        here[lane] = true_at[n_events - 1, lane] / positives[lane] if n_events else 0.0
        while left[lane] > 0 and points[left[lane] - 1] > here[lane]:
            left[lane] -= 1  # never reached: precision 0
        wanted[lane] = points[left[lane] - 1]
    for i in range(n_events - 1, -1, -1):
        for lane in range(n_lanes):
            best[lane] = max(best[lane], precision_at[i, lane])
            before[lane] = true_at[i - 1, lane] / positives[lane] if i > 0 else -1.0
        for lane in range(n_lanes):
            while wanted[lane] > before[lane]:
                total[lane] += best[lane]
                left[lane] -= 1
                wanted[lane] = points[left[lane] - 1] if left[lane] > 0 else -2.0
    for lane in range(n_lanes):
        if positives[lane] > 0:
            out[lane] = total[lane] / len(points)
