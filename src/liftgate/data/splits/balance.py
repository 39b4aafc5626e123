"""Assign whole groups to splits, so that each split gets its share of every quantity. Arrays in, arrays out.

Greedy, the largest groups first, then moving and exchanging groups while that helps.

Not solved exactly: choosing groups to meet several totals is a knapsack problem, and the last half percent of balance
is worth less than a rule that is easy to explain. With many small groups the greedy step alone is good enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOVES_UP_TO = 20_000
_EXCHANGES = 20_000


def assign_groups_to_splits(
    amounts: NDArray[np.float64],
    ratios: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    fixed: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the split of every group, shape (G,), values 0 … S−1.

    The cost of an assignment is the squared distance of the (S, D) shares from ratios × column weight. No split with a
    ratio above 0 stays empty while there are free groups.

    Args:
        amounts: (G, D) amount of each quantity in each group; every column is divided by its total and weighted.
        ratios: (S,) share of each split.
        rng: breaks ties.
        fixed: (G,) split of groups that may not move, −1 for the others.
    """
    weights = amounts.sum(axis=0)
    target = ratios[:, None] * weights[None, :]
    order = rng.permutation(len(amounts))
    order = order[np.argsort(-amounts[order].sum(axis=1), kind="stable")]
    chosen = np.full(len(amounts), -1, dtype=np.int64) if fixed is None else fixed.copy()
    free = chosen < 0
    have = np.zeros_like(target)
    np.add.at(have, chosen[~free], amounts[~free])
    scale = np.where(ratios > 0, 1 / np.maximum(ratios, 1e-12), 0)[:, None]
    open_ = np.flatnonzero(ratios > 0)
    for group in order[free[order]]:
        # The split that lacks most of what the group has, in proportion to its target.
        gain = ((target - have) * scale * amounts[group]).sum(axis=1)
        split = open_[np.argmax(gain[open_])]
        chosen[group] = split
        have[split] += amounts[group]
    for split in open_:  # no declared split stays empty
        if not (chosen == split).any():
            counts = np.bincount(chosen[free], minlength=len(ratios))
            donor = int(np.argmax(counts))
            if counts[donor] == 0 or (counts[donor] == 1 and fixed is None):
                continue
            group = min(np.flatnonzero(free & (chosen == donor)), key=lambda g: (amounts[g].sum(), g))
            have[donor] -= amounts[group]
            have[split] += amounts[group]
            chosen[group] = split
    return _improve(amounts, target, chosen, have, open_, free, rng)


def _improve(
    amounts: NDArray[np.float64],
    target: NDArray[np.float64],
    chosen: NDArray[np.int64],
    have: NDArray[np.float64],
    open_: NDArray[np.int64],
    free: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Move single groups, then exchange pairs, as long as the cost falls. With many groups it is skipped."""
    if len(amounts) > _MOVES_UP_TO:
        return chosen
    squares = (amounts**2).sum(axis=1)
    everyone = np.arange(len(amounts))
    for _ in range(4 * len(amounts)):
        excess = have - target
        away = -2 * (amounts * excess[chosen]).sum(axis=1) + squares
        change = away[:, None] + 2 * amounts @ excess.T + squares[:, None]
        change[everyone, chosen] = 0
        counts = np.bincount(chosen, minlength=len(target))
        change[(counts[chosen] <= 1) | ~free] = 0  # the last group of a split stays
        change[:, [split for split in range(len(target)) if split not in open_]] = 0
        group, split = np.unravel_index(int(np.argmin(change)), change.shape)
        if change[group, split] < -1e-12:
            moves = [(int(group), int(split))]
        else:
            pair = _best_exchange(amounts, excess, chosen, free, rng)
            if pair is None:
                break
            moves = [(pair[0], int(chosen[pair[1]])), (pair[1], int(chosen[pair[0]]))]
        for member, goal in moves:
            have[chosen[member]] -= amounts[member]
            have[goal] += amounts[member]
            chosen[member] = goal
    return chosen


def _best_exchange(
    amounts: NDArray[np.float64],
    excess: NDArray[np.float64],
    chosen: NDArray[np.int64],
    free: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    pairs = rng.integers(0, len(amounts), size=(_EXCHANGES, 2)) if len(amounts) > 140 else _all_pairs(len(amounts))
    pairs = pairs[(chosen[pairs[:, 0]] != chosen[pairs[:, 1]]) & free[pairs].all(axis=1)]
    if not len(pairs):
        return None
    first, second = pairs[:, 0], pairs[:, 1]
    step = amounts[second] - amounts[first]  # what the first's split gains and the second's loses
    change = 2 * (step * (excess[chosen[first]] - excess[chosen[second]])).sum(axis=1) + 2 * (step**2).sum(axis=1)
    best = int(np.argmin(change))
    return (int(first[best]), int(second[best])) if change[best] < -1e-12 else None


def _all_pairs(count: int) -> NDArray[np.int64]:
    return np.argwhere(np.triu(np.ones((count, count), dtype=np.bool_), 1))
