"""Tests that may be looked at at any time: e-processes on the differences of blocks, averaged over independent streams.

Under the null a block's difference d is as often above zero as below, whatever came before and however large it is. A
bet of the share tanh(θd/v) on its sign then multiplies one's money by 1 + tanh(θd/v), and mixing over θ of both signs
needs no choice of it: the money is an e-process, and by Ville's inequality it ever reaches 1/α with a probability of at
most α, however often one looks. (Robbins 1970; Shafer 2021; Ramdas, Grünwald, Vovk and Shafer 2023.) The mean of the
e-processes of several cameras is one again. v, how much more differences vary than counts do by chance, comes from |d|
alone, which says nothing of the sign; without it a large difference would weigh no more than a small one.

Blocks make that null true: within a scene that stays the same for a while, differences have one sign because of the
scene. Blocks several times as long as the scene lasts are nearly independent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_THETAS = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
"""Half the logarithm of the odds of the one side, per independent event"""
_BOTH = np.concatenate([_THETAS, -_THETAS])
_LEAST_EVIDENCE = 9.0
"""Drop of χ² from which a correlation counts as seen"""
_FEWEST_STEPS = 4


def log_e_process(differences: Floats, counts: Floats) -> Floats:
    """Return the logarithm of the e-process after each block.

    Args:
        differences: (n,) of each block: what the first has alone less what the second has alone.
        counts: (n,) both together.

    >>> np.exp(log_e_process(np.array([3.0, 5.0, 4.0]), np.array([5.0, 6.0, 6.0]))).round(2).tolist()
    [1.0, 1.44, 2.26]
    """
    totals = np.cumsum(counts)
    scale = np.maximum(np.cumsum(differences**2) / np.where(totals > 0, totals, 1.0), 1.0)
    gains = _log_gains((differences / scale)[:, None] * _BOTH[None, :])
    return _log_mean(np.cumsum(gains, axis=0), axis=1)


def _log_gains(bets: Floats) -> Floats:
    """Return log(1 + tanh(bet))."""
    found: Floats = math.log(2) - np.logaddexp(0.0, -2 * bets)
    return found


def average_log_e(streams: Sequence[Floats]) -> Floats:
    """Return the logarithm of the mean of several e-processes after each block.

    Args:
        streams: (n,) each, over the same blocks.
    """
    return _log_mean(np.stack(streams, axis=1), axis=1)


def blocks_until(alpha: float, n_streams: int) -> int:
    """Return the fewest blocks, all of one sign, after which one stream can reach 1/α if the others lost everything.

    >>> blocks_until(0.05, 1), blocks_until(0.05, 6)
    (6, 8)
    """
    return math.ceil(math.log2(2 * n_streams / alpha))  # a half of the bets doubles at each block, at most


class Growth:
    """How an e-process grows by a block whose difference is normal about a shift."""

    def __init__(self, shift: float, count: float, scale: float) -> None:
        """Integrate over the differences of a block.

        Args:
            shift: expected difference of a block.
            count: expected count of a block; 0: nothing happens, and nothing grows.
            scale: variance of a difference, as a multiple of the count.
        """
        nodes, weights = _normal_nodes()
        values = shift + math.sqrt(scale * count) * nodes
        spread = max(scale + shift**2 / count, 1.0) if count > 0 else 1.0
        gains = _log_gains((values / spread)[:, None] * _THETAS[None, :])
        self._mean = weights @ gains
        self._deviation = np.sqrt(np.maximum(weights @ gains**2 - self._mean**2, 1e-12))

    def chance(self, alpha: float, n_streams: int, n_blocks: int) -> float:
        """Return how likely this stream of several crosses 1/α if the others lose everything: a random walk's end.

        Args:
            alpha: of the test.
            n_streams: whose e-processes are averaged.
            n_blocks: until the end.

        >>> round(Growth(shift=9.0, count=20.0, scale=1.5).chance(0.05, 6, 20), 1)
        1.0
        """
        if n_blocks < blocks_until(alpha, n_streams):
            return 0.0
        goal = math.log(n_streams / alpha) + math.log(len(_BOTH) / 2)
        reached = (n_blocks * self._mean - goal) / (self._deviation * math.sqrt(n_blocks))
        return 0.5 * math.erfc(-float(reached.max()) / math.sqrt(2))


@functools.cache
def _normal_nodes() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    return nodes, weights / weights.sum()


class ScenePersistence(NamedTuple):
    """How long a scene stays the same."""

    tau: float
    """Correlation time, in steps of the series: correlation falls as exp(−lag/τ); 0: none was seen"""
    share: float
    """Part of the variance that is correlated"""


def scene_persistence(series: Sequence[Floats], longest: int) -> ScenePersistence:
    """Return the correlation time of equally long series, one per camera, from their pooled autocorrelation.

    r·exp(−lag/τ), as it looks after the mean of a short series is taken off, is fitted by weighted least squares. (That
    mean follows the scene, which makes a correlation look shorter and smaller than it is.) A correlation that could be
    chance counts as none.

    Args:
        series: values in equal steps of time.
        longest: largest τ that is tried, in steps.
    """
    # A camera with more going on does not drown the others: each is scaled to variance 1.
    scaled = np.array([(one - one.mean()) / one.std() for one in series if np.ptp(one) > 0])
    if not len(scaled) or scaled.shape[1] < _FEWEST_STEPS:
        return ScenePersistence(0.0, 0.0)
    length, total = scaled.shape[1], scaled.size
    lags, taus, shapes, shares_of_mean = _expected_shapes(length, longest)
    power = (np.abs(np.fft.rfft(scaled, 2 * length, axis=1)) ** 2).sum(axis=0)
    found = np.fft.irfft(power)[lags] / total
    weights = 1 / (1 - lags / length)  # the sums have fewer terms at longer lags
    along, length_of = (shapes * found * weights).sum(axis=1), (shapes**2 * weights).sum(axis=1)
    fits = along / length_of
    gains = np.where(fits > 0, total * (2 * fits * along - fits**2 * length_of), 0.0)
    best = int(gains.argmax())
    if gains[best] <= _LEAST_EVIDENCE:
        return ScenePersistence(0.0, 0.0)
    share = fits[best] / (1 + fits[best] * shares_of_mean[best])  # of the variance before the mean was taken off
    return ScenePersistence(float(taus[best]), min(float(share), 1.0))


@functools.lru_cache(maxsize=32)
def _expected_shapes(length: int, longest: int) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Return lags, candidates for τ, and for each the expected autocovariances of exp(−lag/τ) less the series' mean.

    The last is the variance of that mean: the part of the variance that is taken off with it.
    """
    lags = np.arange(1, max(min(3 * longest, length // 2), 2))
    taus = np.geomspace(0.5, longest, 40)
    shapes, shares = np.empty((len(taus), len(lags))), np.empty(len(taus))
    for row, tau in enumerate(taus):
        kernel = np.exp(-np.arange(length) / tau)
        sums = np.cumsum(kernel)
        with_mean = (sums + sums[::-1] - 1) / length  # covariance of each value with the mean
        shares[row] = with_mean.mean()
        upto = np.concatenate([[0.0], np.cumsum(with_mean)])
        both = upto[length - lags] + upto[length] - upto[lags]
        shapes[row] = ((length - lags) * (kernel[lags] + shares[row]) - both) / length
    return lags, taus, shapes, shares


def _log_mean(values: Floats, axis: int) -> Floats:
    top = values.max(axis=axis, keepdims=True)
    found: Floats = np.log(np.exp(values - top).mean(axis=axis)) + top.squeeze(axis)
    return found
