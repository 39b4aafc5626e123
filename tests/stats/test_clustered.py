"""Intervals over groups: jackknife, cluster SE, medians, bootstrap weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liftgate.stats.clustered import (
    bootstrap_se_t,
    bootstrap_weights,
    cluster_ratio_t,
    jackknife_t,
    jackknife_variance,
    median_interval,
)
from liftgate.stats.distributions import t_quantile


def test_jackknife_of_a_mean_is_the_usual_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=12)
    left_out = (values.sum() - values) / 11
    interval = jackknife_t(values.mean(), left_out, n_images=12)
    half = t_quantile(0.95, 11) * values.std(ddof=1) / math.sqrt(12)
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert interval.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(12))


def test_design_effect_and_effective_images_come_from_the_simple_variance() -> None:
    left_out = np.array([0.1, 0.2, 0.3, 0.2, 0.1, 0.4])
    interval = jackknife_t(0.2, left_out, n_images=60, simple_variance=jackknife_variance(left_out) / 4)
    assert (interval.design_effect, interval.n_effective) == pytest.approx((4.0, 15.0))


def test_too_few_groups_and_undefined_replicates_establish_nothing() -> None:
    assert not jackknife_t(0.5, [0.5] * 4, n_images=40).established
    undefined = jackknife_t(0.5, [0.5, 0.5, math.nan, 0.5, 0.5], n_images=40)
    assert not undefined.established
    assert "undefined" in undefined.note


def test_bounds_are_cut_to_what_the_metric_can_be() -> None:
    interval = jackknife_t(0.98, [0.99, 0.9, 0.97, 0.96, 0.99], n_images=5, within=(0.0, 1.0))
    assert interval.high == 1.0


def test_nothing_counted_in_any_group_still_leaves_an_upper_bound() -> None:
    interval = cluster_ratio_t([0] * 10, [5] * 10, n_images=50)
    assert (interval.low, interval.estimate) == (0.0, 0.0)
    assert interval.high == pytest.approx(-math.log(0.025) / 10)


def test_cluster_ratio_follows_its_formula() -> None:
    y, x = np.array([3, 5, 2, 8, 4, 6]), np.array([10, 12, 9, 14, 11, 10])
    ratio = y.sum() / x.sum()
    error = math.sqrt(6 / 5 * np.sum((y - ratio * x) ** 2)) / x.sum()
    interval = cluster_ratio_t(y, x, n_images=66)
    assert interval.high == pytest.approx(ratio + t_quantile(0.95, 5) * error)


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
    interval = bootstrap_se_t(values.mean(), drawn, n_images=15, n_groups=15)
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
