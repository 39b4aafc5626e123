"""Intervals from clustered data: bootstrap standard error with Student t, ratio of sums, and median.

Percentile bootstrap intervals are too narrow with few groups (coverage 88% instead of 95% at 8) and used for display
only. The delete-one-group jackknife fails for average precision, which is not smooth at its 101 recall points
(docs/decisions/0006).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.kernels.ordering import distinct, sample_quantiles
from liftgate.stats.alike import alike_groups, half_width
from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import AlikeVariance, GroupCount, count_groups
from liftgate.stats.interval import MIN_GROUPS, Interval
from liftgate.stats.rates import (
    EffectiveTrials,
    alike_variance,
    by_size,
    effective_trials,
    exact_bounds,
    interval_over_groups,
    not_established,
    ratio_variance,
    transformed_bounds,
)
from liftgate.stats.size_trend import reach_of, with_trend

_MANY_DRAWS = 1000
"""From so many draws on, the uncertainty of the bootstrap variance itself is neglected"""
_MIN_DEFINED_SHARE = 0.9
"""Share of the draws in which a metric must be defined for a standard error"""


def jackknife_variance(replicates: ArrayLike) -> float:
    """Return the jackknife variance of a smooth estimate, from its values (G,) with each group left out once."""
    values = np.asarray(replicates, dtype=np.float64)
    return float((len(values) - 1) / len(values) * np.sum((values - values.mean()) ** 2))


def bootstrap_weights(n_groups: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (G, draws) how often each group occurs in each bootstrap draw; columns sum to G.

    Repeats count: dropping them, as some libraries do, shrinks intervals to 0.78 of their width.
    """
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=draws).T.astype(np.float64)


def bootstrap_variance(estimate: float, draws: ArrayLike, units: int) -> float:
    """Return the bootstrap variance of an estimate, NaN where fewer than nine in ten draws are defined.

    It is the mean squared distance from the estimate, not from the mean of the draws, so the bias from repeated images
    (as in average precision of rare classes) counts as error. It is scaled by U/(U−1) for draws from U units.

    Args:
        estimate: of the sample.
        draws: (D,) the estimate in each draw; undefined ones (NaN) are left out.
        units: number of resampling units, U.
    """
    values = np.asarray(draws, dtype=np.float64)
    defined = values[np.isfinite(values)]
    if units < 2 or len(defined) < 2 or len(defined) < _MIN_DEFINED_SHARE * len(values):
        return math.nan
    return float(np.mean((defined - estimate) ** 2)) * units / (units - 1)


def bootstrap_se_t(
    estimate: float,
    draws: ArrayLike,
    level: float = 0.95,
    *,
    n_images: int,
    groups: GroupCount,
    units: int | None = None,
    simple_variance: float | None = None,
    unseen_variance: float = 0.0,
    bias: float = 0.0,
    logit: bool = False,
) -> Interval:
    """Return estimate ± t · standard deviation over draws of groups, with effective groups − 1 degrees of freedom.

    Args:
        estimate: of the sample itself.
        draws: (D,) the estimate in each bootstrap draw of groups.
        level: of the interval.
        n_images: images of the sample.
        groups: that inform the estimate; neither side is shorter than with their least variance.
        units: number of resampling units, where groups were combined into blocks; default all groups.
        simple_variance: variance if every image were a group of its own; gives the design effect.
        unseen_variance: added to the variance; that of classes which are constant over the draws, such as a class whose
            few objects were all found.
        bias: by how much the estimate is too high, below 0 too low; the interval reaches so much further on that side.
        logit: compute the interval on the logit scale, so that it stays within 0 … 1.

    Returns:
        Interval: not established with fewer than five informative groups, or where the draws do not vary.
    """
    method = "bootstrap-se-logit-t" if logit else "bootstrap-se-t"
    count = groups.total if units is None else units
    if groups.informative < MIN_GROUPS:
        return not_established(estimate, level, method, n_images, groups)
    variance = bootstrap_variance(estimate, draws, count)
    if math.isnan(variance) or not math.isfinite(estimate):
        note = "not established: in too many draws of groups the metric is undefined"
        return not_established(estimate, level, method, n_images, groups, note)
    error = math.sqrt(variance)
    if error <= 1e-12 * max(1.0, abs(estimate)) or (logit and not 0 < estimate < 1):
        note = f"not established: it is {estimate:g} whichever groups are drawn, and data that never vary tell no width"
        return not_established(estimate, level, method, n_images, groups, note)
    variance += unseen_variance
    error = math.sqrt(variance)
    reach = reach_of(groups, level, degrees_of(groups, count, np.size(draws)))
    half = half_width(groups.least, level, unseen_variance)
    down, up = max(reach.low * error, half) + max(0.0, bias), max(reach.high * error, half) + max(0.0, -bias)
    low, high = estimate - down, estimate + up
    if logit:
        low, high = (transformed_bounds(estimate, half, "logit")[end] for end, half in enumerate((down, up)))
    effect = design_effect(variance, simple_variance)
    worth = None if effect is None else n_images / max(effect, 1.0)  # at most the images that there are
    return interval_over_groups(groups, estimate, (low, high), level, method, n_images, effect, worth, error)


def degrees_of(groups: GroupCount, units: int, draws: int) -> float:
    """Return the degrees of freedom of a bootstrap variance: effective groups − 1, or blocks − 1 where those are fewer.

    With fewer than a thousand draws, the uncertainty from the number of draws is included.
    """
    degrees = min(groups.degrees, max(1.0, units - 1))
    return degrees if draws >= _MANY_DRAWS else max(1.0, 1 / (1 / degrees + 1 / max(1, draws - 1)))


def design_effect(variance: float, simple_variance: float | None) -> float | None:
    """Return the ratio of a variance to that of independent images; None where the latter is unknown."""
    defined = simple_variance is not None and 0 < simple_variance < math.inf  # not NaN: undefined without some image
    return float(variance / simple_variance) if simple_variance and defined else None


def cluster_ratio_t(
    numerator: ArrayLike,
    denominator: ArrayLike,
    level: float = 0.95,
    *,
    n_images: int,
    simple_variance: float | None = None,
    least: AlikeVariance | None = None,
) -> Interval:
    """Return the interval of Σ numerator / Σ denominator over groups, by the linearised cluster SE and t; not below 0.

    Counts are skewed, so the upper bound is that of the log scale, which is further away, and degrees of freedom count
    the groups that hold them (Kish, of the numerator + 1/2) where these are fewer. With a `simple_variance` it is no
    shorter than if large groups differed as much as all groups do (`alike_variance`). If the numerator is 0 in all
    groups, it is that of a Poisson count of zero in as many units as there are effective groups.

    Args:
        numerator: (G,) such as false positives, by group.
        denominator: (G,) such as images, by group.
        level: of the interval.
        n_images: images of the sample.
        simple_variance: variance if every image were a group of its own; gives the design effect.
        least: neither side is shorter than with this variance and its degrees of freedom.
    """
    y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    groups, total = count_groups(x), float(x.sum())
    ratio = float(y.sum()) / total
    if groups.informative < MIN_GROUPS:
        return not_established(ratio, level, "cluster-se-t", n_images, groups)
    if ratio == 0:
        upper = -math.log((1 - level) / 2) / groups.effective
        return interval_over_groups(
            groups, 0.0, (0.0, upper), level, "poisson-zero", n_images, n_effective=groups.effective
        )
    variance = ratio_variance(y, x)
    error = math.sqrt(variance)
    if error == 0:
        note = f"not established: it is {ratio:g} in every group, and data that never vary tell no width"
        return not_established(ratio, level, "cluster-se-t", n_images, groups, note)
    # A few groups that hold most of the count are what the variance rests on.
    holding = groups._replace(effective=min(groups.effective, count_groups(y + 0.5).effective))
    reach = reach_of(with_trend(holding, float(groups.informative), y, x), level)
    down, up = reach.low * error, reach.high * error
    if simple_variance is not None:
        of_all = t_quantile(level, groups.degrees) * math.sqrt(alike_variance(y, x, simple_variance * n_images))
        down, up = max(down, of_all), max(up, of_all)
    half = half_width(least, level)
    down, up = max(down, half), max(up, half)
    effect = design_effect(variance, simple_variance)
    worth = None if effect is None else n_images / max(effect, 1.0)
    low, high = max(0.0, ratio - down), transformed_bounds(ratio, up, "log").high
    return interval_over_groups(groups, ratio, (low, high), level, "cluster-se-t", n_images, effect, worth, error)


def median_interval(
    values: ArrayLike, group: NDArray[np.int64], level: float = 0.95, *, n_groups: int | None = None
) -> Interval:
    """Return the interval of the median of clustered values (Woodruff 1952): Korn–Graubard at one half, as quantiles.

    Args:
        values: (n,); the bounds are among them.
        group: (n,) index of each value's group.
        level: of the interval.
        n_groups: groups of the sample, those without values included; default those with values.

    >>> frames = np.tile([.2, .4, .5, .6, .9], 20)
    >>> print(median_interval(frames, np.repeat(np.arange(20), 5)))
    0.5000 [0.4000, 0.6000] (95% woodruff-korn-graubard, 100 images in 20 groups)
    """
    return quantile_interval(values, group, 0.5, level, n_groups=n_groups)


def quantile_interval(
    values: ArrayLike, group: NDArray[np.int64], share: float, level: float = 0.95, *, n_groups: int | None = None
) -> Interval:
    """Return the interval of a quantile of clustered values: Korn–Graubard at its share, as quantiles (Woodruff 1952).

    A bound that would lie beyond the last value is not established: no value says how much further it goes.

    Args:
        values: (n,); the bounds are among them.
        group: (n,) index of each value's group.
        share: of the values that lie at or below the quantile, between 0 and 1.
        level: of the interval.
        n_groups: groups of the sample, those without values included; default those with values.

    >>> seconds = np.tile(np.linspace(0.01, 1, 100), 20)
    >>> print(quantile_interval(seconds, np.repeat(np.arange(20), 100), 0.95))
    0.9505 [0.9400, 0.9700] (95% woodruff-korn-graubard, 2,000 images in 20 groups)
    """
    column = np.asarray(values, dtype=np.float64)
    if not len(column):
        raise ValueError("expected at least one value, got none")
    estimate = float(sample_quantiles(column, [share])[0])
    group = np.searchsorted(distinct(group), group)
    sizes = np.bincount(group)
    groups, count = count_groups(sizes, n_groups), len(column)
    method = "woodruff-korn-graubard"
    if groups.informative < MIN_GROUPS:
        return not_established(estimate, level, method, count, groups)
    # Where many values are the quantile (0 where nothing was found), those below it vary less than those up to it.
    sides = [np.bincount(group, weights=side).astype(np.float64) for side in (column < estimate, column <= estimate)]
    simple = share * (1 - share) / count
    variance = max(simple, *(ratio_variance(side, sizes.astype(np.float64)) for side in sides))
    above = sizes - (sides[0] + sides[1]) / 2
    groups = with_trend(groups, groups.effective, above, sizes)
    worth = effective_trials(share, variance, count, groups, level)
    for side in (column < estimate, column <= estimate):
        worth = _no_more_than_alike(worth, side, group, share, groups, level)
    low, high = exact_bounds(share, worth, level)
    ordered = np.sort(column)
    places = math.floor(low * count + 1e-9) - 1, math.ceil(high * count - 1e-9)
    if share != 0.5 and not 0 <= places[0] <= places[1] < count:
        note = "not established: a bound lies beyond the values, and more groups or images are needed"
        return not_established(estimate, level, method, count, groups, note)
    lower, upper = float(ordered[max(0, places[0])]), float(ordered[min(count - 1, places[1])])
    if lower == upper:
        note = f"not established: most values are {estimate:g}, and data that do not vary tell no width"
        return not_established(estimate, level, method, count, groups, note)
    fewest, effect = min(worth.low, worth.high), worth.design_effect
    return interval_over_groups(groups, estimate, (lower, upper), level, method, count, effect, fewest)


def _no_more_than_alike(
    worth: EffectiveTrials, below: NDArray[np.bool_], group: NDArray[np.int64], share: float, groups: GroupCount,
    level: float,
) -> EffectiveTrials:  # fmt: skip
    """Return at most as many trials as values are worth if large groups differ as much as all groups do."""
    least = alike_groups((below - below.mean()) / len(below), group, np.bincount(group))
    if least is None:
        return worth
    alike = by_size(groups, least.degrees + 1)._replace(informative=int(min(groups.informative, least.degrees + 1)))
    found = effective_trials(share, least.variance, len(below), alike, level)
    return EffectiveTrials(min(worth.low, found.low), min(worth.high, found.high), worth.design_effect)
