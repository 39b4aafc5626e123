"""More data: a known power law is continued, noise and distance widen the interval, nothing is said too far."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.stats.power_law import Curve, compare_gains, gain_of_more

AMOUNTS = np.array([50.0, 100.0, 200.0])


def law(amounts: np.ndarray) -> np.ndarray:
    return 0.9 - 2.0 * amounts**-0.6


def test_a_power_law_is_continued() -> None:
    found = gain_of_more(AMOUNTS, law(AMOUNTS), np.full(3, 1e-4), 400)
    truth = float(law(np.array(400.0)) - law(np.array(200.0)))
    assert found.value == pytest.approx(truth, abs=0.005) and found.low <= truth <= found.high


def test_noise_and_distance_widen_the_interval_and_a_flat_curve_promises_nothing() -> None:
    def width(error: float, more: float) -> float:
        found = gain_of_more(AMOUNTS, law(AMOUNTS), np.full(3, error), more)
        return found.high - found.low

    assert width(0.002, 400) < width(0.02, 400) < width(0.02, 800)
    flat = gain_of_more(AMOUNTS, np.full(3, 0.7), np.full(3, 0.002), 800)
    assert 0 <= flat.low <= flat.value < 0.01


def test_the_interval_holds_the_truth_in_about_80_of_100_noisy_curves() -> None:
    truth = float(law(np.array(400.0)) - law(np.array(200.0)))
    rng, inside = np.random.default_rng(0), []
    for _ in range(60):
        found = gain_of_more(AMOUNTS, law(AMOUNTS) + rng.normal(0, 0.01, 3), np.full(3, 0.01), 400)
        inside.append(found.low <= truth <= found.high)
    assert 0.7 <= np.mean(inside) <= 1.0


@pytest.mark.parametrize("more", [100, 200, 801])
def test_what_lies_within_or_too_far_is_refused(more: float) -> None:
    with pytest.raises(ValueError, match="beyond the largest"):
        gain_of_more(AMOUNTS, law(AMOUNTS), np.full(3, 0.01), more)
    with pytest.raises(ValueError, match="at least 3"):
        gain_of_more(AMOUNTS[:2], law(AMOUNTS[:2]), np.full(2, 0.01), 300)


def test_two_kinds_of_data_are_told_apart_where_their_curves_are() -> None:
    errors = np.full(3, 0.002)
    steep = Curve(AMOUNTS, law(AMOUNTS), errors)
    flat = Curve(AMOUNTS, np.full(3, law(AMOUNTS)[-1]), errors)
    found = compare_gains(steep, flat, 400)
    gained = float(law(np.array(400.0)) - law(np.array(200.0)))
    assert 0 < found.difference.low < found.difference.value < found.difference.high < 2 * gained
    assert found.as_good is not None and found.as_good < 50, "a few of the steep curve bring what 200 of the flat do"
    assert compare_gains(flat, steep, 400).difference.high < 0
    alike = compare_gains(steep, steep, 400)
    assert alike.difference.low < 0 < alike.difference.high
    assert alike.as_good == pytest.approx(200, rel=0.1)


def test_curves_that_end_in_different_trainings_are_not_compared() -> None:
    one = Curve(AMOUNTS, law(AMOUNTS), np.full(3, 0.01))
    with pytest.raises(ValueError, match="same training"):
        compare_gains(one, Curve(AMOUNTS * 2, one.values, one.errors), 400)
