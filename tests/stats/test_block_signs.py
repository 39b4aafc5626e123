from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from liftgate.stats.block_signs import average_log_e, blocks_until, log_e_process, scene_persistence


def slow_e_process(signs: list[int]) -> float:
    """The definition: money that was put on each share of a fine grid, added up."""
    total = 0.0
    for step in range(-50, 50):
        money, share = 1.0, (step + 0.5) / 50
        for sign in signs:
            money *= 1 + share * sign
        total += money / 100
    return total


def test_the_e_process_is_the_mean_of_all_bets() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        signs = random.integers(-1, 2, 30).astype(np.int8)
        path = np.exp(log_e_process(signs))
        for n in (1, 7, 30):
            assert path[n - 1] == pytest.approx(slow_e_process(signs[:n].tolist()), rel=1e-9)


def test_under_the_null_its_mean_stays_one_and_it_rarely_reaches_twenty() -> None:
    random = np.random.default_rng(1)
    paths = np.array([log_e_process(random.choice([-1, 0, 1], 60).astype(np.int8)) for _ in range(4000)])
    assert np.exp(paths[:, 9]).mean() == pytest.approx(1, abs=0.1)
    assert (paths.max(axis=1) >= np.log(20)).mean() <= 0.05


def test_the_mean_of_cameras_needs_more_blocks_where_one_alone_differs() -> None:
    ones, none = log_e_process(np.ones(12, np.int8)), log_e_process(np.zeros(12, np.int8))
    assert np.exp(none).tolist() == pytest.approx([1.0] * 12)
    assert np.exp(average_log_e([ones, none])) == pytest.approx((np.exp(ones) + 1) / 2)
    assert blocks_until(0.05, 1) == 8 and blocks_until(0.05, 6) == 11 and blocks_until(0.01, 1) > 8


def drifting(tau: float, length: int, cameras: int, noise: float, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    keep = np.exp(-1 / tau)
    steps = random.normal(size=(cameras, length)) * np.sqrt(1 - keep**2)
    return list(lfilter([1], [1, -keep], steps, axis=1) + random.normal(0, noise, (cameras, length)))


def test_the_persistence_of_a_scene_is_measured_under_noise() -> None:
    for tau in (5.0, 15.0, 30.0):
        found = [scene_persistence(drifting(tau, 40 * int(tau), 6, 1.0, seed), 12 * int(tau)).tau for seed in range(20)]
        assert 0.6 * tau < np.median(found) < 1.3 * tau


def test_the_persistence_is_not_underestimated_in_a_short_look() -> None:
    """The mean of a short series follows the scene: without a correction these were 8 and 15 minutes."""
    for tau in (15.0, 30.0):
        found = [scene_persistence(drifting(tau, 12 * int(tau), 6, 1.0, seed), 4 * int(tau)).tau for seed in range(30)]
        assert 0.75 * tau < np.median(found) < 1.35 * tau


def test_noise_and_constants_have_no_persistence() -> None:
    random = np.random.default_rng(0)
    found = [scene_persistence(list(random.normal(size=(6, 180))), 60).tau for _ in range(100)]
    assert np.mean(np.array(found) > 0) <= 0.1
    assert scene_persistence([np.ones(100)], 30).tau == 0
