"""Unequal probabilities: they add up, everybody can be drawn, and totals are unbiased."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.stats.unequal_sampling import (
    estimated_values,
    imputed_values,
    inclusion_probabilities,
    sampling_variance,
    stratum_means,
    systematic_sample,
)

SIZES = st.lists(st.floats(0.01, 100), min_size=1, max_size=60)


@given(SIZES, st.floats(0.05, 1), st.floats(0, 0.5))
def test_probabilities_add_up_and_keep_their_floor(sizes: list[float], share: float, floor: float) -> None:
    expected = max(1.0, share * len(sizes))
    p = inclusion_probabilities(sizes, expected, floor=floor)
    assert p.sum() == pytest.approx(min(expected, len(sizes)), rel=1e-6)
    assert (p > 0).all() and (p <= 1).all() and (p >= min(floor, expected / len(sizes)) - 1e-9).all()
    order = np.argsort(sizes)
    assert (np.diff(p[order]) >= -1e-12).all()


@pytest.mark.parametrize("sizes", [[0.0, 1.0], [-1.0, 2.0], [float("nan"), 1.0]])
def test_a_size_of_nothing_is_refused(sizes: list[float]) -> None:
    with pytest.raises(ValueError, match="sizes above 0"):
        inclusion_probabilities(sizes, 1)


@given(SIZES, st.integers(0, 1000))
def test_a_systematic_sample_has_the_size_that_was_asked_for(sizes: list[float], seed: int) -> None:
    expected = (len(sizes) + 1) // 2
    p = inclusion_probabilities(sizes, expected)
    taken = systematic_sample(p, np.random.default_rng(seed))
    assert taken.sum() == expected
    assert taken[p == 1].all()


def test_totals_are_unbiased_by_domain_and_the_variance_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(0)
    n = 400
    size = rng.uniform(0.1, 1, n)
    y = rng.poisson(3 * size).astype(float)[:, None]
    stratum = (size > 0.5).astype(np.int64)
    domain = np.arange(n) % 5
    p = inclusion_probabilities(size, 80, floor=0.05)
    totals, domains, variances = [], [], []
    for _ in range(600):
        taken = np.flatnonzero(rng.uniform(size=n) < p)
        values = estimated_values(y[taken], taken, p, stratum)[:, 0]
        totals.append(values.sum())
        domains.append(np.bincount(domain, values))
        means = stratum_means(y[taken], 1 / p[taken], stratum[taken], 2)
        variances.append(sampling_variance(y[taken, 0] - means[stratum[taken], 0], p[taken], stratum[taken]))
    error = np.std(totals) / np.sqrt(len(totals))
    assert np.mean(totals) == pytest.approx(y.sum(), abs=4 * error)
    for place, mean in enumerate(np.mean(domains, axis=0)):
        spread = np.std(np.array(domains)[:, place]) / np.sqrt(len(totals))
        assert mean == pytest.approx(y[domain == place].sum(), abs=4 * spread + 0.01 * y.sum() / 5)
    assert np.mean(variances) == pytest.approx(np.var(totals), rel=0.15)


def test_everything_sampled_is_everything_known() -> None:
    y = np.arange(6.0)[:, None]
    found = estimated_values(y, np.arange(6), np.ones(6), np.array([0, 0, 1, 1, 2, 2]))
    assert found == pytest.approx(y)


def test_imputed_values_are_the_answers_where_there_are_any_and_their_mean_elsewhere() -> None:
    values = imputed_values(np.array([[1.0], [0.0]]), np.array([0, 2]), np.full(4, 0.5), np.zeros(4, dtype=np.int64))
    assert values[:, 0].tolist() == [1.0, 0.5, 0.0, 0.5]
