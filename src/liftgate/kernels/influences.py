"""Kernel of influences on average precision and recall: what each image's weight moves, in every class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, kernel_helper

Floats = NDArray[np.float64]


@compiled
def add_influences(
    start: NDArray[np.int64],
    image: NDArray[np.int32],
    hit: NDArray[np.uint16],
    skip: NDArray[np.uint16],
    rank: NDArray[np.int32],
    best: int,
    thresholds: int,
    precise: int,
    weight: Floats,
    number: Floats,
    at: NDArray[np.int64],
    carried: Floats,
    out: Floats,
    sums: Floats,
) -> None:
    """Add to `out` by how much the detections move Σ precision of hits / number of objects, and to `sums` that Σ.

    Precision is the largest at a hit or after it, taken at every hit. So a hit moves itself, and the precision of the
    hits that take it from later ones; a false detection lowers that of all whose precision is taken after it.

    Args:
        start: (K + 1,) where the rows of each class begin.
        image: (n,) image of each detection, best score first within a class.
        hit: (n,) bit t: a true positive at IOU_THRESHOLDS[t].
        skip: (n,) bit t: neither right nor wrong.
        rank: (n,) 0 for the best detection of its image and class.
        best: rows whose rank is below it count.
        thresholds: bit t: IOU_THRESHOLDS[t] counts.
        precise: 1 for precision, 0 for recall, which is 1 for every hit.
        weight: (n_images,) how much each image counts.
        number: (K,) weighted number of objects; classes without any are left out.
        at: (n,) scratch memory: the hit whose precision counts for a hit.
        carried: (n,) scratch memory: weights of the hits that a hit's precision counts for.
        out: (n_images,)
        sums: (K,)
    """
    for c in range(len(start) - 1):
        if number[c] > 0 and precise == 0:
            sums[c] += _add_hits(start[c], start[c + 1], image, hit, rank, best, thresholds, weight, number[c], out)
        end = start[c + 1]
        while end > start[c] and (np.int64(hit[end - 1]) & thresholds) == 0:
            end -= 1  # what is less sure than the last hit moves nothing
        for t in range(10 if number[c] > 0 and precise == 1 else 0):
            if not (thresholds >> t) & 1:
                continue
            true = 0.0
            seen = 0.0
            for d in range(start[c], end):
                if rank[d] < best:
                    true += weight[image[d]] if (np.int64(hit[d]) >> t) & 1 else 0.0
                    seen += 0.0 if (np.int64(skip[d]) >> t) & 1 else weight[image[d]]
            sums[c] += _take(start[c], end, image, hit, skip, rank, best, t, weight, true, seen, at, carried)
            later = 0.0
            spoilt = 0.0
            precision = 0.0
            for d in range(end - 1, start[c] - 1, -1):
                if rank[d] >= best:
                    continue
                each = weight[image[d]]
                moved = 0.0
                if (np.int64(hit[d]) >> t) & 1:
                    if at[d] == d and seen > 0:
                        precision = true / seen
                        later += carried[d] / seen
                        spoilt += carried[d] * precision / seen
                    moved = precision + later
                    true -= each
                if not (np.int64(skip[d]) >> t) & 1:
                    moved -= spoilt
                    seen -= each
                out[image[d]] += each * moved / number[c]


@kernel_helper
def _add_hits(
    begin: int,
    end: int,
    image: NDArray[np.int32],
    hit: NDArray[np.uint16],
    rank: NDArray[np.int32],
    best: int,
    thresholds: int,
    weight: Floats,
    number: float,
    out: Floats,
) -> float:
    """Add the share of the objects that each image's hits are to `out`; return the weighted number of hits."""
    total = 0.0
    for d in range(begin, end):
        hits = np.int64(hit[d]) & thresholds if rank[d] < best else 0
        for t in range(10 if hits else 0):
            if (hits >> t) & 1:
                total += weight[image[d]]
                out[image[d]] += weight[image[d]] / number
    return total


@kernel_helper
def _take(
    begin: int,
    end: int,
    image: NDArray[np.int32],
    hit: NDArray[np.uint16],
    skip: NDArray[np.uint16],
    rank: NDArray[np.int32],
    best: int,
    t: int,
    weight: Floats,
    true: float,
    seen: float,
    at: NDArray[np.int64],
    carried: Floats,
) -> float:
    """Write which hit each takes its precision from, and whose weights a hit carries; return Σ weight · precision."""
    total = 0.0
    envelope = 0.0
    taken = end
    for d in range(end - 1, begin - 1, -1):
        if rank[d] >= best:
            continue
        each = weight[image[d]]
        if (np.int64(hit[d]) >> t) & 1:
            precision = true / seen if seen > 0 else 0.0
            if precision >= envelope:
                envelope = precision
                taken = d
                carried[d] = 0.0
            at[d] = taken
            carried[taken] += each
            total += envelope * each
            true -= each
        if not (np.int64(skip[d]) >> t) & 1:
            seen -= each
    return total
