"""All pairs within a few bits, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.checks.images import near_duplicates
from liftgate.checks.images.near_duplicates import near_pairs
from oracle.all_pairs import all_pairs

WORDS = st.integers(0, 2**64 - 1)


@st.composite
def clouds(draw: st.DrawFn) -> list[int]:
    """Hashes in clusters: a few centres, each with neighbours some bits away."""
    found = []
    for centre in draw(st.lists(WORDS, min_size=1, max_size=5)):
        for flips in draw(st.lists(st.lists(st.integers(0, 63), max_size=14), max_size=8)):
            hash_ = centre
            for bit in flips:
                hash_ ^= 1 << bit
            found.append(hash_)
    return found


@given(clouds(), st.integers(0, 12))
def test_small_sets_agree_with_the_obvious_way(hashes: list[int], within: int) -> None:
    assert near_pairs(np.array(hashes, dtype=np.uint64), within).tolist() == all_pairs(hashes, within)


def clustered(rng: np.random.Generator, n: int) -> np.ndarray:
    """Half of them noise, half within a few bits of another, some equal."""
    hashes = rng.integers(0, 2**64, n, dtype=np.uint64)
    for i in range(n // 2, n):
        hash_ = hashes[rng.integers(0, n // 2)]
        for bit in rng.integers(0, 64, rng.integers(0, 14)):
            hash_ ^= np.uint64(1) << np.uint64(bit)
        hashes[i] = hash_
    return rng.permutation(hashes)


@pytest.mark.parametrize("within", [0, 3, 4, 10, 12])
def test_the_index_finds_what_all_with_all_finds(within: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = clustered(np.random.default_rng(within), 3000)
    slow = near_pairs(hashes, within)
    monkeypatch.setattr(near_duplicates, "ALL_PAIRS_LIMIT", 0)
    np.testing.assert_array_equal(near_pairs(hashes, within), slow)


def test_thresholds_let_no_pair_slip_through() -> None:
    for within in range(16):
        assert (near_duplicates.word_thresholds(within) + 1).sum() == within + 1


def test_nothing_has_no_pairs() -> None:
    assert near_pairs(np.array([], dtype=np.uint64)).shape == (0, 2)
    assert near_pairs(np.array([5], dtype=np.uint64)).shape == (0, 2)


def test_a_distance_that_the_index_does_not_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 15"):
        near_pairs(np.array([1, 2], dtype=np.uint64), 16)
