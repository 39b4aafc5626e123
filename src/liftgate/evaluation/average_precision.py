"""Average precision and recall of a match table, for the sample itself and for bootstrap draws of it.

Every column of a weights array (U, L) is one weighting of the resampling units (images, groups, or blocks of groups):
how often each unit counts. All L weightings are computed together, in batches on all cores. Precision is evaluated at
true positives only: between them it can only be lower, and so does not change the precision envelope.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import SIZES, MatchTable
from liftgate.kernels.average_precision import weighted_ap
from liftgate.kernels.matching import ALL_BITS, IOU_THRESHOLDS
from liftgate.kernels.threads import for_each

_COLUMNS_PER_BATCH = 64  # measured with AVX-512: 0.58 ms per draw with 32 columns, 0.39 ms with 64
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
    a = SIZES.index(size)
    weights = np.round(weights * _GRID) / _GRID  # else a rest of 1e-15 over another would be taken for a precision
    # Leave out rows that count at no threshold in this size range, and those beyond COCO's limit.
    live = (table.skip[a] != ALL_BITS) & (table.rank < table.limit)
    in_class = [np.count_nonzero(live[first:last]) for first, last in itertools.pairwise(table.start.tolist())]
    start = np.concatenate([[0], np.cumsum(in_class)]).astype(np.int64)
    columns = (start, unit[table.image[live]], table.hit[a][live] & ~table.skip[a][live], table.skip[a][live])
    positives = table.positives(size, unit, len(weights)) @ weights
    out = np.full((len(table.classes), _N_THRESHOLDS, weights.shape[1]), np.nan)

    def batch(first: int) -> None:
        batch_weights, objects = (
            np.ascontiguousarray(each[:, first : first + _COLUMNS_PER_BATCH]) for each in (weights, positives)
        )
        result = np.full((*out.shape[:2], batch_weights.shape[1]), np.nan)
        state = np.empty((1 + 5 * _N_THRESHOLDS, batch_weights.shape[1]))
        weighted_ap(*columns, batch_weights, objects, state, result)
        out[:, :, first : first + _COLUMNS_PER_BATCH] = result

    batches = range(0, weights.shape[1], _COLUMNS_PER_BATCH)
    if len(batches) == 1 or int(live.sum()) * weights.shape[1] < _THREADS_FROM:
        for first in batches:
            batch(first)
    else:
        for_each(batch, batches)
    return out


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
    a = SIZES.index(size)
    masks = table.hit[a] & ~table.skip[a]
    live = np.flatnonzero((masks != 0) & (table.rank < min(max_detections, table.limit)))
    n_units, n_classes = len(weights), len(table.classes)
    cls = np.searchsorted(table.start, live, side="right") - 1
    cell = cls * n_units + unit[table.image[live]]
    masks = masks[live]
    true = np.stack(
        [np.bincount(cell[(masks >> t) & 1 > 0], minlength=n_classes * n_units) for t in range(_N_THRESHOLDS)]
    ).astype(np.float64)
    # One matrix product for all: many small ones spend their time starting threads.
    found = (true.reshape(_N_THRESHOLDS * n_classes, n_units) @ weights).reshape(_N_THRESHOLDS, n_classes, -1)
    positives = np.broadcast_to(table.positives(size, unit, n_units) @ weights, found.shape)
    ratio: NDArray[np.float64] = np.divide(found, positives, out=np.full(found.shape, np.nan), where=positives > 0)
    return ratio.transpose(1, 0, 2)


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
