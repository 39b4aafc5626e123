"""The `Predictions` record: detections on a set of images, from any detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes
from liftgate.hashing import content_hash


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """One row per detection; every column has the same length n. Order within equal scores is the file's order."""

    images: tuple[str, ...]
    """Ids of the images that were predicted on, including those without a detection."""
    classes: tuple[str, ...]
    image: NDArray[np.int64]
    """(n,) index into images"""
    cls: NDArray[np.int64]
    """(n,) index into classes"""
    boxes: Boxes
    """(n, 4) xyxy in pixels of the image upright (Image.upright); NaN where `image_level`"""
    scores: NDArray[np.float64]
    """(n,) confidence"""
    keypoints: NDArray[np.float64] | None = None
    """(n, K, 3) x, y in pixels, confidence"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Prediction settings: imgsz, conf, iou, max_det, rect, weights (SHA-256), backend and its version, device."""
    sides: NDArray[np.float64] | None = None
    """(n, 2) width and height as the file has them, as `Labels.sides`; None: not in the file; not hashed"""
    notes: tuple[str, ...] = ()
    """Assumptions of the reader, reported with every metric; not hashed"""
    guessed_numbering: str = ""
    """How class numbers were read where this is not declared; empty: declared, or no class numbers; not hashed"""
    has_boxes: bool = True
    """False: the file has no boxes, each is the box around its keypoints; not hashed"""

    def __len__(self) -> int:
        return len(self.image)

    @property
    def image_level(self) -> bool:
        """Whether these are predictions for whole images, without boxes."""
        return self.settings.get("answers") == "image"

    def content_hash(self) -> str:
        """Return the hash of detections and settings."""
        columns = (self.image, self.cls, self.boxes, self.scores, self.keypoints)
        return content_hash([self.images, self.classes, columns, dict(self.settings)])
