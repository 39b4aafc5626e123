"""Intervals of anything computed from groups: delete-one-group jackknife, cluster SE, medians. All with Student t.

Percentile bootstrap intervals are too narrow with few groups (88% instead of 95% at 8): they are for display only.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import MIN_GROUPS, Interval
from liftgate.stats.rates import clopper_pearson, effective_trials, not_established


def jackknife_variance(replicates: ArrayLike) -> float:
    """Variance of an estimate from its values with each group left out once (G,)."""
    values = np.asarray(replicates, dtype=np.float64)
    return float((len(values) - 1) / len(values) * np.sum((values - values.mean()) ** 2))


def jackknife_t(
    estimate: float,
    replicates: ArrayLike,
    level: float = 0.95,
    *,
    n_images: int,
    n_groups: int | None = None,
    simple_variance: float | None = None,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """estimate ± t_{B−1} · jackknife standard error, from the B estimates with each group (or block) left out.

    `n_groups` is given where groups were dealt into fewer blocks. `simple_variance`, the variance if every image were a
    group of its own, gives the design effect and the effective number of images. The bounds are cut to `within`, the
    values that the metric can take.

    >>> values = np.array([.1, .3, .2, .4, .2, .5])
    >>> left_out = (values.sum() - values) / 5  # the mean without each; the jackknife of a mean is the usual t interval
    >>> print(jackknife_t(values.mean(), left_out, n_images=6))
    0.2833 [0.1289, 0.4378] (95% jackknife-t, 6 images in 6 groups)
    """
    values = np.asarray(replicates, dtype=np.float64)
    groups = len(values) if n_groups is None else n_groups
    if groups < MIN_GROUPS:
        return not_established(estimate, level, "jackknife-t", n_images, groups)
    if not math.isfinite(estimate) or not np.isfinite(values).all():
        note = "not established: without one of the groups the metric is undefined"
        return not_established(estimate, level, "jackknife-t", n_images, groups, note)
    variance = jackknife_variance(values)
    if variance == 0 and estimate in within:  # nothing found, or everything: data that never vary tell no width
        note = f"not established: the metric is {estimate:g} whichever group is left out"
        return not_established(estimate, level, "jackknife-t", n_images, groups, note)
    interval = _t_interval(estimate, variance, level, "jackknife-t", n_images, groups, len(values) - 1, simple_variance)
    return _cut(interval, *within)


def cluster_ratio_t(
    numerator: ArrayLike,
    denominator: ArrayLike,
    level: float = 0.95,
    *,
    n_images: int,
    simple_variance: float | None = None,
) -> Interval:
    """Interval of Σ numerator / Σ denominator over groups by the linearised cluster SE and t_{G−1}; not below 0.

    Where nothing was counted in any group the variance says nothing: the upper bound is then Poisson's for zero events
    in as many units as there are groups.
    """
    y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    groups, total = len(y), float(x.sum())
    ratio = float(y.sum()) / total
    if groups < MIN_GROUPS:
        return not_established(ratio, level, "cluster-se-t", n_images, groups)
    if ratio == 0:
        upper = -math.log((1 - level) / 2) / groups
        return Interval(0.0, 0.0, upper, level, "poisson-zero", n_images, groups, n_effective=float(groups))
    variance = groups / (groups - 1) * float(np.sum((y - ratio * x) ** 2)) / total**2
    interval = _t_interval(ratio, variance, level, "cluster-se-t", n_images, groups, groups - 1, simple_variance)
    return _cut(interval, 0.0, math.inf)


def median_interval(values: ArrayLike, group: NDArray[np.int64], level: float = 0.95) -> Interval:
    """Interval of the median of values in groups (Woodruff 1952): Korn–Graubard around one half, then quantiles.

    `group` (n,) is the index of each value's group. The bounds are values that occur.

    >>> frames = np.tile([.2, .4, .5, .6, .9], 20)
    >>> print(median_interval(frames, np.repeat(np.arange(20), 5)))
    0.5000 [0.4000, 0.6000] (95% woodruff-korn-graubard, 100 images in 20 groups)
    """
    column = np.asarray(values, dtype=np.float64)
    if not len(column):
        raise ValueError("expected at least one value, got none")
    median = float(np.median(column))
    _, group = np.unique(group, return_inverse=True)
    groups, count = int(group.max()) + 1, len(column)
    method = "woodruff-korn-graubard"
    if groups < MIN_GROUPS:
        return not_established(median, level, method, count, groups)
    below = np.bincount(group, weights=(column < median) + 0.5 * (column == median), minlength=groups)
    sizes = np.bincount(group, minlength=groups)
    share = float(below.sum()) / count
    variance = groups / (groups - 1) * float(np.sum((below - share * sizes) ** 2)) / count**2
    # Half-counted ties shrink the variance of a 0/1 variable; never trust more than independent images would allow.
    variance = max(variance, 0.25 / count) if share else variance
    n_effective, design_effect = effective_trials(0.5, variance, count, groups, level)
    low, high = clopper_pearson(n_effective / 2, n_effective, level)
    ordered = np.sort(column)
    lower = float(ordered[max(0, math.floor(low * count + 1e-9) - 1)])
    upper = float(ordered[min(count - 1, math.ceil(high * count - 1e-9))])
    return Interval(median, lower, upper, level, method, count, groups, design_effect, n_effective)


def bootstrap_weights(n_groups: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(G, draws) how often each group stands in each bootstrap draw; columns sum to G.

    With multiplicity: dropping the repeats, as some libraries do, leaves intervals at 0.78 of their width.
    """
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=draws).T.astype(np.float64)


def bootstrap_se_t(estimate: float, draws: ArrayLike, level: float = 0.95, *, n_images: int, n_groups: int) -> Interval:
    """estimate ± t_{G−1} · standard deviation over draws of groups: for medians, where the jackknife fails."""
    values = np.asarray(draws, dtype=np.float64)
    if n_groups < MIN_GROUPS:
        return not_established(estimate, level, "bootstrap-se-t", n_images, n_groups)
    if not np.isfinite(values).all():
        note = "not established: in some draws the metric is undefined"
        return not_established(estimate, level, "bootstrap-se-t", n_images, n_groups, note)
    # Draws from G groups have G−1 over G of the variance.
    variance = float(np.var(values, ddof=1)) * n_groups / (n_groups - 1)
    return _t_interval(estimate, variance, level, "bootstrap-se-t", n_images, n_groups, n_groups - 1, None)


def _t_interval(
    estimate: float,
    variance: float,
    level: float,
    method: str,
    n_images: int,
    n_groups: int,
    degrees: int,
    simple_variance: float | None,
) -> Interval:
    error = math.sqrt(variance)
    half = t_quantile(level, degrees) * error
    known = simple_variance is not None and 0 < simple_variance < math.inf  # not NaN: undefined without some image
    design_effect = variance / simple_variance if simple_variance and known else None
    n_effective = n_images / max(design_effect, 1.0) if design_effect else None  # no more than there are
    return Interval(
        estimate, estimate - half, estimate + half, level, method, n_images, n_groups, design_effect, n_effective, error
    )


def _cut(interval: Interval, least: float, most: float) -> Interval:
    if interval.low is None or interval.high is None:
        return interval
    return replace(interval, low=max(least, interval.low), high=min(most, interval.high))
