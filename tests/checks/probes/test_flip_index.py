"""The flip of keypoints without names, from where they lie: right or none, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from checks.small_set import SmallSet
from liftgate.checks.probes.flip_index import best_flip, flip_from_positions, misfit
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset, Image, Keypoints, Labels

# Left, up, to the front: metres. Whoever looks at us has the left side on the right of the picture.
PERSON = {
    "nose": (0, 1.7, 0.12),
    "left_eye": (0.03, 1.73, 0.1),
    "right_eye": (-0.03, 1.73, 0.1),
    "left_shoulder": (0.2, 1.45, 0),
    "right_shoulder": (-0.2, 1.45, 0),
    "left_hip": (0.13, 0.95, 0),
    "right_hip": (-0.13, 0.95, 0),
    "left_foot": (0.14, 0.08, 0.1),
    "right_foot": (-0.14, 0.08, 0.1),
}
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7)
PEN = {"tip": (-1, 1, 0), "clip": (0.2, 1, 0), "end": (1, 1, 0)}

Turned = Callable[[np.random.Generator], float]


def seen_from(thing: Mapping[str, tuple[float, float, float]], turned: Turned, objects: int = 200) -> Dataset:
    """Pictures of a thing that is turned about its upright axis; its keypoints have no names."""
    rng = np.random.default_rng(4)
    shape = np.array(list(thing.values()))
    points = np.full((objects, len(shape), 3), 2.0)
    for one in points:
        angle, size = turned(rng), rng.uniform(50, 150)
        left, up, front = (shape + rng.normal(0, 0.03, shape.shape)).T
        one[:, 0] = 300 + size * (left * np.cos(angle) + front * np.sin(angle))
        one[:, 1] = size * (2 - up)
    boxes = np.concatenate([points[:, :, :2].min(axis=1) - 3, points[:, :, :2].max(axis=1) + 3], axis=1)
    images = tuple(Image(f"{i}.jpg", Path(f"{i}.jpg"), 600, 600, split="train") for i in range(objects))
    labels = Labels.build(np.arange(objects), [0] * objects, boxes, keypoints=points)
    names = tuple(map(str, range(len(shape))))
    return Dataset("d", Path(), Path("d.yaml"), "yolo", ("thing",), images, labels, keypoints=Keypoints(names))


def facing(rng: np.random.Generator) -> float:
    return rng.normal(0, 0.5)


def mostly_facing(rng: np.random.Generator) -> float:
    return rng.normal(0, 0.5) + (np.pi if rng.random() < 0.25 else 0)


def any_side(rng: np.random.Generator) -> float:
    return rng.uniform(0, 2 * np.pi)


@pytest.mark.parametrize("turned", [facing, mostly_facing])
def test_people_who_mostly_look_at_us_get_their_flip(turned: Turned) -> None:
    found = flip_from_positions(seen_from(PERSON, turned))
    assert found is not None and found.flip == FLIP


def wheels(rear: float, *, hide: bool) -> Dataset:
    """A car from all around: front and rear wheels, these so high, and the roof; hidden are those of the far side."""
    car = {"fl": (1, 0, 2), "fr": (-1, 0, 2), "rl": (1, rear, -1.5), "rr": (-1, rear, -1.5), "roof": (0, 1.5, 0)}
    seen = seen_from(car, any_side, 400)
    points = seen.labels.keypoints
    assert points is not None
    heading_left = points[:, 0, 0] < points[:, 2, 0]  # the left wheels are on our side then
    if hide:
        points[np.ix_(heading_left, [1, 3], [2])] = 0
        points[np.ix_(~heading_left, [0, 2], [2])] = 0
    return seen


def test_hidden_keypoints_tell_the_sides_of_what_is_seen_from_all_around() -> None:
    found = flip_from_positions(wheels(0.4, hide=True))
    assert found is not None and found.flip == (1, 0, 3, 2, 4)
    assert flip_from_positions(wheels(0.4, hide=False)) is None


@pytest.mark.parametrize("thing", [PERSON, PEN], ids=["person", "pen"])
def test_from_all_sides_with_nothing_hidden_it_is_undecidable(thing: Mapping[str, tuple[float, float, float]]) -> None:
    assert flip_from_positions(seen_from(thing, any_side)) is None


def test_keypoints_on_a_slope_have_no_partners() -> None:
    slope = {"a": (-1, 0.1, 0), "b": (0, 1, 0), "c": (1, 1.9, 0)}
    assert flip_from_positions(seen_from(slope, facing)) is None


def test_few_objects_or_none_are_undecidable() -> None:
    assert flip_from_positions(seen_from(PERSON, facing, 30)) is None
    whole = seen_from(PERSON, facing, 50)
    assert flip_from_positions(replace(whole, labels=whole.labels.take(np.array([], dtype=np.int64)))) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_what_trying_every_flip_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(3, 2))  # three pairs and a middle, exactly symmetrical
    half = np.concatenate([places, places * [-1, 1], [[0, 0.3]]])
    right, down = half[None, :, 0] - half[:, None, 0], half[None, :, 1] - half[:, None, 1]
    offsets = np.stack([right, down, np.hypot(right, down)])
    flips = [p for p in permutations(range(7)) if all(p[p[i]] == i for i in range(7))]
    assert best_flip(offsets) == min(flips, key=lambda flip: misfit(offsets, flip)) == (3, 4, 5, 0, 1, 2, 6)


def test_the_finding_proposes_it_as_a_warning(small: SmallSet) -> None:
    (found,) = run(Subject({"d": seen_from(PERSON, facing)}), select=["pose.flip_idx"]).findings
    assert found.severity == "warning"
    assert found.data["proposed"] == list(FLIP)
    assert "0,2,1,4,3,6,5,8,7" in found.message and "flip_idx: [0, 2, 1" in found.hint
