"""The slow, obvious twin of `liftgate.checks.images.near_duplicates`: compare all with all, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence


def all_pairs(hashes: Sequence[int], within: int) -> list[list[int]]:
    """Every pair (i, j), i < j, whose hashes differ in at most `within` bits."""
    return [
        [i, j]
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if (hashes[i] ^ hashes[j]).bit_count() <= within
    ]
