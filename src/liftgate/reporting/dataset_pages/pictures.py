"""Pictures with labels drawn over them, in pixels of the upright image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liftgate.boxes import Boxes
from liftgate.data.core.dataset import Dataset, Image
from liftgate.reporting.pictures import small_jpeg

CROWDED = 12
"""From so many boxes on, the most common class of a picture is not written at each of its boxes."""


@dataclass(frozen=True, slots=True)
class DrawnLabel:
    """A rectangle over a picture."""

    xyxy: tuple[float, float, float, float]
    """Pixels of the image upright"""
    text: str
    """Empty: nothing is written beside it"""
    kind: str
    """Style: `c0` … `c5` by class, or `both`, `only-a`, `only-b`, `class`"""


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture with its marks."""

    name: str
    width: int
    height: int
    jpeg: bytes | None
    marks: tuple[DrawnLabel, ...]
    note: str = ""
    group: str | None = None

    def of(self, kind: str) -> tuple[DrawnLabel, ...]:
        """Return the labels of one style."""
        return tuple(mark for mark in self.marks if mark.kind == kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Styles that occur, in order."""
        return tuple(dict.fromkeys(mark.kind for mark in self.marks))


def labelled_picture(dataset: Dataset, index: int, styles: Sequence[str]) -> LabelledPicture:
    """Return a picture of one image with its labels; `styles` has the style of each class."""
    image = dataset.images[index]
    rows = np.flatnonzero(dataset.labels.image == index)
    classes = dataset.labels.cls[rows]
    quiet = int(np.bincount(classes).argmax()) if len(rows) > CROWDED else -1
    marks = [
        DrawnLabel(box_corners(dataset.labels.boxes, row), "" if cls == quiet else dataset.classes[cls], styles[cls])
        for row, cls in zip(rows.tolist(), classes.tolist(), strict=True)
    ]
    note = f"{len(rows)} objects" if len(rows) != 1 else "1 object"
    if quiet >= 0:
        note += f"; not written: {dataset.classes[quiet]}"
    if image.label is None:
        note = "no label file"
    return LabelledPicture(image.id, *drawing_size(image), small_jpeg(image.path), tuple(marks), note, image.group)


def drawing_size(image: Image) -> tuple[int, int]:
    """Return width and height to draw in, also of an image that cannot be read."""
    width, height = image.upright
    return width or 4, height or 3


def box_corners(boxes: Boxes, row: int) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of one row of (n, 4) boxes."""
    left, top, right, bottom = (float(value) for value in boxes[row])
    return left, top, right, bottom
