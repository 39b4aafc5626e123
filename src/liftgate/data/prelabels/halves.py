"""Halves of a batch, drawn at random by group: one goes out with pre-labels, the other is drawn from nothing.

What the pre-labels save is the difference between the two. The groups are put in the order of how many pre-labels they
have, and of each pair of neighbours one is drawn, so that neither half has all the crowded ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.hashed_record import read_hashed, write_hashed
from liftgate.errors import DataError, UsageError

HALVES = "halves.json"


class HalfSize(NamedTuple):
    """Images and groups of one half."""

    images: int
    groups: int


@dataclass(frozen=True, slots=True)
class Halves:
    """Which images went out with pre-labels; columns of one length."""

    seed: int
    images: tuple[str, ...]
    groups: tuple[str, ...]
    """Of each image when it was drawn; `image:ID` where none was known"""
    prelabelled: tuple[bool, ...]

    @property
    def of_image(self) -> Mapping[str, bool]:
        """Image id → whether it had pre-labels."""
        return dict(zip(self.images, self.prelabelled, strict=True))

    def count(self, prelabelled: bool) -> HalfSize:
        """Return how large one half is."""
        found = [group for group, one in zip(self.groups, self.prelabelled, strict=True) if one == prelabelled]
        return HalfSize(len(found), len(set(found)))


def draw_halves(dataset: Dataset, seed: int) -> Halves:
    """Draw which half of the groups keeps its pre-labels.

    Args:
        dataset: images with pre-labels and groups.
        seed: of the draw.

    Raises:
        UsageError: there are not two groups.
    """
    keys = tuple(image.key for image in dataset.images)
    boxes = Counter(dict.fromkeys(keys, 0))
    boxes.update(keys[image] for image in dataset.labels.image.tolist())
    if len(boxes) < 2:
        raise UsageError("a batch of one group has no halves", where=dataset.source, hint="--groups RULE names them")
    rng = np.random.default_rng(seed)
    order = [name for name, _ in sorted(boxes.items(), key=lambda one: (one[1], one[0]))]
    kept: set[str] = set()
    for start in range(0, len(order), 2):
        pair = order[start : start + 2]
        place = int(rng.integers(2))  # of an odd one out, too
        kept |= set(pair[place : place + 1])
    return Halves(seed, tuple(image.id for image in dataset.images), keys, tuple(key in kept for key in keys))


def without_prelabels(dataset: Dataset, halves: Halves) -> Dataset:
    """Return the data set with the pre-labels of one half only."""
    kept = np.array(halves.prelabelled, dtype=np.bool_)
    return replace(dataset, labels=dataset.labels.take(kept[dataset.labels.image]))


def write_halves(halves: Halves, folder: Path) -> Path:
    """Write halves.json, with its hash, and return its path."""
    write_hashed(halves, folder / HALVES, "halves")
    return folder / HALVES


def read_halves(folder: Path) -> Halves | None:
    """Read halves.json of an exported folder; None: the whole batch had pre-labels.

    Raises:
        DataError: it cannot be read, or was edited.
    """
    path = folder / HALVES
    if not path.exists():
        return None
    hint = "of `data prelabel --measure-saving`"
    halves = read_hashed(path, Halves, "halves", name="which half had pre-labels", hint=hint)
    if len({len(halves.images), len(halves.groups), len(halves.prelabelled)}) != 1:
        raise DataError("the columns differ in length", where=path)
    return halves


def prelabelled_half(dataset: Dataset, halves: Halves, *, exported: bool = False) -> Dataset:
    """Return the images that had pre-labels.

    Args:
        dataset: the exported pre-labels, or the corrected labels.
        halves: that were drawn.
        exported: the former: they are compared with the draw.

    Raises:
        DataError: images of another batch, pre-labels in the half without, or a group that is in both halves.
    """
    known = halves.of_image
    if strange := [image.id for image in dataset.images if image.id not in known]:
        raise DataError("images that are in neither half", where=dataset.source, got=strange[0])
    kept = np.array([known[image.id] for image in dataset.images], dtype=np.bool_)
    if exported:
        if len(known) != len(dataset.images) or not kept[dataset.labels.image].all():
            what, hint = "the pre-labels are not those of the drawn half", "restore annotations.xml as it was exported"
            raise DataError(what, where=dataset.source, hint=hint)
        sides = {(image.key, known[image.id]) for image in dataset.images}
        if both := sorted(key for key, side in sides if side and (key, False) in sides):
            raise DataError(
                f"{len(both)} groups are in both halves, such as {both[0]}", where=dataset.source,
                hint="the halves were drawn by other groups: leave --groups out, or give it to `data prelabel`",
            )  # fmt: skip
    return dataset.take(kept)
