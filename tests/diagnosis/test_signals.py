"""What the doctor's rules measure on a curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.diagnosis.signals import nan_median, noise, smooth, sparkline, theil_sen

curves = st.lists(st.floats(-5, 5), min_size=6, max_size=40).map(np.array)


@given(curves)
def test_the_slope_is_the_median_of_all_slopes_written_out(values: np.ndarray) -> None:
    n = len(values)
    slopes = [(values[j] - values[i]) / (j - i) for i in range(n) for j in range(i + 1, n)]
    slope = theil_sen(values)
    assert slope.estimate == pytest.approx(float(np.median(slopes)))
    assert slope.low <= slope.estimate <= slope.high


def test_the_interval_covers_the_true_slope_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        slope = theil_sen(0.02 * np.arange(30) + rng.normal(0, 0.1, 30), level=0.9)
        hits += slope.low <= 0.02 <= slope.high
    assert 0.86 <= hits / 400 <= 0.95


def test_noise_is_that_of_the_curve_around_its_trend_and_not_the_trend_itself() -> None:
    rng = np.random.default_rng(0)
    trend = np.linspace(0, 0.8, 400)
    assert noise(trend + rng.normal(0, 0.02, 400)) == pytest.approx(0.02, rel=0.15)
    outlier = trend + rng.normal(0, 0.02, 400)
    outlier[50] = 100
    assert noise(outlier) == pytest.approx(0.02, rel=0.15)


def test_a_running_median_forgets_a_single_odd_epoch_and_bears_gaps() -> None:
    values = np.array([1.0, 1.0, 9.0, 1.0, 1.0, np.nan, 1.0])
    assert smooth(values, 3).tolist() == [1.0] * 7
    assert np.isnan(nan_median(np.array([np.nan, np.nan])))


@given(curves)
def test_a_curve_as_blocks_is_as_long_as_it_has_epochs_and_no_longer_than_a_line(values: np.ndarray) -> None:
    assert len(sparkline(values, width=20)) == min(20, len(values))


@given(curves, st.integers(1, 9).map(lambda half: 2 * half - 1), st.sets(st.integers(0, 40)))
def test_the_running_median_is_the_median_of_each_window_written_out(
    values: np.ndarray, width: int, gaps: set[int]
) -> None:
    values[[gap for gap in gaps if gap < len(values)]] = np.nan
    half = width // 2
    slow = [nan_median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
    np.testing.assert_allclose(smooth(values, width), slow)


def test_the_slope_of_a_very_long_curve_is_that_of_its_blocks() -> None:
    slope = theil_sen(np.linspace(0.0, 1.0, 5001) + np.random.default_rng(0).normal(0, 0.01, 5001))
    assert slope.low <= 0.0002 <= slope.high
    assert slope.estimate == pytest.approx(0.0002, rel=0.01)
