"""The test that is looked at once, against scipy, and on blocks that are correlated as a scene makes them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from liftgate.stats.block_means import BLOCKS_OF_TAU, mean_chance, mean_p_values


def test_each_stream_is_students_t_with_wider_errors_and_bonferroni() -> None:
    random = np.random.default_rng(0)
    streams = [random.normal(shift, 2.0, 20) for shift in (0.0, 0.5, 2.0)]
    found = mean_p_values(streams)
    assert found is not None
    for one, p in zip(streams, found, strict=True):
        wider = np.sqrt(1 + 2 * 0.1596)  # neighbours' correlation of blocks of four τ: (1 − e⁻⁴)² / 2(3 + e⁻⁴)
        t = one.mean() / one.std(ddof=1) * np.sqrt(20) / wider
        assert p == pytest.approx(min(3 * 2 * stats.t.sf(abs(t), 19), 1.0), rel=1e-3)


def test_too_few_blocks_and_blocks_without_a_difference_say_nothing() -> None:
    assert mean_p_values([]) is None and mean_p_values([np.arange(7.0)]) is None
    assert mean_p_values([np.zeros(8), np.ones(8)]) == [1.0, 1.0]


@pytest.mark.parametrize("n_blocks", [8, 24])
def test_correlated_time_of_equal_models_is_called_different_rarely(n_blocks: int) -> None:
    random, tau = np.random.default_rng(1), 30
    keep, length = np.exp(-1 / tau), int(BLOCKS_OF_TAU * tau) * n_blocks
    state = random.normal(size=2000)
    blocks = np.empty((2000, n_blocks))
    for block in range(n_blocks):
        total = np.zeros(2000)
        for _ in range(length // n_blocks):
            state = keep * state + np.sqrt(1 - keep**2) * random.normal(size=2000)
            total += state
        blocks[:, block] = total
    found = [mean_p_values([row]) for row in blocks]
    share = np.mean([p is not None and p[0] <= 0.03 for p in found])
    assert share <= 0.03 + 3 * np.sqrt(0.03 * 0.97 / 2000)


@pytest.mark.parametrize(("shift", "n_blocks"), [(1.0, 8), (1.0, 24), (0.6, 24), (0.3, 96)])
def test_the_chance_is_how_often_it_is_seen(shift: float, n_blocks: int) -> None:
    random, runs = np.random.default_rng(2), 600
    seen = 0
    for _ in range(runs):
        found = mean_p_values([random.normal(shift, 1.0, n_blocks), *random.normal(0, 1.0, (5, n_blocks))])
        assert found is not None
        seen += found[0] <= 0.03
    assert mean_chance(shift, 1.0, 0.03, 6, n_blocks) == pytest.approx(seen / runs, abs=0.07)
