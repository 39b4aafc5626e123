"""Always-valid t intervals: they hold at every look at growing data at once, so that one may stop when it is settled.

The t statistic's likelihood ratio, mixed over effects that are normal with variance 1 (in standard deviations of one
unit), is a martingale under the null whatever the scale is, so by Ville's inequality it exceeds 1/α at any time with
probability at most α. For normal data that is exact from the second unit on. Lai 1976; Lindon, Ham, Tingley & Bojinov
2022, "Anytime-valid linear models and regression adjusted causal inference in randomized experiments", whose published
table the tests reproduce; Wang & Ramdas 2024. For sums over groups it is an approximation, which
`benchmarks/labels.py stopping` simulates.
"""

from __future__ import annotations

import math


def always_valid_quantile(level: float, degrees: float, units: float) -> float:
    """Return how many standard errors wide the interval is to each side; infinite: too few units to say anything.

    Args:
        level: of the whole sequence of intervals.
        degrees: degrees of freedom of the standard error.
        units: independent units, in general (σ / standard error)².

    >>> round(always_valid_quantile(0.95, 19, 20), 2), round(always_valid_quantile(0.95, 92, (1.065 / 0.2157) ** 2), 2)
    (3.42, 3.17)
    """
    shrink = 1 / (1 + units)
    root = math.exp((2 * math.log1p(-level) + math.log(shrink)) / (degrees + 1))
    return math.sqrt(degrees * (1 - root) / (root - shrink)) if root > shrink else math.inf


def always_valid_p_value(t: float, degrees: float, units: float) -> float:
    """Return the p-value that holds at every look: the inverse of the mixed likelihood ratio, at most 1.

    Args:
        t: t statistic.
        degrees: its degrees of freedom.
        units: as in `always_valid_quantile`.
    """
    square = t * t / degrees
    log_ratio = (degrees + 1) / 2 * (math.log1p(square) - math.log1p(square / (1 + units))) - math.log1p(units) / 2
    return min(1.0, math.exp(-log_ratio))
