"""Average precision and recall of a match table, for the sample itself and for bootstrap draws of it.

Every column of a weights array (U, L) is one weighting of the resampling units (images, groups, or blocks of groups):
how often each unit counts. All L weightings are computed together, in batches on all cores. Precision is evaluated at
true positives only: between them it can only be lower, and so does not change the precision envelope.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import MatchTable
from liftgate.kernels.average_precision import weighted_ap, weighted_hits
from liftgate.kernels.matching import IOU_THRESHOLDS
from liftgate.kernels.threads import for_each

_COLUMNS_PER_BATCH = 64  # measured with AVX-512: 0.58 ms per draw with 32 columns, 0.39 ms with 64
_COLUMNS_OF_BYTES = 128  # of weights of one byte: 0.43 ms with 32 columns, 0.26 ms with 128
MOST_ROWS_OF_BYTES = 2**31 // 256
"""Rows whose weights of one byte cannot sum up to more than four bytes hold"""
_THREADS_FROM = 5 * 10**6  # detections × weightings, about 5 ms: below, threads cost more than they save
_N_THRESHOLDS = len(IOU_THRESHOLDS)
_GRID = 2.0**20
"""Weights are multiples of 1 / _GRID: their sums are exact, and what is subtracted again leaves nothing"""


def average_precision(
    table: MatchTable, unit: NDArray[np.int64], weights: NDArray[np.float64], *, size: str = "all"
) -> NDArray[np.float64]:
    """Return the AP of each class at each IoU threshold under every weighting.

    A weight of 2 is the same as having the unit's images in the data twice, except within ties of the score.

    Args:
        table: the matched detections.
        unit: (n_images,) index of each image's unit.
        weights: (U, L) how often each unit counts; one column per weighting.
        size: size range of the objects, one of SIZES.

    Returns:
        (K, 10, L) AP by class, IoU threshold and weighting; NaN where the weighting holds no object of the class.
    """
    rows = table.ranked(size)
    drawn, counts_type = _compact(weights, int(np.diff(rows.start).max(initial=0)))
    if drawn is weights:  # not whole: else a rest of 1e-15 over another would be taken for a precision
        drawn = np.round(weights * _GRID) / _GRID
        positives = table.positives(size, unit, len(weights)) @ drawn
    else:
        positives = table.weighted_positives(size, unit, weights)
    of_row, out = unit[rows.image], np.full((len(table.classes), _N_THRESHOLDS, weights.shape[1]), np.nan)
    per_batch = _COLUMNS_OF_BYTES if counts_type is np.int32 else _COLUMNS_PER_BATCH

    def batch(first: int) -> None:
        chosen = slice(first, first + per_batch)
        objects = np.ascontiguousarray(positives[:, chosen])
        width = objects.shape[1]
        result, state = np.full((*out.shape[:2], width), np.nan), np.empty((3 * _N_THRESHOLDS, width))
        counts = np.empty((1 + 2 * _N_THRESHOLDS, width), dtype=counts_type)
        of_batch = np.ascontiguousarray(drawn[:, chosen])
        weighted_ap(rows.start, of_row, rows.hit, rows.skip, of_batch, objects, counts, state, result)
        out[:, :, chosen] = result

    batches = range(0, weights.shape[1], per_batch)
    if len(batches) == 1 or len(of_row) * weights.shape[1] < _THREADS_FROM:
        for first in batches:
            batch(first)
    else:
        for_each(batch, batches)
    return out


def _compact(weights: NDArray[np.float64], most_rows: int) -> tuple[NDArray[Any], Any]:
    """Return weights, and the type of sums of them over `most_rows`: of 1 and 4 bytes where they are whole and fit."""
    if most_rows <= MOST_ROWS_OF_BYTES and (weights >= 0).all() and (weights < 256).all():
        whole = weights.astype(np.uint8)
        if (whole == weights).all():
            return whole, np.int32
    return weights, np.float64


def recall(
    table: MatchTable,
    unit: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    size: str = "all",
    max_detections: int = 100,
) -> NDArray[np.float64]:
    """Return the recall of each class at each IoU threshold under every weighting.

    Args:
        table: the matched detections.
        unit: (n_images,) index of each image's unit.
        weights: (U, L) how often each unit counts; one column per weighting.
        size: size range of the objects, one of SIZES.
        max_detections: the best so many of each image and class count.

    Returns:
        (K, 10, L) recall by class, IoU threshold and weighting; NaN where the weighting holds no object of the class.
    """
    rows = table.ranked(size)
    drawn, counts_type = _compact(weights, int(np.diff(rows.start).max(initial=0)))
    found = np.zeros((len(table.classes), _N_THRESHOLDS, weights.shape[1]), dtype=counts_type)
    best = min(max_detections, table.limit)
    weighted_hits(rows.start, rows.image, unit, rows.hit, rows.rank, best, np.ascontiguousarray(drawn), found)
    positives = np.broadcast_to(table.weighted_positives(size, unit, weights)[:, None], found.shape)
    ratio: NDArray[np.float64] = np.divide(found, positives, out=np.full(found.shape, np.nan), where=positives > 0)
    return ratio


def mean_over_classes(
    values: NDArray[np.float64], thresholds: tuple[int, ...] = tuple(range(_N_THRESHOLDS))
) -> NDArray[np.float64]:
    """Return the mean over the classes that have truth and over the chosen IoU thresholds.

    Args:
        values: (K, 10, L) AP or recall; NaN where a class has no truth.
        thresholds: indices into IOU_THRESHOLDS.

    Returns:
        (L,) mean of each weighting; NaN where no class has truth.
    """
    chosen = values[:, list(thresholds)]
    known = ~np.isnan(chosen)
    count = known.sum(axis=(0, 1))
    total = np.where(known, chosen, 0.0).sum(axis=(0, 1))
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean
