"""How large the published models are, and what training one keeps in memory.

Measured, not read off a page: each model was built from its description (Ultralytics 8.4.190, 80 classes) and run
forward in training mode on the CPU in float32 at 256 pixels; counted is the storage, each once, of every tensor that
automatic differentiation kept for the way back. It grows with the pixels of a batch; mixed precision keeps about half.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Size(NamedTuple):
    """What a model takes."""

    parameters: float
    """Millions"""
    kept: float
    """Bytes that training keeps for every pixel of a batch, in float32"""


_SIZES: dict[str, Size] = {
    "yolov8n": Size(3.16, 470),
    "yolov8s": Size(11.17, 881),
    "yolov8m": Size(25.90, 1581),
    "yolov8l": Size(43.69, 2455),
    "yolov8x": Size(68.23, 3066),
    "yolo11n": Size(2.62, 542),
    "yolo11s": Size(9.46, 1018),
    "yolo11m": Size(20.11, 2168),
    "yolo11l": Size(25.37, 2785),
    "yolo11x": Size(56.97, 4172),
    "yolo12n": Size(2.60, 636),
    "yolo12s": Size(9.28, 1205),
    "yolo12m": Size(20.20, 2401),
    "yolo12l": Size(26.45, 3283),
    "yolo12x": Size(59.21, 4919),
    "yolo26n": Size(2.57, 642),
    "yolo26s": Size(10.01, 1225),
    "yolo26m": Size(21.90, 2477),
    "yolo26l": Size(26.30, 3081),
    "yolo26x": Size(58.99, 4615),
}
_NAME = re.compile(r"(yolo(?:v8|11|12|26)[nsmlx])(?:-pose)?\.(?:pt|ya?ml)")


def size_of(weights: str | None) -> Size | None:
    """Return what a model takes by the name of its weights; None for one that was not measured.

    Pose models take a little more than their detectors, whose figures stand for them.

    >>> size_of("weights/yolov8n-pose.pt")
    Size(parameters=3.16, kept=470)
    >>> size_of("best.pt") is None
    True
    """
    found = _NAME.fullmatch((weights or "").rsplit("/", 1)[-1])
    return _SIZES[found[1]] if found else None
