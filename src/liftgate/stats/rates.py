"""Intervals of a rate: Wilson and Clopper–Pearson for independent trials, Korn–Graubard for clustered ones."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.stats.distributions import beta_quantile, normal_quantile
from liftgate.stats.groups import GroupCount, count_groups, effective_spread
from liftgate.stats.interval import MIN_GROUPS, Interval
from liftgate.stats.size_trend import reach_of, with_trend

Scale = Literal["logit", "log"]
"""On which the interval of a share, or of a count, is symmetric"""
_CLEAR_TREND, _NOTED_FACTOR = 2.0, 1.1
"""Standard errors of the trend, and the factor of its side, from which an interval says that it reaches further"""


class Bounds(NamedTuple):
    """Lower and upper end of a confidence interval."""

    low: float
    high: float


class EffectiveTrials(NamedTuple):
    """Independent trials that clustered ones are worth, for each side of the interval, and the design effect."""

    low: float
    high: float
    design_effect: float


def wilson(hits: float, trials: float, level: float = 0.95) -> Bounds:
    """Return the Wilson score interval of a rate from independent trials (Wilson 1927).

    >>> [round(bound, 4) for bound in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    _require_counts(hits, trials)
    z2, rate = normal_quantile(level) ** 2, hits / trials
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2) / (1 + z2 / trials) * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    return Bounds(max(0.0, centre - half), min(1.0, centre + half))


def clopper_pearson(hits: float, trials: float, level: float = 0.95) -> Bounds:
    """Return the exact interval of a rate (Clopper & Pearson 1934); counts need not be whole numbers.

    >>> [round(bound, 4) for bound in clopper_pearson(15, 148)]
    [0.0578, 0.1617]
    """
    _require_counts(hits, trials)
    return Bounds(_exact_low(hits, trials, level), _exact_high(hits, trials, level))


def _exact_low(hits: float, trials: float, level: float) -> float:
    return 0.0 if hits <= 0 else beta_quantile((1 - level) / 2, hits, trials - hits + 1)


def _exact_high(hits: float, trials: float, level: float) -> float:
    return 1.0 if hits >= trials else beta_quantile(1 - (1 - level) / 2, hits + 1, trials - hits)


def exact_bounds(share: float, trials: EffectiveTrials, level: float) -> Bounds:
    """Return the exact interval of a share, each side from its own effective number of trials."""
    low, high = trials.low, trials.high
    return Bounds(_exact_low(share * low, low, level), _exact_high(share * high, high, level))


def within_whole_groups(interval: Interval, effective: float, bias: float = 0.0) -> Interval:
    """Return the interval of a share, on neither side longer than if every group were wholly right or wholly wrong.

    Between groups a share p cannot vary by more than p (1 − p), so that n even groups are worth at least n independent
    trials. An interval with few degrees of freedom, because a few groups hold the errors, would reach over the whole
    scale (docs/decisions/0051).

    Args:
        interval: of a share.
        effective: number of even groups that the sample is worth.
        bias: by how much the estimate is too high, below 0 too low.
    """
    if interval.low is None or interval.high is None or effective < MIN_GROUPS:
        return interval
    low, high = (min(1.0, max(0.0, interval.estimate - side)) for side in (max(0.0, bias), min(0.0, bias)))
    least = _exact_low(low * effective, effective, interval.level)
    most = _exact_high(high * effective, effective, interval.level)
    if interval.low >= least and interval.high <= most:
        return interval
    said = f"no longer than {effective:.1f} wholly right or wrong groups allow"
    note = f"{interval.note}; {said}" if interval.note else said
    return replace(interval, low=max(interval.low, least), high=min(interval.high, most), note=note)


def transformed_bounds(estimate: float, half: float, scale: Scale) -> Bounds:
    """Return the interval estimate ± half, made on another scale by the delta method.

    >>> [round(bound, 3) for bound in transformed_bounds(0.02, 0.02, "logit")]
    [0.007, 0.054]
    """
    if scale == "log":
        factor = math.exp(min(700.0, half / estimate))
        return Bounds(estimate / factor, estimate * factor)
    at, half = math.log(estimate / (1 - estimate)), half / (estimate * (1 - estimate))
    return Bounds(_expit(at - half), _expit(at + half))


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def korn_graubard(hits: ArrayLike, trials: ArrayLike, level: float = 0.95, *, n_images: int | None = None) -> Interval:
    """Return the interval of Σ hits / Σ trials over groups (Korn & Graubard 1998).

    The between-group variance of the delete-one-group jackknife (`ratio_variance`) gives an effective number of trials,
    corrected for its own uncertainty by (z/t)² and at most the number of trials; Clopper–Pearson is applied to it. t
    has effective groups − 1 degrees of freedom, so that uneven groups count as fewer, and so do groups over which the
    rarer of hits and misses is unevenly spread (`effective_spread`), because the variance rests on these; it is longer
    on the side to which more large groups may pull the rate (`with_trend`). It is no shorter than if large groups
    differed as much as all groups do (`alike_variance`). Where all
    trials are hits, or none, the variance holds no information, and the effective groups count as trials; where fewer
    than five groups hold the rarer of the two, it holds little, and a group counts as at most m^(e/5) trials, m being
    its trials and e the number of these groups. Groups without trials do not count.

    Args:
        hits: (G,) number of hits in each group.
        trials: (G,) number of trials in each group.
        level: of the interval.
        n_images: images of the sample; default the number of trials.

    Raises:
        ValueError: no trials at all, or hits outside 0 … trials.

    >>> print(korn_graubard([9, 10, 8, 10, 7, 10], [10] * 6))
    0.9000 [0.6802, 0.9880] (95% korn-graubard, 60 images in 6 groups)
    """
    k, n = _validated(hits, trials)
    groups = count_groups(n)
    k, n = k[n > 0], n[n > 0]
    total = float(n.sum())
    rate = float(k.sum()) / total
    images = int(total) if n_images is None else n_images
    if groups.informative < MIN_GROUPS:
        return not_established(rate, level, "korn-graubard", images, groups)
    rarer = k if rate < 0.5 else n - k
    even = groups.effective
    groups = with_trend(groups._replace(effective=min(even, effective_spread(rarer))), even, k, n)
    of_each = effective_trials(rate, ratio_variance(k, n), total, groups, level, int(np.count_nonzero(rarer)))
    of_all = effective_trials(rate, alike_variance(k, n, rate * (1 - rate)), total, by_size(groups, even), level)
    worth = EffectiveTrials(
        min(of_each.low, of_all.low), min(of_each.high, of_all.high), max(of_each.design_effect, of_all.design_effect)
    )
    return interval_over_groups(
        groups, rate, exact_bounds(rate, worth, level), level, "korn-graubard", images, worth.design_effect,
        min(worth.low, worth.high),
    )  # fmt: skip


def ratio_variance(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> float:
    """Return the variance of Σ numerator / Σ denominator between groups: that of the delete-one-group jackknife.

    The residual of a group that holds a share h of the denominator is too small, because the group pulls the ratio
    towards itself; without the group it is 1 / (1 − h) times as large (Bell & McCaffrey 2002, "CR3"). With equal groups
    this is the usual factor G/(G − 1).

    Args:
        numerator: (G,) by group.
        denominator: (G,) by group; at least two are above 0.
    """
    some = denominator > 0
    y, x = numerator[some], denominator[some]
    total = float(x.sum())
    residual = (y - float(y.sum()) / total * x) / (1 - x / total)
    return float(np.sum(residual**2)) * (len(x) - 1) / len(x) / total**2


def by_size(groups: GroupCount, even: float) -> GroupCount:
    """Return the count for `alike_variance`, which rests on all groups by their size: `even` effective ones (Kish)."""
    return groups._replace(effective=even, low_factor=1.0, high_factor=1.0)


def alike_variance(numerator: NDArray[np.float64], denominator: NDArray[np.float64], of_one: float) -> float:
    """Return the variance of Σ numerator / Σ denominator if all groups, large or small, differ by as much.

    `ratio_variance` rests on the squares of the largest groups: where these agree by chance, it is too small. How much
    groups differ is estimated from all of them here (analysis of variance, each weighted by its size), and holds for
    the sizes that they have. With equal groups it is that of `ratio_variance`; 0 where groups differ by no more than
    chance within them.

    Args:
        numerator: (G,) by group.
        denominator: (G,) by group, its number of trials or images.
        of_one: variance of a single trial, or image, over all groups.
    """
    some = denominator > 0
    y, x = numerator[some], denominator[some]
    total, between = float(x.sum()), len(x) - 1
    share = x / total
    square = float(np.sum(share**2))
    if total - between <= 1 or not between:
        return 0.0
    apart = float(np.sum((y - float(y.sum()) / total * x) ** 2 / x))
    of_groups = (apart - between * of_one) / ((1 - square) * (total - between))
    if of_groups <= 0:
        return 0.0
    return float(of_groups * square + max(0.0, of_one - of_groups * (1 - square)) / total)


def effective_trials(
    rate: float, variance: float, trials: float, groups: GroupCount, level: float, rarer: int = MIN_GROUPS
) -> EffectiveTrials:
    """Return the effective number of trials after the (z/t)² correction, and the design effect before it.

    Args:
        rate: of the hits.
        variance: of the rate, between groups.
        trials: in all groups.
        groups: that hold trials.
        level: of the interval.
        rarer: groups that hold the rarer of hits and misses.
    """
    simple = rate * (1 - rate)
    if simple == 0:
        return EffectiveTrials(groups.effective, groups.effective, trials / groups.effective)
    most = float(trials)
    if rarer < MIN_GROUPS:  # from effective groups, where there is none of it, to all trials, where five groups hold it
        most = min(most, groups.effective * (trials / groups.effective) ** (rarer / MIN_GROUPS))
    # Groups tell no more than as many independent trials: a few that happen to agree vary too little.
    z, worth = normal_quantile(level), min(float(trials), math.inf if variance == 0 else simple / variance)
    low, high = (min(most, worth * (z / t) ** 2) for t in reach_of(groups, level))
    return EffectiveTrials(low, high, variance / (simple / trials))


def interval_over_groups(
    groups: GroupCount,
    estimate: float,
    bounds: tuple[float | None, float | None],
    level: float,
    method: str,
    n_images: int,
    design_effect: float | None = None,
    n_effective: float | None = None,
    standard_error: float | None = None,
    note: str = "",
) -> Interval:
    """Return an Interval with its group counts, and a note where one group dominates."""
    low, high = bounds
    if not note and low is not None and groups.effective < MIN_GROUPS - 1e-9:
        worth = f"{groups.total} groups are worth {groups.effective:.1f} even ones"
        if groups.effective >= 0.9 * groups.informative:  # nearly even, and hardly enough
            note = f"the {worth}"
        elif groups.largest_share * MIN_GROUPS > 1:
            share = f"{groups.largest_share:.0%} of what informs the number"
            note = f"one group dominates: the largest holds {share}, so the {worth}"
        else:
            note = f"the {worth}: hits, or errors, lie in few of them"
    elif not note and low is not None:
        note = _trend_note(groups)
    return Interval(
        estimate, low, high, level, method, n_images, groups.total, design_effect, n_effective, standard_error, note,
        groups.informative, groups.effective, groups.largest_share,
    )  # fmt: skip


def _trend_note(groups: GroupCount) -> str:
    """Return the sentence on groups whose size goes with what is measured; empty where the interval needs none."""
    lower, factor = groups.trend < 0, max(groups.low_factor, groups.high_factor)
    if abs(groups.trend) < _CLEAR_TREND or factor < _NOTED_FACTOR:
        return ""
    value, side = ("lower", "down") if lower else ("higher", "up")
    return f"large groups have a {value} value than small ones, so the interval reaches further {side}"


def not_established(
    estimate: float, level: float, method: str, n_images: int, groups: GroupCount | int, note: str | None = None
) -> Interval:
    """Return an estimate without an interval, with a note that says why."""
    if isinstance(groups, int):
        groups = GroupCount(groups, groups, float(groups), 1 / max(1, groups))
    count = f"{groups.informative} group{'s' * (groups.informative != 1)}"
    if groups.informative < groups.total:
        count = f"{groups.informative} of {groups.total} groups hold what it is about"
    why = note or f"not established: {count}, at least {MIN_GROUPS} are needed"
    return interval_over_groups(groups, estimate, (None, None), level, method, n_images, note=why)


def _validated(hits: ArrayLike, trials: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k, n = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if k.shape != n.shape or k.ndim != 1:
        raise ValueError(f"expected hits and trials of one shape (groups,), got {k.shape} and {n.shape}")
    if not np.any(n > 0):
        raise ValueError("expected at least one trial, got none")
    if np.any(k < 0) or np.any(k > n):
        raise ValueError("expected 0 ≤ hits ≤ trials in every group")
    return k, n


def _require_counts(hits: float, trials: float) -> None:
    if not trials > 0 or not 0 <= hits <= trials:
        raise ValueError(f"expected 0 ≤ hits ≤ trials and trials > 0, got {hits} of {trials}")
