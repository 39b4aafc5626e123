"""Group counts of a statistic: all groups, informative ones, and the effective number (Kish)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_MOST_LEVERAGE = 2.0
"""Where one group holds so much that draws show less than a quarter of the variance, t of few degrees is longer"""


class AlikeVariance(NamedTuple):
    """Variance of an estimate, and its degrees of freedom."""

    variance: float
    degrees: float


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
    least: AlikeVariance | None = None
    """Variance that the draws of groups do not fall below (`alike_groups`)"""

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


def count_with_leverage(information: ArrayLike, total: int | None = None) -> GroupCount:
    """Count groups as `count_groups` does, with the factor by which uneven ones make t of all groups longer.

    A group that holds a share h of the information pulls the estimate towards itself, so that what it differs by looks
    1 − h times as large (Bell & McCaffrey 2002), and the draws of groups vary too little. If groups differ by more than
    chance within them, the variance is that of Σ h²; draws show 1 − 2 Σ h³ / Σ h² + Σ h² of it, and with G even groups
    the usual (G − 1) / G, for which draws are corrected already.

    Args:
        information: (G,) as of `count_groups`.
        total: groups of the sample; default G.

    >>> [round(count_with_leverage(sizes).low_factor, 2) for sizes in ([3] * 9, [1 / k for k in range(1, 101)])]
    [1.0, 1.13]
    """
    found = count_groups(information, total)
    if found.informative < 2:
        return found
    values = np.asarray(information, dtype=np.float64)
    share = values / float(values.sum())
    square = float(np.sum(share**2))
    seen = 1 - 2 * float(np.sum(share**3)) / square + square
    factor = math.sqrt(min(_MOST_LEVERAGE**2, max(1.0, (1 - 1 / found.informative) / max(seen, 1e-9))))
    return found._replace(low_factor=factor, high_factor=factor)


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
