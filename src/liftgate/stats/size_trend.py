"""How much further an interval reaches where groups are uneven, because their size may go with what is measured.

Where large groups are hard, a sample that happens to lack the largest says that a model is better than it is, and does
not look suspicious: in the samples that pass wrongly, large groups are no harder than small ones. So the reach depends
on how uneven the groups are, less where the sample shows that large groups are no worse, and falls with their number
(docs/decisions/0044).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import GroupCount

_STRENGTH, _DOUBT, _DECAY = 6.0, 2.5, 0.9
"""Chosen by simulation (docs/decisions/0044): size of the correction; standard errors by which the trend may be worse
than the sample shows; power of the number of groups by which it falls"""
_OF_OUTCOMES = 0.3
"""Weight of hits or errors that are unevenly spread, beside that of uneven sizes"""


class Reach(NamedTuple):
    """t quantiles of the two sides of an interval."""

    low: float
    high: float


def size_trend(numerator: ArrayLike, denominator: ArrayLike) -> float:
    """Return the slope of a group's rate over the logarithm of its size, in standard errors; below 0: large are lower.

    Args:
        numerator: (G,) by group.
        denominator: (G,) by group, its size; groups of size 0 do not count.

    >>> round(size_trend([9, 18, 30, 30], [10, 20, 40, 50]), 1), size_trend([9, 8, 7], [10, 10, 10])
    (-2.9, 0.0)
    """
    y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    y, x = y[x > 0], x[x > 0]
    if len(x) < 3:
        return 0.0
    weight, size, rate = np.sqrt(x), np.log(x), y / x
    total = float(weight.sum())
    size = size - float(weight @ size) / total
    rate = rate - float(weight @ rate) / total
    spread = float(weight @ size**2)
    if spread <= 1e-12 * total:
        return 0.0
    slope = float(weight @ (size * rate)) / spread
    residual = float(weight @ (rate - slope * size) ** 2) / total * len(x) / (len(x) - 2)
    error = math.sqrt(residual * float(weight**2 @ size**2)) / spread
    return slope / error if error > 1e-9 else 0.0


def trend_factors(groups: GroupCount, even: float, trend: float) -> Reach:
    """Return the factors of both sides of an interval, at least 1.

    Args:
        groups: with the effective number that the degrees of freedom follow.
        even: effective number by size alone (Kish).
        trend: `size_trend`.
    """
    count = groups.informative
    if count < 1:
        return Reach(1.0, 1.0)
    outcomes = max(0.0, even - groups.effective)
    uneven = (max(0.0, count - even) + _OF_OUTCOMES * outcomes) / count
    strength = _STRENGTH * uneven / count**_DECAY
    return Reach(1 + strength * max(0.0, _DOUBT - trend), 1 + strength * max(0.0, _DOUBT + trend))


def with_trend(groups: GroupCount, even: float, numerator: ArrayLike, denominator: ArrayLike) -> GroupCount:
    """Return the count of groups with the factors that `reach_of` uses.

    Args:
        groups: with the effective number that the degrees of freedom follow.
        even: effective number by size alone (Kish).
        numerator: (G,) by group.
        denominator: (G,) by group, its size.
    """
    trend = size_trend(numerator, denominator)
    low, high = trend_factors(groups, even, trend)
    return groups._replace(trend=trend, low_factor=low, high_factor=high)


def reach_of(groups: GroupCount, level: float, degrees: float | None = None) -> Reach:
    """Return the t quantiles of both sides.

    Each is that of the effective groups, or that of all informative ones times the factor of its side, whichever is
    longer: few effective groups already allow for what unevenness hides.

    Args:
        groups: of the statistic.
        level: of the interval.
        degrees: of freedom; default effective groups − 1.
    """
    least = t_quantile(level, groups.degrees if degrees is None else degrees)
    all_groups = t_quantile(level, max(1, groups.informative - 1))
    return Reach(*(max(least, all_groups * factor) for factor in (groups.low_factor, groups.high_factor)))
