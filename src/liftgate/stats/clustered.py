"""Intervals of anything computed from groups, all with Student t: cluster bootstrap SE, cluster SE of a ratio, medians.

Percentile bootstrap intervals are too narrow with few groups (88% instead of 95% at 8): they are for display only. A
delete-one-group jackknife fails for average precision, whose 101 recall points make it jump (docs/decisions/0006).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import GroupCount, count_groups
from liftgate.stats.interval import MIN_GROUPS, Interval
from liftgate.stats.rates import clopper_pearson, effective_trials, interval_of, not_established

_MANY_DRAWS = 1000
_FEWEST_DEFINED = 0.9
"""Share of the draws in which a metric must be defined for their spread to be its standard error"""


def jackknife_variance(replicates: ArrayLike) -> float:
    """Variance of a smooth estimate from its values with each group left out once (G,)."""
    values = np.asarray(replicates, dtype=np.float64)
    return float((len(values) - 1) / len(values) * np.sum((values - values.mean()) ** 2))


def bootstrap_weights(n_groups: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(G, draws) how often each group occurs in each bootstrap draw; columns sum to G.

    With multiplicity: dropping the repeats, as some libraries do, leaves intervals at 0.78 of their width.
    """
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=draws).T.astype(np.float64)


def bootstrap_variance(estimate: float, draws: ArrayLike, units: int) -> float:
    """Mean squared distance of an estimate from its values over draws of so many units.

    About the estimate, not about the mean of the draws: what repeated images shift, as they shift average precision of
    rare classes, counts as error. Draws from U units have U−1 over U of the variance. Undefined draws are left out; NaN
    where fewer than nine in ten are defined.
    """
    values = np.asarray(draws, dtype=np.float64)
    known = values[np.isfinite(values)]
    if units < 2 or len(known) < 2 or len(known) < _FEWEST_DEFINED * len(values):
        return math.nan
    return float(np.mean((known - estimate) ** 2)) * units / (units - 1)


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
    logit: bool = False,
) -> Interval:
    """Return estimate ± t · standard deviation over draws of groups, with effective groups − 1 degrees of freedom.

    Args:
        estimate: of the sample as it is.
        draws: (D,) the estimate in draws of groups with multiplicity.
        level: of the interval.
        n_images: images of the sample.
        groups: the groups that inform the estimate.
        units: what was drawn, where groups were dealt into fewer blocks; default all groups.
        simple_variance: variance if every image were a group of its own; gives the design effect.
        unseen_variance: what no draw shows, such as of a class whose few objects were all found; is added.
        logit: make the interval on the logit scale: for a share, whose ends no interval may pass.

    Returns:
        Interval: not established under five informative groups, and where the draws do not vary.
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
    half = t_quantile(level, degrees_of(groups, count, np.size(draws))) * error
    low, high = estimate - half, estimate + half
    if logit:
        at, half = math.log(estimate / (1 - estimate)), half / (estimate * (1 - estimate))
        low, high = _expit(at - half), _expit(at + half)
    effect = design_effect(variance, simple_variance)
    worth = None if effect is None else n_images / max(effect, 1.0)  # no more than there are
    return interval_of(groups, estimate, (low, high), level, method, n_images, effect, worth, error)


def degrees_of(groups: GroupCount, units: int, draws: int) -> float:
    """Degrees of freedom of a bootstrap variance: of the effective groups, or of the blocks where fewer are drawn.

    Fewer than a thousand draws are a sample that counts in, too.
    """
    degrees = min(groups.degrees, max(1.0, units - 1))
    return degrees if draws >= _MANY_DRAWS else max(1.0, 1 / (1 / degrees + 1 / max(1, draws - 1)))


def design_effect(variance: float, simple_variance: float | None) -> float | None:
    """Variance over that of independent images; None where that is not known."""
    known = simple_variance is not None and 0 < simple_variance < math.inf  # not NaN: undefined without some image
    return variance / simple_variance if simple_variance and known else None


def cluster_ratio_t(
    numerator: ArrayLike,
    denominator: ArrayLike,
    level: float = 0.95,
    *,
    n_images: int,
    simple_variance: float | None = None,
) -> Interval:
    """Interval of Σ numerator / Σ denominator over groups by the linearised cluster SE and t; not below 0.

    Where nothing was counted in any group the variance says nothing: the upper bound is then Poisson's for zero events
    in as many units as there are effective groups.
    """
    y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    groups, total = count_groups(x), float(x.sum())
    ratio = float(y.sum()) / total
    if groups.informative < MIN_GROUPS:
        return not_established(ratio, level, "cluster-se-t", n_images, groups)
    if ratio == 0:
        upper = -math.log((1 - level) / 2) / groups.effective
        return interval_of(groups, 0.0, (0.0, upper), level, "poisson-zero", n_images, n_effective=groups.effective)
    count = groups.informative
    variance = count / (count - 1) * float(np.sum((y - ratio * x) ** 2)) / total**2
    error = math.sqrt(variance)
    if error == 0:
        note = f"not established: it is {ratio:g} in every group, and data that never vary tell no width"
        return not_established(ratio, level, "cluster-se-t", n_images, groups, note)
    half = t_quantile(level, groups.degrees) * error
    effect = design_effect(variance, simple_variance)
    worth = None if effect is None else n_images / max(effect, 1.0)
    low = max(0.0, ratio - half)
    return interval_of(groups, ratio, (low, ratio + half), level, "cluster-se-t", n_images, effect, worth, error)


def median_interval(
    values: ArrayLike, group: NDArray[np.int64], level: float = 0.95, *, n_groups: int | None = None
) -> Interval:
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
    sizes = np.bincount(group)
    groups, count = count_groups(sizes, n_groups), len(column)
    method = "woodruff-korn-graubard"
    if groups.informative < MIN_GROUPS:
        return not_established(median, level, method, count, groups)
    below = np.bincount(group, weights=(column < median) + 0.5 * (column == median))
    share = float(below.sum()) / count
    informative = groups.informative
    variance = informative / (informative - 1) * float(np.sum((below - share * sizes) ** 2)) / count**2
    # Half-counted ties shrink the variance of a 0/1 variable; never trust more than independent images would allow.
    variance = max(variance, 0.25 / count) if share else variance
    n_effective, effect = effective_trials(0.5, variance, count, groups, level)
    low, high = clopper_pearson(n_effective / 2, n_effective, level)
    ordered = np.sort(column)
    lower = float(ordered[max(0, math.floor(low * count + 1e-9) - 1)])
    upper = float(ordered[min(count - 1, math.ceil(high * count - 1e-9))])
    if lower == upper:
        note = f"not established: most values are {median:g}, and data that do not vary tell no width"
        return not_established(median, level, method, count, groups, note)
    return interval_of(groups, median, (lower, upper), level, method, count, effect, n_effective)


def widened(interval: Interval, half: float) -> Interval:
    """Return the interval with another half width around its estimate."""
    return replace(interval, low=interval.estimate - half, high=interval.estimate + half)


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
