"""Many questions at once: p-values and intervals that stay honest when several arms or classes are looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given; NaN (no test was possible) stays NaN.

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
    """Two-sided p-value of estimate / standard_error under Student's t; 1 where both are zero."""
    value, error = np.asarray(estimate, dtype=np.float64), np.asarray(standard_error, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where((value == 0) & (error == 0), 0.0, np.abs(value) / error)
    return np.asarray(2 * special.stdtr(degrees, -statistic), dtype=np.float64)


def max_t_p_values(estimates: ArrayLike, draws: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values of m estimates by the largest |t| over shared draws (Westfall & Young 1993): sharper than Holm.

    `draws` (m, D) are bootstrap values of the same estimates, every column one draw for all of them.
    """
    value, drawn = np.asarray(estimates, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    error = drawn.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.nanmax(np.abs(drawn - value[:, None]) / error[:, None], axis=0)
        observed = np.abs(value) / error
    return np.asarray([(1 + np.sum(largest >= t)) / (1 + drawn.shape[1]) for t in observed], dtype=np.float64)
