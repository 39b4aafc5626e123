"""Measure every box and image: one column of values per measure, with the group of each value."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.pictures import open_picture
from liftgate.progress import Progress, silent

Floats = NDArray[np.float64]

GRID = 24
"""Cells of the heat map along each side"""
_SIDE = 128  # enough for a mean and a spread
_LARGEST = 200_000_000  # pixels; above it is a bomb, or slide-scanner data
_THREADS = min(8, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and the edges of its histogram. Values beyond the edges count in the outer bins."""

    name: str
    title: str
    unit: str
    edges: tuple[float, ...]
    of: str
    """`boxes` or `images`"""


def _powers(low: float, high: float, step: float) -> tuple[float, ...]:
    return tuple(float(2.0**power) for power in np.arange(low, high + step / 2, step))


BOX_SIZE = Measure("box_size", "Box size at imgsz", "px, √(width × height)", _powers(0, 10, 0.5), "boxes")
BOX_ASPECT = Measure("box_aspect", "Box shape", "width over height", _powers(-3, 3, 0.25), "boxes")
BOX_X = Measure(
    "box_x", "Box centre, left to right", "share of the width", tuple(np.linspace(0, 1, 17).tolist()), "boxes"
)
BOX_Y = Measure(
    "box_y", "Box centre, top to bottom", "share of the height", tuple(np.linspace(0, 1, 17).tolist()), "boxes"
)
OBJECTS = Measure(
    "objects_per_image",
    "Objects in an image",
    "objects",
    tuple(float(n) for n in (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 256)),
    "images",
)
IMAGE_ASPECT = Measure("image_aspect", "Image shape", "width over height", _powers(-2, 2, 0.25), "images")
BRIGHTNESS = Measure(
    "brightness", "Brightness", "mean, black 0 to white 1", tuple(np.linspace(0, 1, 21).tolist()), "images"
)
CONTRAST = Measure(
    "contrast", "Contrast", "standard deviation of brightness", tuple(np.linspace(0, 0.5, 21).tolist()), "images"
)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values of one measure."""

    measure: Measure
    values: Floats
    """(n,)"""
    group: NDArray[np.int64]
    """(n,) index of the group of each value, 0 … G−1 over all groups of the data set"""

    def bins(self) -> NDArray[np.int64]:
        """Return the (n,) bin of each value."""
        inner = np.asarray(self.measure.edges[1:-1])
        found: NDArray[np.int64] = np.searchsorted(inner, self.values, side="right").astype(np.int64)
        return found

    def counts(self) -> NDArray[np.int64]:
        """Return the (bins,) number of values in each bin."""
        return np.bincount(self.bins(), minlength=len(self.measure.edges) - 1)


def counted_labels(dataset: Dataset) -> Labels:
    """Return the rows that are neither crowd nor ignored."""
    return dataset.labels.take(~(dataset.labels.crowd | dataset.labels.ignore))


def group_index(dataset: Dataset) -> NDArray[np.int64]:
    """Return the (images,) index of each image's group."""
    _, index = np.unique(np.array(dataset.groups, dtype=object).astype(str), return_inverse=True)
    return index.astype(np.int64).reshape(-1)


def upright_sizes(dataset: Dataset) -> Floats:
    """Return the (images, 2) width and height of the upright images in pixels; 0 × 0 where a file cannot be read."""
    return np.array([image.upright for image in dataset.images], dtype=np.float64).reshape(-1, 2)


class BoxShapes(NamedTuple):
    """Shapes of the boxes with an area, in images of known size."""

    labels: Labels
    size: Floats
    """(n,) √(width × height) in pixels when the image's longer side is imgsz"""
    aspect: Floats
    """(n,) width over height"""
    centre: Floats
    """(n, 2) share of the image's width and height"""


def box_shapes(dataset: Dataset, imgsz: int) -> BoxShapes:
    """Measure the boxes of a data set; those without an area have no shape and are left out."""
    labels, sizes = counted_labels(dataset), upright_sizes(dataset)
    readable = sizes.min(axis=1, initial=np.inf) > 0
    solid = labels.take((labels.boxes[:, 2:] > labels.boxes[:, :2]).all(axis=1) & readable[labels.image])
    frame, width_height = sizes[solid.image], solid.boxes[:, 2:] - solid.boxes[:, :2]
    return BoxShapes(
        solid,
        np.sqrt(width_height.prod(axis=1)) * imgsz / frame.max(axis=1, initial=1),
        width_height[:, 0] / width_height[:, 1],
        (solid.boxes[:, :2] + solid.boxes[:, 2:]) / 2 / frame,
    )


def label_columns(dataset: Dataset, shapes: BoxShapes) -> tuple[Column, ...]:
    """Measure what needs only labels and image headers: boxes, objects per image, image shape."""
    group, sizes = group_index(dataset), upright_sizes(dataset)
    per_image = np.bincount(counted_labels(dataset).image, minlength=len(dataset.images)).astype(np.float64)
    readable = sizes.min(axis=1, initial=np.inf) > 0
    at = group[shapes.labels.image]
    return (
        Column(BOX_SIZE, shapes.size, at),
        Column(BOX_ASPECT, shapes.aspect, at),
        Column(BOX_X, shapes.centre[:, 0], at),
        Column(BOX_Y, shapes.centre[:, 1], at),
        Column(OBJECTS, per_image, group),
        Column(IMAGE_ASPECT, sizes[readable, 0] / sizes[readable, 1], group[readable]),
    )


def pixel_columns(dataset: Dataset, chosen: Sequence[int], progress: Progress = silent) -> tuple[Column, Column]:
    """Measure brightness and contrast of some images; those that cannot be read are left out."""
    paths = [dataset.images[index].path for index in chosen]
    found: list[tuple[float, float] | None] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for looked in pool.map(_brightness_and_contrast, paths):
            found.append(looked)
            progress("looking at images", len(found), len(paths))
    kept = [(index, looked) for index, looked in zip(chosen, found, strict=True) if looked is not None]
    values = np.array([looked for _, looked in kept], dtype=np.float64).reshape(-1, 2)
    group = group_index(dataset)[np.array([index for index, _ in kept], dtype=np.int64)]
    return Column(BRIGHTNESS, values[:, 0], group), Column(CONTRAST, values[:, 1], group)


def heat_map(dataset: Dataset) -> Floats:
    """Return the (GRID, GRID) share of boxes that touch each cell of the image, top row first."""
    labels, sizes = counted_labels(dataset), upright_sizes(dataset)
    labels = labels.take(sizes.min(axis=1, initial=np.inf)[labels.image] > 0)
    if not len(labels):
        return np.zeros((GRID, GRID))
    cells = np.clip(labels.boxes / np.tile(sizes[labels.image], 2) * GRID, 0, GRID - 1e-9).astype(np.int64)
    # Each box adds 1 at its first cell and subtracts it after its last: the cumulative sum fills the rectangle.
    corners = np.zeros((GRID + 1, GRID + 1))
    left, top, right, bottom = cells.T
    for y, x, sign in ((top, left, 1), (top, right + 1, -1), (bottom + 1, left, -1), (bottom + 1, right + 1, 1)):
        np.add.at(corners, (y, x), sign)
    return corners.cumsum(axis=0).cumsum(axis=1)[:GRID, :GRID] / len(labels)


def border_share(dataset: Dataset) -> float | None:
    """Return the share of boxes that reach the edge of the image (within a pixel); None without boxes."""
    labels, sizes = counted_labels(dataset), upright_sizes(dataset)
    if not len(labels):
        return None
    at_edge = (labels.boxes[:, :2] <= 1).any(axis=1) | (labels.boxes[:, 2:] >= sizes[labels.image] - 1).any(axis=1)
    return float(at_edge.mean())


def whole_pixel_share(dataset: Dataset) -> float | None:
    """Return the share of boxes with all edges on whole pixels (to 0.02): most are drawn by hand, few rendered."""
    boxes = counted_labels(dataset).boxes
    return float((np.abs(boxes - boxes.round()) < 0.02).all(axis=1).mean()) if len(boxes) else None


def _brightness_and_contrast(path: Path) -> tuple[float, float] | None:
    import warnings

    import PIL.Image

    try:
        with warnings.catch_warnings(), open_picture(path) as opened:
            warnings.simplefilter("ignore")  # damaged EXIF and the like: `check` reports it
            if opened.width * opened.height > _LARGEST:
                return None
            opened.draft("L", (_SIDE, _SIDE))
            deep = opened.mode.startswith("I") or opened.mode == "F"  # 16 bit and up: convert would clip
            small = opened.resize((_SIDE, _SIDE)) if deep else opened.convert("L").resize((_SIDE, _SIDE))
            values = np.asarray(small, dtype=np.float64) / (65535 if deep else 255)
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return None
    return float(values.mean()), float(values.std())
