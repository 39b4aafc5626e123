"""Boxes: formats, IoU and shape guards. A box is `xyxy` in pixels, float64, everywhere inside Liftgate.

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
        ValueError: with the expected and the given shape.

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
    """(n, 4) left, top, width, height → left, top, right, bottom.

    >>> xywh_to_xyxy(np.array([[1., 2., 3., 4.]])).tolist()
    [[1.0, 2.0, 4.0, 6.0]]
    """
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(boxes: Boxes) -> Boxes:
    """(n, 4) left, top, right, bottom → left, top, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def cxcywh_to_xyxy(boxes: Boxes, sizes: NDArray[np.float64]) -> Boxes:
    """(n, 4) YOLO fractions → pixels; `sizes` is (n, 2) or (2,): image width, height.

    >>> cxcywh_to_xyxy(np.array([[.5, .5, .2, .4]]), np.array([100., 50.])).tolist()
    [[40.0, 15.0, 60.0, 35.0]]
    """
    centre, half = boxes[:, :2] * sizes, boxes[:, 2:] * sizes / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def xyxy_to_cxcywh(boxes: Boxes, sizes: NDArray[np.float64]) -> Boxes:
    """(n, 4) pixels → YOLO fractions; `sizes` is (n, 2) or (2,): image width, height."""
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centre / sizes, size / sizes], axis=1)


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """Areas of (n, 4) boxes in pixel², shape (n,); a box turned inside out has area 0."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.maximum(width, 0) * np.maximum(height, 0)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every pair, shape (len(a), len(b)); 0 where the union is empty.

    >>> iou(np.array([[0., 0., 2., 2.]]), np.array([[1., 0., 3., 2.]])).round(4).tolist()
    [[0.3333]]
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=2)
    union = areas(a)[:, None] + areas(b)[None, :] - overlap
    ratio: NDArray[np.float64] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratio
