"""Other ways to read boxes than as they are stored: each undoes one mistake that converters make.

Transforms work on fractions of the image and leave every box in the data. Units are another matter: numbers in pixels
where fractions are due lie so far outside that the reader leaves out every row, so they are read from the files again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from liftgate.data.core.dataset import Dataset, Labels, stack_labels

Floats = NDArray[np.float64]
STORED = "as stored"
NEXT, PREVIOUS = "shifted from the next image", "shifted from the image before"

_UNITS: Mapping[str, float | None] = {
    "in pixels": None,
    "in percent": 100.0,
    "on a grid of 1000": 1000.0,
    "on a grid of 1024": 1024.0,
}
"""What the numbers are divided by; None: the image's size. The largest number rules some of them out."""
_TWICE = "divided by the image size once too often"
_OUTSIDE = 2.0  # fractions of the image: what lies beyond is no box over the edge, but in another unit
_LARGEST = 1e6  # no picture has so many pixels on a side: larger numbers are no coordinates in any unit
_SPECK = 2.0  # pixels: more is a box that somebody may have meant


READINGS = (
    STORED,
    "transposed",
    "mirrored",
    "upside down",
    "rotated by 180°",
    "rotated by 90° clockwise",
    "rotated by 90° anticlockwise",
    "corner-for-centre",
    "centre-for-corner",
    "two corners for centre and size",
)
"""Mistakes that converters make, by name; each reading undoes one"""
_SCALED, _AND = "scaled by ", " and "
_GRIDS = {"1000/1024": 1000 / 1024, "1024/1000": 1024 / 1000}
_CLOSE = 0.004  # a factor that is one of a known mistake


def read_boxes(boxes: Floats, name: str) -> Floats:
    """Return boxes (n, 4), centre and size in fractions of the image, with the named mistake undone.

    >>> read_boxes(np.array([[0.2, 0.4, 0.1, 0.3]]), "transposed and scaled by 0.5").tolist()
    [[0.8, 0.4, 0.6, 0.2]]

    Raises:
        KeyError: for a name that is no reading, such as labels of another image.
    """
    first, _, second = name.partition(_AND + _SCALED)
    if second:
        return read_boxes(read_boxes(boxes, first), _SCALED + second)
    if name.startswith(_SCALED):
        return boxes / scale_factor(name)
    x, y, w, h = boxes.T
    columns = {
        STORED: (x, y, w, h),
        "transposed": (y, x, h, w),
        "mirrored": (1 - x, y, w, h),
        "upside down": (x, 1 - y, w, h),
        "rotated by 180°": (1 - x, 1 - y, w, h),
        "rotated by 90° clockwise": (y, 1 - x, h, w),
        "rotated by 90° anticlockwise": (1 - y, x, h, w),
        "corner-for-centre": (x + w / 2, y + h / 2, w, h),
        "centre-for-corner": (x - w / 2, y - h / 2, w, h),
        "two corners for centre and size": ((x + w) / 2, (y + h) / 2, w - x, h - y),
    }
    return np.stack(columns[name], axis=1)


def scale_factor(name: str) -> float:
    """Return the factor in the name of a scaled reading.

    >>> scale_factor("transposed and scaled by 0.95"), scale_factor("scaled by 1024/1000")
    (0.95, 1.024)
    """
    factor = name.rpartition(_SCALED)[2]
    return _GRIDS[factor] if factor in _GRIDS else float(factor)


def scaled_by(factor: float, after: str = STORED) -> str:
    """Return the name of the mistake that multiplied every coordinate by `factor`.

    >>> scaled_by(0.976), scaled_by(0.95, "transposed")
    ('scaled by 1000/1024', 'transposed and scaled by 0.95')
    """
    known = [name for name, value in _GRIDS.items() if abs(value - factor) < _CLOSE]
    name = _SCALED + (known[0] if known else f"{factor:.3g}")
    return name if after == STORED else after + _AND + name


TRANSFORMS = (
    *READINGS,
    *(_SCALED + grid for grid in _GRIDS),
    # What became of labels on a grid of 1024, y before x, that were read on a grid of 1000, x before y.
    *("transposed" + _AND + _SCALED + grid for grid in _GRIDS),
    NEXT,
    PREVIOUS,
)
"""Every mistake that has a name of its own; `as stored` first"""

_DESCRIPTIONS = {
    "transposed": "the boxes are transposed (x and y exchanged)",
    "corner-for-centre": "the boxes have their corner where the centre belongs (corner-for-centre)",
    "centre-for-corner": "the boxes have their centre where the corner belongs (centre-for-corner)",
    "two corners for centre and size": "the boxes are two corners (xyxy) where centre and size belong",
    NEXT: "the labels are shifted: each image has those of the next",
    PREVIOUS: "the labels are shifted: each image has those of the one before",
}


def describe_transform(transform: str) -> str:
    """Return a transform as the beginning of a sentence.

    >>> describe_transform("mirrored")
    'the boxes are mirrored'
    >>> describe_transform("in pixels, corner-for-centre")
    'the boxes are in pixels, corner-for-centre'
    """
    return _DESCRIPTIONS.get(transform, f"the boxes are {transform}")


def in_other_units(dataset: Dataset) -> dict[str, Dataset]:
    """Return the data set as each unit that its numbers may be in reads it; nothing where they are what is due.

    Only when more than half of all rows are far outside their images, or smaller than 2 pixels and than what anybody
    draws: a few such rows are slips, which other rules name.
    """
    lost = _far_outside(dataset)
    if len(lost) > len(dataset.labels):
        other = tuple(fault for fault in dataset.faults if fault.kind != "row_out_of_range")
        largest = float(np.quantile(np.abs(lost.boxes).max(axis=1), 0.99))
        return {
            unit: replace(dataset, labels=stack_labels([dataset.labels, _divided(dataset, lost, by)]), faults=other)
            for unit, by in _UNITS.items()
            if by is None or by / 2 < largest <= by * 1.05
        }
    sides = dataset.labels.boxes[:, 2:] - dataset.labels.boxes[:, :2]
    if len(sides) and float((sides.max(axis=1) < _SPECK).mean()) > 0.5:
        sizes = np.array([image.upright for image in dataset.images], dtype=np.float64)[dataset.labels.image]
        boxes = np.clip(dataset.labels.boxes, -_LARGEST, _LARGEST) * np.tile(sizes, 2)
        unit = _TWICE if dataset.format == "yolo" else "in fractions of the image"
        return {unit: replace(dataset, labels=replace(dataset.labels, boxes=boxes))}
    return {}


def read_as(dataset: Dataset, transform: str) -> Dataset:
    """Return the data set with its boxes read as `transform`, a name that the geometry probe gave, says.

    Raises:
        KeyError: for labels of another image, and for a name that the probe does not give.
    """
    unit, _, rest = transform.partition(", ")
    units = in_other_units(dataset)
    if unit in units:
        dataset, transform = units[unit], rest or STORED
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64)[dataset.labels.image]
    # A row of its image's size: the readers' converters take one size for all rows.
    scale = np.tile(sizes, 2)
    fractions = xyxy_to_cxcywh(dataset.labels.boxes / scale, np.ones(2))
    boxes = cxcywh_to_xyxy(read_boxes(fractions, transform), np.ones(2)) * scale
    return replace(dataset, labels=replace(dataset.labels, boxes=boxes))


def _far_outside(dataset: Dataset) -> Labels:
    """Rows of a YOLO set that were left out because their numbers lie far outside 0 … 1; boxes as they stand there."""
    lines: dict[str, list[int]] = defaultdict(list)
    for fault in dataset.faults:
        path, _, line = fault.where.rpartition(":")
        if fault.kind == "row_out_of_range" and line.isdigit():
            lines[path].append(int(line))
    by_label = {str(image.label): index for index, image in enumerate(dataset.images) if image.label is not None}
    found = []
    for path, numbers in lines.items() if dataset.format == "yolo" and dataset.keypoints is None else ():
        try:
            rows = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
            table = [[float(word) for word in rows[number - 1].split()] for number in numbers]
        except (OSError, IndexError, ValueError):
            continue  # changed since it was read
        found += [
            (by_label[path], int(row[0]), row[1:], number)
            for row, number in zip(table, numbers, strict=True)
            if path in by_label and len(row) == 5 and _OUTSIDE < np.abs(row[1:]).max() < _LARGEST
        ]
    image, cls, boxes, line_numbers = zip(*found, strict=True) if found else ((), (), (), ())
    return Labels.build(image, cls, np.array(boxes).reshape(-1, 4), line=line_numbers)


def _divided(dataset: Dataset, lost: Labels, by: float | None) -> Labels:
    """The rows as boxes in pixels, when their numbers are in a unit."""
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64)[lost.image]
    scale = np.tile(sizes, 2) if by is None else by
    return replace(lost, boxes=cxcywh_to_xyxy(lost.boxes / np.maximum(scale, 1), np.ones(2)) * np.tile(sizes, 2))
