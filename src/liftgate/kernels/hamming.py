"""Near hashes: all pairs of 64-bit words that differ in few bits, found through tables of their 16-bit parts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, part

_SLICES = 64  # of the 65,536 values of a part: enough to share the work out evenly


def search(
    table: NDArray[np.uint64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    masks: NDArray[np.int64],
    limits: NDArray[np.int64],
    word: int,
    within: int,
) -> NDArray[np.int64]:
    """Return the pairs of hashes that differ in at most `within` bits and in few bits of one 16-bit part.

    Args:
        table: (n,) hashes, sorted by the part.
        order: (n,) where each of them was before.
        starts: (65537,) where each value of the part begins in `table`.
        masks: the differences of the part that are looked for.
        limits: (4,) bits in which each part may differ.
        word: which part, 0 the lowest; pairs that an earlier part finds are left out.
        within: bits in which two hashes may differ.

    Returns:
        (pairs, 2) the smaller place first.
    """
    bits = table.view(np.int64)
    values = len(starts) - 1
    edges = np.linspace(0, values, _SLICES + 1).astype(np.int64).tolist()
    nowhere = np.empty((0, 2), dtype=np.int64)

    def of_slice(first: int, last: int) -> NDArray[np.int64]:
        settings = (bits, order, starts, masks, limits, int(word), int(within), first, last)
        out = np.empty((walk(*settings, nowhere), 2), dtype=np.int64)
        if len(out):  # again, but only where there is something to write
            walk(*settings, out)
        return out

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(of_slice, edges[:-1], edges[1:])))


@compiled
def walk(
    table: NDArray[np.int64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    masks: NDArray[np.int64],
    limits: NDArray[np.int64],
    word: int,
    within: int,
    first: int,
    last: int,
    out: NDArray[np.int64],
) -> int:
    """Count the pairs of hashes whose part lies in `first` … `last` and those in reach; write them where `out` is."""
    found = 0
    for value in range(first, last):
        if starts[value] == starts[value + 1]:
            continue
        for mask in masks:
            # Of two words that meet, one has the lowest bit in which they differ clear: the pair is that one's work.
            if mask & -mask & value:
                continue
            begin, end = starts[value ^ mask], starts[(value ^ mask) + 1]
            for one in range(starts[value], starts[value + 1]):
                for other in range(one + 1 if mask == 0 else begin, end):
                    difference = table[one] ^ table[other]
                    if _ones(difference) <= within and not _seen_before(difference, limits, word):
                        if len(out) > 0:
                            out[found, 0] = min(order[one], order[other])
                            out[found, 1] = max(order[one], order[other])
                        found += 1
    return found


@part
def _ones(word: int) -> int:
    """Number of bits of a signed 64-bit word, counted in halves so that no sum overflows."""
    return _ones_of_half(word & 0xFFFFFFFF) + _ones_of_half((word >> 32) & 0xFFFFFFFF)


@part
def _ones_of_half(word: int) -> int:
    word = word - ((word >> 1) & 0x55555555)
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) >> 24) & 0xFF


@part
def _seen_before(difference: int, limits: NDArray[np.int64], word: int) -> bool:
    """Whether an earlier part already found this pair."""
    for earlier in range(word):  # noqa: SIM110 (numba has no generators)
        if _ones_of_half((difference >> (16 * earlier)) & 0xFFFF) <= limits[earlier]:
            return True
    return False
