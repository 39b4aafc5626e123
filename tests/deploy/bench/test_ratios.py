"""Ratios of times from blocks: how often the interval holds, and when a ratio counts at all."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.deploy.bench.ratios import block_ratio, judge_ratio
from liftgate.stats.interval import Interval


def interval(low: float, high: float) -> Interval:
    return Interval((low * high) ** 0.5, low, high, 0.95, "t", 100, 10)


def test_the_interval_holds_the_true_ratio_where_the_machine_drifts() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        drift = np.exp(np.cumsum(random.normal(0, 0.3, 10)))  # both models of a round are slowed alike
        a = 10.0 * drift * np.exp(random.normal(0, 0.05, 10))
        b = 7.0 * drift * np.exp(random.normal(0, 0.05, 10))
        ratio = block_ratio(b, a, 1000)
        assert ratio.low is not None and ratio.high is not None
        held += ratio.low <= 0.7 <= ratio.high
    assert 0.93 <= held / 600 <= 0.97


def test_two_equal_models_are_rarely_called_different() -> None:
    random = np.random.default_rng(1)
    words = []
    for _ in range(400):
        a, again, b = (10 * np.exp(random.normal(0, 0.03, 10)) for _ in range(3))
        words.append(judge_ratio(block_ratio(b, a, 1000), block_ratio(again, a, 1000)))
    assert sum(word in ("faster", "slower") for word in words) <= 0.04 * 400


@pytest.mark.parametrize(
    ("ratio", "same_model", "word"),
    [
        ((0.7, 0.9), (0.98, 1.02), "faster"),
        ((1.1, 1.3), (0.98, 1.02), "slower"),
        ((0.95, 1.1), (0.98, 1.02), "no difference shown"),
        ((0.95, 0.99), (0.94, 1.05), "no difference shown"),
        ((0.3, 0.4), (1.04, 1.08), "too noisy to say"),
        ((0.3, 0.4), (0.92, 0.97), "too noisy to say"),
        ((1.01, 1.03), (1.0, 1.04), "no difference shown"),
    ],
)
def test_a_ratio_counts_only_beside_a_quiet_ratio_of_the_model_to_itself(
    ratio: tuple[float, float], same_model: tuple[float, float], word: str
) -> None:
    assert judge_ratio(interval(*ratio), interval(*same_model)) == word


def test_under_five_blocks_there_is_no_interval_and_nothing_is_said() -> None:
    few = block_ratio([1.0, 1.1, 0.9, 1.0], [2.0, 2.0, 2.0, 2.0], 40)
    assert not few.established and "4 blocks" in few.note
    assert judge_ratio(few, interval(0.99, 1.01)) == "too noisy to say"
