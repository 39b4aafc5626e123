"""Quantiles and tail probabilities of the normal, Student's t and beta distributions, without scipy.

scipy.special has all of them, and the tests compare these with it. But importing it also loads numpy's Fortran wrapper,
test tools and polynomials, which takes longer than matching half a million detections (docs/decisions/0009).
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

_NEAR_NORMAL = 1000
"""Degrees of freedom from which the first terms of the series of t around the normal are exact enough"""


def normal_quantile(level: float) -> float:
    """Return z with P(|Z| ≤ z) = level: 1.96 for 0.95. One-sided: P(Z ≤ z) = share for a level of 2·share − 1."""
    return -NormalDist().inv_cdf((1 - float(level)) / 2)


@functools.lru_cache(maxsize=1024)
def t_quantile(level: float, degrees: float) -> float:
    """Return t with P(|T| ≤ t) = level; a negative level, down to −1, gives −t.

    `degrees` of freedom are at least 1 and need not be whole.

    >>> round(t_quantile(0.95, 7), 4), round(t_quantile(0.95, 1e9), 4)
    (2.3646, 1.96)
    """
    level, degrees = float(level), float(degrees)  # the cache would give numpy's type to whoever asks with a float next
    if level < 0:
        return -t_quantile(-level, degrees)
    if degrees > _NEAR_NORMAL:  # Abramowitz & Stegun 26.7.5
        z = normal_quantile(level)
        terms = (
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
            (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
        )
        return z + sum(term / degrees**power for power, term in enumerate(terms, 1))
    outside = beta_quantile(1 - level, degrees / 2, 0.5)  # degrees / (degrees + t²)
    return math.sqrt(degrees * (1 - outside) / outside)


def t_tails(t: float, degrees: float) -> float:
    """Return P(|T| > |t|), the two-sided p-value of a t statistic.

    >>> round(t_tails(2.3646, 7), 4)
    0.05
    """
    t, degrees = float(t), float(degrees)
    if math.isinf(t):
        return 0.0
    total = degrees + t * t
    return _incomplete_beta(degrees / total, t * t / total, degrees / 2, 0.5)


@functools.lru_cache(maxsize=4096)
def beta_quantile(share: float, a: float, b: float) -> float:
    """Return x with P(X ≤ x) = share for X ~ Beta(a, b), by Newton's method, or bisection where that is slow."""
    share, a, b = float(share), float(a), float(b)  # as in `t_quantile`
    if share <= 0 or share >= 1:
        return min(max(share, 0.0), 1.0)
    low, high, x, step = 0.0, 1.0, a / (a + b), 1.0
    scale = _log_beta(a, b)
    for _ in range(2000):  # 1,074 bisections exhaust the floats
        gap = beta_share(x, a, b) - share
        low, high = (x, high) if gap < 0 else (low, x)
        log_density = (a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - scale
        newton = gap * math.exp(-log_density) if log_density > -700 else math.inf
        newton_converges = low < x - newton < high and abs(newton) <= abs(step) / 2
        step = newton if newton_converges else x - (low + high) / 2
        before, x = x, x - step
        # A step of Newton's squares the error: after one of 1e-10 what is left is rounding, which has no end.
        if x == before or abs(step) <= (1e-10 * min(x, 1 - x) if newton_converges else 1e-15 * x) or not 0 < x < 1:
            break
    return x


def beta_share(x: float, a: float, b: float) -> float:
    """Return P(X ≤ x) for X ~ Beta(a, b), the regularised incomplete beta function.

    >>> round(beta_share(0.5, 2, 3), 4)
    0.6875
    """
    return _incomplete_beta(float(x), 1 - float(x), float(a), float(b))


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Return `beta_share` of x; `rest` is 1 − x, passed separately to keep its precision where x is close to 1."""
    if not (x > 0 and rest > 0):  # NaN stays NaN
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # where the continued fraction would converge slowly
        return 1 - _incomplete_beta(rest, x, b, a)
    front = math.exp(a * math.log(x) + b * math.log(rest) - _log_beta(a, b)) / a
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    tiny = 1e-300  # replaces 0 in denominators
    value = c = tiny
    d = 0.0
    for m in range(100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) if m else 1.0
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(value - before) <= 1e-16 * abs(value):
            break
    return value


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
