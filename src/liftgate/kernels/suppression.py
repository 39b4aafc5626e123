"""Greedy non-maximum suppression of boxes that are sorted by score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled


@compiled
def suppress(
    boxes: NDArray[np.float32],
    areas: NDArray[np.float32],
    iou: float,
    dropped: NDArray[np.uint8],
    kept: NDArray[np.int64],
) -> int:
    """Write the indices of the boxes that are kept into `kept` and return their number.

    A box is dropped if its intersection over union with an earlier box that is kept exceeds `iou`; it ends when
    `kept` is full. In 32 bits, as torch computes it, so that boxes at the limit are decided alike.

    Args:
        boxes: (n, 4) xyxy, best first.
        areas: (n,) of the boxes.
        iou: the limit.
        dropped: (n,) zeros; overwritten.
        kept: (most,) overwritten.
    """
    count = 0
    zero = areas.dtype.type(0)
    for i in range(len(boxes)):
        if dropped[i]:
            continue
        kept[count] = i
        count += 1
        if count == len(kept):
            break
        for j in range(i + 1, len(boxes)):
            if dropped[j]:
                continue
            width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if width > zero and height > zero:
                overlap = width * height
                if overlap / (areas[i] + areas[j] - overlap) > iou:
                    dropped[j] = 1
    return count
