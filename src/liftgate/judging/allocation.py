"""Divide the judgements between disagreements and the audit of agreed pairs, so that the difference is most precise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.judging.pairing import Units
from liftgate.judging.sizes import LARGEST_WEIGHT, chance_of_difference, level_variance, size_measure
from liftgate.stats.distributions import beta_quantile
from liftgate.stats.unequal_sampling import inclusion_probabilities

Floats = NDArray[np.float64]
_AUDITED_PAIRS = 10
"""Agreed pairs that are audited at least, where there are so many"""
_SHARES = np.linspace(0.05, 0.6, 12)
"""Parts of the judgements that are tried for the audit"""


class Allocation(NamedTuple):
    """Inclusion probabilities, and what the draw adds to the variance of the difference of true positives."""

    probability: Floats
    """(n,) of each unit"""
    agreed: int
    """Agreed pairs that are audited"""
    variance: float
    """As the size measure expects it"""


def allocate(units: Units, score: Floats, budget: int) -> Allocation:
    """Return the allocation of `budget` judgements, or of all units where these are fewer, that adds least variance.

    Args:
        units: as `pair_detections` returns them.
        score: (n,) confidence of each unit.
        budget: number of units to judge.
    """
    size, agreed = size_measure(units, score), units.agreed
    pairs, others = int(agreed.sum()), int((~agreed).sum())
    least = min(_AUDITED_PAIRS, pairs, max(1, budget))
    wanted = {least, min(pairs, max(least, budget - others))}
    wanted |= (
        {min(pairs, max(least, round(share * budget))) for share in _SHARES.tolist()} if pairs and others else set()
    )
    chance, level = chance_of_difference(units.overlap), level_variance(units, score)
    tried = [_of(size, agreed, chance, level, number, budget) for number in sorted(wanted)]
    return min(tried, key=lambda one: one.variance)


class OneSidedness(NamedTuple):
    """How far unlike pairs are to one model's credit: (2q − 1)², where q is the second model's share of them."""

    expected: float
    at_most: float
    """With 95% probability"""


def one_sidedness(first: float, second: float) -> OneSidedness:
    """Return what an audit says about it: every share q is taken as equally likely before.

    Without answers it is nearly the worst case, all to one model's credit; only unlike pairs of both kinds show that
    most of them cancel.

    Args:
        first: unlike pairs that the audit found to the first model's credit.
        second: to the second's.

    >>> [tuple(round(value, 2) for value in one_sidedness(*found)) for found in ((0, 0), (4, 4), (0, 4))]
    [(0.33, 0.81), (0.09, 0.25), (0.52, 0.96)]
    """
    a, b = second + 1, first + 1
    mean = a / (a + b)
    ends = (2 * beta_quantile(share, a, b) - 1 for share in (0.05, 0.95))
    return OneSidedness((2 * mean - 1) ** 2 + 4 * mean * (1 - mean) / (a + b + 1), max(end**2 for end in ends))


def audit_error(chance: Floats, probability: Floats, sided: OneSidedness) -> tuple[float, float]:
    """Return what is unknown about the net difference of agreed pairs, and by how much the audit's estimate is shrunk.

    The audit's estimate has the variance V = Σ (1 − p) / p · chance. The net difference itself has the mean square
    C + C² (2q − 1)², with C = Σ chance: C if every unlike pair were to either model's credit by a coin of its own,
    C + C² if all were to one model's. The estimate is shrunk towards none by λ = B² / (B² + V), with the expected mean
    square as B², so that a few answers about pairs move it little. What is unknown is taken at its worst,
    λ² V + (1 − λ)² (C + C² at_most), whichever model is right.

    Args:
        chance: (m,) of each agreed pair, that one box fits and the other does not.
        probability: (m,) inclusion probabilities.
        sided: how far unlike pairs are to one model's credit.
    """
    variance = float(np.sum((1 - probability) / probability * chance))
    total = float(chance.sum())
    if variance <= 0:
        return 0.0, 1.0
    expected = total + sided.expected * total**2
    shrink = expected / (expected + variance)
    return shrink**2 * variance + (1 - shrink) ** 2 * (total + sided.at_most * total**2), shrink


def _of(size: Floats, agreed: NDArray[np.bool_], chance: Floats, level: Floats, pairs: int, budget: int) -> Allocation:
    floor = 1 / LARGEST_WEIGHT
    probability = np.ones(len(size))
    for inside, number in ((~agreed, min(max(1, budget - pairs), int((~agreed).sum()))), (agreed, pairs)):
        if inside.any():
            probability[inside] = inclusion_probabilities(size[inside], number, floor=floor)
    apart = probability[~agreed]
    variance = float(np.sum((1 - apart) / apart * size[~agreed] ** 2))
    likely = float(np.sum(probability[agreed] * chance[agreed])) / 2  # unlike pairs to each model's credit
    unknown, _ = audit_error(chance[agreed], probability[agreed], one_sidedness(likely, likely))
    audited = probability[agreed]
    of_level = float(np.sum((1 - audited) / audited * level[agreed]))
    return Allocation(probability, pairs, variance + unknown + of_level)
