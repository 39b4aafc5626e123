from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from liftgate.stats.block_signs import Growth, average_log_e, blocks_until, log_e_process, scene_persistence


def slow_e_process(differences: list[float], counts: list[float]) -> float:
    """The definition: money that was put on each odds, added up."""
    total = 0.0
    for theta in (0.1, 0.2, 0.4, 0.8, 1.6):
        for side in (-1, 1):
            money, squares, seen = 1.0, 0.0, 0.0
            for difference, count in zip(differences, counts, strict=True):
                squares, seen = squares + difference**2, seen + count
                scale = max(squares / seen, 1.0) if seen else 1.0
                money *= 1 + np.tanh(side * theta * difference / scale)
            total += money / 10
    return total


def equal_blocks(random: np.random.Generator, n: int, clustered: int = 1) -> tuple[np.ndarray, np.ndarray]:
    first, second = (clustered * random.poisson(3, n).astype(float) for _ in range(2))
    return first - second, first + second


def test_the_e_process_is_the_mean_of_all_bets() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        differences, counts = equal_blocks(random, 30)
        path = np.exp(log_e_process(differences, counts))
        for n in (1, 7, 30):
            slow = slow_e_process(differences[:n].tolist(), counts[:n].tolist())
            assert path[n - 1] == pytest.approx(slow, rel=1e-9)


@pytest.mark.parametrize("clustered", [1, 40])
def test_under_the_null_its_mean_stays_one_and_it_rarely_reaches_twenty(clustered: int) -> None:
    random = np.random.default_rng(1)
    paths = np.array([log_e_process(*equal_blocks(random, 60, clustered)) for _ in range(4000)])
    assert np.exp(paths[:, 4]).mean() == pytest.approx(1, abs=0.15)
    assert (paths.max(axis=1) >= np.log(20)).mean() <= 0.05


def test_blocks_without_a_disagreement_change_nothing() -> None:
    assert np.exp(log_e_process(np.zeros(12), np.zeros(12))).tolist() == pytest.approx([1.0] * 12)
    differences, counts = np.array([0.0, 3.0, 0.0, 4.0]), np.array([0.0, 5.0, 0.0, 6.0])
    path = log_e_process(differences, counts)
    assert path[[1, 3]] == pytest.approx(log_e_process(differences[[1, 3]], counts[[1, 3]]))


def test_the_mean_of_cameras_needs_more_blocks_where_one_alone_differs() -> None:
    ones, none = log_e_process(np.full(12, 5.0), np.full(12, 9.0)), log_e_process(np.zeros(12), np.zeros(12))
    assert np.exp(average_log_e([ones, none])) == pytest.approx((np.exp(ones) + 1) / 2)
    assert blocks_until(0.05, 1) == 6 and blocks_until(0.05, 6) == 8 and blocks_until(0.01, 1) > 6
    most = log_e_process(np.full(12, 100.0), np.full(12, 10_000.0))  # all bets that are large double
    assert np.exp(most[4]) < 20 and np.exp(most[6]) >= 20


@pytest.mark.parametrize(
    ("shift", "scale", "n_blocks"), [(3.0, 1.0, 40), (6.0, 1.5, 24), (12.0, 4.0, 16), (2.0, 3.0, 60)]
)
def test_the_chance_of_crossing_is_about_that_of_simulated_streams(shift: float, scale: float, n_blocks: int) -> None:
    random, count, streams = np.random.default_rng(2), 30.0, 6
    said = Growth(shift, count, scale).chance(0.05, streams, n_blocks)
    crossed = 0
    for _ in range(300):
        differences = random.normal(shift, np.sqrt(scale * count), n_blocks)
        crossed += log_e_process(differences, np.full(n_blocks, count)).max() >= np.log(streams / 0.05)
    assert said == pytest.approx(crossed / 300, abs=0.2) and said <= crossed / 300 + 0.08, "rather too small"


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
