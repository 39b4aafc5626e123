"""Sample sizes for a claim about a rate by the interval that the gate computes, which differs from the exact test.

The exact test of independent trials needs no variance. Korn–Graubard's interval estimates that between groups, so few
groups, few misses, and trials that happen to vary cost it power: planned by the exact test and a design effect it
showed at most 76% of the claims that it was to show with 80%, and hardly any where next to nothing is missed. So
samples are drawn, and the gate's own interval judges them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import MIN_GROUPS
from liftgate.stats.rates import korn_graubard

Counts = NDArray[np.int64]
_SAMPLES, _BATCH, _SEED = 500, 100, 20_261_130
_CLEARLY, _SAFELY = 3.0, 1.0
"""Standard errors of the simulation: beyond which no more samples are drawn, and above the power that is promised"""
MOST_POWER = 0.99
"""The largest chance of success that so many samples tell from certainty"""
_MOST_DRAWN = 3_000
"""Groups, or independent trials, above which the interval is as good as that of the exact test but for (t/z)²"""


def groups_that_show(
    threshold: float, true: float, per_group: float, icc: float, level: float, power: float, *, start: int
) -> int:
    """Return the groups with which the gate's interval lies above `threshold` with chance `power`, by simulation.

    Args:
        threshold: the claim.
        true: the true rate; that of the groups varies as a beta distribution.
        per_group: trials of a group; groups differ by at most one.
        icc: intraclass correlation, 0 … 1.
        level: of the interval.
        power: chance of success, at most `MOST_POWER`.
        start: a first guess, such as that of the exact test with a design effect.
    """
    if start > _MOST_DRAWN:
        return _corrected(start, level)
    error = math.sqrt(power * (1 - power) / _SAMPLES)

    def enough(groups: int) -> bool:
        samples = _samples(groups, true, per_group, icc)
        shown: list[bool] = []
        while len(shown) < _SAMPLES:
            hits, trials = next(samples)
            shown += [_shown(one, trials, threshold, level) for one in hits]
            away = abs(float(np.mean(shown)) - power)
            if away > _CLEARLY * error * math.sqrt(_SAMPLES / len(shown)):
                break
        return float(np.mean(shown)) >= power + _SAFELY * error

    return _fewest(max(MIN_GROUPS, start), enough)


def trials_that_show(threshold: float, true: float, level: float, power: float, *, start: int, stable: int) -> int:
    """Return the independent trials with which the gate's interval lies above `threshold` with chance `power`.

    Args:
        threshold: the claim.
        true: the true rate.
        level: of the interval.
        power: chance of success, exact.
        start: trials of the exact test, from which on is searched.
        stable: trials from which the power of the exact test stays above that.
    """
    if start > _MOST_DRAWN:
        return _corrected(stable, level)
    from scipy import special

    count, hits = max(MIN_GROUPS, start), 0
    while True:
        hits = _hits_needed(count, max(hits, math.floor(threshold * count)), threshold, level)
        if hits <= count and float(special.bdtrc(hits - 1.0, count, true)) >= power:
            return count
        count += 1


def _corrected(count: int, level: float) -> int:
    return math.ceil(count * (t_quantile(level, count - 1) / t_quantile(level, 1e9)) ** 2) + 1


def _hits_needed(count: int, start: int, threshold: float, level: float) -> int:
    """Return the fewest hits of independent trials that show the claim, at least `start`; count + 1: not even all."""
    hits = start
    trials = np.ones(count, dtype=np.int64)
    while hits <= count and not _shown((np.arange(count) < hits).astype(np.int64), trials, threshold, level):
        hits += 1
    return hits


def _shown(hits: Counts, trials: Counts, threshold: float, level: float) -> bool:
    low = korn_graubard(hits, trials, level).low
    return low is not None and low >= threshold


def _samples(groups: int, true: float, per_group: float, icc: float) -> Iterator[tuple[Counts, Counts]]:
    """Yield batches (B, G) of hits and the (G,) trials; every number of groups has draws of its own."""
    rng, shape = np.random.default_rng([_SEED, groups]), (_BATCH, groups)
    trials = np.diff(np.floor(np.arange(groups + 1) * per_group + 1e-9)).astype(np.int64)
    while True:
        if icc <= 0 or true >= 1:
            rate = np.full(shape, true)
        elif icc >= 1:
            rate = (rng.random(shape) < true).astype(np.float64)
        else:
            rate = rng.beta(true * (1 / icc - 1), (1 - true) * (1 / icc - 1), shape)
        yield rng.binomial(trials, rate), trials


def _fewest(start: int, enough: Callable[[int], bool]) -> int:
    """Return the smallest number, to 3%, that is enough, from `start` on upwards or downwards."""
    low, high = start, start
    if enough(start):
        while low > MIN_GROUPS and enough(low):
            low, high = max(MIN_GROUPS, math.floor(low / 1.3)), low
        if low == MIN_GROUPS and enough(low):
            return low
    else:
        while not enough(high):
            low, high = high, math.ceil(1.3 * high) + 1
    while high - low > max(1, high // 30):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
