"""Compare two data sets: the distance of each measure, and the distance to expect by chance.

The distance of a measure is the greatest difference of cumulative shares (Kolmogorov–Smirnov) on its bins, of the class
mix half the sum of differences of shares (total variation): 0 the same, 1 nothing in common. Each
is compared with chance: groups of both are shuffled between them, and the 95% quantile of the distances is reported.
Groups are shuffled, not images, because frames of one video are alike: with frames, any two videos would differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.overview.columns import Column, counted_labels, group_index
from liftgate.data.overview.record import Overview
from liftgate.hashing import file_hash
from liftgate.progress import Progress, silent

Counts = NDArray[np.float64]
_DRAWS = 400
_CHUNK = 1 << 22
_MIN_GROUPS = 5  # as for every interval: with fewer, chance cannot be estimated


@dataclass(frozen=True, slots=True)
class Distance:
    """Distance of two data sets in one measure."""

    name: str
    title: str
    distance: float
    by_chance: float | None
    """95% quantile of the distances of shuffled groups; None: one of the two has fewer than 5 groups"""
    n: tuple[int, int]
    """Number of boxes or images of each"""
    groups: tuple[int, int]

    @property
    def differs(self) -> bool | None:
        """Whether the distance is more than chance; None: unknown."""
        return None if self.by_chance is None else self.distance > self.by_chance


@dataclass(frozen=True, slots=True)
class KeypointShift:
    """Distance between the mean positions of keypoints of the same name, as a share of the box."""

    names: tuple[str, ...]
    apart: float
    """Mean distance between the two mean places"""
    apart_mirrored: float
    """The same when one of them is mirrored left to right"""
    n_least: int
    """Labelled keypoints of the rarest name in either: the sample size of the means"""

    @property
    def mirrored(self) -> bool:
        """Whether mirroring explains the difference: it is large, and most of it disappears when one is mirrored."""
        return self.apart > 0.05 and self.apart_mirrored < self.apart / 2


@dataclass(frozen=True, slots=True)
class DatasetDifference:
    """Shared images, groups and classes of two data sets a and b, and their distance in each measure."""

    distances: tuple[Distance, ...]
    """Largest first"""
    only_a: tuple[str, ...]
    """Classes of a that b does not have"""
    only_b: tuple[str, ...]
    shared_images: tuple[tuple[str, str], ...]
    """Images that are the same file to the byte: id in a, id in b"""
    shared_groups: tuple[str, ...]
    keypoints: KeypointShift | None = None
    """None: no keypoint name in common"""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        record = asdict(self)
        record["distances"] = [asdict(d) | {"differs": d.differs} for d in self.distances]
        if self.keypoints is not None:
            record["keypoints"]["mirrored"] = self.keypoints.mirrored
        return record


def compare_datasets(
    a: Dataset, b: Dataset, a_view: Overview, b_view: Overview, *, seed: int = 0, progress: Progress = silent
) -> DatasetDifference:
    """Compare two data sets whose overviews were measured at the same imgsz."""
    rng = np.random.default_rng(seed)
    found = [
        _distance(one.measure.name, one.measure.title, _by_group(one), _by_group(other), "ks", rng)
        for one, other in zip(a_view.columns, b_view.columns, strict=True)
    ]
    names = list(dict.fromkeys([*a.classes, *b.classes]))
    found.append(_distance("classes", "Class mix", _class_counts(a, names), _class_counts(b, names), "tv", rng))
    named_a, named_b = ({image.group for image in d.images if image.group is not None} for d in (a, b))
    return DatasetDifference(
        distances=tuple(sorted((d for d in found if d is not None), key=lambda d: (-d.distance, d.name))),
        only_a=tuple(name for name in a.classes if name not in b.classes),
        only_b=tuple(name for name in b.classes if name not in a.classes),
        shared_images=_same_files(a, b, progress),
        shared_groups=tuple(sorted(named_a & named_b)),
        keypoints=_keypoint_shift(a_view, b_view),
    )


def _keypoint_shift(a: Overview, b: Overview) -> KeypointShift | None:
    rows_b = {row.name: row for row in b.keypoints if row.x is not None}
    pairs = [(row, rows_b[row.name]) for row in a.keypoints if row.x is not None and row.name in rows_b]
    if not pairs:
        return None
    of_a, of_b = (np.array([(row.x, row.y) for row in rows], dtype=np.float64) for rows in zip(*pairs, strict=True))
    mirrored = of_a * [-1, 1] + [1, 0]
    return KeypointShift(
        names=tuple(row.name for row, _ in pairs),
        apart=float(np.hypot(*(of_a - of_b).T).mean()),
        apart_mirrored=float(np.hypot(*(mirrored - of_b).T).mean()),
        n_least=min(row.n_labelled for pair in pairs for row in pair),
    )


def _by_group(column: Column) -> Counts:
    """Return the (G, bins) counts of the groups that have any value."""
    bins = len(column.measure.edges) - 1
    groups = int(column.group.max()) + 1 if len(column.group) else 0
    counts = np.bincount(column.group * bins + column.bins(), minlength=groups * bins).reshape(groups, bins)
    return counts[counts.any(axis=1)].astype(np.float64)


def _class_counts(dataset: Dataset, names: Sequence[str]) -> Counts:
    labels, group = counted_labels(dataset), group_index(dataset)
    place = np.array([names.index(name) for name in dataset.classes] or [0], dtype=np.int64)
    groups = int(group.max()) + 1 if len(group) else 0
    cells = group[labels.image] * len(names) + place[labels.cls] if len(labels) else np.zeros(0, dtype=np.int64)
    counts = np.bincount(cells, minlength=groups * len(names)).reshape(groups, len(names))
    return counts[counts.any(axis=1)].astype(np.float64)


def _distance(name: str, title: str, a: Counts, b: Counts, kind: str, rng: np.random.Generator) -> Distance | None:
    if not len(a) or not len(b):
        return None  # nothing was measured in one of them
    seen = float(_distances_of_counts(a.sum(axis=0), b.sum(axis=0), kind))
    by_chance = None
    if min(len(a), len(b)) >= _MIN_GROUPS:
        both = np.concatenate([a, b])
        drawn = _shuffled(both, len(a), rng)
        by_chance = float(np.quantile(_distances_of_counts(drawn, both.sum(axis=0) - drawn, kind), 0.95))
    return Distance(name, title, seen, by_chance, (int(a.sum()), int(b.sum())), (len(a), len(b)))


def _shuffled(both: Counts, count: int, rng: np.random.Generator) -> Counts:
    """Return (draws, bins) sums over `count` groups that are drawn without replacement."""
    step = max(1, _CHUNK // len(both))  # 100,000 images without groups are 100,000 groups
    parts = []
    for start in range(0, _DRAWS, step):
        lots = rng.random((min(step, _DRAWS - start), len(both)))
        chosen = lots <= np.partition(lots, count - 1, axis=1)[:, count - 1 : count]
        parts.append(chosen.astype(np.float64) @ both)
    return np.concatenate(parts)


def _distances_of_counts(a: Counts, b: Counts, kind: str) -> Counts:
    """Return the (…,) distances of (…, bins) counts."""
    difference = a / np.maximum(a.sum(axis=-1, keepdims=True), 1) - b / np.maximum(b.sum(axis=-1, keepdims=True), 1)
    if kind == "tv":
        return np.asarray(np.abs(difference).sum(axis=-1) / 2)
    return np.asarray(np.abs(difference.cumsum(axis=-1)).max(axis=-1))


def _same_files(a: Dataset, b: Dataset, progress: Progress) -> tuple[tuple[str, str], ...]:
    """Return pairs of images with the same bytes; only files of a size that occurs in both are read."""
    of_a, of_b = _by_size(a), _by_size(b)
    sizes = sorted(of_a.keys() & of_b.keys())
    pairs = []
    for done, size in enumerate(sizes):
        progress("looking for the same images", done, len(sizes))
        known: dict[str, str] = {}
        for identity, path in of_a[size]:
            known.setdefault(file_hash(path), identity)
        for identity, path in of_b[size]:
            if (match := known.get(file_hash(path))) is not None:
                pairs.append((match, identity))
    progress("looking for the same images", len(sizes), len(sizes))
    return tuple(sorted(pairs))


def _by_size(dataset: Dataset) -> dict[int, list[tuple[str, Path]]]:
    found: dict[int, list[tuple[str, Path]]] = {}
    for image in dataset.images:
        if image.path.is_file():
            found.setdefault(image.path.stat().st_size, []).append((image.id, image.path))
    return found
