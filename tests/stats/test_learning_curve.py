"""A curve is followed where it is one of the known kinds, and the interval grows with noise and distance."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.stats.learning_curve import LEAST_EPOCHS, forecast
from liftgate.study.conditions import FORECAST_EPOCHS


def rising(epochs: int, end: float = 0.7, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    x = np.arange(1, epochs + 1)
    return end - (0.5 * x + 1) ** -0.9 + np.random.default_rng(seed).normal(0, noise, epochs)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_power_law_without_noise_is_continued(share: float) -> None:
    curve = rising(100)
    found = forecast(curve[: round(100 * share)], 100)
    assert found is not None and found.value == pytest.approx(curve[-1], abs=0.015)
    assert found.low <= found.value <= found.high and found.epochs == round(100 * share) and found.at == 100


def test_noise_and_distance_widen_the_interval() -> None:
    def width(noise: float, at: int) -> float:
        found = forecast(rising(30, noise=noise), at)
        assert found is not None
        return found.high - found.low

    assert width(0.002, 100) < width(0.02, 100)
    assert width(0.01, 31) < width(0.01, 120) + 0.01


def test_the_interval_holds_most_ends_of_noisy_curves() -> None:
    inside = []
    for seed in range(20):
        curve = rising(60, noise=0.015, seed=seed)
        found = forecast(curve[:30], 60)
        assert found is not None
        inside.append(found.low <= curve[-1] <= found.high)
    assert 0.6 <= np.mean(inside) <= 1.0  # 80% promised; 20 curves


def test_a_forecast_stays_a_metric_is_the_same_every_time_and_needs_a_curve() -> None:
    falling = np.linspace(0.3, 0.01, 12)
    found = forecast(falling, 48)
    assert found is not None and 0 <= found.low <= found.high <= 1
    assert forecast(falling, 48) == found
    assert forecast(falling[: LEAST_EPOCHS - 1], 20) is None
    assert forecast(np.concatenate([[np.nan], rising(8)]), 20) is not None
    assert LEAST_EPOCHS == FORECAST_EPOCHS
