"""Group counts of a statistic: all groups, informative ones, and the effective number (Kish)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class GroupCount(NamedTuple):
    """Numbers of groups that a statistic rests on."""

    total: int
    """All groups of the sample"""
    informative: int
    """Groups that hold what the statistic counts"""
    effective: float
    """Effective number: groups of equal weight that would be as informative (Kish 1965)"""
    largest_share: float
    """Share of the information that the largest group holds"""
    trend: float = 0.0
    """Whether large groups are higher or lower, in standard errors (`size_trend`)"""
    low_factor: float = 1.0
    """By which t of all groups is longer downwards, because sizes may go with what is measured (`with_trend`)"""
    high_factor: float = 1.0
    """The same upwards"""

    @property
    def degrees(self) -> float:
        """Degrees of freedom of a variance between these groups: effective groups − 1, at least 1."""
        return max(1.0, self.effective - 1)


def count_groups(information: ArrayLike, total: int | None = None) -> GroupCount:
    """Count groups by how much each of them informs a statistic.

    Args:
        information: (G,) at least 0; proportional to what each group would add to the variance if its images were
            independent: trials of a rate, objects of recall and of average precision.
        total: groups of the sample; default G.

    Returns:
        GroupCount: effective is (Σ v)² / Σ v², which is G where all are equal.

    >>> count_groups([10, 10, 10, 0])[:3], round(count_groups([30, 2, 2, 2, 2, 2]).effective, 2)
    ((4, 3, 3.0), 1.74)
    """
    values = np.asarray(information, dtype=np.float64)
    some = values[values > 0]
    count = len(values) if total is None else total
    if not len(some):
        return GroupCount(count, 0, 0.0, 0.0)
    sum_ = float(some.sum())
    return GroupCount(count, len(some), sum_**2 / float(np.sum(some**2)), float(some.max()) / sum_)


def effective_spread(counts: ArrayLike) -> float:
    """Return over how many groups a count is effectively spread (Kish), beyond what chance alone spreads unevenly.

    Chance is Poisson's: its variance is the mean, and is seen up to one standard error above it. The variance of a rate
    rests on the groups that hold its hits or misses; where a few hold most of them, another sample may have none of
    these groups, or more.

    Args:
        counts: (G,) number in each group.

    >>> effective_spread([3, 2, 5, 3, 1, 3]), round(effective_spread([30, 2, 1, 3, 0, 2]), 1)
    (6.0, 1.5)
    """
    values = np.asarray(counts, dtype=np.float64)
    mean = float(values.mean()) if len(values) else 0.0
    if len(values) < 2 or mean <= 0:
        return float(len(values))
    by_chance = mean * (1 + math.sqrt(2 / (len(values) - 1)))
    extra = max(0.0, float(values.var(ddof=1)) - by_chance) / mean**2
    return max(1.0, len(values) / (1 + extra))
