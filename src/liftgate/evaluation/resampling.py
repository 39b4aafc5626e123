"""Resampling: which images a statistic counts as one, and the weights that leave them out or draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_BLOCKS, MOST_BLOCKS = 200, 1000
_BUDGET = 10**8  # lanes × detections that a jackknife may cost: a fraction of a second

DRAWS = 1000

_DEAL_SEED = 20_260_101  # dealing must not depend on who calls, nor on the order of the images


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Units of resampling: groups, or blocks of groups where there are very many."""

    of_image: NDArray[np.int64]
    """(n_images,) index of each image's unit"""
    count: int
    n_groups: int

    @property
    def blocked(self) -> bool:
        return self.count < self.n_groups

    def all(self) -> NDArray[np.float64]:
        """(U, 1) the sample as it is."""
        return np.ones((self.count, 1))

    def leave_one_out(self) -> NDArray[np.float64]:
        """(U, 1 + U) the sample as it is, then without each unit."""
        return np.concatenate([np.ones((self.count, 1)), 1 - np.eye(self.count)], axis=1)

    def within(self, inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Unit of every image and leave-one-out weights, where these units are only of the images `inside`.

        The others get a last unit of their own, which no lane counts.
        """
        unit = np.full(len(inside), self.count, dtype=np.int64)
        unit[inside] = self.of_image
        return unit, np.concatenate([self.leave_one_out(), np.zeros((1, 1 + self.count))])

    def method(self) -> str:
        """Name of the jackknife, for people."""
        return f"jackknife-t over {self.count} blocks of groups" if self.blocked else "jackknife-t"


def affordable(n_detections: int) -> int:
    """How many units a jackknife may leave out in turn, so that its cost stays linear in the detections.

    More groups than this are dealt into that many blocks. With 200 blocks the standard error is itself uncertain by 5%,
    which Student's t with 199 degrees of freedom accounts for.

    >>> affordable(10_000), affordable(475_526)
    (1000, 210)
    """
    return min(MOST_BLOCKS, max(LEAST_BLOCKS, _BUDGET // max(1, n_detections)))


def units(keys: Sequence[str], max_units: int) -> Units:
    """Units from the group key of every image; groups are dealt into blocks at random but always the same way."""
    names, group = np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)
    if len(names) <= max_units:
        return Units(group.astype(np.int64), len(names), len(names))
    dealt = np.random.default_rng(_DEAL_SEED).permutation(len(names)) % max_units
    return Units(dealt[group].astype(np.int64), max_units, len(names))
