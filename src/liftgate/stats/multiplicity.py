"""Multiplicity: p-values and intervals adjusted for several arms, classes or repeated tests on the same data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.stats.distributions import normal_quantile, t_tails


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's step-down adjusted p-values (Holm 1979), in the given order; NaN (no test) stays NaN.

    >>> holm([.01, .04, .03, .005]).round(4).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def t_p_value(estimate: ArrayLike, standard_error: ArrayLike, degrees: float) -> NDArray[np.float64]:
    """Return the two-sided p-value of estimate / standard_error under Student's t; 1 where both are 0."""
    value, error = np.asarray(estimate, dtype=np.float64), np.asarray(standard_error, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where((value == 0) & (error == 0), 0.0, np.abs(value) / error)
    return np.array([t_tails(t, degrees) for t in np.atleast_1d(statistic).tolist()]).reshape(statistic.shape)


class MaxT(NamedTuple):
    """Null distribution of the largest of several |t|."""

    largest: NDArray[np.float64]
    """(D,) simulated values, ascending"""

    def critical(self, level: float) -> float:
        """Return the factor of the standard error for simultaneous intervals with coverage `level`."""
        return float(np.quantile(self.largest, level))

    def p_values(self, t: ArrayLike) -> NDArray[np.float64]:
        """Return the adjusted p-value of each |t|; NaN stays NaN."""
        value = np.abs(np.asarray(t, dtype=np.float64))
        exceeding = len(self.largest) - np.searchsorted(self.largest, value)
        return np.where(np.isnan(value), np.nan, (1 + exceeding) / (1 + len(self.largest)))


def max_t(replicates: ArrayLike, degrees: float, rng: np.random.Generator, draws: int = 200_000) -> MaxT:
    """Return the null distribution of max |t| over m correlated estimates (Westfall & Young 1993; Hothorn et al. 2008).

    It is multivariate t with the correlation of the `replicates`. It accounts for the correlation of arms with a common
    control, so it is less conservative than Holm, and unlike quantiles of bootstrap draws it has the tails of t.

    Args:
        replicates: (m, U) the m estimates in each of U bootstrap draws or with each of U groups left out.
        degrees: degrees of freedom of t.
        rng: for the simulation.
        draws: number of simulated values.

    >>> alike = np.array([[3, -1, 1, -3.], [3, 1, -1, -3]])  # correlation 0.8; one test: 2.04, Bonferroni: 2.36
    >>> round(max_t(alike, 30, np.random.default_rng(0)).critical(0.95), 1)
    2.3
    """
    values = np.atleast_2d(np.asarray(replicates, dtype=np.float64))
    centred = values - values.mean(axis=1, keepdims=True)
    size = np.sqrt(np.sum(centred**2, axis=1, keepdims=True))
    unit = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
    correlation = unit @ unit.T
    np.fill_diagonal(correlation, 1.0)
    weight, vector = np.linalg.eigh(correlation)
    root = vector * np.sqrt(np.maximum(weight, 0.0))
    normal = np.abs(root @ rng.standard_normal((len(values), draws))).max(axis=0)
    return MaxT(np.sort(normal / np.sqrt(rng.chisquare(degrees, draws) / degrees)))


def optimism(looks: int, standard_error: float, level: float = 0.95) -> float:
    """Return by how much the best of several evaluations on the same data may overstate, if all models are equal.

    The largest of `looks` independent normal errors stays below it with probability `level`; correlated models
    overstate less.

    Args:
        looks: number of evaluations.
        standard_error: of each.
        level: probability.

    >>> [round(optimism(10, (0.965 * 0.035 / n) ** 0.5), 3) for n in (250, 1000)]
    [0.03, 0.015]
    """
    return normal_quantile(2 * level ** (1 / looks) - 1) * standard_error
