"""The match table: one model's detections matched to the truth, from which every box metric is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.matching import ALL_BITS

Similarity = Literal["iou", "oks"]

# Inclusive at both ends, as in pycocotools: an object of exactly 32² pixels is small and medium.
SIZE_RANGES = {
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
SIZES = tuple(SIZE_RANGES)

MAX_DETECTIONS = {"iou": 100, "oks": 20}
"""AP and AR count the best this many detections of each image and class; rates at a threshold count all of them."""


class RankedRows(NamedTuple):
    """Detections that AP counts in one size range, sorted as in the table; n of them."""

    start: NDArray[np.int64]
    """(K+1,) where the rows of each class begin"""
    image: NDArray[np.int32]
    """(n,) index into images"""
    hit: NDArray[np.uint16]
    """(n,) bit t: a true positive at IOU_THRESHOLDS[t]"""
    skip: NDArray[np.uint16]
    """(n,) bit t: neither right nor wrong"""
    rank: NDArray[np.int32]
    """(n,) 0 for the best detection of its image and class"""


class WeightedPositives(NamedTuple):
    """Objects that count in one size range under weightings of the units, kept for the metrics that share them."""

    unit: NDArray[np.int64]
    weights: NDArray[np.float64]
    number: NDArray[np.float64]
    """(K, L)"""


class CountedObjects(NamedTuple):
    """Objects that count in one size range, of the images in groups; kept for the metrics that share them."""

    of_image: NDArray[np.int64]
    """(n_images,) index of each image's group; images outside have one that is not below n_groups"""
    group: NDArray[np.int64]
    """(m,) group of each object"""
    cls: NDArray[np.int64]
    """(m,) class of each object"""
    number: NDArray[np.float64]
    """(K,) how many objects each class has"""


@dataclass(frozen=True, slots=True, eq=False)
class MatchTable:
    """Matched detections, sorted by class, then score (best first), image and position in the file.

    Shapes: n detections, m objects, A size ranges, K classes.
    """

    similarity: Similarity
    images: tuple[str, ...]
    """Ids of the truth's images"""
    classes: tuple[str, ...]
    start: NDArray[np.int64]
    """(K+1,) where the rows of each class begin"""
    image: NDArray[np.int32]
    """(n,) index into images"""
    score: NDArray[np.float64]
    rank: NDArray[np.int32]
    """(n,) 0 for the best detection of its image and class"""
    row: NDArray[np.int32]
    """(n,) row of the Predictions"""
    hit: NDArray[np.uint16]
    """(A, n) bit t: matched at IOU_THRESHOLDS[t] in this size range"""
    skip: NDArray[np.uint16]
    """(A, n) bit t: neither right nor wrong (matched to a crowd, or outside the size range)"""
    found: NDArray[np.int32]
    """(n,) row of the Labels that it is matched to at IoU 0.5, or −1"""
    label_image: NDArray[np.int64]
    """(m,) image of each object"""
    label_class: NDArray[np.int64]
    """(m,) class of each object"""
    counted: NDArray[np.bool_]
    """(A, m) whether the object counts in this size range"""
    limit: int
    """AP and AR count rows whose rank is below this"""
    _ranked: dict[str, RankedRows] = field(default_factory=dict, init=False, repr=False)
    _weighted: dict[str, WeightedPositives] = field(default_factory=dict, init=False, repr=False)
    _objects: dict[str, CountedObjects] = field(default_factory=dict, init=False, repr=False)

    def ranked(self, size: str) -> RankedRows:
        """Return the rows that AP counts in a size range, found once: every weighting of the table needs them."""
        if size not in self._ranked:
            a = SIZES.index(size)
            # Without rows that count at no threshold in this size range, and those beyond COCO's limit.
            live = (self.skip[a] != ALL_BITS) & (self.rank < self.limit)
            rows = np.flatnonzero(live)
            skip = self.skip[a][rows]
            start = np.searchsorted(rows, self.start).astype(np.int64)
            self._ranked[size] = RankedRows(start, self.image[rows], self.hit[a][rows] & ~skip, skip, self.rank[rows])
        return self._ranked[size]

    @property
    def cls(self) -> NDArray[np.int64]:
        """(n,) class of each detection."""
        return np.repeat(np.arange(len(self.classes)), np.diff(self.start))

    @property
    def beyond_limit(self) -> int:
        """Detections that AP and AR leave out, because their image and class have `limit` better ones."""
        return int((self.rank >= self.limit).sum())

    def limit_note(self) -> str:
        """Return the sentence that says what the limit cut; empty: nothing."""
        if not self.beyond_limit:
            return ""
        return (
            f"{self.beyond_limit:,} detections are beyond the best {self.limit} of their image and class: AP and AR "
            "leave them out, as COCO does; recall, precision and false positives at a threshold count them"
        )

    def objects(self, size: str, group: NDArray[np.int64], n_groups: int) -> CountedObjects:
        """Return the objects that count in a size range, of images whose group (n_images,) is below `n_groups`."""
        known = self._objects.get(size)
        if known is None or known.of_image is not group:
            counted = np.flatnonzero(self.counted[SIZES.index(size)])
            of_object = group[self.label_image[counted]]
            inside = of_object < n_groups
            cls = self.label_class[counted[inside]]
            number = np.bincount(cls, minlength=len(self.classes)).astype(np.float64)
            known = self._objects[size] = CountedObjects(group, of_object[inside], cls, number)
        return known

    def positives(self, size: str, unit: NDArray[np.int64], n_units: int) -> NDArray[np.float64]:
        """Return (K, n_units) the number of objects that count, by class and by the unit of their image."""
        counted = self.counted[SIZES.index(size)]
        cell = self.label_class[counted] * n_units + unit[self.label_image[counted]]
        return np.bincount(cell, minlength=len(self.classes) * n_units).reshape(-1, n_units).astype(np.float64)

    def weighted_positives(
        self, size: str, unit: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (K, L) the number of objects that count, by class, under each column of `weights` (U, L)."""
        known = self._weighted.get(size)
        if known is None or known.unit is not unit or known.weights is not weights:
            known = WeightedPositives(unit, weights, self.positives(size, unit, len(weights)) @ weights)
            self._weighted[size] = known
        return known.number
