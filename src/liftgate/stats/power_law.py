"""What more data would bring: metric = c − a · n^−b through the metric at a few amounts of data, with its uncertainty.

Three amounts do not tell the power b, so it is drawn in proportion to how well each fits (a grid from 0.1 to 1.5, all
equally likely before), and the metrics are drawn within their standard errors. Beyond four times the largest amount
nothing is said.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.stats.distributions import normal_quantile

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


class Curve(NamedTuple):
    """A metric after training on several amounts of data."""

    amounts: Floats
    """(k,) images or groups, at least three different ones"""
    values: Floats
    """(k,) the metric, from 0 to 1, after training on each"""
    errors: Floats
    """(k,) its standard errors, above 0"""


def gain_of_more(amounts: Floats, values: Floats, errors: Floats, more: float, *, level: float = 0.8) -> Gain:
    """Return what the metric gains from the largest amount to `more`.

    Args:
        amounts: (k,) images or groups, at least three different ones.
        values: (k,) the metric, from 0 to 1, after training on each.
        errors: (k,) its standard errors, above 0.
        more: amount, beyond the largest, at most four times it.
        level: of the interval.
    """
    rng = np.random.default_rng(_SEED)
    noise = rng.normal(0.0, 1.0, (_DRAWS, len(values)))
    return _gain(_Fitted(Curve(amounts, values, errors), noise, rng).gains(more), level)


def follows_power_law(curve: Curve) -> bool:
    """Return whether a rising power law fits the amounts as well as their errors allow, at the level of 1%.

    A metric that falls with more data, or rises and falls again, is not followed by such a curve, and what it says of
    more data rests on nothing.

    >>> errors = np.array([0.02, 0.02, 0.02])
    >>> [follows_power_law(Curve(np.array([25.0, 50, 100]), np.array(values), errors))
    ...  for values in ([0.6, 0.7, 0.75], [0.6, 0.6, 0.59], [0.8, 0.7, 0.6], [0.6, 0.9, 0.6])]
    [True, True, False, False]
    """
    amounts, values, errors = curve
    misfit = float(_fits(amounts / amounts.max(), values[None, :], errors)[2].min())
    free = max(1, len(values) - 2)
    largest = free * (1 - 2 / (9 * free) + normal_quantile(0.98) * (2 / (9 * free)) ** 0.5) ** 3  # Wilson & Hilferty
    return bool(misfit <= largest)


class GainsCompared(NamedTuple):
    """What the same amount brings in two kinds of data."""

    difference: Gain
    """First − second"""
    as_good: float | None
    """Least amount of the first kind whose gain is that of the second; None: none within four times the data"""


def compare_gains(first: Curve, second: Curve, more: float, *, level: float = 0.8, steps: int = 300) -> GainsCompared:
    """Compare what two kinds of data bring beyond their largest amount, which is one and the same training.

    Args:
        first: the metric by amounts of one kind.
        second: of the other.
        more: amount, beyond the largest, at most four times it.
        level: of the interval.
        steps: in which the amount that is as good is looked for.
    """
    if first.amounts.max() != second.amounts.max():
        raise ValueError("expected curves that end in the same training")
    rng = np.random.default_rng(_SEED)
    noise = [rng.normal(0.0, 1.0, (_DRAWS, len(one.values))) for one in (first, second)]
    noise[1][:, second.amounts.argmax()] = noise[0][:, first.amounts.argmax()]
    one, other = (_Fitted(curve, drawn, rng) for curve, drawn in zip((first, second), noise, strict=True))
    wanted, largest = float(np.median(other.gains(more))), float(first.amounts.max())
    tried = largest + (LARGEST_FACTOR - 1) * largest * np.arange(1, steps + 1) / steps
    enough = next((float(amount) - largest for amount in tried if np.median(one.gains(amount)) >= wanted), None)
    return GainsCompared(_gain(one.gains(more) - other.gains(more), level), enough)


class _Fitted:
    """Power laws that were drawn for one curve."""

    def __init__(self, curve: Curve, noise: Floats, rng: np.random.Generator) -> None:
        amounts, values, errors = curve
        if len(np.unique(amounts)) < LEAST_AMOUNTS:
            raise ValueError(f"expected at least {LEAST_AMOUNTS} amounts")
        self._largest = float(amounts.max())
        end, slope, misfit = _fits(amounts / self._largest, values[None, :] + noise * errors[None, :], errors)
        chance = np.exp(-(misfit - misfit.min(axis=1, keepdims=True)) / 2)
        reached = np.cumsum(chance, axis=1) / chance.sum(axis=1, keepdims=True)
        self._chosen = (reached < rng.uniform(size=(_DRAWS, 1))).sum(axis=1)
        rows = np.arange(_DRAWS)
        self._end, self._slope = end[rows, self._chosen], slope[rows, self._chosen]

    def gains(self, more: float) -> Floats:
        """Return (D,) what the metric gains from the largest amount to `more`."""
        if not self._largest < more <= LARGEST_FACTOR * self._largest:
            raise ValueError("expected an amount beyond the largest, at most four times it")
        after = np.minimum(self._end - self._slope * (more / self._largest) ** -_POWERS[self._chosen], 1.0)
        return np.asarray(after - np.minimum(self._end - self._slope, 1.0))


def _gain(gains: Floats, level: float) -> Gain:
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
