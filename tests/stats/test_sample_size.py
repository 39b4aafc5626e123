"""How many are needed: the figures of the literature, and advice that checks out when it is followed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy import stats as scipy_stats

from liftgate.stats.distributions import t_quantile
from liftgate.stats.sample_size import (
    design_effect,
    detectable_difference,
    groups_for_difference,
    groups_for_margin,
    groups_for_rate,
    groups_worth,
    kappa_sample_size,
    rate_sample_size,
    two_rates_sample_size,
    upper_sd,
    zero_miss_sample_size,
)


@pytest.mark.parametrize(("true", "smallest"), [(0.96, 3421), (0.97, 780), (0.98, 312)])
def test_exact_sizes_above_95_percent(true: float, smallest: int) -> None:
    answer = rate_sample_size(0.95, true)
    assert answer.smallest == smallest
    assert answer.stable > smallest


def exact_power(n: int, threshold: float, true: float) -> float:
    critical = next(c for c in range(n + 2) if scipy_stats.binom.sf(c - 1, n, threshold) <= 0.025)
    return float(scipy_stats.binom.sf(critical - 1, n, true))


def test_power_saw_tooths_between_the_smallest_and_the_stable_answer() -> None:
    answer = rate_sample_size(0.95, 0.98)
    powers = {n: exact_power(n, 0.95, 0.98) for n in range(300, 420)}
    assert min(n for n, power in powers.items() if power >= 0.8) == answer.smallest
    assert max(n for n, power in powers.items() if power < 0.8) + 1 == answer.stable


@pytest.mark.parametrize(
    ("threshold", "true", "sizes"),
    [(0.95, 0.951, (369_797, 371_711)), (0.95, 0.9505, (1_485_173, 1_489_027)), (0.9999, 0.99999, (55_715, 55_715))],
)
def test_nearly_equal_rates_have_the_size_of_every_number_tried_and_at_once(
    threshold: float, true: float, sizes: tuple[int, int]
) -> None:
    """The first two took 13 and 68 s, where the power was computed for every number up to three times the answer."""
    begun = time.process_time()
    answer = rate_sample_size(threshold, true)
    assert time.process_time() - begun < 4
    assert answer == sizes
    at, before = (exact_power_at(np.array(answer) - less, threshold, true) for less in (0, 1))
    assert min(at) >= 0.8 > max(before)


def exact_power_at(n: np.ndarray, threshold: float, true: float) -> np.ndarray:
    critical = scipy_stats.binom.isf(0.025, n, threshold) + 1
    return np.asarray(scipy_stats.binom.sf(critical - 1, n, true))


@pytest.mark.parametrize(("threshold", "true"), [(0.3, 0.31), (0.9, 0.907), (0.9992, 0.99995)])
def test_sizes_are_those_of_a_trial_of_every_number(threshold: float, true: float) -> None:
    answer = rate_sample_size(threshold, true)
    n = np.arange(1, 2 * answer.stable)
    enough = exact_power_at(n, threshold, true) >= 0.8
    assert answer == (int(n[enough][0]), int(n[~enough][-1]) + 1)


def test_zero_misses() -> None:
    assert zero_miss_sample_size(0.95) == 59
    assert zero_miss_sample_size(0.95, tail=0.025) == 72


def test_two_rates_of_case_m() -> None:
    answer = two_rates_sample_size(0.92, 0.96)
    assert answer.normal in (552, 553)
    assert answer.arcsine == 539


def test_a_thousand_alike_frames_are_worth_294() -> None:
    assert 1000 / design_effect(25, 0.1) == pytest.approx(294, abs=0.5)


def test_groups_for_margin_is_the_first_number_that_settles_with_that_chance() -> None:
    groups = groups_for_margin(0.03, 0.02, 0.05)
    assert groups is not None

    def reach(g: int) -> float:
        return (t_quantile(0.95, g - 1) + t_quantile(0.6, g - 1)) * 0.05 / math.sqrt(g)

    assert reach(groups) <= 0.01 < reach(groups - 1)


def test_groups_for_margin_settle_as_often_as_they_say() -> None:
    """Pilots of 10 groups; the truth is what was measured in one of them; afresh with the groups that it asks for."""
    rng = np.random.default_rng(0)
    settled = []
    for _ in range(400):
        pilot = rng.normal(0.05, 0.1, 10)
        groups = groups_for_margin(0.05, 0.0, float(pilot.std(ddof=1)), degrees=9)
        assert groups is not None
        fresh = rng.normal(0.05, 0.1, groups)
        half = t_quantile(0.95, groups - 1) * fresh.std(ddof=1) / math.sqrt(groups)
        settled.append(fresh.mean() - half > 0)
    assert np.mean(settled) > 0.78


def test_an_upper_bound_of_a_standard_deviation_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    bounds = [upper_sd(float(rng.normal(size=8).std(ddof=1)), 7) for _ in range(2000)]
    assert np.mean(np.array(bounds) >= 1) == pytest.approx(0.8, abs=0.03)


def test_an_estimate_on_the_margin_is_never_settled() -> None:
    assert groups_for_margin(0.02, 0.02, 0.05) is None
    assert groups_for_margin(0.0200000001, 0.02, 0.05) is None
    assert groups_for_rate(0.95, 0.95, 10) is None


def test_groups_for_a_perfect_rate_are_the_zero_miss_answer() -> None:
    assert groups_for_rate(1.0, 0.95, 1.0) == 72


def test_groups_for_a_difference_reach_what_they_promise() -> None:
    groups = groups_for_difference(0.02, 0.05)
    assert groups is not None
    assert detectable_difference(0.05, groups) <= 0.02 < detectable_difference(0.05, groups - 1)
    assert groups_for_difference(0.0, 0.05) is None


def test_groups_as_uneven_as_those_at_hand_are_worth_fewer_the_more_there_are() -> None:
    sizes = 1 / np.arange(1, 21)
    effective = float(sizes.sum() ** 2 / np.sum(sizes**2))
    groups = groups_worth(24, 20, effective, float(sizes[0] / sizes.sum()))
    assert groups is not None
    more = 1 / np.arange(1, groups + 1)
    assert more.sum() ** 2 / np.sum(more**2) == pytest.approx(24, rel=0.01)
    assert groups_worth(24, 20, 20.0, 0.05) == 24
    assert groups_worth(24, 20, 3.8, 0.5) is None, "one group holds half, however many there are"
    assert groups_worth(None, 20, 20.0, 0.05) is None


def test_a_plan_from_uneven_groups_reaches_its_power_in_more_of_them() -> None:
    """Sizes 1, 1/2, 1/3 … in the pilot and in what follows: a plan that grew with their number reached 0.62 to 0.67."""
    rng, shown = np.random.default_rng(3), []

    def measured(groups: int) -> tuple[float, float, float, float]:
        share = 1 / np.arange(1, groups + 1)
        share /= share.sum()
        gain = rng.normal(0.6, 1, groups)
        mean = float(share @ gain)
        error = math.sqrt(np.sum((share * (gain - mean)) ** 2) * groups / (groups - 1))
        return mean, error, 1 / float(np.sum(share**2)), float(share[0])

    for _ in range(80):
        _, error, effective, largest = measured(20)
        even = groups_for_difference(0.6, upper_sd(error * math.sqrt(effective), effective - 1))
        groups = groups_worth(even, 20, effective, largest)
        if groups is not None:
            mean, error, effective, _ = measured(groups)
            shown.append(mean > t_quantile(0.95, effective - 1) * error)
    assert len(shown) > 70
    assert np.mean(shown) > 0.75


def test_a_sharper_kappa_needs_more_items() -> None:
    assert kappa_sample_size(0.85, 0.05) == pytest.approx(4 * kappa_sample_size(0.85, 0.1), rel=0.01)


def test_a_rate_that_is_not_above_the_claim_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold < true"):
        rate_sample_size(0.95, 0.95)
    with pytest.raises(ValueError, match="too near"):
        rate_sample_size(0.95, 0.9500001)
