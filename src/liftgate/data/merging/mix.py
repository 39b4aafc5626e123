"""Mix several datasets for one training, with repeats or weights; val and test are never mixed.

Nothing is copied: an image that is seen n times per epoch is listed n times.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.merging.merge import MergePlan, merge
from liftgate.errors import DataError


@dataclass(frozen=True, slots=True)
class Mix:
    """A merged dataset for training, and how often each of its images is seen per epoch."""

    dataset: Dataset
    repeats: Mapping[str, int]
    """image id → times per epoch; images that are not in it are seen once"""
    left_out: Mapping[str, int]
    """dataset → its val and test images that were left out"""


def mix(
    plan: MergePlan,
    *,
    repeats: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    held_out: str | None = None,
    accept: Collection[str] = (),
    backgrounds: bool = False,
) -> Mix:
    """Merge datasets for training, and set how often each image is seen per epoch.

    With `weights` every image is seen at least once, and those of the dataset that is largest for its weight exactly
    once. If another's are to be seen 2.5 times, each is seen twice and half of them, drawn by `seed`, a third time.

    val and test are never mixed: they come from `held_out` alone, or from the only dataset that has any; those of the
    others are left out.

    Args:
        plan: plan of the merge.
        repeats: dataset → how often its training images are seen per epoch.
        weights: dataset → its share of an epoch, instead of `repeats`.
        seed: seed of the draw for fractions of `weights`.
        held_out: dataset that val and test come from.
        accept: kinds of conflict to accept.
        backgrounds: keep images that lose all their boxes.

    Raises:
        DataError: as `merge`; an unknown dataset; invalid weights; val or test in several datasets without `held_out`.
    """
    if repeats and weights:
        raise DataError("a mix goes by repeats or by weights, not by both")
    named = set(repeats or ()) | set(weights or ()) | ({held_out} if held_out else set())
    if unknown := sorted(named - set(plan.names)):
        raise DataError("no such data set in the mix", expected=", ".join(plan.names), got=", ".join(unknown))
    if bad := [f"{name} × {times}" for name, times in (repeats or {}).items() if times < 0]:
        raise DataError("repeats are 0 or more", got=", ".join(bad))
    keeper = held_out or _only_measured(plan)
    merged = merge(plan, accept=accept, backgrounds=backgrounds)
    owners = [image.id.split("/", 1)[0] for image in merged.images]
    train = {
        name: [
            image.id
            for image, owner in zip(merged.images, owners, strict=True)
            if (owner, image.split) == (name, "train")
        ]
        for name in plan.names
    }
    if weights:
        times = _weighed(train, weights, np.random.default_rng(seed))
    else:
        times = {image: (repeats or {}).get(name, 1) for name, images in train.items() for image in images}
    held = [image.split not in (None, "train") for image in merged.images]
    chosen = [
        owner == keeper if measured else times.get(image.id, 0) > 0
        for image, owner, measured in zip(merged.images, owners, held, strict=True)
    ]
    left_out = {
        name: sum(measured and owner == name for owner, measured in zip(owners, held, strict=True))
        for name in plan.names
        if name != keeper
    }
    return Mix(
        dataset=merged.take(np.array(chosen, dtype=np.bool_)),
        repeats={image: count for image, count in times.items() if count > 1},
        left_out={name: count for name, count in left_out.items() if count},
    )


def _only_measured(plan: MergePlan) -> str:
    """Return the only dataset that has val or test images; empty: none has."""
    measured = [
        name
        for name, dataset in zip(plan.names, plan.datasets, strict=True)
        if any(image.split not in (None, "train") for image in dataset.images)
    ]
    if len(measured) > 1:
        raise DataError(
            "more than one data set has val or test images",
            got=", ".join(measured),
            hint="say whose are meant: val and test are never mixed",
        )
    return measured[0] if measured else ""


def _weighed(
    train: Mapping[str, Sequence[str]], weights: Mapping[str, float], rng: np.random.Generator
) -> dict[str, int]:
    """Return image id → how often it is seen, so that the datasets' shares of an epoch are as their weights."""
    filled = {name: images for name, images in train.items() if images}
    bad = [f"{name}={weight:g}" for name, weight in weights.items() if not 0 < weight < np.inf]
    if bad or set(filled) - set(weights):
        raise DataError(
            "a mix by weights needs a positive weight for every data set",
            expected=", ".join(filled),
            got=", ".join(bad) or ", ".join(weights),
            hint="leave a data set out of the mix, or go by --repeat",
        )
    entries = max((len(images) / weights[name] for name, images in filled.items()), default=0.0)
    times: dict[str, int] = {}
    for name, images in filled.items():
        each, more = divmod(round(entries * weights[name]), len(images))
        again = {images[index] for index in rng.permutation(len(images))[:more].tolist()}
        times |= {image: each + (image in again) for image in images}
    return times
