"""The kernel of average precision: 101-point AP of every class and IoU threshold, for many weightings side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, part

_TINY = float(np.spacing(1.0))
_TO_INTEGER = 1.5 * 2.0**52  # added and taken away again, it rounds: to vectorise, which a call would prevent


@compiled
def ap_lanes(
    start: NDArray[np.int64],
    unit: NDArray[np.int64],
    hit: NDArray[np.uint16],
    skip: NDArray[np.uint16],
    weights: NDArray[np.float64],
    positives: NDArray[np.float64],
    state: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write AP into `out` (K, 10, L).

    Counts are summed up to the last true positive of a class, then taken down again on the way back, on which the best
    precision so far is the envelope: nothing but a few rows of `state` is ever touched.
    """
    n_lanes = weights.shape[1]
    seen = state[0]
    true, skipped, best, reached, total = state[1:11], state[11:21], state[21:31], state[31:41], state[41:51]
    for c in range(len(start) - 1):
        last = _last_hit(hit, start[c], start[c + 1])
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
                        _step(true[t], seen, skipped[t], positives[c], best[t], reached[t], total[t])
                    _subtract(true[t], weight)
            _subtract(seen, weight)
            after = hits & ~skips
        for t in range(10):
            for lane in range(n_lanes):
                if positives[c, lane] > 0:
                    out[c, t, lane] = (total[t, lane] + best[t, lane] * reached[t, lane]) / 101


@part
def _last_hit(hit: NDArray[np.uint16], begin: int, end: int) -> int:
    """End of the rows up to the last true positive: what comes after it changes nothing."""
    while end > begin and hit[end - 1] == 0:
        end -= 1
    return end


@part
def _step(
    true: NDArray[np.float64],
    seen: NDArray[np.float64],
    skipped: NDArray[np.float64],
    positives: NDArray[np.float64],
    best: NDArray[np.float64],
    reached: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    """Give the recall points beyond this true positive the best precision there, and see whether it is better here.

    Of the recall points 0, 0.01 … 1 those reached are the ones up to the nearest, and that one if it is not above.
    """
    for lane in range(len(true)):
        precision = true[lane] / (seen[lane] - skipped[lane] + _TINY)
        recall = true[lane] / positives[lane]
        nearest = (recall * 100.0 + _TO_INTEGER) - _TO_INTEGER
        here = nearest + (1.0 if nearest * 0.01 <= recall else 0.0)
        total[lane] += best[lane] * (reached[lane] - here)
        reached[lane] = here
        best[lane] = max(best[lane], precision)


@part
def _add(to: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
    for lane in range(len(to)):
        to[lane] += weight[lane]


@part
def _subtract(of: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
    for lane in range(len(of)):
        of[lane] -= weight[lane]
