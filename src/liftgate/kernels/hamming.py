"""The compiled half of `near`, in a module of its own: importing numba takes longer than most checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange


@njit(inline="always", cache=True)  # type: ignore[untyped-decorator]
def ones(word: np.uint64) -> np.uint64:
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(inline="always", cache=True)  # type: ignore[untyped-decorator]
def seen_before(difference: np.uint64, limits: Any, word: int) -> bool:
    """An earlier word already found this pair."""
    for earlier in range(word):
        if ones((difference >> np.uint64(16 * earlier)) & np.uint64(0xFFFF)) <= limits[earlier]:
            return True
    return False


@njit(cache=True)  # type: ignore[untyped-decorator]
def walk(
    value: int, table: Any, order: Any, starts: Any, masks: Any, limits: Any, word: int, within: int, out: Any
) -> int:
    """Count the pairs between the hashes whose word is `value` and those in reach; write them where `out` is."""
    found = 0
    for mask in masks:
        # Of two words that meet, one has the lowest bit in which they differ clear: the pair is that one's work.
        if mask & -mask & value:
            continue
        begin, end = starts[value ^ mask], starts[(value ^ mask) + 1]
        for one in range(starts[value], starts[value + 1]):
            for other in range(one + 1 if mask == 0 else begin, end):
                difference = table[one] ^ table[other]
                if ones(difference) <= within and not seen_before(difference, limits, word):
                    if len(out):
                        out[found, 0] = min(order[one], order[other])
                        out[found, 1] = max(order[one], order[other])
                    found += 1
    return found


@njit(parallel=True, nogil=True, cache=True)  # type: ignore[untyped-decorator]
def search(table: Any, order: Any, starts: Any, masks: Any, limits: Any, word: int, within: int) -> Any:
    words = len(starts) - 1
    counts = np.zeros(words + 1, dtype=np.int64)
    nowhere = np.empty((0, 2), dtype=np.int64)
    for value in prange(words):
        if starts[value] < starts[value + 1]:
            counts[value + 1] = walk(value, table, order, starts, masks, limits, word, within, nowhere)
    places = np.cumsum(counts)
    pairs = np.empty((places[words], 2), dtype=np.int64)
    for value in prange(words):  # again, but only where there is something to write
        if counts[value + 1] > 0:
            out = pairs[places[value] : places[value + 1]]
            walk(value, table, order, starts, masks, limits, word, within, out)
    return pairs
