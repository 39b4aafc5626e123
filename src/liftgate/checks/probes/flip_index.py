"""Infer flip_idx (the keypoint that each keypoint becomes in a mirrored image) from names or from positions.

From positions: the mirror image of a symmetric object looks like such an object with left and right exchanged. Under
the right flip, mirrored poses therefore look like real poses: if keypoint b lies to the right of keypoint a, then the
partner of b lies as far to the left of the partner of a, at the same height and distance. Mean offsets and distances of
all pairs of keypoints are compared, in units of the box. Local search finds the flip that fits best. It counts only
where every bootstrap sample of the images gives the same flip, and where its misfit is small compared with that of the
identity. The answer is None for asymmetric objects, and for objects seen equally often from all sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset

_MIN_COUNT = 40  # objects with a keypoint labelled, and images
_RESAMPLES = 12
_MAX_LEFT_OVER = 0.05  # of what the identity leaves unexplained
_MIN_OFFSET = 0.03  # of the box: a mean offset that chance does not explain
_MAX_KEYPOINTS = 64  # keypoints; more are meshes
_MAX_OFFSETS = 2_000_000  # offsets between keypoints, over all objects: 2,000 objects of 32 keypoints

_SIDES = ("left", "right"), ("l", "r"), ("links", "rechts"), ("port", "starboard"), ("driver", "passenger")
_LETTERS = {"l": "r", "r": "l"}
_CORNER_WORD = re.compile(r"[fbtu][lr]|[lr][fbtu]")  # front left, top right, left front: has a side
_WORD = re.compile(r"[a-z]+|\d+", re.IGNORECASE)

Floats = NDArray[np.float64]
Flip = tuple[int, ...]


def flip_from_names(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return the flip_idx that follows from the keypoints' names; None where they have no sides or lack counterparts.

    A name with a side maps to the name with the other side; a name without one maps to itself.

    >>> flip_from_names(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    >>> flip_from_names(["rear_l", "rear_r", "roof"])
    (1, 0, 2)
    >>> flip_from_names(["wheel_fl", "wheel_fr", "wheel_rl", "wheel_rr", "roof"])
    (1, 0, 3, 2, 4)
    >>> flip_from_names(["0", "1"]) is None
    True
    """
    parts = [tuple(part.lower() for part in _WORD.findall(_split_camel_case(name))) for name in names]
    if len(set(parts)) != len(parts):
        return None
    place = {part: i for i, part in enumerate(parts)}
    goes: list[int] = []
    for i, part in enumerate(parts):
        exchanged = _side_exchanged(part) or _side_letter_exchanged(part, place)
        if exchanged in place:
            goes.append(place[exchanged])
        elif exchanged is None and not any(_CORNER_WORD.fullmatch(word) for word in part):
            goes.append(i)
        else:
            return None
    return tuple(goes) if goes != list(range(len(goes))) else None


def _side_exchanged(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    for a, b in _SIDES:
        if a in parts or b in parts:
            return tuple(b if part == a else a if part == b else part for part in parts)
    return None


def _side_letter_exchanged(parts: tuple[str, ...], place: Mapping[tuple[str, ...], int]) -> tuple[str, ...] | None:
    """Return the name with l and r exchanged in a word of two or three letters, as fl and fr, LM and RM; or None."""
    for at, word in enumerate(parts):
        for letter in range(len(word)) if len(word) in (2, 3) else ():
            if word[letter] in _LETTERS:
                other = f"{word[:letter]}{_LETTERS[word[letter]]}{word[letter + 1 :]}"
                name = (*parts[:at], other, *parts[at + 1 :])
                if name in place:
                    return name
    return None


def _split_camel_case(name: str) -> str:
    """Return a name with spaces between its words: `leftEye` → `left Eye`, `LEye` → `L Eye`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)


class FlipEstimate(NamedTuple):
    """An estimated flip_idx, and how well it fits."""

    flip: Flip
    left_over: float
    """Misfit of this flip as a fraction of the identity's"""
    images: int


class _Poses(NamedTuple):
    """Keypoints of objects with a box."""

    places: Floats
    """(n, K, 2) positions in the box, in units of √area"""
    seen: NDArray[np.bool_]
    """(n, K) whether a keypoint is labelled"""
    image: NDArray[np.int64]
    """(n,) index of the image"""


def flip_from_positions(dataset: Dataset) -> FlipEstimate | None:
    """Return the flip_idx estimated from the keypoints' positions; None where they do not decide it."""
    poses = _labelled_poses(dataset)
    if poses is None or not 2 <= poses.seen.shape[1] <= _MAX_KEYPOINTS:
        return None
    images = np.unique(poses.image)
    if len(images) < _MIN_COUNT or (poses.seen.sum(axis=0) < _MIN_COUNT).any():
        return None
    whole = _mean_offsets(poses, np.ones(len(poses.image)))
    found = best_flip(whole)
    identity = tuple(range(len(found)))
    identity_misfit = misfit(whole, identity)
    if found == identity or misfit(whole, found) > _MAX_LEFT_OVER * identity_misfit or identity_misfit < _MIN_OFFSET**2:
        return None
    rng = np.random.default_rng(0)
    place = np.searchsorted(images, poses.image)
    for _ in range(_RESAMPLES):
        drawn = np.bincount(rng.integers(0, len(images), len(images)), minlength=len(images))
        if best_flip(_mean_offsets(poses, drawn[place].astype(np.float64))) != found:
            return None
    return FlipEstimate(found, float(misfit(whole, found) / identity_misfit), len(images))


def _labelled_poses(dataset: Dataset) -> _Poses | None:
    labels = dataset.labels
    if labels.keypoints is None or not len(labels):
        return None
    size = labels.boxes[:, 2:] - labels.boxes[:, :2]
    whole = np.flatnonzero((size > 0).all(axis=1) & ~labels.crowd & ~labels.ignore)
    whole = whole[:: -(-len(whole) * labels.keypoints.shape[1] ** 2 // _MAX_OFFSETS) or 1]
    unit = np.sqrt(size[whole].prod(axis=1))
    points = labels.keypoints[whole]
    places = (points[..., :2] - labels.boxes[whole, None, :2]) / unit[:, None, None]
    return _Poses(np.clip(places, -3, 4), points[..., 2] > 0, labels.image[whole])


def _mean_offsets(poses: _Poses, weight: Floats) -> Floats:
    """Return (3, K, K) mean x offset, y offset and distance from keypoint i to k; 0 where they never occur together."""
    both = np.einsum("n,ni,nk->ik", weight, poses.seen, poses.seen, optimize=True)
    step = poses.places[:, None, :, :] - poses.places[:, :, None, :]
    kept = weight[:, None, None] * (poses.seen[:, :, None] & poses.seen[:, None, :])
    far = np.sqrt((step**2).sum(axis=-1))
    total = np.stack([(kept * one).sum(axis=0) for one in (step[..., 0], step[..., 1], far)])
    mean: Floats = total / np.maximum(both, 1e-9)
    return np.where(both < 1, 0.0, mean)


def misfit(offsets: Floats, flip: Flip) -> float:
    """Return the mean squared difference between mirrored offsets (3, K, K) and offsets of exchanged keypoints."""
    index = np.array(flip)
    exchanged = offsets[:, index[:, None], index[None, :]]
    mirrored = offsets * np.array([-1.0, 1.0, 1.0])[:, None, None]
    return float(((exchanged - mirrored) ** 2).mean())


def best_flip(offsets: Floats) -> Flip:
    """Return the flip of least misfit that local search finds from two starting points; offsets (3, K, K)."""
    count = offsets.shape[1]
    identity = tuple(range(count))
    return min(
        (_local_search(offsets, start) for start in (identity, _initial_flip(offsets))),
        key=lambda f: misfit(offsets, f),
    )


def _initial_flip(offsets: Floats) -> Flip:
    """Return a first guess: pairs of keypoints with similar distances to all others, on opposite sides."""
    count = offsets.shape[1]
    right, down, far = offsets
    sides, heights, profile = right.mean(axis=0), down.mean(axis=0), np.sort(far, axis=1)
    cost = np.abs(sides[:, None] + sides[None]) + np.abs(heights[:, None] - heights[None])
    cost += np.abs(profile[:, None] - profile[None]).mean(axis=-1)
    flip, free = list(range(count)), set(range(count))
    for i, j in sorted(combinations(range(count), 2), key=lambda pair: cost[pair]):
        if i in free and j in free and cost[i, j] < min(cost[i, i], cost[j, j]):
            flip[i], flip[j] = j, i
            free -= {i, j}
    return tuple(flip)


def _local_search(offsets: Floats, flip: Flip) -> Flip:
    least = misfit(offsets, flip)
    while True:
        tried = [(misfit(offsets, other), other) for other in _variations(flip)]
        better = min(tried, default=(least, flip))
        if better[0] >= least - 1e-12:
            return flip
        least, flip = better


def _variations(flip: Flip) -> list[Flip]:
    """Return the flips that differ by one pair: split, or joined, with their former partners single or joined too."""
    found = []
    for i, j in combinations(range(len(flip)), 2):
        other = list(flip)
        a, b = flip[i], flip[j]
        other[a], other[b] = a, b  # their former partners become single
        if a == j:
            other[i], other[j] = i, j
        else:
            other[i], other[j] = j, i
            if a != i and b != j:
                joined = list(other)
                joined[a], joined[b] = b, a
                found.append(tuple(joined))
        found.append(tuple(other))
    return found
