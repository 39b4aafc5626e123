"""Sampling with unequal, known probabilities: who is drawn, and totals that are unbiased under the draw.

The estimator is the difference estimator (Särndal, Swensson & Wretman 1992, chapter 6): the mean of the sampled units
of a stratum is assumed for every unit of it, and the weighted residuals of the sampled units correct that. Its total is
Hájek's. Systematic sampling with probabilities proportional to size: Madow 1949.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def inclusion_probabilities(size: ArrayLike, expected: float, *, floor: float = 0.0) -> Floats:
    """Return (n,) probabilities proportional to size, at most 1 and at least `floor`, that add up to `expected`.

    Where the floor alone is more than `expected`, it is lowered to what `expected` allows; no probability is ever 0.

    Args:
        size: (n,) above 0.
        expected: number of units to draw, at most n.
        floor: least probability; its inverse is the largest weight.

    >>> inclusion_probabilities([1, 1, 2, 4], 2).tolist()
    [0.25, 0.25, 0.5, 1.0]
    """
    sizes = np.asarray(size, dtype=np.float64)
    if len(sizes) and not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise ValueError("expected sizes above 0")
    if expected >= len(sizes):
        return np.ones(len(sizes))
    if expected <= 0:
        raise ValueError(f"expected at least one unit to draw, got {expected}")
    floor = min(floor, expected / len(sizes))
    low, high = 0.0, len(sizes) / float(sizes.min())
    for _ in range(200):  # the sum grows with the factor: bisection
        middle = (low + high) / 2
        if np.clip(middle * sizes, floor, 1).sum() < expected:
            low = middle
        else:
            high = middle
    return np.asarray(np.clip(high * sizes, floor, 1), dtype=np.float64)


def systematic_sample(probabilities: ArrayLike, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return (n,) who is drawn, by one random start: as many as the probabilities add up to, up to rounding.

    Neighbours are rarely drawn together, so the order of the units spreads the sample: sort them by group.

    >>> int(systematic_sample([0.25] * 40, np.random.default_rng(0)).sum())
    10
    """
    p = np.asarray(probabilities, dtype=np.float64)
    ends = np.round(np.cumsum(p), 9)
    marks = np.floor(ends + rng.uniform())
    return np.asarray(np.diff(np.concatenate([[0.0], marks])) > 0, dtype=np.bool_)


def stratum_means(values: Floats, weights: Floats, stratum: NDArray[np.int64], count: int) -> Floats:
    """Return (count, k) Hájek means of each stratum from the sampled units; of an empty stratum the mean of all.

    Args:
        values: (s, k) of the sampled units.
        weights: (s,) inverse probabilities.
        stratum: (s,) 0 … count − 1.
        count: number of strata.
    """
    total = np.bincount(stratum, weights, minlength=count)
    overall = np.average(values, axis=0, weights=weights) if len(values) else np.zeros(values.shape[1])
    sums = np.stack([np.bincount(stratum, weights * column, minlength=count) for column in values.T], axis=1)
    means = np.divide(sums, total[:, None], out=np.tile(overall, (count, 1)), where=total[:, None] > 0)
    return np.asarray(means, dtype=np.float64)


def estimated_values(
    values: Floats, sampled: NDArray[np.int64], probability: Floats, stratum: NDArray[np.int64]
) -> Floats:
    """Return (n, k) the contribution of every unit, sampled or not, to estimated totals: add them up over any domain.

    Args:
        values: (s, k) of the sampled units.
        sampled: (s,) their indices.
        probability: (n,) inclusion probability of every unit.
        stratum: (n,) stratum of every unit, 0, 1, …

    >>> estimated_values(np.array([[1.0], [0.0]]), np.array([0, 2]), np.full(4, 0.5), np.zeros(4, dtype=int)).ravel()
    array([ 1.5,  0.5, -0.5,  0.5])
    """
    weights = 1 / probability[sampled]
    expected = _expected(values, sampled, probability, stratum)
    corrected = expected.copy()
    corrected[sampled] += weights[:, None] * (values - expected[sampled])
    return np.asarray(corrected, dtype=np.float64)


def imputed_values(
    values: Floats, sampled: NDArray[np.int64], probability: Floats, stratum: NDArray[np.int64]
) -> Floats:
    """Return (n, k) the value of every sampled unit, and its stratum's mean for every other.

    Their totals are biased where the mean does not fit, but lack the noise of the weights. Arguments as in
    `estimated_values`.
    """
    expected = _expected(values, sampled, probability, stratum).copy()
    expected[sampled] = values
    return expected


def _expected(values: Floats, sampled: NDArray[np.int64], probability: Floats, stratum: NDArray[np.int64]) -> Floats:
    count = int(stratum.max(initial=-1)) + 1
    return stratum_means(values, 1 / probability[sampled], stratum[sampled], count)[stratum]


def sampling_variance(residuals: Floats, probability: Floats, stratum: NDArray[np.int64]) -> float:
    """Return the variance of an estimated total that is due to the sampling of units, by Poisson's formula.

    It is an upper bound for systematic sampling in a random order, up to noise. Strata count with n / (n − 1) for the
    estimated mean.

    Args:
        residuals: (s,) sampled values less their stratum's mean.
        probability: (s,) inclusion probabilities.
        stratum: (s,) stratum of each.
    """
    number = np.bincount(stratum)[stratum] if len(stratum) else np.empty(0)
    lost = np.divide(number, number - 1, out=np.ones(len(number)), where=number > 1)
    return float(np.sum(lost * (1 - probability) / probability**2 * residuals**2))
