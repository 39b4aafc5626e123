"""Kernels of matching: greedy COCO matching of detections to objects at ten IoU thresholds and in every size range.

In each image and class the detections, best score first, take the free object that they overlap most.
`evaluation.cell_matching` builds the arrays. Semantics, including ties, are those of pycocotools; docs/metrics.md lists
its quirks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, kernel_helper

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
"""(10,) bit t of a match mask is set when the match holds at IOU_THRESHOLDS[t]"""

RECALL_POINTS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)

ALL_BITS = np.uint16(1023)

_TINY = float(np.spacing(1.0))


@compiled
def boxes_with_sides(
    boxes: NDArray[np.float64], file_sides: NDArray[np.float64], order: NDArray[np.int32], out: NDArray[np.float64]
) -> None:
    """Write left, top, right, bottom, width, height of the rows `order` into `out`, with sides as in the COCO file.

    left + width − left is not width in floating point, and 32.000000000000004 pixels are not "small". Sides are those
    of the file, unless the boxes were changed since. Without them, a difference within rounding of a number of at most
    8 decimals becomes that number, which is what a file would contain.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        file_sides: (n, 2) width and height in the file; (0, 2): unknown.
        order: rows to write.
        out: (len(order), 6).
    """
    for place in range(len(order)):
        row = order[place]
        for axis in range(2):
            low, high = boxes[row, axis], boxes[row, axis + 2]
            raw = high - low
            rounding = max(abs(low), abs(high)) * 2.0**-51
            side = raw
            if len(file_sides) > 0 and abs(file_sides[row, axis] - raw) <= rounding:
                side = file_sides[row, axis]
            else:
                short = np.rint(raw * 1e8) / 1e8
                if abs(short - raw) <= rounding:
                    side = short
            out[place, axis], out[place, axis + 2], out[place, axis + 4] = low, high, side


@compiled
def box_similarity(
    detections: NDArray[np.float64],
    objects: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    runs: NDArray[np.int64],
    offsets: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the IoU of every detection with every object of its image and class into `out`.

    For a crowd region the union is the area of the detection alone, so a detection inside it has 1.

    Args:
        detections: (n, 6) left, top, right, bottom, width, height.
        objects: (m, 6) the same of the objects.
        crowd: (m,) which objects are crowd regions.
        runs: (r, 4) for each image and class: first and last+1 detection, first and last+1 object.
        offsets: (r,) where the pairs of each run begin in `out`, detection-major.
        out: (pairs,) all 0 before.
    """
    for run in range(len(runs)):
        d0, d1, g0, g1 = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        at = offsets[run]
        for d in range(d0, d1):
            for g in range(g0, g1):
                width = min(detections[d, 2], objects[g, 2]) - max(detections[d, 0], objects[g, 0])
                height = min(detections[d, 3], objects[g, 3]) - max(detections[d, 1], objects[g, 1])
                if width > 0 and height > 0:
                    overlap = width * height
                    own = detections[d, 4] * detections[d, 5]
                    union = own if crowd[g] else own + objects[g, 4] * objects[g, 5] - overlap
                    out[at] = overlap / union
                at += 1


@compiled
def oks_similarity(
    detections: NDArray[np.float64],
    objects: NDArray[np.float64],
    boxes: NDArray[np.float64],
    area: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    runs: NDArray[np.int64],
    offsets: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write the object keypoint similarity of every detection with every object of its image and class into `out`.

    OKS = mean over labelled keypoints of exp(−d² / (2·area·(2σ)²)). An object without labelled keypoints is an ignore
    region: distances are then to its box, doubled in size.

    Args:
        detections: (n, K, 3) keypoints.
        objects: (m, K, 3) keypoints; the third value is above 0 where labelled.
        boxes: (m, 6) boxes of the objects: left, top, right, bottom, width, height.
        area: (m,) areas of the objects.
        sigmas: (K,) one for each keypoint.
        runs: (r, 4) as in `box_similarity`.
        offsets: (r,) as in `box_similarity`.
        out: (pairs,).
    """
    for run in range(len(runs)):
        d0, d1, g0, g1 = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        at = offsets[run]
        for d in range(d0, d1):
            for g in range(g0, g1):
                labelled = 0
                for k in range(len(sigmas)):
                    labelled += objects[g, k, 2] > 0
                left, right = boxes[g, 0] - boxes[g, 4], boxes[g, 0] + boxes[g, 4] * 2
                top, bottom = boxes[g, 1] - boxes[g, 5], boxes[g, 1] + boxes[g, 5] * 2
                total, count = 0.0, 0
                for k in range(len(sigmas)):
                    x, y = detections[d, k, 0], detections[d, k, 1]
                    if labelled > 0:
                        if objects[g, k, 2] <= 0:
                            continue
                        dx, dy = x - objects[g, k, 0], y - objects[g, k, 1]
                    else:
                        dx = max(0.0, left - x) + max(0.0, x - right)
                        dy = max(0.0, top - y) + max(0.0, y - bottom)
                    total += np.exp(-((dx**2 + dy**2) / (sigmas[k] * 2) ** 2 / (area[g] + _TINY) / 2))
                    count += 1
                out[at] = total / count
                at += 1


@compiled
def greedy_match(
    similarity: NDArray[np.float64],
    runs: NDArray[np.int64],
    offsets: NDArray[np.int64],
    detection_area: NDArray[np.float64],
    uncounted: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    ranges: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    to: NDArray[np.int32],
    order: NDArray[np.int64],
    taken: NDArray[np.bool_],
    top: NDArray[np.float64],
    hit: NDArray[np.uint16],
    skip: NDArray[np.uint16],
    found: NDArray[np.int32],
) -> None:
    """Match the detections of every run, best score first, and write `hit`, `skip` and `found`.

    The outputs are 0 before; those of detection d are written at to[d].

    Args:
        similarity: (pairs,) as `box_similarity` or `oks_similarity` writes it.
        runs: (r, 4) as in `box_similarity`.
        offsets: (r,) as in `box_similarity`.
        detection_area: (n,) areas of the detections.
        uncounted: (A, m) objects that do not count in a size range.
        crowd: (m,) which objects are crowd regions.
        ranges: (A, 2) size ranges, inclusive at both ends.
        thresholds: (T,) IoU or OKS thresholds, ascending.
        to: (n,) where the outputs of each detection are written.
        order: scratch memory, as long as the most objects of a run.
        taken: scratch memory, as long as the most objects of a run.
        top: (n,) scratch memory.
        hit: (A, N) bit t is set when the detection is matched at thresholds[t], to any object.
        skip: (A, N) bit t is set when it counts neither as right nor as wrong.
        found: (N,) 1 + the object that it is matched to at thresholds[0] in range 0, or 0.
    """
    for run in range(len(runs)):
        d0, d1, g0, g1 = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        width = g1 - g0
        best = _best_similarities(similarity, offsets[run], width, top[d0:d1])
        for a in range(len(ranges)):
            if best >= thresholds[0]:
                _order_counted_first(uncounted[a, g0:g1], order)
            for t in range(len(thresholds)):
                min_similarity = min(thresholds[t], 1 - 1e-10)
                if best < min_similarity:
                    break
                bit = np.uint16(1 << t)
                taken[:width] = False
                for d in range(d0, d1):
                    if top[d] < min_similarity:
                        continue
                    row = offsets[run] + (d - d0) * width
                    g = _best_object(
                        similarity[row : row + width], min_similarity, order, taken, crowd[g0:g1], uncounted[a, g0:g1]
                    )
                    if g >= 0:
                        taken[g] = True
                        hit[a, to[d]] |= bit
                        if uncounted[a, g0 + g]:
                            skip[a, to[d]] |= bit
                        if a == 0 and t == 0:
                            found[to[d]] = 1 + g0 + g
            for d in range(d0, d1):
                if detection_area[d] < ranges[a, 0] or detection_area[d] > ranges[a, 1]:
                    skip[a, to[d]] |= ~hit[a, to[d]] & ALL_BITS


@kernel_helper
def _best_similarities(similarity: NDArray[np.float64], at: int, width: int, top: NDArray[np.float64]) -> float:
    """Write the highest similarity of each detection of a run into `top`; return the highest of all."""
    best = 0.0
    for d in range(len(top)):
        top[d] = 0.0
        for g in range(width):
            top[d] = max(top[d], similarity[at + d * width + g])
        best = max(best, top[d])
    return best


@kernel_helper
def _order_counted_first(uncounted: NDArray[np.bool_], order: NDArray[np.int64]) -> None:
    """Write the objects that count, then those that do not, each in the file's order."""
    place = 0
    for wanted in (False, True):
        for g in range(len(uncounted)):
            if uncounted[g] == wanted:
                order[place] = g
                place += 1


@kernel_helper
def _best_object(
    similarity: NDArray[np.float64],
    min_similarity: float,
    order: NDArray[np.int64],
    taken: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    uncounted: NDArray[np.bool_],
) -> int:
    """Return the free object that a detection overlaps most, the last of equal ones; −1: none reaches `min_similarity`.

    An object that does not count is taken only if no counted one matches; a crowd may be taken any number of times.
    """
    match = -1
    for place in range(len(similarity)):
        g = order[place]
        if taken[g] and not crowd[g]:
            continue
        if match >= 0 and not uncounted[match] and uncounted[g]:
            break
        if similarity[g] >= min_similarity:
            min_similarity, match = similarity[g], g
    return match
