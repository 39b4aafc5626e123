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
from liftgate.evaluation.seeds import compare_seeds
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
    _, treatments = runs([0.5, 0.75, 0.95], 1)
    result = compare_seeds(data, controls, treatments, ComparisonSpec(metric="recall", margin=0.0))
    assert (result.verdict, result.groups_needed) == ("MARGINAL", None)
    asked = re.search(r"with about (\d+) seeds instead of 3 the interval would be narrow enough", result.reason)
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
    assert f"more seeds alone would not settle it; about {result.groups_needed} groups" in result.reason
