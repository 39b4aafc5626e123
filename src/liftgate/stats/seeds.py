"""Seed statistics: probability of improvement, and the number of training runs that a claim needs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from liftgate.stats.distributions import normal_quantile, t_quantile

MIN_SEEDS = 3
"""The fewest training runs per recipe for a claim about the recipe: with fewer the seed variance is too uncertain"""


def probability_better(control: ArrayLike, treatment: ArrayLike) -> float:
    """Return P(treatment > control) over all pairs of runs, ties counted half (Mann & Whitney).

    >>> probability_better([0.70, 0.72, 0.71], [0.71, 0.74, 0.73])
    0.8333333333333334
    """
    first, second = np.asarray(control, dtype=np.float64), np.asarray(treatment, dtype=np.float64)
    pairs = second[:, None] - first[None, :]
    return float(np.mean(pairs > 0) + np.mean(pairs == 0) / 2)


def noether_runs(probability: float, *, alpha: float = 0.05, beta: float = 0.05) -> int:
    """Return the runs of each arm to show P(A > B) > 0.5, one-sided, if it really is `probability` (Noether 1987).

    See also Bouthillier et al. 2021.

    >>> noether_runs(0.75)
    29
    """
    if not 0.5 < probability <= 1:
        raise ValueError(f"expected a probability above one half, got {probability}")
    z = normal_quantile(1 - 2 * alpha) + normal_quantile(1 - 2 * beta)
    return math.ceil((z / (probability - 0.5)) ** 2 / 6)


def detectable_in_seed_sds(k: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest difference of two recipes, in SDs over seeds, that k seeds of each show (two-sided t).

    >>> [round(detectable_in_seed_sds(k), 2) for k in (3, 5, 10)]
    [3.07, 2.02, 1.32]
    """
    if k < 2:
        raise ValueError(f"expected at least 2 seeds, got {k}")
    from scipy import special

    degrees = 2 * (k - 1)
    critical = t_quantile(1 - alpha, degrees)

    def reached(difference: float) -> float:
        # The opposite tail is left out: it is 1e-7 at these powers, and scipy gives NaN there for large shifts.
        return float(1 - special.nctdtr(degrees, difference * math.sqrt(k / 2), critical))

    low, high = 0.0, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    return high
