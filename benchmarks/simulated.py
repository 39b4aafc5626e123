"""Simulated test sets and two detectors on them, for benchmarks/coverage.py: what real data look like, and worse.

Frames of a group resemble each other: every group has its own difficulty, shared by both models, and its own taste for
one of them. A `Process` says how: the first is mild, the others are what a critic would try.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image, Keypoints, Labels
from liftgate.data.core.predictions import Predictions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Process = Literal["normal", "beta", "heavy", "copies", "own class", "sizes tell"]
PROCESSES: dict[Process, str] = {
    "normal": "normal effects of the group on finding and on scores",
    "beta": "chances of finding are beta-distributed; scores and false detections have effects of their own",
    "heavy": "effects of groups from t with two degrees, objects and false detections an image far from Poisson",
    "copies": "all frames of a group are copies of one",
    "own class": "one class occurs in one group only",
    "sizes tell": "sizes are log-normal by chance, and large groups are hard",
}


class Quality(NamedTuple):
    """How good a model is, on the logit scale of finding an object."""

    skill: float
    made_up: float
    """False detections an image of the easiest kind"""
    made_up_score: float


QUALITY = {
    "middle": Quality(1.0, 0.5, -0.5),
    "near 1": Quality(4.2, 0.1, -2.0),
    "near 0": Quality(-2.7, 1.0, 0.3),
    "perfect": Quality(7.0, 0.01, -2.0),
    "dead": Quality(-7.0, 0.3, 0.0),
}
LIFT = 0.35
"""By how much the second model is better"""


@dataclass(frozen=True)
class Cell:
    """One kind of data."""

    groups: int = 20
    per_group: int = 12
    sizes: str = "even"
    """`even`, `zipf` (1, 1/2, 1/3, …) or `half`: one group holds half of the images"""
    classes: int = 1
    rare: float = 1.0
    """How frequent the second half of the classes is, beside the first"""
    quality: str = "middle"
    objects_in: float = 1.0
    """Share of the groups that hold objects"""
    process: Process = "normal"
    lift: float = LIFT
    """By how much the second model is better; 0: both are alike but for chance"""

    def __str__(self) -> str:
        kind = f"{self.groups} × {self.per_group} {self.sizes}"
        kind += f", {self.classes} classes" if self.classes > 1 else ""
        kind += f" (half of them at {self.rare:.0%})" if self.rare < 1 else ""
        kind += f", {self.quality}" if self.quality != "middle" else ""
        kind += f", objects in {self.objects_in:.0%}" if self.objects_in < 1 else ""
        kind += f", {self.process}" if self.process != "normal" else ""
        return kind + (f", lift {self.lift:g}" if self.lift != LIFT else "")


class Sample(NamedTuple):
    """A test set and the detections of two models on it."""

    truth: Dataset
    first: Predictions
    second: Predictions


class Scene(NamedTuple):
    """Objects of a sample."""

    image: Ints
    cls: Ints
    boxes: Floats
    points: Floats
    share: Floats
    """(K,) how frequent each class is"""
    group: Ints
    """(n_images,)"""


def sizes_of(cell: Cell, rng: np.random.Generator) -> Ints:
    images = cell.groups * cell.per_group
    if cell.process == "sizes tell":
        return np.ceil(cell.per_group * rng.lognormal(-0.5, 1, cell.groups)).astype(np.int64)
    if cell.sizes == "even":
        return np.full(cell.groups, cell.per_group)
    share = 1 / np.arange(1, cell.groups + 1)
    if cell.sizes == "half":
        share = np.append(0.5, np.full(cell.groups - 1, 0.5 / (cell.groups - 1)))
    return np.maximum(1, np.round(images * share / share.sum())).astype(np.int64)


def sample(cell: Cell, rng: np.random.Generator, *, sets: int = 1) -> Sample:
    """Draw a sample of groups, or as many sets of them side by side, and two detectors on it."""
    sizes = np.concatenate([sizes_of(cell, rng) for _ in range(sets)])
    shown = np.ones_like(sizes) if cell.process == "copies" else sizes
    scene = _scene(cell, shown, sets, rng)
    difficulty = _difficulty(cell, sizes, rng)
    first, second = (_detections(cell, scene, difficulty + lift, rng) for lift in (0.0, cell.lift))
    if cell.process == "copies":
        objects = _copied((scene.image, scene.cls, scene.boxes, scene.points), sizes)
        first, second = (_copied(columns, sizes) for columns in (first, second))
        scene = Scene(*objects, scene.share, np.repeat(scene.group, sizes))
    truth = _dataset(cell, scene)
    return Sample(truth, *(_predictions(truth, *model) for model in (first, second)))


def _scene(cell: Cell, sizes: Ints, sets: int, rng: np.random.Generator) -> Scene:
    n, groups = int(sizes.sum()), len(sizes)
    group = np.repeat(np.arange(groups), sizes)
    some = rng.permutation(groups) < max(1, round(cell.objects_in * groups))
    often = np.minimum(rng.negative_binomial(0.4, 0.17, n), 5) if cell.process == "heavy" else rng.poisson(2, n)
    count = np.minimum(often, 5) * some[group]
    image = np.repeat(np.arange(n), count)
    slot = np.arange(len(image)) - np.repeat(np.cumsum(count) - count, count)
    corner = np.stack([10.0 + 120 * slot, np.full(len(image), 20.0)], axis=1)
    boxes = np.concatenate([corner, corner + 100], axis=1)
    share = np.ones(cell.classes)
    if cell.classes > 1:
        share[(cell.classes + 1) // 2 :] = cell.rare
    if cell.process == "own class":
        share[-1] = 0
    share /= share.sum()
    cls = rng.choice(cell.classes, len(image), p=share)
    if cell.process == "own class":  # in one group of each set, half of the objects
        own = np.repeat(np.arange(sets) * cell.groups, 1) + rng.integers(0, cell.groups, sets)
        cls[np.isin(group[image], own) & (rng.random(len(image)) < 0.5)] = cell.classes - 1
    return Scene(image, cls, boxes, _points(boxes), share, group)


def _difficulty(cell: Cell, sizes: Ints, rng: np.random.Generator) -> Floats:
    """Return (2, G): the skill that both models share in each group, for finding and for scoring."""
    groups = len(sizes)
    if cell.process == "heavy":
        both = rng.standard_t(2, groups) * 0.5
        return np.stack([both, both])
    if cell.process == "beta":
        return np.stack([np.zeros(groups), rng.normal(0, 1, groups)])
    both = rng.normal(0, 0.7, groups)
    if cell.process == "sizes tell":
        both = both - 0.5 * (np.log(sizes / cell.per_group) + 0.5)  # by a fixed centre: groups are independent
    return np.stack([both, both])


def _detections(
    cell: Cell, scene: Scene, skill: Floats, rng: np.random.Generator
) -> tuple[Ints, Ints, Floats, Floats, Floats]:
    """Return image, class, boxes, scores and keypoints of what is found and placed by skill, and of what is made up."""
    quality, group = QUALITY[cell.quality], scene.group
    groups, n = skill.shape[1], len(group)
    own = rng.normal(0, 0.35, groups)
    finding, scoring = (quality.skill + row + own for row in skill)
    chance_of_group = logistic(finding)
    if cell.process == "beta":  # an intraclass correlation of 0.2
        mean = np.clip(chance_of_group, 1e-4, 1 - 1e-4)
        chance_of_group = rng.beta(4 * mean, 4 * (1 - mean))
    chance = chance_of_group[group[scene.image]]
    found = rng.random(len(scene.image)) < chance
    expected = quality.made_up * (1.6 - chance_of_group[group])
    if cell.process in ("heavy", "beta"):
        expected = expected * rng.gamma(0.5, 2, groups)[group]
    extra = np.repeat(np.arange(n), np.minimum(rng.poisson(expected), 30))
    shift = rng.normal(0, 1, int(found.sum())) * 14 * (1.3 - chance[found])
    near = scene.boxes[found] + np.stack([shift, shift * 0.3, shift, shift * 0.3], axis=1)
    left = 10.0 + 120 * rng.integers(0, 5, len(extra))
    wrong = np.stack([left, np.full(len(extra), 220.0), left + 100, np.full(len(extra), 320.0)], axis=1)
    scores = np.concatenate(
        [rng.normal(scoring[group[scene.image[found]]], 1), rng.normal(quality.made_up_score, 1, len(extra))]
    )
    placed = scene.points[found] + (rng.normal(0, 1, int(found.sum())) * 6 * (1.3 - chance[found]))[:, None, None]
    middles = np.repeat(_points(wrong)[:, 1:2], scene.points.shape[1], axis=1)
    invented = rng.choice(cell.classes, len(extra), p=scene.share)
    return (
        np.concatenate([scene.image[found], extra]).astype(np.int64),
        np.concatenate([scene.cls[found], invented]).astype(np.int64),
        np.concatenate([near, wrong]),
        logistic(scores),
        np.concatenate([placed, middles]),
    )


def _points(boxes: Floats) -> Floats:
    """Return (n, 3, 2) three keypoints on the diagonal of each box."""
    return np.stack([(boxes[:, :2] + boxes[:, 2:]) / 2 + 20 * k for k in (-1, 0, 1)], axis=1)


def _copied(columns: tuple[Any, ...], sizes: Ints) -> tuple[Any, ...]:
    """Repeat the one image of every group as often as the group has frames; the first column is the image."""
    image = columns[0]
    repeats = sizes[image]
    start = np.cumsum(sizes) - sizes
    copy = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    more = [np.repeat(column, repeats, axis=0) for column in columns[1:]]
    return (np.repeat(start[image], repeats) + copy, *more)


@functools.lru_cache(maxsize=8)
def _images(groups: tuple[int, ...]) -> tuple[Image, ...]:
    return tuple(Image(f"{i}.jpg", Path(f"{i}.jpg"), 640, 480, group=f"v{group:06}") for i, group in enumerate(groups))


def _dataset(cell: Cell, scene: Scene) -> Dataset:
    labelled = np.concatenate([scene.points, np.full((*scene.points.shape[:2], 1), 2.0)], axis=2)
    return Dataset(
        name="simulated", root=Path(), source=Path("simulated"), format="yolo",
        classes=tuple(f"c{k}" for k in range(cell.classes)),
        images=_images(tuple(scene.group.tolist())),
        labels=Labels.build(scene.image, scene.cls, scene.boxes, keypoints=labelled),
        keypoints=Keypoints(("a", "b", "c")),
    )  # fmt: skip


def _predictions(truth: Dataset, image: Ints, cls: Ints, boxes: Floats, scores: Floats, points: Floats) -> Predictions:
    return Predictions(
        images=tuple(one.id for one in truth.images),
        classes=truth.classes,
        image=image,
        cls=cls,
        boxes=boxes,
        scores=scores,
        keypoints=np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2),
    )


def logistic(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)), dtype=np.float64)
