"""Find every pair of 64-bit hashes within a Hamming distance, exactly.

Multi-index hashing (Norouzi, Punjani, Fleet 2012) with uneven thresholds: cut 64 bits into four words of 16. If two
hashes differ in at most 10 bits, their words cannot differ by more than 2, 2, 2 and 1 bits everywhere at once (that
would be 3 + 3 + 3 + 2 = 11), so at least one word is within its threshold. Each word gets a table sorted by value.
Every value is looked up with all values within its threshold (137 of them, or 17), and the hashes found are compared in
full. Small sets are compared by brute force in NumPy, without compiling.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

_WORD_COUNT = 4
ALL_PAIRS_LIMIT = 6000
_BLOCK_ROWS = 512


def near_pairs(hashes: NDArray[np.uint64], within: int = 10) -> NDArray[np.int64]:
    """Return every pair (i, j), i < j, of hashes that differ in at most `within` bits, sorted; shape (pairs, 2).

    >>> near_pairs(np.array([0b0000, 0b0111, 0b1111], dtype=np.uint64), within=1).tolist()
    [[1, 2]]
    """
    hashes = np.ascontiguousarray(hashes, dtype=np.uint64)
    if not 0 <= within <= 15:
        raise ValueError(f"expected within from 0 to 15 bits, got {within}")
    if len(hashes) <= ALL_PAIRS_LIMIT:
        return _brute_force(hashes, within)
    values, member = np.unique(hashes, return_inverse=True)  # equal hashes would be found in every table
    pairs = _multi_index_search(values, within)
    return _row_pairs(pairs, member)


def _brute_force(hashes: NDArray[np.uint64], within: int) -> NDArray[np.int64]:
    found = [np.empty((0, 2), dtype=np.int64)]
    for begin in range(0, len(hashes), _BLOCK_ROWS):
        rows = hashes[begin : begin + _BLOCK_ROWS]
        near = np.bitwise_count(rows[:, None] ^ hashes[None, begin:]) <= within
        first, second = np.nonzero(np.triu(near, k=1))  # both counted from `begin`: above the diagonal is i < j
        found.append(np.column_stack([first, second]) + begin)
    return np.concatenate(found).astype(np.int64)


def _multi_index_search(values: NDArray[np.uint64], within: int) -> NDArray[np.int64]:
    found = []
    from liftgate.kernels.hamming import pairs_sharing_part

    words = [((values >> np.uint64(16 * word)) & np.uint64(0xFFFF)).astype(np.int64) for word in range(_WORD_COUNT)]
    limits = word_thresholds(within)
    for word in range(_WORD_COUNT):
        if limits[word] < 0:
            continue
        order = np.argsort(words[word], kind="stable")
        starts = np.searchsorted(words[word][order], np.arange(0x10001)).astype(np.int64)
        found.append(pairs_sharing_part(values[order], order, starts, _masks(limits[word]), limits, word, within))
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def word_thresholds(within: int) -> NDArray[np.int64]:
    """Return the threshold t of each word, with Σ (t + 1) = within + 1, so that not every word can exceed its own."""
    return np.array([(within + 1 + word) // _WORD_COUNT - 1 for word in range(_WORD_COUNT)][::-1], dtype=np.int64)


def _masks(limit: int) -> NDArray[np.int64]:
    """Return all 16-bit words with at most `limit` set bits."""
    bits = [
        sum(1 << bit for bit in chosen) for n in range(limit + 1) for chosen in itertools.combinations(range(16), n)
    ]
    return np.array(bits, dtype=np.int64)


def _row_pairs(pairs: NDArray[np.int64], member: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs of row indices for pairs of distinct values, and pairs of equal rows."""
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(member.max() + 2))
    rows = [order[a:b] for a, b in itertools.pairwise(starts)]
    if len(rows) == len(member):  # all distinct: the common case, without a loop
        found = order[pairs]
    else:
        crossed = [(i, j) for a, b in pairs for i in rows[a] for j in rows[b]]
        equal = [pair for group in rows if len(group) > 1 for pair in itertools.combinations(group, 2)]
        found = np.array(crossed + equal, dtype=np.int64).reshape(-1, 2)
    found = np.sort(found, axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]
