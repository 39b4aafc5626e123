"""Statistics of a curve: Theil–Sen slope, noise, running median, sparkline."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MAX_EPOCHS_ALL_PAIRS = 1000  # epochs up to which every pair is compared
_MIN_NOISE = 0.001  # standard deviation: metrics are not more precise than that


class Slope(NamedTuple):
    """Theil–Sen slope per epoch and its interval."""

    estimate: float
    low: float
    high: float


def theil_sen(values: Floats, level: float = 0.99) -> Slope:
    """Return the median of all pairwise slopes and Sen's interval (Sen 1968), for equally spaced values.

    The level is high because neighbouring epochs are not independent: a nominal 0.99 is an actual 0.95 or so.

    >>> theil_sen(np.array([0., 1., 2., 3., 4., 5.])).estimate
    1.0
    """
    n = len(values)
    if n < 3:
        return Slope(0.0, -np.inf, np.inf)
    if n > _MAX_EPOCHS_ALL_PAIRS:  # the pairs of ten thousand epochs are fifty million
        width = -(-n // (_MAX_EPOCHS_ALL_PAIRS // 2))
        blocks = [nan_median(values[start : start + width]) for start in range(0, n - width + 1, width)]
        return Slope(*(bound / width for bound in theil_sen(np.array(blocks), level)))
    i, j = np.triu_indices(n, k=1)
    slopes = np.sort((values[j] - values[i]) / (j - i))
    spread = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = int(np.floor((len(slopes) - spread) / 2))
    high = int(np.ceil((len(slopes) + spread) / 2))
    bounds = (
        slopes[low] if low >= 0 else -np.inf,
        slopes[high] if high < len(slopes) else np.inf,
    )
    return Slope(float(np.median(slopes)), float(bounds[0]), float(bounds[1]))


def noise(values: Floats) -> float:
    """Return the standard deviation of the curve around its own local trend, robustly; never under 0.001.

    >>> noise(np.linspace(0, 1, 50))
    0.001
    """
    known = values[np.isfinite(values)]
    if len(known) < 4:
        return _MIN_NOISE
    steps = np.diff(known)
    centred = np.abs(steps - np.median(steps))
    return max(_MIN_NOISE, float(1.4826 * np.median(centred) / np.sqrt(2)))


def smooth(values: Floats, width: int = 5) -> Floats:
    """Return the running median (shorter at the ends), which a single odd epoch does not move."""
    half = width // 2
    padded = np.pad(values.astype(np.float64), half, constant_values=np.nan)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)  # NaN goes last
    known = np.isfinite(windows).sum(axis=1)
    rows = np.arange(len(values))
    smoothed: Floats = (windows[rows, np.maximum(known - 1, 0) // 2] + windows[rows, known // 2]) / 2
    return smoothed


def nan_median(values: Floats) -> float:
    """Return the median of the finite values; NaN where there are none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def sparkline(values: Floats, width: int = 40) -> str:
    """Return a curve as a line of block characters, at most `width` long.

    >>> sparkline(np.array([0., .5, 1.]))
    '▁▅█'
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    pieces = np.array_split(values, min(width, len(values)))
    means = np.array([nan_median(piece) for piece in pieces])
    span = known.max() - known.min()
    level = np.nan_to_num((means - known.min()) / span if span else np.zeros(len(means)), nan=0.0)
    return "".join("▁▂▃▄▅▆▇█"[min(7, round(float(x) * 8 - 0.5 + 0.01))] if x > 0 else "▁" for x in level)
