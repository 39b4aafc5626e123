"""flip_idx: which keypoint becomes which when an image is mirrored, from the names, or from where the keypoints lie.

From positions: a mirrored picture of a thing with two like sides is a picture of such a thing, with left and right
exchanged. So under the right flip mirrored poses look like poses: every keypoint's partner lies as far to the left of
the others' partners as it lies to their right itself, at the same height and at the same distance. The mean offsets and
distances of all pairs of keypoints are compared, in units of the box. The flip that fits best is found by exchanging
partners until nothing improves, and it counts only when the same one results from every resampling of the images and
leaves little of what the identity leaves. Of a thing seen equally from all sides, without anything hidden, left is as
often left as right: then no flip is better than none, and the answer is None. So it is for a thing whose sides differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset

_FEWEST = 40  # objects that show a keypoint, and images
_DRAWS = 12
_LEFT_OVER = 0.05  # of what the identity leaves unexplained
_SIDE = 0.03  # of the box: a mean offset that is no chance
_MOST = 64  # keypoints; more are meshes
_ENOUGH = 2_000_000  # offsets between keypoints, over all objects: 2,000 objects of 32 keypoints

_SIDES = ("left", "right"), ("l", "r"), ("links", "rechts"), ("port", "starboard"), ("driver", "passenger")
_LETTERS = {"l": "r", "r": "l"}
_CORNER = re.compile(r"[fbtu][lr]|[lr][fbtu]")  # front left, top right, left front: a side, also without a counterpart
_PART = re.compile(r"[a-z]+|\d+", re.IGNORECASE)

Floats = NDArray[np.float64]
Flip = tuple[int, ...]


def flip_from_names(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return where each keypoint goes under mirroring, or None where the names do not say.

    A name goes to the name with its side exchanged; one without a side stays where it is. If a side has no
    counterpart, the names do not say.

    >>> flip_from_names(["nose", "left_eye", "right_eye"])
    (0, 2, 1)
    >>> flip_from_names(["rear_l", "rear_r", "roof"])
    (1, 0, 2)
    >>> flip_from_names(["wheel_fl", "wheel_fr", "wheel_rl", "wheel_rr", "roof"])
    (1, 0, 3, 2, 4)
    >>> flip_from_names(["0", "1"]) is None
    True
    """
    parts = [tuple(part.lower() for part in _PART.findall(_spaced(name))) for name in names]
    if len(set(parts)) != len(parts):
        return None
    place = {part: i for i, part in enumerate(parts)}
    goes: list[int] = []
    for i, part in enumerate(parts):
        exchanged = _exchanged(part) or _of_letters(part, place)
        if exchanged in place:
            goes.append(place[exchanged])
        elif exchanged is None and not any(_CORNER.fullmatch(word) for word in part):
            goes.append(i)
        else:
            return None
    return tuple(goes) if goes != list(range(len(goes))) else None


def _exchanged(parts: tuple[str, ...]) -> tuple[str, ...] | None:
    for a, b in _SIDES:
        if a in parts or b in parts:
            return tuple(b if part == a else a if part == b else part for part in parts)
    return None


def _of_letters(parts: tuple[str, ...], place: Mapping[tuple[str, ...], int]) -> tuple[str, ...] | None:
    """The name that differs by an l for an r in a word of two or three letters: fl and fr, rl and rr, LM and RM."""
    for at, word in enumerate(parts):
        for letter in range(len(word)) if len(word) in (2, 3) else ():
            if word[letter] in _LETTERS:
                other = f"{word[:letter]}{_LETTERS[word[letter]]}{word[letter + 1 :]}"
                name = (*parts[:at], other, *parts[at + 1 :])
                if name in place:
                    return name
    return None


def _spaced(name: str) -> str:
    """`leftEye` and `LEye` have words too."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)


class FlipEstimate(NamedTuple):
    """A flip, and how well it fits."""

    flip: Flip
    left_over: float
    """Of what the identity leaves unexplained, the share that this flip leaves"""
    images: int


class _Poses(NamedTuple):
    """Labelled keypoints of whole objects."""

    places: Floats
    """(n, K, 2) in units of the box"""
    seen: NDArray[np.bool_]
    """(n, K)"""
    image: NDArray[np.int64]
    """(n,)"""


def flip_from_positions(dataset: Dataset) -> FlipEstimate | None:
    """Return where each keypoint goes under mirroring by where the keypoints lie; None where that is undecidable."""
    poses = _poses(dataset)
    if poses is None or not 2 <= poses.seen.shape[1] <= _MOST:
        return None
    images = np.unique(poses.image)
    if len(images) < _FEWEST or (poses.seen.sum(axis=0) < _FEWEST).any():
        return None
    whole = _offsets(poses, np.ones(len(poses.image)))
    found = best_flip(whole)
    identity = tuple(range(len(found)))
    nothing = misfit(whole, identity)
    if found == identity or misfit(whole, found) > _LEFT_OVER * nothing or nothing < _SIDE**2:
        return None
    rng = np.random.default_rng(0)
    place = np.searchsorted(images, poses.image)
    for _ in range(_DRAWS):
        drawn = np.bincount(rng.integers(0, len(images), len(images)), minlength=len(images))
        if best_flip(_offsets(poses, drawn[place].astype(np.float64))) != found:
            return None
    return FlipEstimate(found, float(misfit(whole, found) / nothing), len(images))


def _poses(dataset: Dataset) -> _Poses | None:
    labels = dataset.labels
    if labels.keypoints is None or not len(labels):
        return None
    size = labels.boxes[:, 2:] - labels.boxes[:, :2]
    whole = np.flatnonzero((size > 0).all(axis=1) & ~labels.crowd & ~labels.ignore)
    whole = whole[:: -(-len(whole) * labels.keypoints.shape[1] ** 2 // _ENOUGH) or 1]
    unit = np.sqrt(size[whole].prod(axis=1))
    points = labels.keypoints[whole]
    places = (points[..., :2] - labels.boxes[whole, None, :2]) / unit[:, None, None]
    return _Poses(np.clip(places, -3, 4), points[..., 2] > 0, labels.image[whole])


def _offsets(poses: _Poses, weight: Floats) -> Floats:
    """(3, K, K) mean offset to the right, mean offset down, mean distance from keypoint i to k; 0 where never both."""
    both = np.einsum("n,ni,nk->ik", weight, poses.seen, poses.seen, optimize=True)
    step = poses.places[:, None, :, :] - poses.places[:, :, None, :]
    kept = weight[:, None, None] * (poses.seen[:, :, None] & poses.seen[:, None, :])
    far = np.sqrt((step**2).sum(axis=-1))
    total = np.stack([(kept * one).sum(axis=0) for one in (step[..., 0], step[..., 1], far)])
    mean: Floats = total / np.maximum(both, 1e-9)
    return np.where(both < 1, 0.0, mean)


def misfit(offsets: Floats, flip: Flip) -> float:
    """Mean squared difference between mirrored and exchanged offsets."""
    index = np.array(flip)
    exchanged = offsets[:, index[:, None], index[None, :]]
    mirrored = offsets * np.array([-1.0, 1.0, 1.0])[:, None, None]
    return float(((exchanged - mirrored) ** 2).mean())


def best_flip(offsets: Floats) -> Flip:
    """The flip of least misfit that exchanging, joining and parting of pairs leads to, from two beginnings."""
    count = offsets.shape[1]
    identity = tuple(range(count))
    return min((_improved(offsets, start) for start in (identity, _likely(offsets))), key=lambda f: misfit(offsets, f))


def _likely(offsets: Floats) -> Flip:
    """Pairs by each keypoint alone: how far it lies from all others, sorted, and on which side of them."""
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


def _improved(offsets: Floats, flip: Flip) -> Flip:
    least = misfit(offsets, flip)
    while True:
        tried = [(misfit(offsets, other), other) for other in _neighbours(flip)]
        better = min(tried, default=(least, flip))
        if better[0] >= least - 1e-12:
            return flip
        least, flip = better


def _neighbours(flip: Flip) -> list[Flip]:
    """Flips in which one pair is parted, or two keypoints are joined and their partners left alone or joined too."""
    found = []
    for i, j in combinations(range(len(flip)), 2):
        other = list(flip)
        a, b = flip[i], flip[j]
        other[a], other[b] = a, b  # the partners that are left
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
