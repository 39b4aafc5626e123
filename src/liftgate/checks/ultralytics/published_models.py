"""List the models that Ultralytics publishes (as of 8.4): file names, sizes, and memory needed to train them.

Sizes are measured, not read off a page: each model was built from its description (Ultralytics 8.4.190, 80 classes) and
run forward in training mode on the CPU in float32 at 256 pixels; counted is the storage, each once, of every tensor
that automatic differentiation kept for the backward pass. It grows with the pixels of a batch; mixed precision keeps
about half.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from liftgate import suggestions


class ModelSize(NamedTuple):
    """The size of a model."""

    parameters: float
    """Millions"""
    kept: float
    """Bytes that training keeps for every pixel of a batch, in float32"""


_SIZES: dict[str, ModelSize] = {
    "yolov8n": ModelSize(3.16, 470),
    "yolov8s": ModelSize(11.17, 881),
    "yolov8m": ModelSize(25.90, 1581),
    "yolov8l": ModelSize(43.69, 2455),
    "yolov8x": ModelSize(68.23, 3066),
    "yolo11n": ModelSize(2.62, 542),
    "yolo11s": ModelSize(9.46, 1018),
    "yolo11m": ModelSize(20.11, 2168),
    "yolo11l": ModelSize(25.37, 2785),
    "yolo11x": ModelSize(56.97, 4172),
    "yolo12n": ModelSize(2.60, 636),
    "yolo12s": ModelSize(9.28, 1205),
    "yolo12m": ModelSize(20.20, 2401),
    "yolo12l": ModelSize(26.45, 3283),
    "yolo12x": ModelSize(59.21, 4919),
    "yolo26n": ModelSize(2.57, 642),
    "yolo26s": ModelSize(10.01, 1225),
    "yolo26m": ModelSize(21.90, 2477),
    "yolo26l": ModelSize(26.30, 3081),
    "yolo26x": ModelSize(58.99, 4615),
}
_NAME = re.compile(r"(yolo(?:v8|11|12|26)[nsmlx])(?:-pose)?\.(?:pt|ya?ml)")


def model_size(weights: str | None) -> ModelSize | None:
    """Return the size of a model by the name of its weights; None for one that was not measured.

    Pose models take a little more than their detectors, whose figures are used for them.

    >>> model_size("weights/yolov8n-pose.pt")
    ModelSize(parameters=3.16, kept=470)
    >>> model_size("best.pt") is None
    True
    """
    found = _NAME.fullmatch((weights or "").rsplit("/", 1)[-1])
    return _SIZES[found[1]] if found else None


_LETTERS = "nsmlx"
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "yolov8": (_LETTERS, ("", "-cls", "-seg", "-pose", "-obb", "-oiv7")),
    "yolo11": (_LETTERS, ("", "-cls", "-seg", "-pose", "-obb")),
    "yolo12": (_LETTERS, ("",)),
    "yolo26": (_LETTERS, ("", "-cls", "-seg", "-pose", "-obb", "-sem", "-depth")),
    "yolov5": (_LETTERS, ("u", "6u")),
    "yolov9": ("tsmce", ("",)),
    "yolov10": ("nsmblx", ("",)),
    "rtdetr-": ("lx", ("",)),
}
OFFICIAL = frozenset(
    f"{family}{size}{suffix}.pt"
    for family, (sizes, suffixes) in _FAMILIES.items()
    for size in sizes
    for suffix in suffixes
) | {"yolov3u.pt", "yolov3-spp.pt", "yolov3-tinyu.pt", "yolov8x-pose-p6.pt"}


def nearest_official(name: str) -> str | None:
    """Return the published name that a mistyped name probably means, or None.

    >>> nearest_official("yolo8n.pt"), nearest_official("yolov11n.pt")
    ('yolov8n.pt', 'yolo11n.pt')
    """
    lowered = name.lower() if name.lower().endswith(".pt") else f"{name.lower()}.pt"
    for spelling in (lowered.replace("yolov", "yolo"), lowered.replace("yolo", "yolov")):  # only 11 and later have no v
        if spelling in OFFICIAL:
            return spelling
    return suggestions.nearest(lowered, OFFICIAL, cutoff=0.8)
