"""Pictures of a report: a small copy of an image with the boxes to draw over it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.pictures import open_picture
from liftgate.data.core.predictions import Predictions
from liftgate.reporting.content import DrawnBox, Panel, Picture

LONGEST_SIDE = 320
"""Longest side of the copy in pixels: sharp enough at half the width of a page, about 10 to 20 KB."""
PAGE_BYTES = 7_000_000
"""Of all pictures of a page together, as base64: with the rest a page has at most 8 MB"""
_MAX_PIXELS = 200_000_000  # a larger image is a bomb, or slide-scanner data that a report need not decode


class PictureBudget:
    """Bytes that the pictures of one page may still take."""

    def __init__(self, limit: int = PAGE_BYTES) -> None:
        self._left = limit

    def take(self, made: Picture, keep: int = 0) -> bool:
        """Return whether a picture still fits, and count it.

        Args:
            made: the picture.
            keep: bytes to leave for others.
        """
        size = 4 * len(made.jpeg or b"") // 3 + 120 * (len(made.truth) + sum(len(panel.boxes) for panel in made.panels))
        if self._left - size < keep:
            return False
        self._left -= size
        return True


def picture(
    truth: Dataset,
    image: int,
    arms: Mapping[str, Predictions],
    *,
    conf: float,
    note: str = "",
    panel_notes: Mapping[str, str] | None = None,
) -> Picture:
    """Return image number `image` of `truth` with its labels, and each arm's detections from confidence `conf` up.

    Boxes count pixels of the image upright. An image that cannot be read gives a Picture without pixels.
    """
    record = truth.images[image]
    rows = np.flatnonzero(truth.labels.image == image)
    panels = tuple(
        Panel(arm, _detections(predictions, record.id, conf), (panel_notes or {}).get(arm, ""))
        for arm, predictions in arms.items()
    )
    points = truth.labels.keypoints
    boxes = [
        DrawnBox(
            _corners(truth.labels.boxes[row]),
            truth.classes[truth.labels.cls[row]],
            points=() if points is None else _known_points(points[row]),
        )
        for row in rows
    ]
    return Picture(
        record.id,
        record.upright[0] or 1,
        record.upright[1] or 1,
        small_jpeg(record.path),
        tuple(boxes),
        panels,
        record.group,
        note,
    )


def small_jpeg(path: Path, side: int = LONGEST_SIDE) -> bytes | None:
    """Return a JPEG copy of at most `side` pixels, upright (EXIF applied, as boxes count); None: unreadable.

    Metadata (place, device, thumbnails of what was cropped away) is left behind.
    """
    import PIL.Image
    import PIL.ImageOps

    try:
        with open_picture(path) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                return None
            opened.draft("RGB", (side * 2, side * 2))  # JPEG: decode at a fraction of the size
            small = _as_rgb(PIL.ImageOps.exif_transpose(opened))
            small.thumbnail((side, side))
            out = io.BytesIO()
            small.save(out, "JPEG", quality=82, optimize=True)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return None
    return out.getvalue()


def _as_rgb(opened: PIL.Image.Image) -> PIL.Image.Image:  # type: ignore[name-defined]  # noqa: F821
    import PIL.Image

    if opened.mode in ("I", "F", "I;16", "I;16B", "I;16L"):  # 16 bit and up: convert() would clip to white
        values = np.asarray(opened, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        return PIL.Image.fromarray(((values - low) * (255 / ((high - low) or 1))).astype(np.uint8)).convert("RGB")
    return opened.convert("RGB")


def _detections(predictions: Predictions, image: str, conf: float) -> tuple[DrawnBox, ...]:
    if image not in predictions.images:
        return ()
    rows = np.flatnonzero((predictions.image == predictions.images.index(image)) & (predictions.scores >= conf))
    points = predictions.keypoints
    return tuple(
        DrawnBox(
            _corners(predictions.boxes[r]),
            predictions.classes[predictions.cls[r]],
            float(predictions.scores[r]),
            () if points is None else _known_points(points[r]),
        )
        for r in rows
    )


def _known_points(points: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return x and y of keypoints (K, 3) that have a place: visibility, or confidence, above 0."""
    return tuple((float(x), float(y)) for x, y, known in points if known > 0)


def _corners(box: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in box)
    return left, top, right, bottom
