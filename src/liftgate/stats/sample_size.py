"""Sample sizes for claims: exact binomial for a rate, else from the variance between groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.stats.always_valid import always_valid_quantile
from liftgate.stats.distributions import normal_quantile, t_quantile
from liftgate.stats.interval import MIN_GROUPS
from liftgate.stats.rates import clopper_pearson

MAX_GROUPS = 1_000_000
"""The largest number of groups that is considered; above it the answer is None"""


MOST_TRIALS = 1_000_000_000
"""Independent trials above which a rate is not planned"""
_SCANNED, _AT_ONCE = 20_000, 4_000
"""Trials up to which the exact power is computed for each number, and for how many numbers at once"""
_RARE_MISSES = 0.999
"""Rates above which so few misses are allowed that each number of them is looked at, not each number of trials"""
_SLACK = 1.5
"""The chance of one number of hits at the edge of the tail is at most so many times that of the normal approximation"""
_EVEN_POWER = 0.1
"""Sizes that fall with a smaller power of the rank are as good as even"""


class SampleSize(NamedTuple):
    """Two sample sizes, because the power of an exact test is not monotonic in n."""

    smallest: int
    """The smallest n with the required power"""
    stable: int
    """The smallest n from which the power never falls below it"""


def rate_sample_size(threshold: float, true_rate: float, *, tail: float = 0.025, power: float = 0.8) -> SampleSize:
    """Return the independent trials needed to show "rate > threshold" by the exact one-sided binomial test at `tail`.

    Raises:
        ValueError: the true rate is not above the threshold, so that no number is enough, or too near to it.

    >>> rate_sample_size(0.95, 0.98).smallest
    312
    """
    if not 0 < threshold < true_rate <= 1:
        raise ValueError(f"expected 0 < threshold < true rate ≤ 1, got {threshold} and {true_rate}")
    # Normal approximation with a margin: beyond this n the power stays above the required one.
    z = normal_quantile(1 - 2 * tail) * _sd(threshold) + max(0.0, normal_quantile(2 * power - 1)) * _sd(true_rate)
    limit = int(3 * (z / (true_rate - threshold)) ** 2 + 20 * math.log(1 / tail) / (1 - threshold))
    if limit > 3 * MOST_TRIALS:
        raise ValueError(f"more than {MOST_TRIALS:,} trials are needed: {true_rate} is too near to {threshold}")
    first = 1
    if limit > _SCANNED:
        first, limit = _power_range(limit, threshold, true_rate, tail, power)

    def enough(n: NDArray[np.int64]) -> NDArray[np.bool_]:
        return _exact_power(n, threshold, true_rate, tail) >= power

    if threshold > _RARE_MISSES:
        return _size_by_misses(enough, first, limit, threshold, tail)
    upwards = (np.arange(low, min(low + _AT_ONCE, limit + 1)) for low in range(first, limit + 1, _AT_ONCE))
    smallest = next(int(n[np.argmax(yes)]) for n in upwards if (yes := enough(n)).any())
    downwards = (np.arange(max(first, high - _AT_ONCE + 1), high + 1) for high in range(limit, first - 1, -_AT_ONCE))
    short = (int(n[~yes][-1]) for n in downwards if not (yes := enough(n)).all())
    return SampleSize(smallest, next(short, first - 1) + 1)


def zero_miss_sample_size(threshold: float, *, tail: float = 0.05) -> int:
    """Return the independent trials that, if all are hits, show "rate > threshold" one-sided at `tail`.

    >>> zero_miss_sample_size(0.95), zero_miss_sample_size(0.95, tail=0.025)
    (59, 72)
    """
    return math.ceil(math.log(tail) / math.log(threshold) - 1e-12)


class TwoRates(NamedTuple):
    """Trials per arm, by two textbook formulas."""

    normal: int
    arcsine: int


def two_rates_sample_size(first: float, second: float, *, alpha: float = 0.05, power: float = 0.8) -> TwoRates:
    """Return the independent trials per arm to tell two rates apart, unpaired, two-sided at `alpha`.

    >>> two_rates_sample_size(0.92, 0.96)
    TwoRates(normal=553, arcsine=539)
    """
    if first == second or not (0 < first < 1 and 0 < second < 1):
        raise ValueError(f"expected two different rates inside 0 … 1, got {first} and {second}")
    z_alpha, z_power = normal_quantile(1 - alpha), normal_quantile(2 * power - 1)
    pooled = (first + second) / 2
    root = z_alpha * math.sqrt(2) * _sd(pooled) + z_power * math.hypot(_sd(first), _sd(second))
    effect = 2 * math.asin(math.sqrt(first)) - 2 * math.asin(math.sqrt(second))
    normal = math.ceil((root / (first - second)) ** 2)
    return TwoRates(normal, math.ceil(2 * ((z_alpha + z_power) / effect) ** 2))


def design_effect(per_group: float, icc: float) -> float:
    """Return the design effect 1 + (m − 1)·ICC of groups of m images (Kish 1965).

    >>> round(1000 / design_effect(25, 0.1))
    294
    """
    return 1 + (per_group - 1) * icc


def upper_sd(sd: float, degrees: float, confidence: float = 0.8) -> float:
    """Return the upper confidence bound of a standard deviation that was estimated with `degrees` degrees of freedom.

    A plan based on the estimate itself reaches its power for only half of the pilots (Browne 1995). The chi-squared
    quantile is the approximation of Wilson & Hilferty.

    >>> round(upper_sd(1.0, 19), 3)
    1.177
    """
    spread = 2 / (9 * degrees)
    quantile = degrees * max(0.05, 1 - spread - normal_quantile(2 * confidence - 1) * math.sqrt(spread)) ** 3
    return sd * math.sqrt(degrees / quantile)


def groups_for_margin(
    estimate: float,
    margin: float,
    group_sd: float,
    level: float = 0.95,
    *,
    chance: float = 0.8,
    degrees: float = math.inf,
    factor: float = 1.0,
    always_valid: bool = False,
) -> int | None:
    """Return the groups at which the interval of a difference excludes the margin with some chance; None: never.

    The interval is estimate ± factor·t_{G−1}·group_sd/√G, or with the quantile of `always_valid_quantile` for t's. That
    is 3.4 times t's with five groups and 1.6 times with twenty, so what few groups have does not carry over.

    Args:
        estimate: the difference, taken as the true one.
        margin: the value that the interval has to exclude.
        group_sd: standard error × √groups of the sample at hand.
        level: of the interval.
        chance: probability that the next sample's interval excludes it.
        degrees: degrees of freedom of `group_sd`, whose upper bound is used; infinite: `group_sd` is known.
        factor: by which the interval is wider than that of t alone, as simultaneous ones are.
        always_valid: whether the interval holds at every look.

    >>> groups_for_margin(0.03, 0.02, 0.05), groups_for_margin(0.03, 0.02, 0.05, always_valid=True)
    (199, 474)
    """
    distance = abs(estimate - margin)
    if distance == 0 or not math.isfinite(distance) or not math.isfinite(group_sd):
        return None
    sd = group_sd if math.isinf(degrees) else upper_sd(group_sd, degrees)

    def settled(groups: int) -> bool:
        wide = always_valid_quantile(level, groups - 1, groups) if always_valid else t_quantile(level, groups - 1)
        quantiles = factor * wide + t_quantile(2 * chance - 1, groups - 1)
        return quantiles * sd / math.sqrt(groups) <= distance

    return fewest_groups(settled)


def groups_for_rate(
    rate: float, threshold: float, effective_per_group: float, level: float = 0.95, *, chance: float = 0.8
) -> int | None:
    """Return the groups at which the Korn–Graubard interval of a rate excludes the threshold; None: never.

    Args:
        rate: taken as the true one.
        threshold: the value that the interval has to exclude.
        effective_per_group: independent trials that one group is equivalent to.
        level: of the interval.
        chance: probability that the next sample's interval excludes it.
    """
    if rate == threshold:
        return None
    z_chance = normal_quantile(2 * chance - 1)

    def settled(groups: int) -> bool:
        correction = (normal_quantile(level) / t_quantile(level, groups - 1)) ** 2
        trials = groups * effective_per_group
        # With this chance the rate of the next sample is at least this far from the threshold.
        error = z_chance * math.sqrt(rate * (1 - rate) / trials)
        shown = max(0.0, rate - error) if rate > threshold else min(1.0, rate + error)
        trials *= correction if 0 < rate < 1 else 1
        low, high = clopper_pearson(shown * trials, trials, level)
        return low >= threshold if rate > threshold else high < threshold

    return fewest_groups(settled)


def detectable_difference(group_sd: float, groups: float, *, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest true difference that `groups` effective groups show with this power (t interval above 0)."""
    return (t_quantile(level, groups - 1) + t_quantile(2 * power - 1, groups - 1)) * group_sd / math.sqrt(groups)


def groups_for_difference(
    difference: float, group_sd: float, *, margin: float = 0.0, level: float = 0.95, power: float = 0.8
) -> int | None:
    """Return the groups that show a true difference above `margin` with this power; None: never."""
    if not difference > margin:
        return None
    return fewest_groups(
        lambda groups: detectable_difference(group_sd, groups, level=level, power=power) <= difference - margin
    )


def groups_worth(even: int | None, informative: int, effective: float, largest_share: float | None) -> int | None:
    """Return how many groups as uneven as those at hand are worth so many even ones; None: no number of them is.

    More groups of the same kind bring larger ones too: where sizes fall with the rank i as i^−s, the effective number
    grows more slowly than the number, and above s = 1 hardly at all. s is the smallest that explains the effective
    number, or the share of the largest group.

    Args:
        even: groups of equal size that would do; None: none would.
        informative: groups at hand that inform the number.
        effective: effective number of these.
        largest_share: of the information that the largest of them holds; None: unknown.

    >>> groups_worth(40, 20, 20.0, 0.05), groups_worth(40, 20, 8.1, 0.28), groups_worth(40, 20, 3.8, 0.5)
    (40, 1902, None)
    """
    if even is None or informative < 1:
        return None
    power = _rank_power(informative, effective, largest_share)
    if power < _EVEN_POWER:
        return math.ceil(even * informative / max(1.0, effective))
    for most in (10 * informative, 1000 * informative, MAX_GROUPS):
        size = np.arange(1, most + 1, dtype=np.float64) ** -power
        worth = np.cumsum(size) ** 2 / np.cumsum(size**2)
        enough = worth >= even * worth[informative - 1] / max(1.0, effective)
        if enough[-1]:
            return int(np.argmax(enough)) + 1
    return None


def _rank_power(informative: int, effective: float, largest_share: float | None) -> float:
    """Return s of sizes i^−s by rank i, at most 3: the smallest that gives this effective number, or largest share."""
    rank = np.arange(1, informative + 1, dtype=np.float64)
    low, high = 0.0, 3.0
    for _ in range(40):
        power = (low + high) / 2
        size = rank**-power
        total = float(size.sum())
        too_even = total**2 / float(np.sum(size**2)) > effective
        if too_even and (largest_share is None or 1 / total < largest_share):
            low = power
        else:
            high = power
    return low


def kappa_sample_size(kappa: float, half_width: float, *, prevalence: float = 0.5, level: float = 0.95) -> int:
    """Return the items that both raters must judge to know kappa to ± half_width (Fleiss, Cohen & Everitt 1969).

    >>> kappa_sample_size(0.85, 0.1)
    107
    """
    p, q = prevalence, 1 - prevalence
    chance = p * p + q * q
    agree = kappa * (1 - chance) + chance
    both, neither, split = p * p + kappa * p * q, q * q + kappa * p * q, (1 - agree) / 2
    same = both * (1 - 2 * p * (1 - kappa)) ** 2 + neither * (1 - 2 * q * (1 - kappa)) ** 2
    cross = (1 - kappa) ** 2 * 2 * split
    variance = (same + cross - (kappa - chance * (1 - kappa)) ** 2) / (1 - chance) ** 2
    return math.ceil(variance * (normal_quantile(level) / half_width) ** 2)


def fewest_groups(enough: Callable[[int], bool]) -> int | None:
    """Return the smallest number of groups, at least MIN_GROUPS, that is `enough` (monotonic); None: none is."""
    high = MIN_GROUPS
    while not enough(high):
        if high > MAX_GROUPS:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return max(high, MIN_GROUPS)


def _power_range(limit: int, threshold: float, true_rate: float, tail: float, power: float) -> tuple[int, int]:
    """Return a number of trials below which the exact test never has the power, and one from which on it always has.

    The test that decides by lot at its critical number has a size of exactly `tail`, and its power grows with n. The
    exact test has at most its power, and at least that of one whose size is smaller by a chance of one number of hits.
    """
    from scipy import special

    at = math.exp(-(normal_quantile(1 - 2 * tail) ** 2) / 2) / math.sqrt(2 * math.pi * threshold * (1 - threshold))

    def has_power(n: int, size: float) -> bool:
        critical = float(_critical(np.array([n]), threshold, size)[0])
        reached, more = (special.bdtrc(critical - np.array([1.0, 2.0]), n, rate) for rate in (threshold, true_rate))
        lot = (size - reached[0]) / (reached[1] - reached[0])
        return bool(more[0] + lot * (more[1] - more[0]) >= power)

    def least(slack: float) -> int:
        low, high = 1, limit
        while high - low > 1:
            middle = (low + high) // 2
            size = tail - slack * at / math.sqrt(middle)
            low, high = (low, middle) if size > 0 and has_power(middle, size) else (middle, high)
        return high

    return max(1, least(0.0) - 1), min(limit, least(_SLACK) + 1)


def _size_by_misses(
    enough: Callable[[NDArray[np.int64]], NDArray[np.bool_]], first: int, last: int, threshold: float, tail: float
) -> SampleSize:
    """Return the sizes between two numbers of trials, for rates that hardly ever miss.

    While as many misses are allowed, the power falls with every trial: of these numbers only the first and the last
    are looked at.
    """

    def allowed(n: int) -> int:
        return n - int(_critical(np.array([n]), threshold, tail)[0])

    def least(low: int, high: int, misses: int) -> int:
        """Return the least number above `low` with which so many misses are allowed; `high`: none below it."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if allowed(middle) >= misses else (middle, high)
        return high

    smallest, short = first, last
    while not enough(np.array([smallest]))[0]:
        smallest = least(smallest, last + 1, allowed(smallest) + 1)
    while short >= first and enough(np.array([short]))[0]:
        short = least(first - 1, short, allowed(short)) - 1
    return SampleSize(smallest, short + 1)


def _exact_power(n: NDArray[np.int64], threshold: float, true_rate: float, tail: float) -> NDArray[np.float64]:
    """Return the power of the exact test for every n."""
    from scipy import special

    critical = _critical(n, threshold, tail)
    power = special.bdtrc(critical - 1.0, n, true_rate)
    return np.where(critical > n, 0.0, power)


def _critical(n: NDArray[np.int64], threshold: float, tail: float) -> NDArray[np.int64]:
    """Return the hits from which the exact test rejects: the least c with P(X ≥ c | threshold) ≤ tail."""
    from scipy import special

    critical = np.ceil(special.bdtrik(1 - tail, n, threshold)).astype(np.int64) + 1
    for _ in range(2):  # bdtrik interpolates a step function: correct it to the exact step
        critical = np.where(special.bdtrc(critical - 1.0, n, threshold) > tail, critical + 1, critical)
        lower = (critical > 0) & (special.bdtrc(np.maximum(critical - 2.0, 0), n, threshold) <= tail) & (critical > 1)
        critical = np.where(lower, critical - 1, critical)
    return critical


def _sd(rate: float) -> float:
    return math.sqrt(rate * (1 - rate))
