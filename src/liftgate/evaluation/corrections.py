"""Corrections: what annotators changed in a model's pre-labels, and how much time the pre-labels saved.

Each row of the match (`data.agreement`: one-to-one at IoU ≥ 0.5, whatever the class) is one object:

    kept         same class, every side within half a pixel
    moved        same class, a side or keypoint further away
    relabelled   another class
    deleted      only in the pre-labels
    added        only in the corrected labels

Precision is the share of pre-labels that were right (kept or moved: right class at IoU ≥ 0.5), recall the share of the
final objects that were pre-labelled right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.agreement import NONE, ObjectMatches, match_objects, shared_frames
from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard

MAX_SHIFT_PX = 0.5
"""Pixels by which a side may differ and still count as unchanged: formats round, people move by whole pixels"""

SECONDS_PER_BOX: Mapping[str, float] = {"draw": 25.5, "kept": 9.0, "moved": 21.8, "relabelled": 14.0, "deleted": 11.0}
"""Seconds of work per box. Drawing (25.5) and verifying (9.0, `kept`) are the medians of Su, Deng and Fei-Fei 2012;
assumed are: moving = verifying + half a drawing, relabelling = verifying + 5 s, deleting = verifying + 2 s."""


@dataclass(frozen=True, slots=True)
class ClassChanges:
    """Changes to the boxes of one class. A relabelled box counts under the class that the model predicted."""

    name: str
    kept: int
    moved: int
    relabelled: int
    deleted: int
    added: int
    """Objects of this class that people drew"""
    relabelled_to: int
    """Objects that became this class"""
    moved_iou: float | None
    """Mean IoU of moved boxes with their corrected ones; None: none was moved"""
    precision: Interval | None
    """None: the model predicted no box of this class"""
    recall: Interval | None
    """None: there is no object of this class"""


@dataclass(frozen=True, slots=True)
class Corrections:
    """What annotators changed, overall and by class, with the time that it took."""

    n_images: int
    n_groups: int
    n_prelabels: int
    n_objects: int
    """After correction"""
    n_left_out: int
    """Boxes left out: crowd, ignored, or without an area"""
    not_returned: tuple[str, ...]
    """Ids of images with pre-labels that the corrected set does not have"""
    total: ClassChanges
    classes: tuple[ClassChanges, ...]
    relabelled: tuple[tuple[str, str, int], ...]
    """(from, to, how often), the most frequent first"""
    minutes_without: float
    """Minutes to draw every final object from nothing"""
    minutes_with: float
    """Minutes to correct the pre-labels"""
    seconds: Mapping[str, float] = field(default_factory=lambda: dict(SECONDS_PER_BOX))
    """Seconds per box that the minutes are computed from"""

    @property
    def minutes_saved(self) -> float:
        """Minutes saved by correcting pre-labels instead of drawing every object."""
        return self.minutes_without - self.minutes_with

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"minutes_saved": self.minutes_saved, "seconds": dict(self.seconds)}


def corrections(
    prelabels: Dataset, corrected: Dataset, *, level: float = 0.95, seconds: Mapping[str, float] | None = None
) -> Corrections:
    """Compare pre-labels with the corrected labels.

    Args:
        prelabels: labels that the model predicted; its groups are used.
        corrected: the labels after correction.
        level: of the intervals.
        seconds: seconds of work per box that replace those of SECONDS_PER_BOX, by name.

    Raises:
        DataError: no frame in common, or frames of two sizes.
        UsageError: unknown names in `seconds`.
    """
    if unknown := sorted(set(seconds or {}) - set(SECONDS_PER_BOX)):
        raise UsageError("no such kind of work", expected=", ".join(SECONDS_PER_BOX), got=", ".join(unknown))
    frames = shared_frames(prelabels, corrected)
    match = match_objects(prelabels, corrected, frames)
    keys = [prelabels.images[index].key for index in frames.a.tolist()]
    number = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    group = np.array([number[key] for key in keys], dtype=np.int64)[match.frame]
    table = _MatchedChanges(match, _moved(prelabels, corrected, match), group, len(number), len(frames), level)
    everything = np.ones(len(match), dtype=np.bool_)
    per_class = [table.changes(name, match.class_a == c, match.class_b == c) for c, name in enumerate(frames.classes)]
    total = table.changes("all", everything & (match.class_a != NONE), everything & (match.class_b != NONE))
    cost = {**SECONDS_PER_BOX, **(seconds or {})}
    n_objects = int((match.class_b != NONE).sum())
    seconds_with = cost["draw"] * total.added + sum(
        cost[word] * getattr(total, word) for word in ("kept", "moved", "relabelled", "deleted")
    )
    return Corrections(
        n_images=len(frames),
        n_groups=len(number),
        n_prelabels=int((match.class_a != NONE).sum()),
        n_objects=n_objects,
        n_left_out=match.n_left_out,
        not_returned=(*frames.only_a, *frames.unlabelled_b),
        total=total,
        classes=tuple(entry for entry in per_class if entry.precision or entry.recall),
        relabelled=_relabelled_pairs(match, frames.classes),
        minutes_without=cost["draw"] * n_objects / 60,
        minutes_with=seconds_with / 60,
        seconds=cost,
    )


@dataclass(frozen=True, slots=True)
class _MatchedChanges:
    match: ObjectMatches
    moved: NDArray[np.bool_]
    group: NDArray[np.int64]
    n_groups: int
    n_images: int
    level: float

    def changes(self, name: str, of_a: NDArray[np.bool_], of_b: NDArray[np.bool_]) -> ClassChanges:
        """Count rows whose pre-label (`of_a`) or final object (`of_b`) belongs to a class."""
        match = self.match
        right = match.agreed & of_a
        other = match.matched & ~match.agreed
        shifted = right & self.moved
        return ClassChanges(
            name=name,
            kept=int((right & ~self.moved).sum()),
            moved=int(shifted.sum()),
            relabelled=int((other & of_a).sum()),
            deleted=int((of_a & (match.class_b == NONE)).sum()),
            added=int((of_b & (match.class_a == NONE)).sum()),
            relabelled_to=int((other & of_b).sum()),
            moved_iou=float(match.iou[shifted].mean()) if shifted.any() else None,
            precision=self._share(right, of_a),
            recall=self._share(right, of_b),
        )

    def _share(self, right: NDArray[np.bool_], of: NDArray[np.bool_]) -> Interval | None:
        if not of.any():
            return None
        hits, trials = (np.bincount(self.group, weights=mask, minlength=self.n_groups) for mask in (right, of))
        return korn_graubard(hits, trials, self.level, n_images=self.n_images)


def _moved(prelabels: Dataset, corrected: Dataset, match: ObjectMatches) -> NDArray[np.bool_]:
    """Return (n,) which matched objects have a side or a keypoint further away than MAX_SHIFT_PX."""
    both = np.flatnonzero(match.matched)
    a, b = match.row_a[both], match.row_b[both]
    away = np.abs(prelabels.labels.boxes[a] - corrected.labels.boxes[b]).max(axis=1, initial=0) > MAX_SHIFT_PX
    one, other = prelabels.labels.keypoints, corrected.labels.keypoints
    if one is not None and other is not None and one.shape[1] == other.shape[1]:
        shown = (one[a][..., 2] > 0) & (other[b][..., 2] > 0)
        far = (np.abs(one[a][..., :2] - other[b][..., :2]).max(axis=2) > MAX_SHIFT_PX) & shown
        away |= (far | (one[a][..., 2] != other[b][..., 2])).any(axis=1)
    moved = np.zeros(len(match), dtype=np.bool_)
    moved[both] = away
    return moved


def _relabelled_pairs(match: ObjectMatches, classes: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    other = match.matched & ~match.agreed
    pairs, counts = np.unique(
        np.stack([match.class_a[other], match.class_b[other]], axis=1), axis=0, return_counts=True
    )
    rows = [(classes[a], classes[b], int(n)) for (a, b), n in zip(pairs.tolist(), counts, strict=True)]
    return tuple(sorted(rows, key=lambda row: (-row[2], row[0], row[1])))
