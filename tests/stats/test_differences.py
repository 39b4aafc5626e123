"""Intervals of a difference near the ends of the scale: wide enough on the side of the middle."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.stats.clustered import bootstrap_se_t, bootstrap_weights
from liftgate.stats.differences import (
    at_level,
    difference_t,
    error_of_width,
    reach_of_both,
    square_and_add,
    two_sided_p_value,
)
from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import count_groups, count_with_leverage
from liftgate.stats.interval import Interval
from liftgate.stats.size_trend import reach_of

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def rates(hits: Floats, trials: Floats) -> Floats:
    """(1 + 1,000,) rate of the sample and of draws of its groups; the same draws in every call."""
    weights = bootstrap_weights(len(hits), 1000, np.random.default_rng(0))
    weights = np.concatenate([np.ones((len(hits), 1)), weights], axis=1)
    return np.asarray((hits @ weights) / (trials @ weights))


TRIALS = np.full(10, 40.0)
GROUPS = count_groups(np.ones(10))
FEW, MORE = np.array([0.0, 2, 0, 1, 0, 3, 1, 0, 2, 1]), np.array([1.0, 4, 0, 2, 1, 3, 3, 0, 5, 2])


def test_near_zero_the_interval_reaches_further_up_than_the_t_interval_and_never_less() -> None:
    first, second = rates(FEW, TRIALS), rates(MORE, TRIALS)
    plain = bootstrap_se_t(second[0] - first[0], (second - first)[1:], n_images=400, groups=GROUPS)
    wide = difference_t(first, second, n_images=400, groups=GROUPS, units=10)
    assert wide.high > plain.high + 0.1 * (plain.high - plain.estimate)  # type: ignore[operator]
    assert wide.low <= plain.low  # type: ignore[operator]
    assert wide.standard_error == plain.standard_error


def test_in_the_middle_it_is_hardly_wider() -> None:
    first, second = rates(FEW * 3 + 15, TRIALS), rates(MORE * 2 + 15, TRIALS)
    plain = bootstrap_se_t(second[0] - first[0], (second - first)[1:], n_images=400, groups=GROUPS)
    wide = difference_t(first, second, n_images=400, groups=GROUPS, units=10)
    assert wide.high - wide.low < 1.12 * (plain.high - plain.low)  # type: ignore[operator]


def test_at_the_end_of_the_scale_only_the_t_interval_is_left() -> None:
    nothing, second = rates(np.zeros(10), TRIALS), rates(MORE, TRIALS)
    assert square_and_add(nothing, second, scale="logit", reach=t_quantile(0.95, 9), units=10) is None
    assert difference_t(nothing, second, n_images=400, groups=GROUPS, units=10).established


def test_models_that_share_their_errors_are_told_apart_better() -> None:
    first, alike = rates(MORE, TRIALS), rates(MORE + 1, TRIALS)
    other = rates(np.roll(MORE + 1, 3), TRIALS)
    pairs = [square_and_add(first, row, scale="logit", reach=t_quantile(0.95, 9), units=10) for row in (alike, other)]
    assert pairs[0] is not None and pairs[1] is not None
    assert pairs[0].high - pairs[0].low < 0.5 * (pairs[1].high - pairs[1].low)


def test_the_p_value_agrees_with_the_interval_at_every_level() -> None:
    first, second = rates(FEW, TRIALS), rates(MORE, TRIALS)
    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        interval = difference_t(first, second, level, n_images=400, groups=GROUPS, units=10)
        p_value = two_sided_p_value(interval)
        assert p_value is not None and interval.low is not None
        assert (p_value < 1 - level) == (interval.low > 0), level


def test_another_level_lengthens_both_sides_alike() -> None:
    interval = difference_t(rates(FEW, TRIALS), rates(MORE, TRIALS), n_images=400, groups=GROUPS, units=10)
    wider = at_level(interval, 0.99)
    factor = t_quantile(0.99, 9) / t_quantile(0.95, 9)
    assert wider.high - wider.estimate == pytest.approx(factor * (interval.high - interval.estimate))  # type: ignore[operator]
    assert error_of_width(wider) == pytest.approx(factor * error_of_width(interval))  # type: ignore[operator]


def interval(estimate: float, low: float | None, high: float | None) -> Interval:
    return Interval(estimate, low, high, 0.95, "t", 100, 20, note="" if low is not None else "most values are 0")


def test_a_difference_reaches_as_far_as_both_intervals_together_and_never_less() -> None:
    both = interval(0.2, 0.17, 0.26), interval(0.5, 0.46, 0.52)
    assert reach_of_both(interval(0.3, 0.28, 0.31), *both).low == pytest.approx(0.3 - np.hypot(0.06, 0.04))
    assert reach_of_both(interval(0.3, 0.28, 0.31), *both).high == pytest.approx(0.3 + np.hypot(0.03, 0.02))
    assert reach_of_both(interval(0.3, 0.1, 0.9), *both) == interval(0.3, 0.1, 0.9)


def test_without_an_interval_of_both_there_is_none_of_the_difference() -> None:
    found = reach_of_both(interval(0.3, 0.28, 0.31), interval(0.0, None, None), interval(0.3, 0.2, 0.4))
    assert not found.established and found.note == "most values are 0" and found.standard_error is None


def zipf_difference(rng: np.random.Generator, groups: int = 100) -> tuple[float, float, float]:
    """Return how far a difference of two means over groups of sizes 1, 1/2, 1/3 … is off, its variance, its reach."""
    size = np.maximum(1, np.round(100 / np.arange(1, groups + 1)))
    each = rng.normal(0, 0.1, groups) + rng.normal(0, 1, groups) / np.sqrt(size) * 0.3
    share = size / size.sum()
    estimate = float(share @ each)
    variance = float(np.sum((share * (each - estimate)) ** 2)) * groups / (groups - 1)  # what draws of groups show
    return estimate, variance, reach_of(count_with_leverage(size), 0.9).high


def test_draws_of_uneven_groups_vary_too_little_and_the_reach_makes_up_for_it() -> None:
    """Models that differ by just the margin were called equal in 7.3% instead of 5% (docs/decisions/0053)."""
    found = np.array([zipf_difference(np.random.default_rng([3, run])) for run in range(4000)])
    estimate, variance, reach = found.T
    assert variance.mean() < 0.88 * estimate.var()
    before = t_quantile(0.9, count_groups(np.maximum(1, np.round(100 / np.arange(1, 101)))).degrees)
    called_equal = [float(np.mean(estimate + t * np.sqrt(variance) < 0)) for t in (before, reach)]
    assert called_equal[0] > 0.06 > called_equal[1]


def test_even_groups_have_the_reach_that_they_had() -> None:
    assert reach_of(count_with_leverage([7] * 12), 0.95) == reach_of(count_groups([7] * 12), 0.95)


def test_one_group_that_holds_all_but_nothing_has_a_finite_reach() -> None:
    assert 1 < count_with_leverage([1e6] + [1e-3] * 9).low_factor <= 2
