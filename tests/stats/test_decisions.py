"""Many arms, equality, seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liftgate.stats.distributions import t_quantile
from liftgate.stats.multiplicity import holm, max_t, t_p_value
from liftgate.stats.seeds import detectable_in_seed_sds, noether_runs, probability_better
from oracle.tost import tost


def test_holm_equals_the_published_figures() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_what_could_not_be_tested() -> None:
    adjusted = holm([0.01, math.nan, 0.02])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(adjusted[1])


def test_max_t_is_sharper_than_holm_where_arms_go_together() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=40)
    replicates = np.stack([shared + 0.2 * rng.normal(size=40) for _ in range(8)])
    t = np.full(8, 2.4)
    sharp = max_t(replicates, 39, np.random.default_rng(1)).p_values(t)
    plain = holm(t_p_value(t, np.ones(8), 39))
    assert sharp.max() < plain.max() / 2


def test_max_t_of_one_arm_is_student_and_of_unrelated_arms_nearly_bonferroni() -> None:
    rng = np.random.default_rng(0)
    alone = max_t(rng.normal(size=(1, 12)), 11, np.random.default_rng(1))
    assert alone.critical(0.95) == pytest.approx(t_quantile(0.95, 11), abs=0.02)
    apart = np.kron(np.eye(4), [1.0, -1.0, 1.0, -1.0])  # four arms that share nothing
    many = max_t(apart, 15, np.random.default_rng(1)).critical(0.95)
    assert t_quantile(0.95, 15) < many <= t_quantile(1 - 0.05 / 4, 15) + 0.02


def test_max_t_keeps_its_promise_over_all_arms_at_once() -> None:
    """Three arms against one control, none of them better: a wrong "one differs" in about 5 of 100 data sets."""
    rng = np.random.default_rng(0)
    wrong, sets, groups = 0, 400, 10
    for _ in range(sets):
        deltas = rng.normal(size=(3, groups)) - rng.normal(size=groups)
        replicates = (deltas.sum(axis=1, keepdims=True) - deltas) / (groups - 1)
        t = deltas.mean(axis=1) / (deltas.std(axis=1, ddof=1) / math.sqrt(groups))
        wrong += bool(np.abs(t).max() > max_t(replicates, groups - 1, rng, draws=4000).critical(0.95))
    assert 0.02 <= wrong / sets <= 0.08


def test_no_difference_without_any_error_is_no_evidence() -> None:
    assert t_p_value([0.0, 1.0], [0.0, 0.0], 5).tolist() == [1.0, 0.0]


def test_equal_is_a_claim_of_its_own() -> None:
    assert tost(0.0, 0.005, 30, margin=0.01).equal is True
    assert tost(0.0, 0.010, 30, margin=0.01).equal is False  # not significant either, and still not equal
    assert tost(0.009, 0.005, 30, margin=0.01).equal is False
    assert tost(0.0, 0.005, 30, margin=0.01).level == pytest.approx(0.90)


def test_noether_and_detectable_differences_equal_the_published_figures() -> None:
    assert noether_runs(0.75) == 29
    assert [round(detectable_in_seed_sds(k), 2) for k in (3, 5, 10)] == [3.07, 2.02, 1.32]


def test_detectable_difference_is_detected_that_often() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4000, 5))
    second = rng.normal(size=(4000, 5)) + detectable_in_seed_sds(5)
    t = (second.mean(axis=1) - first.mean(axis=1)) / np.sqrt(
        (first.var(axis=1, ddof=1) + second.var(axis=1, ddof=1)) / 5
    )
    assert np.mean(np.abs(t) > 2.306) == pytest.approx(0.8, abs=0.02)


def test_runs_that_are_alike_are_better_half_of_the_time() -> None:
    assert probability_better([1, 2], [1, 2]) == 0.5
