"""What more data would bring: metric = c − a · n^−b through the metric at a few amounts of data, with its uncertainty.

Three amounts do not tell the power b, so it is drawn in proportion to how well each fits (a grid from 0.1 to 1.5, all
equally likely before), and the metrics are drawn within their standard errors. Beyond four times the largest amount
nothing is said.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_FACTOR = 4.0
LEAST_AMOUNTS = 3
_POWERS = np.linspace(0.1, 1.5, 15)
_DRAWS = 400
_SEED = 20_260_106  # fixed: the same results give the same answer


class Gain(NamedTuple):
    """The change of a metric from the largest amount of data that was tried to another."""

    value: float
    """Median"""
    low: float
    high: float
    level: float


def gain_of_more(amounts: Floats, values: Floats, errors: Floats, more: float, *, level: float = 0.8) -> Gain:
    """Return what the metric gains from the largest amount to `more`.

    Args:
        amounts: (k,) images or groups, at least three different ones.
        values: (k,) the metric, from 0 to 1, after training on each.
        errors: (k,) its standard errors, above 0.
        more: amount, beyond the largest, at most four times it.
        level: of the interval.
    """
    if len(np.unique(amounts)) < LEAST_AMOUNTS:
        raise ValueError(f"expected at least {LEAST_AMOUNTS} amounts")
    largest = float(amounts.max())
    if not largest < more <= LARGEST_FACTOR * largest:
        raise ValueError("expected an amount beyond the largest, at most four times it")
    rng = np.random.default_rng(_SEED)
    drawn = values[None, :] + rng.normal(0.0, 1.0, (_DRAWS, len(values))) * errors[None, :]
    end, slope, misfit = _fits(amounts / largest, drawn, errors)
    chance = np.exp(-(misfit - misfit.min(axis=1, keepdims=True)) / 2)
    reached = np.cumsum(chance, axis=1) / chance.sum(axis=1, keepdims=True)
    chosen = (reached < rng.uniform(size=(_DRAWS, 1))).sum(axis=1)
    rows = np.arange(_DRAWS)
    end, slope = end[rows, chosen], slope[rows, chosen]
    after = np.minimum(end - slope * (more / largest) ** -_POWERS[chosen], 1.0)
    gains = after - np.minimum(end - slope, 1.0)
    low, middle, high = np.quantile(gains, [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Gain(float(middle), float(low), float(high), level)


def _fits(amounts: Floats, values: Floats, errors: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (D, P) end, slope (at least 0) and weighted squared misfit, of each draw and power.

    Args:
        amounts: (k,) as parts of the largest.
        values: (D, k) drawn metrics.
        errors: (k,) standard errors.
    """
    weight = errors**-2 / np.sum(errors**-2)
    raised = amounts[None, :] ** -_POWERS[:, None]  # (P, k)
    apart = raised - (raised @ weight)[:, None]
    mean = values @ weight
    slope = np.maximum(0.0, -((values - mean[:, None]) * weight) @ apart.T / ((apart**2) @ weight))
    end = mean[:, None] + slope * (raised @ weight)[None, :]
    fitted = end[:, :, None] - slope[:, :, None] * raised[None, :, :]
    misfit = np.sum(((values[:, None, :] - fitted) / errors) ** 2, axis=2)
    return end, slope, np.asarray(misfit, dtype=np.float64)
