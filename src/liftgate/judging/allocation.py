"""Divide the judgements between disagreements and the audit of agreed pairs, so that the difference is most precise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.judging.pairing import Units
from liftgate.judging.sizes import LARGEST_WEIGHT, chance_of_difference, size_measure
from liftgate.stats.unequal_sampling import inclusion_probabilities

Floats = NDArray[np.float64]
_AUDITED_PAIRS = 10
"""Agreed pairs that are audited at least, where there are so many"""
_ONE_SIDED = 0.5
"""How far the agreed pairs of unlike truth are expected to be to one model's credit: 1 all, 0 as many to each"""
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
    tried = [_of(size, agreed, chance_of_difference(units.overlap), number, budget) for number in sorted(wanted)]
    return min(tried, key=lambda one: one.variance)


def audit_error(chance: Floats, probability: Floats) -> tuple[float, float]:
    """Return what is unknown about the net difference of agreed pairs, and by how much the audit's estimate is shrunk.

    The audit's estimate has the variance V = Σ (1 − p) / p · chance. Without an audit, the net difference is at most as
    large as if all pairs of unlike truth were to one model's credit: its mean square is then C + C², with C = Σ chance.
    Commonly they are to the credit of both, nearly as often: the estimate is shrunk as if half of them cancelled,
    λ = B² / (B² + V) with B² = C + C² / 4, so that a few answers about pairs move it little. What is unknown is taken
    at its worst: λ² V + (1 − λ)² (C + C²), whichever model is right.

    Args:
        chance: (m,) of each agreed pair, that one box fits and the other does not.
        probability: (m,) inclusion probabilities.
    """
    variance = float(np.sum((1 - probability) / probability * chance))
    total = float(chance.sum())
    if variance <= 0:
        return 0.0, 1.0
    expected = total + (_ONE_SIDED * total) ** 2
    shrink = expected / (expected + variance)
    return shrink**2 * variance + (1 - shrink) ** 2 * (total + total**2), shrink


def _of(size: Floats, agreed: NDArray[np.bool_], chance: Floats, pairs: int, budget: int) -> Allocation:
    floor = 1 / LARGEST_WEIGHT
    probability = np.ones(len(size))
    for inside, number in ((~agreed, min(max(1, budget - pairs), int((~agreed).sum()))), (agreed, pairs)):
        if inside.any():
            probability[inside] = inclusion_probabilities(size[inside], number, floor=floor)
    apart = probability[~agreed]
    variance = float(np.sum((1 - apart) / apart * size[~agreed] ** 2))
    return Allocation(probability, pairs, variance + audit_error(chance[agreed], probability[agreed])[0])
