"""From scores to a choice."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.core.perceptual_hash import PerceptualHashes, hamming_distances
from liftgate.data.sampling.choose import allocate_budget, choose_frames
from liftgate.data.sampling.records import SHARES, Reason


def looks(n: int, seed: int = 0) -> PerceptualHashes:
    return np.random.default_rng(seed).integers(0, 2**63, (n, 4), dtype=np.uint64)


@given(
    budget=st.integers(0, 1000),
    shares=st.dictionaries(st.sampled_from(tuple(SHARES)), st.floats(0.01, 10), min_size=1),
)
def test_shares_become_whole_numbers_that_sum_to_the_budget(budget: int, shares: dict[Reason, float]) -> None:
    counts = allocate_budget(budget, shares)
    assert sum(counts.values()) == budget
    total = sum(shares.values())
    assert all(abs(counts[reason] - budget * share / total) < 1 for reason, share in shares.items())


@given(
    n=st.integers(1, 60),
    budget=st.integers(1, 80),
    seed=st.integers(0, 50),
    near=st.sampled_from([-1, 0, 12, 110]),
    n_strata=st.integers(1, 5),
)
def test_every_choice_is_allowed_unlike_the_others_and_within_the_budget(
    n: int, budget: int, seed: int, near: int, n_strata: int
) -> None:
    generator = np.random.default_rng(seed)
    scores = {"red": np.where(generator.random(n) < 0.3, generator.random(n), np.nan)}
    allowed, seen = generator.random(n) < 0.8, looks(n, seed)
    avoid = np.flatnonzero(~allowed)[:2].tolist()
    strata = [str(k) for k in generator.integers(0, n_strata, n)]
    arguments = {"budget": budget, "shares": SHARES, "near": near, "avoid": avoid}
    chosen, tallies = choose_frames(scores, strata, seen, allowed, generator=np.random.default_rng(1), **arguments)
    again, _ = choose_frames(scores, strata, seen, allowed, generator=np.random.default_rng(1), **arguments)
    assert chosen == again
    indices = [index for index, _, _ in chosen]
    assert len(set(indices)) == len(indices) <= budget
    assert allowed[indices].all()
    taken = [*avoid, *indices]
    for place, index in enumerate(indices, len(avoid)):
        assert all(hamming_distances(seen[taken[:place]], seen[index]) > near)
    assert all(not np.isnan(scores["red"][index]) for index, reason, _ in chosen if reason == "red")
    assert sum(tally.given for tally in tallies.values()) == len(chosen)
    assert sum(tally.wanted for tally in tallies.values()) == budget
    if near < 0:  # nothing but the budget and what is allowed stands in the way
        assert len(indices) == min(budget, int(allowed.sum()))


def test_within_a_reason_cameras_take_turns_and_the_highest_score_comes_first() -> None:
    strata = ["a"] * 8 + ["b"] * 2
    scores = {"red": np.linspace(1, 0.1, 10)}
    chosen, _ = choose_frames(
        scores, strata, looks(10), np.ones(10, dtype=bool),
        budget=4, shares={"red": 1.0}, near=0, generator=np.random.default_rng(0),
    )  # fmt: skip
    assert [index for index, _, _ in chosen] == [0, 8, 1, 9]


def test_what_a_reason_cannot_use_goes_to_spread() -> None:
    red = np.full(50, np.nan)
    red[:2] = 1.0
    chosen, tallies = choose_frames(
        {"red": red}, ["a"] * 50, looks(50), np.ones(50, dtype=bool),
        budget=20, shares=SHARES, near=0, generator=np.random.default_rng(0),
    )  # fmt: skip
    assert Counter(reason for _, reason, _ in chosen) == {"red": 2, "spread": 18}
    assert (tallies["red"].wanted, tallies["red"].given, tallies["red"].candidates) == (14, 2, 2)


def test_spread_takes_the_scene_that_is_least_like_those_taken() -> None:
    seen = np.array([[0, 0, 0, 0], [2**20 - 1, 0, 0, 0], [2**60 - 1, 0, 0, 0]], dtype=np.uint64)
    red = np.array([1.0, np.nan, np.nan])
    chosen, _ = choose_frames(
        {"red": red}, ["a"] * 3, seen, np.ones(3, dtype=bool),
        budget=2, shares={"red": 0.5, "spread": 0.5}, near=0, generator=np.random.default_rng(0),
    )  # fmt: skip
    assert [index for index, _, _ in chosen] == [0, 2]


def test_random_comes_first_and_gives_every_frame_the_same_chance_whatever_else_is_asked_for() -> None:
    n, runs = 12, 600
    red = np.where(np.arange(n) < 4, 1.0, np.nan)  # production doubts a third; near-copies all of them
    often = np.zeros(n)
    for seed in range(runs):
        chosen, tallies = choose_frames(
            {"red": red}, ["a"] * 9 + ["b"] * 3, looks(n) * 0, np.ones(n, dtype=bool),
            budget=6, shares={"random": 0.5, "red": 0.5}, near=12, generator=np.random.default_rng(seed),
        )  # fmt: skip
        assert [reason for _, reason, _ in chosen] == ["random"] * 3, "all others are near-copies of these"
        assert (tallies["random"].wanted, tallies["random"].given, tallies["random"].candidates) == (3, 3, n)
        often[[index for index, _, _ in chosen]] += 1
    expected = runs * 3 / n
    assert np.abs(often - expected).max() < 4.5 * np.sqrt(expected * (1 - 3 / n)), often


def test_random_is_not_drawn_unless_it_is_asked_for() -> None:
    chosen, tallies = choose_frames(
        {}, ["a"] * 9, looks(9), np.ones(9, dtype=bool),
        budget=4, shares=SHARES, near=-1, generator=np.random.default_rng(0),
    )  # fmt: skip
    assert {reason for _, reason, _ in chosen} == {"spread"} and "random" not in tallies
