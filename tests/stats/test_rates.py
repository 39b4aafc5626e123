"""Intervals of rates, against published figures and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.stats.clustered import cluster_ratio_t
from liftgate.stats.distributions import normal_quantile, t_quantile
from liftgate.stats.interval import Interval
from liftgate.stats.rates import (
    alike_variance,
    clopper_pearson,
    korn_graubard,
    ratio_variance,
    wilson,
    within_whole_groups,
)


def test_wilson_equals_the_published_figures() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.92 * 250, 250) == pytest.approx((0.880, 0.948), abs=5e-4)
    assert wilson(0.96 * 250, 250) == pytest.approx((0.928, 0.978), abs=5e-4)


def test_exact_interval_equals_the_published_figures() -> None:
    assert clopper_pearson(15, 148) == pytest.approx((0.0578, 0.1617), abs=5e-5)


def test_exact_interval_ends_at_0_and_1_where_nothing_and_everything_hits() -> None:
    assert clopper_pearson(0, 20).low == 0.0
    assert clopper_pearson(20, 20).high == 1.0
    assert clopper_pearson(20, 20).low == pytest.approx(0.025 ** (1 / 20))


def test_all_hit_counts_groups_not_frames() -> None:
    interval = korn_graubard([50] * 8, [50] * 8)
    assert interval.low == pytest.approx(clopper_pearson(8, 8).low)
    assert (interval.n_effective, interval.design_effect) == (8, 50)


def test_the_lower_bound_does_not_leap_at_the_first_miss() -> None:
    """The variance of misses that only one or two groups hold tells as little as that of none at all."""
    lows = [korn_graubard([50 - (i < missed) for i in range(8)], [50] * 8).low for missed in range(7)]
    assert lows[0] < lows[1] < lows[2] < 0.93, "from 8 trials to 400, step by step"
    worth = 400 * (normal_quantile(0.95) / t_quantile(0.95, 7)) ** 2
    assert lows[5] == pytest.approx(clopper_pearson(worth * 395 / 400, worth).low)


def test_korn_graubard_follows_its_formula() -> None:
    k, n = np.array([44, 38, 43, 40, 41, 46]), np.full(6, 50)  # misses vary hardly more than chance makes them
    rate = k.sum() / 300
    variance = 6 / 5 * np.sum((k - rate * 50) ** 2) / 300**2
    n_effective = rate * (1 - rate) / variance * (1.959963984540054 / 2.5705818366147395) ** 2
    interval = korn_graubard(k, n)
    assert interval.n_effective == pytest.approx(n_effective)
    assert (interval.low, interval.high) == pytest.approx(clopper_pearson(rate * n_effective, n_effective))


def test_the_variance_of_equal_groups_is_the_usual_one_and_that_of_uneven_groups_larger() -> None:
    k, even, uneven = np.array([4.0, 9, 7, 8, 6, 8]), np.full(6, 10.0), np.array([60.0, 10, 10, 10, 10, 10])
    rate = k.sum() / 60
    assert ratio_variance(k, even) == pytest.approx(6 / 5 * np.sum((k - rate * 10) ** 2) / 60**2)
    top = np.array([30.0, 9, 7, 8, 6, 8])
    usual = 6 / 5 * np.sum((top - top.sum() / 110 * uneven) ** 2) / 110**2
    assert ratio_variance(top, uneven) > 1.3 * usual, "the large group pulls the rate towards itself"


def test_under_five_groups_nothing_is_established() -> None:
    interval = korn_graubard([9, 10, 8, 10], [10] * 4)
    assert interval.estimate == pytest.approx(0.925)
    assert not interval.established
    assert "4 groups" in interval.note


def test_groups_without_trials_are_left_out() -> None:
    with_empty = korn_graubard([9, 8, 0, 10, 7, 9], [10, 10, 0, 10, 10, 10])
    without = korn_graubard([9, 8, 10, 7, 9], [10] * 5)
    assert (with_empty.low, with_empty.n_groups, with_empty.groups_informative) == (without.low, 6, 5)


def test_uneven_groups_are_worth_fewer_degrees_of_freedom() -> None:
    even = korn_graubard([9, 8, 10, 7, 9, 8], [10] * 6)
    uneven = korn_graubard([90, 8, 10, 7, 9, 8], [100, 10, 10, 10, 10, 10])
    assert even.groups_effective == 6 and uneven.groups_effective == pytest.approx(150**2 / (100**2 + 500))
    assert "one group dominates" in uneven.note and not even.note
    nearly_even = korn_graubard([9, 8, 10, 7, 9], [10, 10, 10, 10, 11])
    assert nearly_even.note == "the 5 groups are worth 5.0 even ones", "none of them dominates"


def test_misses_that_few_groups_hold_are_worth_fewer_degrees_of_freedom() -> None:
    """The variance rests on the groups that hold the misses, or near 0 the hits: that of one is as good as unknown."""
    even = korn_graubard([44, 41, 43, 40, 42, 46, 43, 41], [50] * 8)
    few = korn_graubard([20, 49, 48, 50, 49, 48, 49, 27], [50] * 8)
    near_0 = korn_graubard([30, 1, 2, 0, 1, 2, 1, 23], [50] * 8)
    assert even.groups_effective == 8
    assert few.groups_effective == near_0.groups_effective and few.groups_effective < 4  # type: ignore[operator]
    assert "hits, or errors, lie in few of them" in few.note
    assert even.low is not None and few.low is not None
    assert even.low > 0.8 > 0.5 > few.low, "as many misses in all"


def test_no_miss_in_uneven_groups_counts_the_effective_ones() -> None:
    interval = korn_graubard([100, 10, 10, 10, 10, 10], [100, 10, 10, 10, 10, 10])
    assert interval.n_effective == pytest.approx(interval.groups_effective)
    assert interval.low == pytest.approx(clopper_pearson(interval.n_effective, interval.n_effective).low)  # type: ignore[arg-type]


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="hits ≤ trials"):
        korn_graubard([11] * 5, [10] * 5)
    with pytest.raises(ValueError, match="at least one trial"):
        korn_graubard([0] * 5, [0] * 5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=5, max_size=30))
def test_the_interval_holds_the_estimate_and_stays_in_0_to_1(pairs: list[tuple[int, int]]) -> None:
    hits, trials = zip(*((min(pair), max(pair)) for pair in pairs), strict=True)
    if sum(n > 0 for n in trials) < 5:
        return
    interval = korn_graubard(hits, trials)
    assert interval.low is not None and interval.high is not None
    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate - 1e-12 <= interval.high <= 1


@pytest.mark.parametrize(("groups", "frames"), [(5, 50), (20, 50)])
def test_coverage_holds_where_wilson_on_frames_breaks_down(groups: int, frames: int) -> None:
    rng = np.random.default_rng(1)
    true, icc, runs = 0.9, 0.1, 600
    a, b = true * (1 / icc - 1), (1 - true) * (1 / icc - 1)
    held = naive = 0
    for _ in range(runs):
        hits = rng.binomial(frames, rng.beta(a, b, size=groups))
        interval = korn_graubard(hits, np.full(groups, frames))
        held += interval.low <= true <= interval.high  # type: ignore[operator]
        low, high = wilson(hits.sum(), groups * frames)
        naive += low <= true <= high
    assert held / runs > 0.92
    assert naive / runs < 0.75


def test_groups_that_are_wholly_right_or_wrong_bound_the_interval_of_a_share() -> None:
    """A share of 0.9 in ten groups: nine wholly right and one wholly wrong is the most uneven that they can be."""
    exact = clopper_pearson(9, 10)

    def bounded(low: float, high: float, effective: float = 10, bias: float = 0.0) -> tuple[float | None, float | None]:
        interval = Interval(0.9, low, high, 0.95, "bootstrap-se-logit-t", 60, 10)
        found = within_whole_groups(interval, effective, bias)
        return found.low, found.high

    assert bounded(0.02, 0.9999) == exact
    assert bounded(0.8, 0.95) == (0.8, 0.95), "it lengthens nothing"
    assert bounded(0.02, 0.9999, effective=4.9) == (0.02, 0.9999), "where one group dominates, another may be anything"
    low, high = bounded(0.02, 0.9999, bias=0.1)
    assert low == clopper_pearson(8, 10).low and high == exact.high, "the bias is beyond both"


def test_groups_that_happen_to_agree_tell_no_more_than_independent_trials_and_t_still_counts_them() -> None:
    """Five groups of 30 with 24, 24, 24, 24 and 25 hits: 150 trials, of which t of four degrees leaves the half."""
    interval = korn_graubard([24, 24, 24, 24, 25], [30] * 5)
    assert interval.n_effective == pytest.approx(150 * (normal_quantile(0.95) / t_quantile(0.95, 4)) ** 2)
    assert interval.n_effective < 76


@pytest.mark.parametrize("size", [1, 7])
def test_with_even_groups_their_variance_is_the_same_by_all_of_them(size: int) -> None:
    hits = np.array([0.0, 0, 1, 1, 0, 1, 1, 1]) * size
    sizes = np.full(8, float(size))
    of_all = alike_variance(hits, sizes, 5 / 8 * 3 / 8)
    assert of_all == pytest.approx(ratio_variance(hits, sizes) if size > 1 else 0.0), "single trials have no groups"


def test_groups_that_differ_by_chance_alone_have_no_variance_of_their_own() -> None:
    assert alike_variance(np.array([5.0, 10, 20]), np.array([10.0, 20, 40]), 0.25) == 0


def test_a_gate_at_the_truth_seldom_passes_where_groups_are_wholly_right_or_wrong() -> None:
    """100 groups of sizes 1, 1/2, 1/3 …: where the large ones agree by chance, the small ones say how groups differ."""
    rng = np.random.default_rng(0)
    sizes = np.maximum(1, np.round(96 / np.arange(1, 101)))
    runs = [korn_graubard((rng.random(100) < 0.75) * sizes, sizes) for _ in range(500)]
    assert np.mean([run.low is not None and run.low > 0.75 for run in runs]) <= 0.035, "5% before decision 56"
    counts = [sizes * rng.gamma(0.5, 2, 100) for _ in range(500)]
    of_images = [np.average((y / sizes - y.sum() / sizes.sum()) ** 2, weights=sizes) / sizes.sum() for y in counts]
    found = [
        cluster_ratio_t(y, sizes, n_images=int(sizes.sum()), simple_variance=simple)
        for y, simple in zip(counts, of_images, strict=True)
    ]
    assert np.mean([run.high is not None and run.high < 1 for run in found]) <= 0.035, "6% before"
