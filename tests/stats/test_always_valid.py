"""Always-valid intervals: a published table, the p-value as their inverse, and looking as often as one likes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liftgate.stats.always_valid import always_valid_p_value, always_valid_quantile
from liftgate.stats.distributions import t_quantile

# Of the README of avlm (MIT), the authors' own package: estimate, standard error, 2.5%, 97.5%; residual standard error
# 1.065 on 92 degrees of freedom.
PUBLISHED = [
    (0.9163, 0.1586, 0.4021, 1.430),
    (1.8723, 0.1809, 1.2921, 2.453),
    (2.8503, 0.1828, 2.2643, 3.436),
    (3.9056, 0.1594, 3.3891, 4.422),
    (2.3224, 0.2157, 1.6393, 3.006),
    (2.2998, 0.2414, 1.5404, 3.059),
    (3.3117, 0.2325, 2.5786, 4.045),
    (0.4801, 0.2112, -0.1899, 1.150),
]


@pytest.mark.parametrize(("estimate", "error", "low", "high"), PUBLISHED)
def test_the_published_intervals(estimate: float, error: float, low: float, high: float) -> None:
    half = always_valid_quantile(0.95, 92, (1.065 / error) ** 2) * error
    assert half == pytest.approx((high - low) / 2, abs=6e-4)  # they are printed to four digits
    assert estimate - half == pytest.approx(low, abs=6e-4)


def test_a_published_p_value() -> None:
    assert always_valid_p_value(2.273, 92, (1.065 / 0.2112) ** 2) == pytest.approx(0.4471, abs=5e-4)


@pytest.mark.parametrize("units", [6, 12, 40, 200])
def test_the_p_value_is_alpha_at_the_end_of_the_interval(units: int) -> None:
    t = always_valid_quantile(0.95, units - 1, units)
    assert always_valid_p_value(t, units - 1, units) == pytest.approx(0.05)
    assert t > t_quantile(0.95, units - 1)


def test_two_units_say_nothing() -> None:
    assert always_valid_quantile(0.95, 1, 2) == math.inf


def test_looking_after_every_unit_and_stopping_keeps_the_error_where_a_t_test_loses_it() -> None:
    rng = np.random.default_rng(0)
    runs, most = 1500, 80
    values = rng.normal(0, 3, (runs, most))
    n = np.arange(1, most + 1)
    mean = np.cumsum(values, axis=1) / n
    variance = (np.cumsum(values**2, axis=1) - n * mean**2) / np.maximum(n - 1, 1)
    t = np.abs(mean) / np.sqrt(np.where(n > 1, variance, 1.0) / n)
    looks = range(4, most)
    false = np.any([t[:, i] > always_valid_quantile(0.95, i, i + 1) for i in looks], axis=0).mean()
    peeked = np.any([t[:, i] > t_quantile(0.95, i) for i in looks], axis=0).mean()
    assert false <= 0.05
    assert peeked > 0.2
