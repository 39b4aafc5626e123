"""Tests that may be looked at at any time: e-processes on the sign of blocks, averaged over independent streams.

Under the null a block's difference is as often above zero as below, whatever came before. A bet of the share λ on the
sign then multiplies one's money by 1 + λs, and mixing over λ needs no choice of it: the money is an e-process, and by
Ville's inequality it ever reaches 1/α with a probability of at most α, however often one looks. (Robbins 1970; Shafer
2021; Ramdas, Grünwald, Vovk and Shafer 2023.) The mean of the e-processes of several cameras is one again.

Blocks make that null true: within a scene that stays the same for a while, differences have one sign because of the
scene. Blocks several times as long as the scene lasts are nearly independent.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LAMBDAS = (np.arange(50) + 0.5) / 50
_LEAST_EVIDENCE = 9.0
"""Drop of χ² from which a correlation counts as seen"""
_FEWEST_STEPS = 4


def log_e_process(signs: NDArray[np.int8]) -> Floats:
    """Return the logarithm of the e-process after each block.

    Args:
        signs: (n,) −1, 0 or 1: the sign of each block's difference; 0 changes nothing.

    >>> np.exp(log_e_process(np.ones(3, np.int8))).round(2).tolist()
    [1.0, 1.33, 2.0]
    """
    steps = np.asarray(signs, dtype=np.float64)[:, None]
    lambdas = np.concatenate([_LAMBDAS, -_LAMBDAS])[None, :]
    paths = np.cumsum(np.log1p(lambdas * steps), axis=0)
    return _log_mean(paths, axis=1)


def average_log_e(streams: Sequence[Floats]) -> Floats:
    """Return the logarithm of the mean of several e-processes after each block.

    Args:
        streams: (n,) each, over the same blocks.
    """
    return _log_mean(np.stack(streams, axis=1), axis=1)


def blocks_until(alpha: float, n_streams: int) -> int:
    """Return how many blocks of one sign in one stream reach 1/α, where the other streams stay where they are.

    >>> blocks_until(0.05, 1), blocks_until(0.05, 6)
    (8, 11)
    """
    needed = n_streams / alpha
    path = np.exp(log_e_process(np.ones(200, dtype=np.int8)))
    return int(np.argmax(path >= needed)) + 1


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
