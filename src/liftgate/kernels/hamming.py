"""Hamming search: all pairs of 64-bit hashes that differ in few bits, found by tables of their 16-bit parts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from liftgate.kernels.compiler import compiled, kernel_helper

_SLICES = 64  # of the 65,536 values of a part: enough to balance the threads


def pairs_sharing_part(
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
        order: (n,) index of each hash before sorting.
        starts: (65537,) where each value of the part begins in `table`.
        masks: the bit differences of the part to search for.
        limits: (4,) the most bits in which each part may differ.
        word: index of the part, 0 the lowest; pairs that an earlier part finds are left out.
        within: the most bits in which two hashes may differ.

    Returns:
        (pairs, 2) indices before sorting, the smaller one first.
    """
    bits = table.view(np.int64)
    values = len(starts) - 1
    edges = np.linspace(0, values, _SLICES + 1).astype(np.int64).tolist()
    nowhere = np.empty((0, 2), dtype=np.int64)

    def of_slice(first: int, last: int) -> NDArray[np.int64]:
        settings = (bits, order, starts, masks, limits, int(word), int(within), first, last)
        out = np.empty((find_pairs(*settings, nowhere), 2), dtype=np.int64)
        if len(out):  # second pass: write what the first one counted
            find_pairs(*settings, out)
        return out

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(of_slice, edges[:-1], edges[1:])))


@compiled
def find_pairs(
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
    """Count the near pairs of hashes with a part in `first` … `last` − 1; write them into `out` unless it is empty."""
    found = 0
    for value in range(first, last):
        if starts[value] == starts[value + 1]:
            continue
        for mask in masks:
            # Each pair is found once: by the word in which the lowest differing bit is 0.
            if mask & -mask & value:
                continue
            begin, end = starts[value ^ mask], starts[(value ^ mask) + 1]
            for one in range(starts[value], starts[value + 1]):
                for other in range(one + 1 if mask == 0 else begin, end):
                    difference = table[one] ^ table[other]
                    if _count_ones(difference) <= within and not _found_by_earlier_part(difference, limits, word):
                        if len(out) > 0:
                            out[found, 0] = min(order[one], order[other])
                            out[found, 1] = max(order[one], order[other])
                        found += 1
    return found


@kernel_helper
def _count_ones(word: int) -> int:
    """Return the number of 1 bits of a signed 64-bit word, counted in halves so that no sum overflows."""
    return _count_ones_32(word & 0xFFFFFFFF) + _count_ones_32((word >> 32) & 0xFFFFFFFF)


@kernel_helper
def _count_ones_32(word: int) -> int:
    word = word - ((word >> 1) & 0x55555555)
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) >> 24) & 0xFF


@kernel_helper
def _found_by_earlier_part(difference: int, limits: NDArray[np.int64], word: int) -> bool:
    """Return whether an earlier part already found this pair."""
    for earlier in range(word):  # noqa: SIM110 (numba has no generators)
        if _count_ones_32((difference >> (16 * earlier)) & 0xFFFF) <= limits[earlier]:
            return True
    return False
