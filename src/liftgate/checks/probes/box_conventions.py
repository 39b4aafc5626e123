"""Undo mistakes of converters in boxes: exchanged axes, mirrored or rotated boxes, wrong formats, scales and units.

Transforms work on boxes in fractions of the image. Wrong units are handled separately: numbers in pixels where
fractions are expected lie so far outside that the reader drops every row, so the rows are read from the files again.
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
"""Unit → divisor of the numbers; None: the image's size. The largest number rules some units out."""
_NORMALISED_TWICE = "divided by the image size once too often"
_MAX_FRACTION = 2.0  # of the image: larger numbers are in another unit, not over the edge
_MAX_COORDINATE = 1e6  # pixels: larger numbers are no coordinates in any unit
_MIN_SIDE = 2.0  # pixels: larger boxes may be intended


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
"""Mistakes of converters, by name; `as stored` is none. `read_boxes` undoes each"""
_SCALED_BY, _AND = "scaled by ", " and "
_GRIDS = {"1000/1024": 1000 / 1024, "1024/1000": 1024 / 1000}
_GRID_TOLERANCE = 0.004  # from a known factor, within which a factor gets its name


def read_boxes(boxes: Floats, name: str) -> Floats:
    """Return boxes (n, 4), cxcywh in fractions of the image, with the named mistake undone.

    >>> read_boxes(np.array([[0.2, 0.4, 0.1, 0.3]]), "transposed and scaled by 0.5").tolist()
    [[0.8, 0.4, 0.6, 0.2]]

    Raises:
        KeyError: `name` is no reading of an image's own boxes.
    """
    first, _, second = name.partition(_AND + _SCALED_BY)
    if second:
        return read_boxes(read_boxes(boxes, first), _SCALED_BY + second)
    if name.startswith(_SCALED_BY):
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
    factor = name.rpartition(_SCALED_BY)[2]
    return _GRIDS[factor] if factor in _GRIDS else float(factor)


def scaled_by(factor: float, after: str = STORED) -> str:
    """Return the name of the mistake that multiplied every coordinate by `factor`.

    >>> scaled_by(0.976), scaled_by(0.95, "transposed")
    ('scaled by 1000/1024', 'transposed and scaled by 0.95')
    """
    known = [name for name, value in _GRIDS.items() if abs(value - factor) < _GRID_TOLERANCE]
    name = _SCALED_BY + (known[0] if known else f"{factor:.3g}")
    return name if after == STORED else after + _AND + name


TRANSFORMS = (
    *READINGS,
    *(_SCALED_BY + grid for grid in _GRIDS),
    # Labels on a grid of 1024, y before x, that were read on a grid of 1000, x before y.
    *("transposed" + _AND + _SCALED_BY + grid for grid in _GRIDS),
    NEXT,
    PREVIOUS,
)
"""Every mistake with a fixed name; `as stored` first"""

_DESCRIPTIONS = {
    "transposed": "the boxes are transposed (x and y exchanged)",
    "corner-for-centre": "the boxes have their corner where the centre belongs (corner-for-centre)",
    "centre-for-corner": "the boxes have their centre where the corner belongs (centre-for-corner)",
    "two corners for centre and size": "the boxes are two corners (xyxy) where centre and size belong",
    NEXT: "the labels are shifted: each image has those of the next",
    PREVIOUS: "the labels are shifted: each image has those of the one before",
}


def describe_transform(transform: str) -> str:
    """Return what a transform means for the boxes, as the beginning of a sentence.

    >>> describe_transform("mirrored")
    'the boxes are mirrored'
    >>> describe_transform("in pixels, corner-for-centre")
    'the boxes are in pixels, corner-for-centre'
    """
    return _DESCRIPTIONS.get(transform, f"the boxes are {transform}")


def in_other_units(dataset: Dataset) -> dict[str, Dataset]:
    """Return unit → data set read in that unit, for each wrong unit that its numbers may be in.

    Empty where the unit is right: unless more than half of all boxes lie far outside their images or are smaller than
    2 pixels. A few such boxes are single mistakes, which other rules report.
    """
    lost = _far_outside(dataset)
    if len(lost) > len(dataset.labels):
        other = tuple(fault for fault in dataset.faults if fault.kind != "row_out_of_range")
        largest = float(np.quantile(np.abs(lost.boxes).max(axis=1), 0.99))
        return {
            unit: replace(dataset, labels=stack_labels([dataset.labels, _in_pixels(dataset, lost, by)]), faults=other)
            for unit, by in _UNITS.items()
            if by is None or by / 2 < largest <= by * 1.05
        }
    sides = dataset.labels.boxes[:, 2:] - dataset.labels.boxes[:, :2]
    if len(sides) and float((sides.max(axis=1) < _MIN_SIDE).mean()) > 0.5:
        sizes = np.array([image.upright for image in dataset.images], dtype=np.float64)[dataset.labels.image]
        boxes = np.clip(dataset.labels.boxes, -_MAX_COORDINATE, _MAX_COORDINATE) * np.tile(sizes, 2)
        unit = _NORMALISED_TWICE if dataset.format == "yolo" else "in fractions of the image"
        return {unit: replace(dataset, labels=replace(dataset.labels, boxes=boxes))}
    return {}


def read_as(dataset: Dataset, transform: str) -> Dataset:
    """Return the data set with a mistake undone that the geometry probe found.

    Args:
        dataset: as it was read.
        transform: the probe's name of the mistake, such as `transposed` or `in pixels, corner-for-centre`.

    Raises:
        KeyError: the labels are those of another image, or `transform` is not a name of the probe.
    """
    unit, _, rest = transform.partition(", ")
    units = in_other_units(dataset)
    if unit in units:
        dataset, transform = units[unit], rest or STORED
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64)[dataset.labels.image]
    # Scaled here, because the converters of `boxes.py` take one image size for all rows.
    scale = np.tile(sizes, 2)
    fractions = xyxy_to_cxcywh(dataset.labels.boxes / scale, np.ones(2))
    boxes = cxcywh_to_xyxy(read_boxes(fractions, transform), np.ones(2)) * scale
    return replace(dataset, labels=replace(dataset.labels, boxes=boxes))


def _far_outside(dataset: Dataset) -> Labels:
    """Return the rows of a YOLO set dropped for numbers far outside 0 … 1; boxes (n, 4) with the numbers unchanged."""
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
            if path in by_label and len(row) == 5 and _MAX_FRACTION < np.abs(row[1:]).max() < _MAX_COORDINATE
        ]
    image, cls, boxes, line_numbers = zip(*found, strict=True) if found else ((), (), (), ())
    return Labels.build(image, cls, np.array(boxes).reshape(-1, 4), line=line_numbers)


def _in_pixels(dataset: Dataset, lost: Labels, by: float | None) -> Labels:
    """Return the rows as xyxy boxes in pixels, their numbers divided by `by`, or by the image's size where None."""
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64)[lost.image]
    scale = np.tile(sizes, 2) if by is None else by
    return replace(lost, boxes=cxcywh_to_xyxy(lost.boxes / np.maximum(scale, 1), np.ones(2)) * np.tile(sizes, 2))
