"""From a model's output to detections: scores above the threshold, non-maximum suppression, the image's pixels.

The rules are those of Ultralytics' validation: each class of an anchor counts for itself, boxes of different classes
do not suppress each other, at most 30,000 candidates and `max_det` detections. It never gives up on time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.deploy.export.card import OutputContract, UseSettings
from liftgate.deploy.runtime.letterbox import Placement
from liftgate.errors import DataError
from liftgate.kernels.suppression import suppress

_MOST_CANDIDATES = 30_000
_ROUNDED = 1.01
"""A score of 1 in 16 bits may be a little above it"""
_CLASS_OFFSET = 7680
"""Pixels by which boxes of the next class are moved away: 32-bit boxes, as in Ultralytics, so that both round alike"""

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """Detections of one image, best first."""

    boxes: NDArray[np.float64]
    """(n, 4) xyxy in pixels of the image"""
    scores: NDArray[np.float64]
    """(n,)"""
    cls: NDArray[np.int64]
    """(n,) index of the model's classes"""
    keypoints: NDArray[np.float64] | None = None
    """(n, K, 3) x, y, confidence (1 where the model gives none)"""


def choose_detections(
    output: NDArray[np.generic], contract: OutputContract, placement: Placement, use: UseSettings
) -> Detections:
    """Return the detections in a model's output for one image.

    Args:
        output: (4 + classes + keypoint values, anchors), or (n, 6 + keypoint values) where NMS is inside the model.
        contract: what the output holds.
        placement: where the image lies on the input.
        use: thresholds.

    Raises:
        DataError: the output has another shape than the contract says, or is not a number.
    """
    values = np.asarray(output, dtype=np.float32)
    rows = _rows(values, contract)
    if not np.isfinite(rows).all():
        raise DataError("the model's output has values that are no numbers", got=f"{int((~np.isfinite(rows)).sum())}")
    if contract.layout == "detections":
        boxes, scores, cls, points = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), rows[:, 6:]
        chosen = np.flatnonzero(scores > use.conf * contract.score_scale)
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")][: use.max_det]
        boxes, scores, cls, points = boxes[chosen], scores[chosen], cls[chosen], points[chosen]
        boxes = _corners(boxes) if contract.boxes == "cxcywh" else boxes
    else:
        boxes, scores, cls, points = _suppressed(rows, contract, use)
    if len(cls) and not 0 <= int(cls.min()) <= int(cls.max()) < len(contract.classes):
        expected, got = f"0 … {len(contract.classes) - 1}", f"{int(cls.min())} … {int(cls.max())}"
        raise DataError("the model gives classes that its card does not have", expected=expected, got=got)
    keypoints = None
    if contract.keypoints is not None:
        keypoints = _keypoints(points.astype(np.float64).reshape(-1, *contract.keypoints), placement)
    if len(scores) and float(scores.max()) > contract.score_scale * _ROUNDED:
        what, expected = "the model gives scores above the scale of its card", f"at most {contract.score_scale:g}"
        raise DataError(what, expected=expected, got=f"{float(scores.max()):g}")
    corners = placement.to_image(boxes.astype(np.float64).reshape(-1, 2, 2)).reshape(-1, 4)
    return Detections(corners, scores.astype(np.float64) / contract.score_scale, cls, keypoints)


def _rows(values: Floats32, contract: OutputContract) -> Floats32:
    points = 0 if contract.keypoints is None else contract.keypoints[0] * contract.keypoints[1]
    if contract.layout == "detections":
        if values.ndim != 2 or values.shape[1] != 6 + points:
            raise DataError("the output has another shape", expected=f"(n, {6 + points})", got=values.shape)
        return values
    expected = 4 + len(contract.classes) + points
    if values.ndim != 2 or values.shape[0] != expected:
        raise DataError("the output has another shape", expected=f"({expected}, anchors)", got=values.shape)
    return values.T


def _suppressed(
    rows: Floats32, contract: OutputContract, use: UseSettings
) -> tuple[Floats32, Floats32, NDArray[np.int64], Floats32]:
    """Return boxes (xyxy on the input), scores, classes and keypoint values of the detections, best first."""
    n_classes = len(contract.classes)
    all_scores = rows[:, 4 : 4 + n_classes]
    anchor, cls = np.nonzero(all_scores > np.float32(use.conf * contract.score_scale))
    scores = all_scores[anchor, cls]
    order = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
    anchor, cls, scores = anchor[order], cls[order].astype(np.int64), scores[order]
    boxes = rows[anchor, :4] if contract.boxes == "xyxy" else _corners(rows[anchor, :4])
    kept = nms(boxes, cls, use)
    return boxes[kept], scores[kept], cls[kept], rows[anchor[kept], 4 + n_classes :]


def nms(boxes: Floats32, cls: NDArray[np.int64], use: UseSettings) -> NDArray[np.int64]:
    """Return the indices of the boxes that non-maximum suppression keeps.

    Args:
        boxes: (n, 4) xyxy, best first.
        cls: (n,) classes; only boxes of one class suppress each other.
        use: the limit of IoU, and the most boxes.
    """
    apart = np.ascontiguousarray(boxes + (cls.astype(np.float32) * np.float32(_CLASS_OFFSET))[:, None])
    areas = (apart[:, 2] - apart[:, 0]) * (apart[:, 3] - apart[:, 1])
    kept = np.empty(min(use.max_det, max(len(boxes), 1)), dtype=np.int64)
    count = suppress(apart, areas, float(use.iou), np.zeros(len(boxes), dtype=np.uint8), kept)
    return kept[:count]


def _corners(boxes: Floats32) -> Floats32:
    half = boxes[:, 2:] / np.float32(2)
    corners: Floats32 = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners


def _keypoints(points: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    sure = points[..., 2:] if points.shape[-1] == 3 else np.ones((*points.shape[:-1], 1))
    return np.concatenate([placement.to_image(points[..., :2]), sure], axis=-1)
