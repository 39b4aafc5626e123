"""Resampling: units (groups of images, or blocks of groups) and bootstrap weights of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.stats.clustered import bootstrap_weights

MIN_DRAWS, MAX_UNITS = 200, 1000
_MAX_COST = 10**8  # draws × detections: a fraction of a second

DRAWS = 1000
"""Bootstrap draws of a comparison"""
IMAGE_DRAWS = 200
"""Bootstrap draws of single images, used for the design effect only"""

_BLOCK_SEED = 20_260_101  # fixed: blocks must not depend on the caller or the order of the images
_DRAW_SEED = 20_260_103  # fixed: the same data give the same interval
_HALVES_SEED = 20_260_105


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Resampling units: groups, or blocks of groups where there are very many groups."""

    of_image: NDArray[np.int64]
    """(n_images,) index of each image's unit"""
    count: int
    """Number of units"""
    group: NDArray[np.int64]
    """(n_images,) index of each image's group"""
    n_groups: int
    weight: NDArray[np.float64] | None = None
    """(U,) inverse inclusion probability of each unit of a drawn sample; None: every unit counts once"""

    @property
    def blocked(self) -> bool:
        """Whether groups were combined into fewer blocks."""
        return self.count < self.n_groups

    def sample_weights(self) -> NDArray[np.float64]:
        """Return (U, 1) weights of the sample itself: every unit once, or as many times as units that it represents."""
        return np.ones((self.count, 1)) if self.weight is None else self.weight[:, None].copy()

    def image_weights(self) -> NDArray[np.float64]:
        """Return (n_images,) how much each image counts: 1, or as many as it represents; 0 outside of a slice."""
        inside = self.group < self.n_groups
        if self.weight is None:
            return inside.astype(np.float64)
        return np.where(inside, self.weight[np.minimum(self.of_image, self.count - 1)], 0.0)

    def draws(self, count: int = DRAWS) -> NDArray[np.float64]:
        """Return (U, 1 + count) weights: the sample itself, then bootstrap draws; the same in every call."""
        drawn = _draws(self.count, count)
        return drawn if self.weight is None else drawn * self.weight[:, None]

    def halves(self, pairs: int) -> NDArray[np.float64]:
        """Return (U, 1 + 2 · pairs) weights: the sample itself, then random halves of it, each with its other half."""
        halved = _halves(self.count, pairs)
        return halved if self.weight is None else halved * self.weight[:, None]

    def within(self, inside: NDArray[np.bool_]) -> Units:
        """Return these units of the images `inside` (n,) as units of all n images.

        All other images get one additional, last unit and group; `draws_within` gives it weight 0.
        """
        unit, group = np.full(len(inside), self.count), np.full(len(inside), self.n_groups)
        unit[inside], group[inside] = self.of_image, self.group
        return Units(unit, self.count, group, self.n_groups)

    def draws_within(self, count: int = DRAWS) -> NDArray[np.float64]:
        """Return (U + 1, 1 + count) the weights of `draws`, and weight 0 for the last unit of `within`."""
        return _and_nothing(self.draws(count))

    def halves_within(self, pairs: int) -> NDArray[np.float64]:
        """Return (U + 1, 1 + 2 · pairs) the weights of `halves`, and weight 0 for the last unit of `within`."""
        return _and_nothing(self.halves(pairs))

    def method(self, name: str) -> str:
        """Return a method's name, with the number of blocks that it draws, if any."""
        return f"{name} over {self.count} blocks of groups" if self.blocked else name


def _and_nothing(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([weights, np.zeros((1, weights.shape[1]))])


@functools.lru_cache(maxsize=4)
def _halves(units: int, pairs: int) -> NDArray[np.float64]:
    """Return (units, 1 + 2 · pairs) weights of 0 and 1; kept, as those of `_draws`."""
    rng = np.random.default_rng(_HALVES_SEED)
    first = (rng.random((pairs, units)).argsort(axis=1) < units // 2).T
    weights = np.ones((units, 1 + 2 * pairs))
    weights[:, 1::2], weights[:, 2::2] = first, ~first
    weights.flags.writeable = False
    return weights


@functools.lru_cache(maxsize=4)
def _draws(units: int, count: int) -> NDArray[np.float64]:
    """Return (units, 1 + count) weights; kept, because every metric of an evaluation asks for the same ones."""
    drawn = bootstrap_weights(units, count, np.random.default_rng(_DRAW_SEED))
    weights = np.concatenate([np.ones((units, 1)), drawn], axis=1)
    weights.flags.writeable = False
    return weights


def affordable_draws(n_detections: int) -> int:
    """Return the number of draws, 200 to 1,000, that keeps the cost of resampling linear in the detections.

    With 200 draws the standard error is itself uncertain by 5%; the degrees of freedom account for that.

    >>> affordable_draws(10_000), affordable_draws(475_526)
    (1000, 210)
    """
    return min(MAX_UNITS, max(MIN_DRAWS, _MAX_COST // max(1, n_detections)))


def units(keys: Sequence[str], max_units: int = MAX_UNITS) -> Units:
    """Return units from the group key of each image; more than `max_units` groups are combined into fixed blocks."""
    names = sorted(set(keys))
    place = {name: index for index, name in enumerate(names)}
    group = np.array([place[key] for key in keys], dtype=np.int64)
    if len(names) <= max_units:
        return Units(group, len(names), group, len(names))
    block = np.random.default_rng(_BLOCK_SEED).permutation(len(names)) % max_units
    return Units(block[group].astype(np.int64), max_units, group, len(names))


def weighted_units(keys: Sequence[str], weight: Mapping[str, float]) -> Units:
    """Return units of groups that were drawn with known probabilities, each with its weight; never blocks.

    Args:
        keys: group key of each image.
        weight: group key → inverse inclusion probability of its images.
    """
    found = units(keys, max_units=max(1, len(set(keys))))
    names = sorted(set(map(str, keys)))
    return replace(found, weight=np.array([weight[name] for name in names], dtype=np.float64))


def image_units(n_images: int) -> Units:
    """Return units of single images, combined into blocks where there are more than MAX_UNITS."""
    image = np.arange(n_images, dtype=np.int64)
    if n_images <= MAX_UNITS:
        return Units(image, n_images, image, n_images)
    block = np.random.default_rng(_BLOCK_SEED).permutation(n_images) % MAX_UNITS
    return Units(block.astype(np.int64), MAX_UNITS, image, n_images)


def images_by_slice(truth: Dataset, by: Mapping[str, str]) -> dict[str, NDArray[np.bool_]]:
    """Return slice → mask (n,) of the truth's images that belong to it, sorted by name.

    Args:
        truth: the images.
        by: image id → slice; images that it lacks belong to none.

    Raises:
        UsageError: no image belongs to a slice.
    """
    label = np.array([by.get(image.id, "") for image in truth.images], dtype=object)
    names = sorted(set(label) - {""})
    if not names:
        example = truth.images[0].id if truth.images else "none"
        raise UsageError("no image belongs to a slice", expected=f"ids like {example!r}", got=next(iter(by), "nothing"))
    return {name: label == name for name in names}
