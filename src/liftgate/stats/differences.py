"""Interval of the difference of two models, wide enough on both sides where they are near an end of the scale.

Near 0 and 1 an estimate and its standard error are small together, so that estimate ± t·SE ends too early on the side
of the middle: Δ precision near 0 covered 87–90% with 5 and 8 groups (docs/decisions/0013). Square-and-add (Newcombe
1998; Zou & Donner 2008) puts the difference together from the interval of each model on a scale on which that is
symmetric: logit for shares, log for counts. The interval here reaches as far as the wider of the two.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.stats.clustered import bootstrap_se_t, bootstrap_variance, degrees_of
from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import GroupCount
from liftgate.stats.interval import Interval
from liftgate.stats.multiplicity import t_p_value
from liftgate.stats.rates import Bounds, Scale, transformed_bounds
from liftgate.stats.size_trend import reach_of


def difference_t(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    level: float = 0.95,
    *,
    n_images: int,
    groups: GroupCount,
    units: int,
    scale: Scale | None = "logit",
    simple_variance: float | None = None,
    unseen_variance: float = 0.0,
) -> Interval:
    """Return the interval of second − first: `bootstrap_se_t`, and on neither side shorter than `square_and_add`.

    Args:
        first: (1 + D,) one model's estimate, then its value in each bootstrap draw of groups.
        second: (1 + D,) the other model's, in the same draws.
        level: of the interval.
        n_images: images of the sample.
        groups: the groups that inform the difference.
        units: number of resampling units.
        scale: on which the interval of one model is symmetric; None: the t interval alone.
        simple_variance: variance if every image were a group of its own; gives the design effect.
        unseen_variance: added to the variance: what no draw of groups shows.
    """
    difference = second - first
    interval = bootstrap_se_t(
        float(difference[0]), difference[1:], level, n_images=n_images, groups=groups, units=units,
        simple_variance=simple_variance, unseen_variance=unseen_variance,
    )  # fmt: skip
    if interval.low is None or interval.high is None or scale is None:
        return interval
    reach = reach_of(groups, level, degrees_of(groups, units, len(difference) - 1))
    wide = square_and_add(first, second, scale=scale, reach=max(reach), units=units)
    if wide is None:
        return interval
    return replace(interval, low=min(interval.low, wide.low), high=max(interval.high, wide.high))


def reaching_further(interval: Interval, *, down: float = 0.0, up: float = 0.0) -> Interval:
    """Return an interval with longer sides, where there is one; its standard error stays.

    >>> longer = reaching_further(Interval(0.5, 0.4, 0.6, 0.95, "t", 240, 20), up=0.25)
    >>> longer.low, longer.high
    (0.4, 0.85)
    """
    if interval.low is None or interval.high is None:
        return interval
    return replace(interval, low=interval.low - down, high=interval.high + up)


def reach_of_both(difference: Interval, first: Interval, second: Interval) -> Interval:
    """Return a difference on neither side shorter than the square-and-add of both models' own intervals.

    No correlation is assumed: for estimates whose draws are too coarse for one, such as a median that is 0 in many
    draws. Without an interval of both models there is none.

    Args:
        difference: second − first.
        first: of the one model alone, at the same level.
        second: of the other.
    """
    if difference.low is None or difference.high is None:
        return difference
    if first.low is None or first.high is None or second.low is None or second.high is None:
        note = first.note if first.low is None else second.note
        return replace(difference, low=None, high=None, standard_error=None, note=note)
    at = second.estimate - first.estimate
    down = math.hypot(first.high - first.estimate, second.estimate - second.low)
    up = math.hypot(first.estimate - first.low, second.high - second.estimate)
    return replace(difference, low=min(difference.low, at - down), high=max(difference.high, at + up))


def square_and_add(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    scale: Scale,
    reach: float,
    units: int,
) -> Bounds | None:
    """Return the bounds of second − first; None where one of them is at the end of its scale, or does not vary.

    Args:
        first: (1 + D,) one model's estimate, then its value in each bootstrap draw.
        second: (1 + D,) the other model's, in the same draws.
        scale: on which the interval of one model is symmetric.
        reach: t quantile, in standard errors.
        units: number of resampling units.
    """
    one, two = (_bounds(row, scale, reach, units) for row in (first, second))
    if one is None or two is None:
        return None
    defined = np.isfinite(first) & np.isfinite(second)
    shared = max(0.0, float(np.corrcoef(first[defined], second[defined])[0, 1]))
    at, to = float(first[0]), float(second[0])

    def together(of_first: float, of_second: float) -> float:
        return math.sqrt(max(0.0, of_first**2 + of_second**2 - 2 * shared * of_first * of_second))

    return Bounds(to - at - together(one.high - at, to - two.low), to - at + together(at - one.low, two.high - to))


def _bounds(values: NDArray[np.float64], scale: Scale, reach: float, units: int) -> Bounds | None:
    """Return the interval of one model's estimate; None at the ends of the scale, or without variance."""
    estimate = float(values[0])
    variance = bootstrap_variance(estimate, values[1:], units)
    if not estimate > 0 or (scale == "logit" and not estimate < 1) or not variance > 0:
        return None
    return transformed_bounds(estimate, reach * math.sqrt(variance), scale)


def error_of_width(interval: Interval) -> float | None:
    """Return the standard error of a t interval as wide as this one, for what can only count in standard errors."""
    if interval.low is None or interval.high is None:
        return None
    return (interval.high - interval.low) / 2 / t_quantile(interval.level, interval.degrees)


def two_sided_p_value(interval: Interval) -> float | None:
    """Return the p-value of no difference, from the side of the interval that faces 0; None without an interval.

    It is below 1 − level exactly where the interval excludes 0.
    """
    if interval.low is None or interval.high is None:
        return None
    estimate = interval.estimate
    reach = estimate - interval.low if estimate > 0 else interval.high - estimate
    error = reach / t_quantile(interval.level, interval.degrees)
    return float(t_p_value(estimate, error, interval.degrees))


def at_level(interval: Interval, level: float) -> Interval:
    """Return the interval with both sides as long as at another level; its stated level stays."""
    if interval.low is None or interval.high is None:
        return interval
    factor = t_quantile(level, interval.degrees) / t_quantile(interval.level, interval.degrees)
    low, high = interval.estimate - interval.low, interval.high - interval.estimate
    return replace(interval, low=interval.estimate - factor * low, high=interval.estimate + factor * high)
