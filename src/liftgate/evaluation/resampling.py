"""Resampling: which images a statistic counts as one, and the weights that draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.stats.clustered import bootstrap_weights

LEAST_BLOCKS, MOST_BLOCKS = 200, 1000
_BUDGET = 10**8  # lanes × detections that draws may cost: a fraction of a second

DRAWS = 1000
"""Draws that a comparison rests on"""
IMAGE_DRAWS = 200
"""Draws of single images, for the design effect alone"""

_DEAL_SEED = 20_260_101  # dealing must not depend on who calls, nor on the order of the images
_DRAW_SEED = 20_260_103  # nor may an interval


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Units of resampling: groups, or blocks of groups where there are very many."""

    of_image: NDArray[np.int64]
    """(n_images,) index of each image's unit"""
    count: int
    group: NDArray[np.int64]
    """(n_images,) index of each image's group"""
    n_groups: int

    @property
    def blocked(self) -> bool:
        """Whether groups were dealt into fewer blocks."""
        return self.count < self.n_groups

    def all(self) -> NDArray[np.float64]:
        """(U, 1) the sample as it is."""
        return np.ones((self.count, 1))

    def draws(self, count: int = DRAWS) -> NDArray[np.float64]:
        """(U, 1 + count) the sample as it is, then draws of units with multiplicity; the same in every call."""
        drawn = bootstrap_weights(self.count, count, np.random.default_rng(_DRAW_SEED))
        return np.concatenate([self.all(), drawn], axis=1)

    def within(self, inside: NDArray[np.bool_]) -> Units:
        """Return these units, which are of the images `inside` (n,) alone, as units of all n images.

        The others get a last unit and a last group of their own; see `weights_within`.
        """
        unit, group = np.full(len(inside), self.count), np.full(len(inside), self.n_groups)
        unit[inside], group[inside] = self.of_image, self.group
        return Units(unit, self.count, group, self.n_groups)

    def draws_within(self, count: int = DRAWS) -> NDArray[np.float64]:
        """(U + 1, 1 + count) `draws`, and a last unit that no draw counts."""
        drawn = self.draws(count)
        return np.concatenate([drawn, np.zeros((1, drawn.shape[1]))])

    def method(self, name: str) -> str:
        """Name of a method, with the blocks that it draws."""
        return f"{name} over {self.count} blocks of groups" if self.blocked else name


def affordable(n_detections: int) -> int:
    """How many draws keep the cost of resampling linear in the detections.

    Of 200 draws the standard error is itself uncertain by 5%, which the degrees of freedom account for.

    >>> affordable(10_000), affordable(475_526)
    (1000, 210)
    """
    return min(MOST_BLOCKS, max(LEAST_BLOCKS, _BUDGET // max(1, n_detections)))


def units(keys: Sequence[str], max_units: int = MOST_BLOCKS) -> Units:
    """Units from the group key of every image; groups are dealt into blocks at random but always the same way."""
    names, found = np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)
    group = found.astype(np.int64)
    if len(names) <= max_units:
        return Units(group, len(names), group, len(names))
    dealt = np.random.default_rng(_DEAL_SEED).permutation(len(names)) % max_units
    return Units(dealt[group].astype(np.int64), max_units, group, len(names))


def image_units(n_images: int) -> Units:
    """Units of single images, as many as their draws need."""
    image = np.arange(n_images, dtype=np.int64)
    if n_images <= MOST_BLOCKS:
        return Units(image, n_images, image, n_images)
    dealt = np.random.default_rng(_DEAL_SEED).permutation(n_images) % MOST_BLOCKS
    return Units(dealt.astype(np.int64), MOST_BLOCKS, image, n_images)


def images_by_slice(truth: Dataset, by: Mapping[str, str]) -> dict[str, NDArray[np.bool_]]:
    """Slice → which of the truth's images (n,) are in it, in order of the names; images without one are in none.

    Raises:
        UsageError: no image has one.
    """
    label = np.array([by.get(image.id, "") for image in truth.images], dtype=object)
    names = sorted(set(label) - {""})
    if not names:
        example = truth.images[0].id if truth.images else "none"
        raise UsageError("no image belongs to a slice", expected=f"ids like {example!r}", got=next(iter(by), "nothing"))
    return {name: label == name for name in names}
