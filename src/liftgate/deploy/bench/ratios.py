"""Ratios of two models' times from blocks that were measured in turns, and whether they count."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from liftgate.deploy.bench.records import RatioWord
from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import MIN_GROUPS, Interval

NOISE_LIMIT = 0.05
"""How far the ratio of a model to itself may be from 1; beyond, no other ratio counts"""
_METHOD = "paired-blocks-log-t"


def block_ratio(times: Sequence[float], reference: Sequence[float], n_images: int, level: float = 0.95) -> Interval:
    """Return the ratio of two models' times with its interval from pairs of blocks.

    Args:
        times: one time for each round, of any unit.
        reference: times of the other model in the same rounds.
        n_images: images behind all of these times.
        level: of the interval.

    >>> ratio = block_ratio([2.0, 2.1, 1.9, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0], 500)
    >>> f"{ratio.estimate:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    '2.00 [1.91, 2.09]'
    """
    logs = np.log(np.asarray(times, dtype=np.float64) / np.asarray(reference, dtype=np.float64))
    count, mean = len(logs), float(logs.mean())
    if count < MIN_GROUPS:
        note = f"not established: {count} blocks, at least {MIN_GROUPS} are needed"
        return Interval(math.exp(mean), None, None, level, _METHOD, n_images, count, note=note)
    error = float(logs.std(ddof=1)) / math.sqrt(count)
    half = t_quantile(level, count - 1) * error
    bounds = math.exp(mean - half), math.exp(mean + half)
    return Interval(math.exp(mean), *bounds, level, _METHOD, n_images, count, standard_error=error)


def judge_ratio(ratio: Interval, same_model: Interval) -> RatioWord:
    """Return whether a model is faster or slower than the reference, beyond what the machine's noise does alone.

    Args:
        ratio: time of the model / time of the reference.
        same_model: the same ratio of the reference in two processes.

    >>> quiet = Interval(1.01, 0.99, 1.03, 0.95, "t", 100, 10)
    >>> judge_ratio(Interval(0.8, 0.7, 0.9, 0.95, "t", 100, 10), quiet)
    'faster'
    >>> judge_ratio(Interval(0.8, 0.7, 0.9, 0.95, "t", 100, 10), Interval(1.08, 1.0, 1.2, 0.95, "t", 100, 10))
    'too noisy to say'
    """
    if None in (ratio.low, ratio.high, same_model.low, same_model.high):
        return "too noisy to say"
    assert ratio.low is not None and ratio.high is not None
    assert same_model.low is not None and same_model.high is not None
    if abs(math.log(same_model.estimate)) > math.log1p(NOISE_LIMIT):
        return "too noisy to say"
    if ratio.high < min(1.0, same_model.low):
        return "faster"
    if ratio.low > max(1.0, same_model.high):
        return "slower"
    return "no difference shown"
