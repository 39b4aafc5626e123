"""Whether a daily value moved between two periods, where days vary and follow each other.

A day is the unit: images of one day are alike. Days are not independent either: weather and work last. The mean of n
days whose correlation falls as ρ, ρ², … varies more than n independent ones would show (Bartlett 1946), by a factor
that follows from ρ. Estimates of ρ from short series are too small; the correction is that of Marriott and Pope (1954),
and a standard error is added, because too small a ρ is what makes false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.stats.distributions import t_quantile, t_tails

Floats = NDArray[np.float64]

MIN_DAYS = 5
"""Of each period; with fewer nothing is said"""
_MIN_EFFECTIVE = 3.0
_MOST_CORRELATED = 0.9


@dataclass(frozen=True, slots=True)
class DailyValues:
    """One value a day, in the order of the days."""

    days: NDArray[np.int64]
    """(n,) number of each day, ascending; a gap is a day without a value"""
    values: Floats
    """(n,)"""

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True, slots=True)
class DayShift:
    """How far the mean of the days moved. `p` is None where too little is known to say."""

    before: float | None
    """Mean of the reference's days; None: it has none"""
    after: float | None
    delta: float | None
    low: float | None
    high: float | None
    p: float | None
    n_before: int
    n_after: int
    effective_before: float
    """Independent days that would be as informative"""
    effective_after: float
    note: str = ""
    """Why there is no p"""


def day_correlation(series: Sequence[DailyValues]) -> float:
    """Return the correlation of one day with the next, from several series, corrected for their shortness.

    Args:
        series: each about its own mean; days that are not neighbours are no pair.

    >>> calm = DailyValues(np.arange(200), np.random.default_rng(0).normal(size=200))
    >>> day_correlation([calm]) < 0.2
    True
    """
    products = squares = 0.0
    pairs = n_days = n_series = 0
    for one in series:
        if len(one) < MIN_DAYS or np.ptp(one.values) == 0:
            continue
        scaled = (one.values - one.values.mean()) / one.values.std()
        next_to = np.diff(one.days) == 1
        products += float((scaled[:-1] * scaled[1:])[next_to].sum())
        squares += float(next_to.sum())
        pairs, n_days, n_series = pairs + int(next_to.sum()), n_days + len(one), n_series + 1
    if pairs < MIN_DAYS:
        return _MOST_CORRELATED
    length = n_days / n_series
    found = (products / squares + 1 / length) / max(1 - 4 / length, 0.2)
    # Cameras share weather and work: their pairs count as the geometric mean of one camera's and of all.
    found += math.sqrt(max(1 - min(found, 1.0) ** 2, 0.0) * math.sqrt(n_series) / pairs)
    return float(np.clip(found, 0.0, _MOST_CORRELATED))


def day_shift(before: DailyValues, after: DailyValues, correlation: float, level: float = 0.95) -> DayShift:
    """Return the difference of two periods' means with its interval and p-value, two-sided.

    Args:
        before: days of the reference.
        after: days of the period that is asked about.
        correlation: of a day with the next, as `day_correlation` returns it.
        level: of the interval.
    """
    first, second = (_mean_of_days(one.values, correlation) for one in (before, after))
    delta, note = second.mean - first.mean, ""
    if min(len(before), len(after)) < MIN_DAYS:
        note = f"fewer than {MIN_DAYS} days"
    elif min(first.effective, second.effective) < _MIN_EFFECTIVE:
        note = f"days follow each other (correlation {correlation:.2f}): too few independent ones"
    low = high = p = None
    variance = first.variance + second.variance
    if not note and variance == 0:
        note = "no day differs from another"  # a constant, such as a log's count of 0: no variance, no interval
    if not note:
        error = math.sqrt(variance)
        # Welch and Satterthwaite's are more, and too many far out in the tails that many rows ask about.
        degrees = min(first.effective, second.effective) - 1
        p = t_tails(delta / error, degrees)
        reach = t_quantile(level, degrees) * error
        low, high = delta - reach, delta + reach
    return DayShift(
        _known(first.mean), _known(second.mean), _known(delta), low, high, p, len(before), len(after), first.effective,
        second.effective, note,
    )  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class _Mean:
    mean: float
    variance: float
    effective: float


def _mean_of_days(values: Floats, correlation: float) -> _Mean:
    n = len(values)
    if n < 2:
        return _Mean(float(values.mean()) if n else math.nan, math.nan, float(n))
    lags = np.arange(1, n)
    share = float(1 + 2 * np.sum((1 - lags / n) * correlation**lags)) / n  # variance of the mean, of that of one day
    single = float(values.var()) / (1 - share)
    return _Mean(float(values.mean()), single * share, 1 / share)
