"""Several seeds speak of the recipe: the interval holds what the groups and what the seeds leave to chance."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.seeds import VarianceComponents, compare_seeds
from liftgate.evaluation.spec import ComparisonSpec

GROUPS, FRAMES = 12, 5


def runs(rates: list[float], seed: int) -> tuple[Dataset, list[Predictions]]:
    """One run for each hit rate, on the same images."""
    n = GROUPS * FRAMES
    data = truth([1] * n, [f"v{i // FRAMES}" for i in range(n)])
    rng = np.random.default_rng(seed)
    made = []
    for rate in rates:
        hits, scores = rng.random(n), rng.uniform(0.3, 0.99, n)
        made.append(said([(i, BOX if hits[i] < rate else FAR, scores[i]) for i in range(n)], data))
    return data, made


def test_one_seed_is_compare_itself() -> None:
    data, (control,) = runs([0.4], 0)
    _, (treatment,) = runs([0.8], 1)
    spec = ComparisonSpec(metric="recall", margin=0.05)
    assert compare_seeds(data, [control], [treatment], spec) == compare(data, control, treatment, spec)


def test_the_estimate_is_the_mean_of_the_paired_differences() -> None:
    data, controls = runs([0.4, 0.5, 0.45], 0)
    _, treatments = runs([0.8, 0.7, 0.9], 1)
    result = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall"))
    each = [
        compare(data, a, b, ComparisonSpec(metric="recall")).delta.estimate
        for a, b in zip(controls, treatments, strict=True)
    ]
    assert result.delta.estimate == pytest.approx(np.mean(each))
    assert "3 seeds" in result.delta.method


def test_no_interval_of_a_share_reaches_beyond_what_shares_can_differ_by() -> None:
    """Two seeds that disagree had t of one degree of freedom: "between 21 points lower and 101 points higher"."""
    data, controls = runs([0.3, 0.1], 0)
    _, treatments = runs([0.4, 0.95], 1)
    found = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall")).delta
    assert (found.low, found.high) == (-1.0, 1.0)


def test_seeds_that_disagree_widen_the_interval() -> None:
    data, controls = runs([0.5, 0.5, 0.5], 0)
    _, agreeing = runs([0.8, 0.8, 0.8], 1)
    _, disagreeing = runs([0.6, 0.8, 1.0], 1)
    calm = compare_seeds(data, controls, agreeing, ComparisonSpec(metric="recall")).delta
    wild = compare_seeds(data, controls, disagreeing, ComparisonSpec(metric="recall")).delta
    assert wild.high - wild.low > calm.high - calm.low  # type: ignore[operator]


def test_seeds_never_narrow_what_the_test_images_leave_open() -> None:
    data, controls = runs([0.5], 0)
    _, treatments = runs([0.7], 1)
    one = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall")).delta
    repeated = compare_seeds(data, controls * 5, treatments * 5, ComparisonSpec(metric="recall")).delta
    assert repeated.standard_error == pytest.approx(one.standard_error)
    assert (repeated.low, repeated.high) == pytest.approx((one.low, one.high))


def test_a_seed_without_an_interval_leaves_none_to_the_mean() -> None:
    """The second seed changes nothing anywhere: the interval of the first is not one of the mean."""
    data, controls = runs([0.2, 0.5, 0.5], 0)
    _, (better, *_) = runs([0.9, 0.9, 0.9], 1)
    spec = ComparisonSpec(metric="recall", margin=0.05)
    assert compare(data, controls[0], better, spec).verdict == "PASS"
    for order in ((0, 1, 2), (1, 0, 2)):
        treatments = [better, controls[1], controls[2]]
        found = compare_seeds(data, [controls[i] for i in order], [treatments[i] for i in order], spec)
        assert not found.delta.established and found.verdict == "MARGINAL", order
        assert found.delta.note and found.delta.standard_error is None


def test_coverage_holds_when_seeds_and_groups_both_vary() -> None:
    """60 simulated studies with 3 seeds; a true difference of 0.2; the nominal level is 95%."""
    rng = np.random.default_rng(7)
    inside = 0
    trials = 60
    for trial in range(trials):
        drift = rng.normal(0, 0.04, 6)
        data, controls = runs([0.5 + d for d in drift[:3]], 2 * trial)
        _, treatments = runs([0.7 + d for d in drift[3:]], 2 * trial + 1)
        delta = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall")).delta
        assert delta.low is not None and delta.high is not None
        inside += delta.low <= 0.2 <= delta.high
    assert inside >= trials * 0.88


def test_arms_with_different_numbers_of_runs_are_refused() -> None:
    data, controls = runs([0.5, 0.5], 0)
    with pytest.raises(UsageError, match="different numbers of runs"):
        compare_seeds(data, controls, controls[:1])


def test_where_the_seeds_disagree_more_seeds_are_asked_for_and_not_groups() -> None:
    """More images of the same test would not tell whether the next seed is better."""
    data, controls = runs([0.5, 0.5, 0.5], 0)
    _, treatments = runs([0.66, 0.84, 0.99], 1)
    result = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall", margin=0.0))
    assert (result.verdict, result.groups_needed) == ("MARGINAL", None)
    asked = re.search(r"about (\d+) seeds instead of 3 would settle it with 80% chance", result.reason)
    assert asked is not None and int(asked[1]) > 3
    # With as many seeds that are like these, it is settled.
    more = int(asked[1]) // 3 + 1
    assert (
        compare_seeds(data, controls * more, treatments * more, ComparisonSpec(metric="recall", margin=0.0)).verdict
        == "PASS"
    )


def test_where_the_test_images_leave_it_open_more_groups_are_asked_for() -> None:
    data, controls = runs([0.5, 0.5, 0.5], 0)
    _, treatments = runs([0.56, 0.57, 0.56], 1)
    result = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall", margin=0.0))
    assert result.verdict == "MARGINAL"
    assert result.groups_needed is not None and result.groups_needed > GROUPS
    assert f"more seeds alone would not settle it; about {result.groups_needed} groups and" in result.reason
    assert "would, with 80% chance if that is the true difference" in result.reason


@pytest.mark.parametrize("of_seeds", [0.0, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_holds_however_much_of_the_variance_is_between_seeds(seeds: int, of_seeds: float) -> None:
    """4,000 simulated studies with 8 groups: coverage and the chance to pass a margin that is the truth."""
    rng, trials = np.random.default_rng([seeds, int(10 * of_seeds)]), 4000
    runs_of = rng.normal(0, np.sqrt(of_seeds), (trials, seeds))
    estimates = rng.normal(0, 1, trials) + runs_of.mean(axis=1)
    groups, between = rng.chisquare(7, trials) / 7, runs_of.var(axis=1, ddof=1)
    halves = np.array(
        [VarianceComponents(g, s, 7.0, 0.95, seeds).half_width for g, s in zip(groups, between, strict=True)]
    )
    assert np.mean(np.abs(estimates) <= halves) >= 0.94
    assert np.mean(estimates - halves > 0) <= 0.03


@pytest.mark.parametrize("of_seeds", [1.0, 5.0])
def test_as_many_seeds_as_are_named_settle_it_with_the_chance_that_is_named(of_seeds: float) -> None:
    """300 pilots of three seeds on 40 groups; after each, as many seeds as it asks for, if it asks for any."""
    rng, room, settled, asked = np.random.default_rng(3), 3.0, 0, 0
    for _ in range(300):
        pilot = VarianceComponents(rng.chisquare(39) / 39 * 0.1, rng.chisquare(2) / 2 * of_seeds, 39.0, 0.95, 3)
        seeds = next((k for k in range(4, 101) if pilot.settled(room, k)), None)
        if pilot.half_width <= room or seeds is None:
            continue
        asked += 1
        new = rng.normal(room, np.sqrt(of_seeds), seeds)  # the measured difference is the true one
        half = VarianceComponents(pilot.of_groups, float(new.var(ddof=1)), 39.0, 0.95, seeds).half_width
        settled += new.mean() - half > 0
    assert asked > 50 and settled / asked >= 0.8
