from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from liftgate.stats.day_shift import DailyValues, day_correlation, day_shift


def daily(values: np.ndarray) -> DailyValues:
    return DailyValues(np.arange(len(values)), values)


def following(random: np.random.Generator, correlation: float, n: int) -> np.ndarray:
    values = random.normal(size=n)
    for day in range(1, n):
        values[day] = correlation * values[day - 1] + np.sqrt(1 - correlation**2) * values[day]
    return values


def test_independent_days_are_compared_by_t_with_the_degrees_of_the_shorter_period() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=20), random.normal(1, 2, size=12)
    found = day_shift(daily(first), daily(second), 0.0)
    welch = stats.ttest_ind(second, first, equal_var=False)
    error = (second.mean() - first.mean()) / welch.statistic
    assert found.p == pytest.approx(2 * stats.t.sf(abs(welch.statistic), 11))
    low, high = found.delta + np.array([-1, 1]) * stats.t.ppf(0.975, 11) * error
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.effective_before, found.effective_after) == pytest.approx((20, 12))


def test_days_that_follow_each_other_count_as_fewer() -> None:
    random = np.random.default_rng(1)
    first, second = daily(random.normal(size=28)), daily(random.normal(size=28))
    alone, followed = day_shift(first, second, 0.0), day_shift(first, second, 0.6)
    assert followed.effective_before < 10 < alone.effective_before
    assert followed.p is not None and alone.p is not None and followed.p > alone.p


def test_the_correlation_of_days_is_found_and_rather_too_large_than_too_small() -> None:
    random = np.random.default_rng(2)
    for true in (0.0, 0.3, 0.6):
        found = [day_correlation([daily(following(random, true, 28)) for _ in range(12)]) for _ in range(40)]
        assert np.mean(np.array(found) >= true) > 0.75
        assert np.median(found) < true + 0.3


def test_too_few_days_and_too_few_independent_ones_say_nothing() -> None:
    random = np.random.default_rng(3)
    long = daily(random.normal(size=28))
    few = day_shift(long, daily(random.normal(size=4)), 0.0)
    assert (few.p, few.low, few.note) == (None, None, "fewer than 5 days")
    tied = day_shift(long, daily(random.normal(size=7)), 0.8)
    assert tied.p is None and "too few independent ones" in tied.note


def test_days_without_a_difference_have_no_variance_and_no_answer() -> None:
    found = day_shift(daily(np.ones(10)), daily(np.zeros(10)), 0.0)
    assert (found.p, found.low, found.note) == (None, None, "no day differs from another")


def test_a_gap_is_no_pair_of_days() -> None:
    apart = DailyValues(np.arange(0, 60, 2), np.random.default_rng(4).normal(size=30))
    assert day_correlation([apart]) == 0.9, "nothing is known of neighbours: the worst is assumed"
