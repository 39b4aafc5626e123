"""Choose frames by scores, spread over cameras, days and scenes. Arrays only, no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.perceptual_hash import BITS, PerceptualHashes, hamming_distances
from liftgate.data.sampling.records import Reason, ReasonTally

Scores = NDArray[np.float64]
_ALWAYS = ("random", "spread")
"""Reasons that need no evidence"""


def allocate_budget(budget: int, shares: Mapping[Reason, float]) -> dict[Reason, int]:
    """Return whole numbers that sum to `budget`, as close to the shares as possible (largest remainder).

    >>> allocate_budget(10, {"red": 0.5, "yellow": 0.25, "spread": 0.25})
    {'red': 5, 'yellow': 3, 'spread': 2}
    """
    total = sum(shares.values())
    exact = {reason: budget * share / total for reason, share in shares.items()}
    counts = {reason: int(value) for reason, value in exact.items()}
    order = sorted(exact, key=lambda reason: counts[reason] - exact[reason])  # stable: the earlier reason first
    for reason in order[: budget - sum(counts.values())]:
        counts[reason] += 1
    return counts


def choose_frames(
    scores: Mapping[Reason, Scores],
    strata: Sequence[str],
    hashes: PerceptualHashes,
    allowed: NDArray[np.bool_],
    *,
    budget: int,
    shares: Mapping[Reason, float],
    near: int,
    generator: np.random.Generator,
    avoid: Sequence[int] = (),
) -> tuple[list[tuple[int, Reason, float]], dict[Reason, ReasonTally]]:
    """Return (index, reason, score) for each chosen frame, in the order chosen, and the tally of every reason.

    `random` comes first and gives every frame that is no near-copy of those in `avoid` the same chance: what it takes
    measures. Every other reason with evidence gets its share of the budget, and so does `spread`; what a reason cannot
    use goes to `spread`. Within a reason the stratum with the fewest chosen frames comes first, then the highest
    score, then chance.

    Args:
        scores: reason → (n,) scores, NaN where it does not hold.
        strata: (n,) camera and day.
        hashes: (n, 4) perceptual hashes.
        allowed: (n,) False: never chosen.
        budget: number of frames to choose.
        shares: reason → weight of its part of the budget.
        near: most bits by which near-copies differ; −1: near-copies are allowed.
        generator: breaks ties.
        avoid: frames whose near-copies are not chosen either.
    """
    active = {
        reason: share for reason, share in shares.items() if share > 0 and (reason in scores or reason in _ALWAYS)
    }
    wanted = allocate_budget(budget, active) if active else {}
    state = _Selection(list(strata), hashes, allowed.copy(), near, generator.permutation(len(strata)))
    for index in avoid:
        state.block_copies(index)
    if "random" in active:
        state.take_random(wanted["random"])
    for reason in active:
        if reason not in _ALWAYS:
            state.take(reason, scores[reason], wanted[reason])
    if "spread" in active:
        state.take("spread", None, budget - len(state.chosen))
    given = Counter(reason for _, reason, _ in state.chosen)
    tallies = {
        reason: ReasonTally(
            wanted=wanted.get(reason, 0),
            given=given[reason],
            candidates=int((allowed & ~np.isnan(scores[reason])).sum()) if reason in scores else int(allowed.sum()),
        )
        for reason in shares
        if reason in scores or reason in active
    }
    return state.chosen, tallies


@dataclass(slots=True)
class _Selection:
    strata: list[str]
    hashes: PerceptualHashes
    free: NDArray[np.bool_]
    """(n,) may still be chosen"""
    near: int
    chance: NDArray[np.int64]
    """(n,) random rank, to break ties"""
    chosen: list[tuple[int, Reason, float]] = field(default_factory=list)
    _used: Counter[str] = field(default_factory=Counter)
    _nearest: NDArray[np.int64] | None = None
    """(n,) bits to the most similar chosen frame"""

    def take(self, reason: Reason, scores: Scores | None, count: int) -> None:
        """Choose up to `count` frames; without scores, the best is the least similar to all chosen so far."""
        holds = self.free.copy() if scores is None else ~np.isnan(scores)
        members: dict[str, list[int]] = {}
        for index in np.flatnonzero(holds & self.free).tolist():
            members.setdefault(self.strata[index], []).append(index)
        arrays = {stratum: np.array(indices) for stratum, indices in members.items()}
        for _ in range(count):
            best = self._best_member(arrays, scores)
            if best is None:
                return
            score = float(scores[best]) if scores is not None else self._dissimilarity(best)
            self.chosen.append((best, reason, score))
            self._used[self.strata[best]] += 1
            self.block_copies(best)

    def take_random(self, count: int) -> None:
        """Choose up to `count` frames, all with the same chance; only then their near-copies are excluded."""
        free = np.flatnonzero(self.free)
        drawn = free[np.argsort(self.chance[free])][:count].tolist()
        for index in drawn:
            self.chosen.append((index, "random", 1.0))
            self._used[self.strata[index]] += 1
        for index in drawn:
            self.block_copies(index)

    def block_copies(self, index: int) -> None:
        """Exclude near-copies of a frame from further choices."""
        away = hamming_distances(self.hashes, self.hashes[index])
        self._nearest = away if self._nearest is None else np.minimum(self._nearest, away)
        self.free &= away > self.near
        self.free[index] = False

    def _best_member(self, members: dict[str, NDArray[np.int64]], scores: Scores | None) -> int | None:
        for stratum in sorted(members, key=lambda name: (self._used[name], name)):
            indices = members[stratum] = members[stratum][self.free[members[stratum]]]
            if len(indices) == 0:
                del members[stratum]
                continue
            worth = scores[indices] if scores is not None else self._nearest_distances(indices)
            return int(indices[np.lexsort((self.chance[indices], -worth))[0]])
        return None

    def _nearest_distances(self, indices: NDArray[np.int64]) -> Scores:
        if self._nearest is None:
            return np.zeros(len(indices))
        return self._nearest[indices].astype(np.float64)

    def _dissimilarity(self, index: int) -> float:
        return 1.0 if self._nearest is None else float(self._nearest[index]) / BITS
