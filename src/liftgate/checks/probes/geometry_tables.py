"""Measure edge and content evidence in every image for every reading of its boxes.

The probe decides from these tables alone, so that a decision can be repeated on halves of the data without decoding an
image again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.probes.box_content import SCALES, SHIFTS, PatchSource, location, ranking
from liftgate.checks.probes.box_conventions import NEXT, PREVIOUS, READINGS, STORED, read_boxes
from liftgate.checks.probes.box_edges import MARGINS, EdgeMap
from liftgate.checks.probes.views import Floats, View

READING_NAMES = (*READINGS, NEXT, PREVIOUS)
"""Readings, in the order of the tables' columns: as stored first"""
CENTRAL = slice(SHIFTS.index(-0.125), SHIFTS.index(0.125) + 1)
"""Shifts within the precision of drawing"""
_MAX_SCALED_BOXES = 15  # boxes of one image


@dataclass(frozen=True, slots=True, eq=False)
class GeometryTables:
    """Measurements per image; every value is that of its own boxes less that of other images' boxes."""

    scenes: NDArray[np.int64]
    """(n,) scene number of each image"""
    edges: Floats
    """(n, readings, margins) ridge under the sides of boxes"""
    ranks: Floats
    """(n, readings) share of pairs of patches ranked correctly, less one half"""
    location: Floats
    """(n, scales, shifts, spreads) learned score inside boxes less that beside them"""
    edge_scales: Floats
    """(n, scales, central shifts, margins) ridge of boxes scaled about the image's top left corner"""

    def __len__(self) -> int:
        return len(self.scenes)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the tables of the images with these indices, which may repeat."""
        return replace(
            self,
            scenes=self.scenes[rows],
            edges=self.edges[rows],
            ranks=self.ranks[rows],
            location=self.location[rows],
            edge_scales=self.edge_scales[rows],
        )

    def by_scene(self) -> Self:
        """Return one row per scene: the mean over its images."""
        numbers, place = np.unique(self.scenes, return_inverse=True)
        share = np.zeros((len(numbers), len(place)))
        share[place, np.arange(len(place))] = 1.0
        share /= share.sum(axis=1, keepdims=True)

        def mean(values: Floats) -> Floats:
            found: Floats = (share @ values.reshape(len(values), -1)).reshape(len(numbers), *values.shape[1:])
            return found

        return replace(
            self,
            scenes=numbers,
            edges=mean(self.edges),
            ranks=mean(self.ranks),
            location=mean(self.location),
            edge_scales=mean(self.edge_scales),
        )


def measure(views: Sequence[View]) -> GeometryTables:
    """Return the tables of `views`, for every reading."""
    with ThreadPoolExecutor() as pool:
        edges = list(pool.map(_edge_measurements, views))
        sources = list(pool.map(PatchSource.of, views))
    pairs = {name: [_own_and_other(view, name) for view in views] for name in READING_NAMES}
    ranks = np.stack([ranking(views, pairs[name], sources) for name in READING_NAMES], axis=1)
    return GeometryTables(
        scenes=np.array([view.scene for view in views], dtype=np.int64),
        edges=np.array([by_reading for by_reading, _ in edges]),
        ranks=ranks,
        location=location(views, lambda boxes: boxes),
        edge_scales=np.array([by_scale for _, by_scale in edges]),
    )


def _own_and_other(view: View, name: str) -> tuple[Floats, Floats]:
    """Return an image's own boxes and those of other images under one reading."""
    if name in (NEXT, PREVIOUS):
        return view.large(view.next if name == NEXT else view.previous), view.large(view.others)
    own = read_boxes(view.large(view.own), name)
    if (own[:, 2:] <= 0).any():  # not two corners: the second must be right of and below the first
        own = own[:0]
    return own, read_boxes(view.large(view.others), name)


def _edge_measurements(view: View) -> tuple[Floats, Floats]:
    """Return the ridges (readings, margins) and (scales, central shifts, margins) of a view."""
    picture = EdgeMap.of(view)
    groups = [boxes for name in READING_NAMES for boxes in _own_and_other(view, name)]
    ends = np.cumsum([len(boxes) for boxes in groups])
    ridges = np.split(picture.ridge(np.concatenate(groups)), ends[:-1])  # in one call, because the overhead is per call
    means = [ridge.mean(axis=0) if len(ridge) else np.zeros(len(MARGINS)) for ridge in ridges]
    by_reading = np.array(
        [own - other if len(groups[2 * i]) else 0 * own for i, (own, other) in _enumerate_pairs(means)]
    )
    own, other = (boxes[:: -(-len(boxes) // _MAX_SCALED_BOXES) or 1] for boxes in _own_and_other(view, STORED))
    scales, shifts = np.array(SCALES), np.array(SHIFTS[CENTRAL])
    return by_reading, picture.ridge_by_scale(own, scales, shifts) - picture.ridge_by_scale(other, scales, shifts)


def _enumerate_pairs(means: Sequence[Floats]) -> list[tuple[int, tuple[Floats, Floats]]]:
    return list(enumerate(zip(means[::2], means[1::2], strict=True)))
