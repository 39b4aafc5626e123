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

from liftgate.checks.probes.box_consistency import consistency, feature_channels
from liftgate.checks.probes.box_conventions import NEXT, PREVIOUS, READINGS, read_boxes, scaled_by
from liftgate.checks.probes.box_edges import MARGINS, EdgeMap
from liftgate.checks.probes.views import Floats, View

FACTORS = tuple(1.05**step for step in range(-6, 7) if step)
"""Scales about the top left corner of the image that are tried, 0.75 to 1.34"""
READING_NAMES = (*READINGS, NEXT, PREVIOUS, *(scaled_by(factor) for factor in FACTORS))
"""Readings, in the order of the tables' columns: as stored first"""


@dataclass(frozen=True, slots=True, eq=False)
class GeometryTables:
    """Measurements per image; every value is that of its own boxes less that of other images' boxes."""

    scenes: NDArray[np.int64]
    """(n,) scene number of each image"""
    sides: Floats
    """(n,) pixels of the longer side of the reduced image: what limits the precision of a scale"""
    edges: Floats
    """(n, readings, margins) ridge under the sides of boxes"""
    content: Floats
    """(n, readings, spreads) score learned for a reading, inside boxes less that beside them"""

    def __len__(self) -> int:
        return len(self.scenes)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the tables of the images with these indices, which may repeat."""
        return replace(
            self,
            scenes=self.scenes[rows],
            sides=self.sides[rows],
            edges=self.edges[rows],
            content=self.content[rows],
        )

    def by_scene(self) -> Self:
        """Return one row per scene: the mean over its images."""
        order = np.argsort(self.scenes, kind="stable")
        numbers, starts, counts = np.unique(self.scenes[order], return_index=True, return_counts=True)

        def mean(values: Floats) -> Floats:
            found: Floats = (np.add.reduceat(values[order], starts, axis=0).T / counts).T
            return found

        return replace(self, scenes=numbers, sides=mean(self.sides), edges=mean(self.edges), content=mean(self.content))


def measure(views: Sequence[View], names: Sequence[str] = READING_NAMES) -> GeometryTables:
    """Return the tables of `views`, with a column for each reading in `names`."""
    pairs = [[_own_and_other(view, name) for name in names] for view in views]
    with ThreadPoolExecutor() as pool:
        edges = list(pool.map(_ridges, views, pairs))
    channels = feature_channels(views)
    content = [consistency(views, channels, [by_name[i] for by_name in pairs]) for i in range(len(names))]
    return GeometryTables(
        scenes=np.array([view.scene for view in views], dtype=np.int64),
        sides=np.array([view.size.max() for view in views]),
        edges=np.array(edges),
        content=np.stack(content, axis=1),
    )


def _own_and_other(view: View, name: str) -> tuple[Floats, Floats]:
    """Return an image's own boxes and those of other images under one reading."""
    if name in (NEXT, PREVIOUS):
        return view.large(view.next if name == NEXT else view.previous), view.large(view.others)
    own = read_boxes(view.large(view.own), name)
    if (own[:, 2:] <= 0).any():  # not two corners: the second must be right of and below the first
        own = own[:0]
    return own, read_boxes(view.large(view.others), name)


def _ridges(view: View, pairs: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Return (readings, margins): the ridge under own boxes less that under those of other images."""
    groups = [boxes for pair in pairs for boxes in pair]
    ends = np.cumsum([len(boxes) for boxes in groups])
    # In one call, because the overhead is per call.
    ridges = np.split(EdgeMap.of(view).ridge(np.concatenate(groups)), ends[:-1])
    means = [ridge.mean(axis=0) if len(ridge) else np.zeros(len(MARGINS)) for ridge in ridges]
    return np.array(
        [
            own - other if len(pair[0]) else 0 * own
            for own, other, pair in zip(means[::2], means[1::2], pairs, strict=True)
        ]
    )
