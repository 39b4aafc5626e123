"""Convert box formats, check shapes, and compute areas and IoU. Inside Liftgate a box is float64 `xyxy` in pixels.

xyxy    left, top, right, bottom, pixels; continuous: width = right − left (no +1)
xywh    left, top, width, height, pixels (COCO)
cxcywh  centre and size, fractions of the image (YOLO)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes = NDArray[np.float64]


def as_boxes(values: ArrayLike, name: str = "boxes") -> Boxes:
    """Return `values` as a float64 array of shape (n, 4); an empty list becomes (0, 4).

    Raises:
        ValueError: `values` has another shape.

    >>> as_boxes([]).shape
    (0, 4)
    """
    boxes = np.asarray(values, dtype=np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"expected {name} of shape (n, 4), got {boxes.shape}")
    return boxes


def xywh_to_xyxy(boxes: Boxes) -> Boxes:
    """Return boxes (n, 4) converted from left, top, width, height to left, top, right, bottom.

    >>> xywh_to_xyxy(np.array([[1., 2., 3., 4.]])).tolist()
    [[1.0, 2.0, 4.0, 6.0]]
    """
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(boxes: Boxes) -> Boxes:
    """Return boxes (n, 4) converted from left, top, right, bottom to left, top, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def cxcywh_to_xyxy(boxes: Boxes, sizes: NDArray[np.float64]) -> Boxes:
    """Return boxes (n, 4) converted from cxcywh in fractions to xyxy in pixels.

    Args:
        boxes: centre and size, in fractions of the image.
        sizes: width and height of the images in pixels, shape (n, 2), or (2,) for one size.

    >>> cxcywh_to_xyxy(np.array([[.5, .5, .2, .4]]), np.array([100., 50.])).tolist()
    [[40.0, 15.0, 60.0, 35.0]]
    """
    centre, half = boxes[:, :2] * sizes, boxes[:, 2:] * sizes / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def xyxy_to_cxcywh(boxes: Boxes, sizes: NDArray[np.float64]) -> Boxes:
    """Return boxes (n, 4) converted from xyxy in pixels to cxcywh in fractions; `sizes` as in `cxcywh_to_xyxy`."""
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centre / sizes, size / sizes], axis=1)


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """Return the areas of boxes (n, 4) in square pixels, shape (n,); 0 where right < left or bottom < top."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.maximum(width, 0) * np.maximum(height, 0)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union of every pair, shape (len(a), len(b)); 0 where the union is empty.

    >>> iou(np.array([[0., 0., 2., 2.]]), np.array([[1., 0., 3., 2.]])).round(4).tolist()
    [[0.3333]]
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=2)
    union = areas(a)[:, None] + areas(b)[None, :] - overlap
    ratio: NDArray[np.float64] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratio
