"""Equal is a claim of its own, never "not significant": two one-sided tests (Schuirmann 1987)."""

from __future__ import annotations

from typing import NamedTuple

from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import Interval


class Equivalence(NamedTuple):
    """Outcome of two one-sided tests."""

    equal: bool | None
    """The difference lies inside ± margin; None: no interval can be established"""
    low: float | None
    high: float | None
    level: float
    """1 − 2α: 0.90 for α = 0.05"""


def tost(estimate: float, standard_error: float, degrees: float, margin: float, alpha: float = 0.05) -> Equivalence:
    """Equal when the (1 − 2α) interval lies inside ± margin.

    >>> tost(0.002, 0.003, 19, margin=0.01).equal, tost(0.002, 0.006, 19, margin=0.01).equal
    (True, False)
    """
    if not margin > 0:
        raise ValueError(f"expected a margin above 0, got {margin}")
    half = t_quantile(1 - 2 * alpha, degrees) * standard_error
    low, high = estimate - half, estimate + half
    return Equivalence(-margin < low and high < margin, low, high, 1 - 2 * alpha)


def equal_within(delta: Interval, margin: float, alpha: float = 0.05) -> Equivalence:
    """TOST from the standard error of a paired difference."""
    if delta.standard_error is None or not delta.established:
        return Equivalence(None, None, None, 1 - 2 * alpha)
    return tost(delta.estimate, delta.standard_error, delta.n_groups - 1, margin, alpha)
