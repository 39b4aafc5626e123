"""Group counts of a statistic: all groups, informative ones, and the effective number (Kish)."""

from __future__ import annotations

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

    >>> count_groups([10, 10, 10, 0]), round(count_groups([30, 2, 2, 2, 2, 2]).effective, 2)
    (GroupCount(total=4, informative=3, effective=3.0, largest_share=0.3333333333333333), 1.74)
    """
    values = np.asarray(information, dtype=np.float64)
    some = values[values > 0]
    count = len(values) if total is None else total
    if not len(some):
        return GroupCount(count, 0, 0.0, 0.0)
    sum_ = float(some.sum())
    return GroupCount(count, len(some), sum_**2 / float(np.sum(some**2)), float(some.max()) / sum_)
