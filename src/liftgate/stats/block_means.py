"""A test that is looked at once: whether the mean difference of blocks of time is zero, by Student's t.

With few blocks whose differences are about normal, of whatever unequal variances, the t test at levels up to 8% is not
called too often (Ibragimov and Müller 2010). Blocks of four correlation times are nearly independent; what correlation
is left between neighbours is known, and taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from liftgate.stats.block_signs import Floats
from liftgate.stats.distributions import t_quantile, t_tails

FEWEST_BLOCKS = 8
"""With fewer the correlation time is known too roughly to rest on"""
BLOCKS_OF_TAU = 4.0
"""Correlation times that a block is long"""
_BETWEEN = (1 - math.exp(-BLOCKS_OF_TAU)) ** 2
_WITHIN = 2 * (BLOCKS_OF_TAU - 1 + math.exp(-BLOCKS_OF_TAU))
_WIDER = math.sqrt(1 + 2 * _BETWEEN / _WITHIN)
"""Standard error of the mean, as a multiple of what independent blocks would have: 1.15, by exp(−lag/τ)"""


def mean_p_values(streams: Sequence[Floats]) -> list[float] | None:
    """Return for each stream the two-sided p that its mean is zero, times their number (Bonferroni); None: few blocks.

    Args:
        streams: differences of the blocks of one camera each, of one length.

    >>> import numpy as np
    >>> [round(p, 4) for p in mean_p_values([np.array([3.0, 5.0, 4.0, 6.0, 5.0, 4.0, 9.0, 1.0])])]
    [0.0018]
    """
    count = len(streams[0]) if streams else 0
    if count < FEWEST_BLOCKS:
        return None
    return [min(len(streams) * t_tails(_t_value(one), count - 1), 1.0) for one in streams]


def mean_chance(shift: float, deviation: float, alpha: float, n_streams: int, n_blocks: int) -> float:
    """Return how likely one of `mean_p_values` is at most α where its stream has a mean: noncentral t, approximated.

    Args:
        shift: expected difference of a block of that stream.
        deviation: standard deviation of a block's difference; 0: nothing happens, and nothing is seen.
        alpha: of the test.
        n_streams: that are tested.
        n_blocks: of each.

    >>> round(mean_chance(3.0, 4.0, 0.03, 6, 24), 2), mean_chance(3.0, 4.0, 0.03, 6, 7)
    (0.55, 0.0)
    """
    if n_blocks < FEWEST_BLOCKS or deviation <= 0:
        return 0.0
    free = n_blocks - 1
    bar = t_quantile(1 - alpha / n_streams, free)
    centre = shift * math.sqrt(n_blocks) / (deviation * _WIDER)
    short = (bar * (1 - 1 / (4 * free)) - centre) / math.sqrt(1 + bar**2 / (2 * free))
    return 0.5 * math.erfc(short / math.sqrt(2))


def _t_value(differences: Floats) -> float:
    """Return t; 0 where nothing varies."""
    deviation = float(differences.std(ddof=1))
    return 0.0 if deviation == 0 else float(differences.mean()) / deviation * math.sqrt(len(differences)) / _WIDER
