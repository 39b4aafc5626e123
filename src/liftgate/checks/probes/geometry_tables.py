"""Geometry tables: what every witness measures in every image, under every way to read its boxes.

All that is decided is decided from these tables, so that a decision can be repeated on halves of the data and on
resampled images without opening one again.
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

NAMES = (*READINGS, NEXT, PREVIOUS)
"""Columns of the tables: as stored first"""
CENTRAL = slice(SHIFTS.index(-0.125), SHIFTS.index(0.125) + 1)
"""Shifts that are a person's way to draw, not a mistake"""
_MOST_SCALED = 15  # boxes of one image


@dataclass(frozen=True, slots=True, eq=False)
class GeometryTables:
    """Measurements by image; every value is that of own boxes less that of other images' boxes."""

    scenes: NDArray[np.int64]
    """(n,) images of one scene are one witness"""
    edges: Floats
    """(n, readings, margins) ridge under the sides"""
    ranks: Floats
    """(n, readings) share of patches ranked rightly, less one half"""
    location: Floats
    """(n, scales, shifts, spreads) learned score inside boxes against their flanks"""
    edge_scales: Floats
    """(n, scales, central shifts, margins) ridge of boxes scaled from the image's corner"""

    def __len__(self) -> int:
        return len(self.scenes)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the tables of some images, repeated ones repeatedly."""
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
    """Return the tables of images, every box read in every way."""
    with ThreadPoolExecutor() as pool:
        edges = list(pool.map(_edges, views))
        sources = list(pool.map(PatchSource.of, views))
    pairs = {name: [_pair(view, name) for view in views] for name in NAMES}
    ranks = np.stack([ranking(views, pairs[name], sources) for name in NAMES], axis=1)
    return GeometryTables(
        scenes=np.array([view.scene for view in views], dtype=np.int64),
        edges=np.array([by_reading for by_reading, _ in edges]),
        ranks=ranks,
        location=location(views, lambda boxes: boxes),
        edge_scales=np.array([by_scale for _, by_scale in edges]),
    )


def _pair(view: View, name: str) -> tuple[Floats, Floats]:
    """Own boxes and those of other images, read in one way."""
    if name in (NEXT, PREVIOUS):
        return view.large(view.next if name == NEXT else view.previous), view.large(view.others)
    own = read_boxes(view.large(view.own), name)
    if (own[:, 2:] <= 0).any():  # two corners: the second is right of the first and below
        own = own[:0]
    return own, read_boxes(view.large(view.others), name)


def _edges(view: View) -> tuple[Floats, Floats]:
    """(readings, margins) and (scales, central shifts, margins)."""
    picture = EdgeMap.of(view)
    groups = [boxes for name in NAMES for boxes in _pair(view, name)]
    ends = np.cumsum([len(boxes) for boxes in groups])
    ridges = np.split(picture.ridge(np.concatenate(groups)), ends[:-1])  # all at once: numpy's cost is per call
    means = [ridge.mean(axis=0) if len(ridge) else np.zeros(len(MARGINS)) for ridge in ridges]
    by_reading = np.array([own - other if len(groups[2 * i]) else 0 * own for i, (own, other) in _paired(means)])
    own, other = (boxes[:: -(-len(boxes) // _MOST_SCALED) or 1] for boxes in _pair(view, STORED))
    scales, shifts = np.array(SCALES), np.array(SHIFTS[CENTRAL])
    return by_reading, picture.ridge_by_scale(own, scales, shifts) - picture.ridge_by_scale(other, scales, shifts)


def _paired(means: Sequence[Floats]) -> list[tuple[int, tuple[Floats, Floats]]]:
    return list(enumerate(zip(means[::2], means[1::2], strict=True)))
