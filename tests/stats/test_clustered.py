"""Intervals over groups: jackknife, cluster SE, medians, bootstrap weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liftgate.stats.clustered import (
    bootstrap_se_t,
    bootstrap_variance,
    bootstrap_weights,
    cluster_ratio_t,
    median_interval,
    quantile_interval,
)
from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import count_groups
from liftgate.stats.rates import ratio_variance
from liftgate.stats.size_trend import reach_of, with_trend

EVEN = count_groups(np.ones(12))


def test_an_interval_holds_pythons_numbers() -> None:
    found = cluster_ratio_t([3, 1, 2, 4, 0, 5], [5, 5, 5, 6, 5, 5], n_images=31, simple_variance=0.01)
    assert {type(value) for value in (found.estimate, found.low, found.high, found.design_effect)} == {float}


def test_design_effect_and_effective_images_come_from_the_simple_variance() -> None:
    drawn = np.random.default_rng(0).normal(0.2, 0.1, 500)
    simple = bootstrap_variance(0.2, drawn, 12) / 4
    interval = bootstrap_se_t(0.2, drawn, n_images=60, groups=EVEN, simple_variance=simple)
    assert (interval.design_effect, interval.n_effective) == pytest.approx((4.0, 15.0))


def test_too_few_informative_groups_and_undefined_draws_establish_nothing() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 500)
    few = bootstrap_se_t(0.5, drawn, n_images=40, groups=count_groups([3, 2, 4, 1, 0, 0, 0, 0]))
    assert not few.established and "4 of 8 groups" in few.note
    drawn[::5] = math.nan
    undefined = bootstrap_se_t(0.5, drawn, n_images=40, groups=EVEN)
    assert not undefined.established
    assert "undefined" in undefined.note


def test_what_never_varies_has_no_interval() -> None:
    for value, logit in ((0.0, False), (0.3, False), (1.0, True), (0.0, True)):
        interval = bootstrap_se_t(value, np.full(100, value), n_images=40, groups=EVEN, logit=logit)
        assert not interval.established and "never vary" in interval.note
    assert not median_interval(np.zeros(60), np.repeat(np.arange(12), 5)).established


def test_the_logit_interval_stays_inside_the_scale() -> None:
    drawn = np.random.default_rng(0).normal(0.98, 0.03, 500)
    interval = bootstrap_se_t(0.98, drawn, n_images=40, groups=EVEN, logit=True)
    assert interval.low is not None and interval.high is not None
    assert 0 < interval.low < 0.98 < interval.high < 1


def test_uneven_groups_count_as_fewer_and_are_said_to() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 500)
    half = bootstrap_se_t(0.5, drawn, n_images=240, groups=count_groups([114, *[6] * 19]))
    even = bootstrap_se_t(0.5, drawn, n_images=240, groups=count_groups([12] * 20))
    assert half.groups_effective == pytest.approx(3.8) and even.groups_effective == 20
    assert half.high - half.low > 1.3 * (even.high - even.low)  # type: ignore[operator]
    assert "one group dominates" in half.note and half.one_group_dominates and not even.note


def test_degrees_of_freedom_are_those_of_the_effective_groups() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.1, 10**6)
    interval = bootstrap_se_t(0.5, drawn, n_images=12, groups=EVEN)
    half = t_quantile(0.95, 11) * interval.standard_error  # type: ignore[operator]
    assert interval.high == pytest.approx(0.5 + half, rel=1e-4)


def test_nothing_counted_in_any_group_still_leaves_an_upper_bound() -> None:
    interval = cluster_ratio_t([0] * 10, [5] * 10, n_images=50)
    assert (interval.low, interval.estimate) == (0.0, 0.0)
    assert interval.high == pytest.approx(-math.log(0.025) / 10)


def test_cluster_ratio_follows_its_formula() -> None:
    y, x = np.array([3, 5, 2, 8, 4, 6]), np.array([10, 12, 9, 14, 11, 10])
    ratio = y.sum() / x.sum()
    error = math.sqrt(ratio_variance(y, x))
    interval = cluster_ratio_t(y, x, n_images=66)
    counts = y + 0.5  # which are less even than x
    holding = count_groups(x)._replace(effective=counts.sum() ** 2 / np.sum(counts**2))
    reach = reach_of(with_trend(holding, 6.0, y, x), 0.95)
    assert reach.high > reach.low > t_quantile(0.95, 5), "the large group has most of them"
    assert interval.low == pytest.approx(ratio - reach.low * error)
    assert interval.high == pytest.approx(ratio * math.exp(reach.high * error / ratio)), "skewed: the log scale"


def test_bootstrap_draws_keep_their_multiplicity() -> None:
    weights = bootstrap_weights(20, 500, np.random.default_rng(0))
    assert weights.shape == (20, 500)
    assert (weights.sum(axis=0) == 20).all()
    assert weights.max() >= 3
    assert weights.var() == pytest.approx(0.95, abs=0.05)  # dropping repeats would leave 0.23


def test_bootstrap_standard_error_of_a_mean_is_that_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=15)
    drawn = values @ bootstrap_weights(15, 4000, rng) / 15
    interval = bootstrap_se_t(values.mean(), drawn, n_images=15, groups=count_groups(np.ones(15)))
    assert interval.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(15), rel=0.03)


def test_median_of_independent_values_has_the_order_statistics_of_the_exact_interval() -> None:
    values = np.arange(100, dtype=float)
    interval = median_interval(values, np.arange(100))
    assert interval.estimate == 49.5
    assert interval.low is not None and interval.high is not None
    assert 36 <= interval.low <= 40
    assert 59 <= interval.high <= 63


def test_median_coverage_holds_over_groups() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        centre = rng.normal(scale=0.5, size=20)
        values = (centre[:, None] + rng.normal(size=(20, 12))).ravel()
        interval = median_interval(values, np.repeat(np.arange(20), 12))
        held += interval.low <= 0 <= interval.high  # type: ignore[operator]
    assert held / 400 > 0.92


def test_the_coverage_of_a_high_quantile_holds_over_groups() -> None:
    rng = np.random.default_rng(5)
    truth = math.sqrt(1.25) * 1.6448536
    held, established = 0, 0
    for _ in range(300):
        centre = rng.normal(scale=0.5, size=60)
        values = (centre[:, None] + rng.normal(size=(60, 20))).ravel()
        interval = quantile_interval(values, np.repeat(np.arange(60), 20), 0.95)
        if interval.low is not None and interval.high is not None:
            established += 1
            held += interval.low <= truth <= interval.high
    assert established > 290 and held / established > 0.92


def test_a_quantile_whose_bound_lies_beyond_the_values_has_no_interval() -> None:
    few = quantile_interval(np.arange(20.0), np.arange(20), 0.95)
    assert not few.established and "beyond the values" in few.note
    assert quantile_interval(np.arange(400.0), np.arange(400), 0.95).established


def test_the_median_is_held_where_half_of_the_values_are_one() -> None:
    """Of half the images nothing is found: the truth is just above the zeros. Ties counted as halves covered 82%."""
    rng = np.random.default_rng(0)
    group, runs, held = np.repeat(np.arange(20), 12), 200, 0
    for _ in range(runs):
        empty = rng.random(240) < 1 / (1 + np.exp(-rng.normal(-0.2, 1, 20)))[group]
        interval = median_interval(np.where(empty, 0.0, rng.uniform(0, 1, 240)), group)
        held += interval.low is not None and interval.high is not None and interval.low <= TRUE_MEDIAN <= interval.high
    assert held / runs > 0.92


TRUE_MEDIAN = 0.0761
"""Where the share of zeros (E of the logistic of N(−0.2, 1): 0.4588) and of a uniform above them reaches one half"""
