"""Kernel of average precision: 101-point AP of every class and IoU threshold, for many weightings at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, kernel_helper

_TINY = float(np.spacing(1.0))
_ROUND = 1.5 * 2.0**52  # adding and subtracting it rounds to an integer; unlike a call it vectorises

Weights = NDArray[np.uint8] | NDArray[np.float64]
Counts = NDArray[np.int32] | NDArray[np.float64]


@compiled
def weighted_ap(
    start: NDArray[np.int64],
    unit: NDArray[np.int64],
    hit: NDArray[np.uint16],
    skip: NDArray[np.uint16],
    weights: Weights,
    positives: NDArray[np.float64],
    counts: Counts,
    state: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write the AP of each class, IoU threshold and weighting into `out`.

    Counts are accumulated forwards to the last true positive of a class, then subtracted backwards, where the best
    precision so far is the envelope. Only a few rows of `counts` and `state` are used, so the work stays in the cache.
    Whole weights of one byte, with counts of four, take a third of the time of floats and give the same numbers: both
    are exact.

    Args:
        start: (K + 1,) where the rows of each class begin.
        unit: (n,) resampling unit of each detection, best score first within a class.
        hit: (n,) bit t: matched at IOU_THRESHOLDS[t].
        skip: (n,) bit t: neither right nor wrong.
        weights: (U, L) how often each unit counts.
        positives: (K, L) weighted number of objects.
        counts: (21, L) scratch memory: whole numbers with whole weights, which their sums must fit into.
        state: (30, L) scratch memory.
        out: (K, 10, L); left unchanged where there are no positives.
    """
    n_columns = weights.shape[1]
    seen, true, skipped = counts[0], counts[1:11], counts[11:21]
    best, reached, total = state[:10], state[10:20], state[20:30]
    for c in range(len(start) - 1):
        last = _last_hit(hit, start[c], start[c + 1])
        counts[:] = 0
        state[:] = 0.0
        for d in range(start[c], last):
            weight, hits, skips = weights[unit[d]], np.int64(hit[d]), np.int64(skip[d])
            _add(seen, weight)
            for t in range(10 if hits | skips else 0):
                if (skips >> t) & 1:
                    _add(skipped[t], weight)
                elif (hits >> t) & 1:
                    _add(true[t], weight)
        after = np.int64(0)
        for d in range(last - 1, start[c] - 1, -1):
            weight, hits, skips = weights[unit[d]], np.int64(hit[d]), np.int64(skip[d])
            for t in range(10 if hits | skips else 0):
                if (skips >> t) & 1:
                    _subtract(skipped[t], weight)
                elif (hits >> t) & 1:
                    if not (after >> t) & 1:
                        _advance(true[t], seen, skipped[t], positives[c], best[t], reached[t], total[t])
                    _subtract(true[t], weight)
            _subtract(seen, weight)
            after = hits & ~skips
        for t in range(10):
            for column in range(n_columns):
                if positives[c, column] > 0:
                    out[c, t, column] = (total[t, column] + best[t, column] * reached[t, column]) / 101


@compiled
def weighted_hits(
    start: NDArray[np.int64],
    image: NDArray[np.int32],
    unit: NDArray[np.int64],
    hit: NDArray[np.uint16],
    rank: NDArray[np.int32],
    best: int,
    weights: Weights,
    out: Counts,
) -> None:
    """Add the weights of all true positives to `out`, by class, IoU threshold and weighting.

    Args:
        start: (K + 1,) where the rows of each class begin.
        image: (n,) image of each detection.
        unit: (n_images,) resampling unit of each image.
        hit: (n,) bit t: a true positive at IOU_THRESHOLDS[t].
        rank: (n,) 0 for the best detection of its image and class.
        best: rows whose rank is below it count.
        weights: (U, L) how often each unit counts.
        out: (K, 10, L) all 0 before.
    """
    for c in range(len(start) - 1):
        for d in range(start[c], start[c + 1]):
            hits = np.int64(hit[d])
            if hits != 0 and rank[d] < best:
                weight = weights[unit[image[d]]]
                for t in range(10):
                    if (hits >> t) & 1:
                        _add(out[c, t], weight)


@kernel_helper
def _last_hit(hit: NDArray[np.uint16], begin: int, end: int) -> int:
    """Return the end of the rows up to the last true positive; later rows do not change AP."""
    while end > begin and hit[end - 1] == 0:
        end -= 1
    return end


@kernel_helper
def _advance(
    true: Counts,
    seen: Counts,
    skipped: Counts,
    positives: NDArray[np.float64],
    best: NDArray[np.float64],
    reached: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    """Add the best precision so far for the recall points beyond this true positive, then update it with this one.

    The recall points reached are those of 0, 0.01 … 1 that are not above the recall here.
    """
    for column in range(len(true)):
        found = np.float64(true[column])
        precision = found / (np.float64(seen[column]) - np.float64(skipped[column]) + _TINY)
        recall = found / positives[column]
        nearest = (recall * 100.0 + _ROUND) - _ROUND
        here = nearest + (1.0 if nearest * 0.01 <= recall else 0.0)
        total[column] += best[column] * (reached[column] - here)
        reached[column] = here
        best[column] = max(best[column], precision)


@kernel_helper
def _add(to: Counts, weight: Weights) -> None:
    for column in range(len(to)):
        to[column] += weight[column]


@kernel_helper
def _subtract(of: Counts, weight: Weights) -> None:
    for column in range(len(of)):
        of[column] -= weight[column]
