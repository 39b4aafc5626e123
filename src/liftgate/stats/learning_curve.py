"""Extrapolate a learning curve: where a metric will be after more epochs, with an interval.

Two families that learning curves were found to follow are fitted (Viering & Loog 2023): POW4 c − (a x + b)^−α, and MMF4
(a b + c x^δ) / (b + x^δ). Later epochs weigh more. Residuals are drawn in blocks, because neighbouring epochs are
alike, and both families are fitted again to every such curve; the residual of a late epoch is added to each end. What
the interval holds in public runs is measured, not promised by theory: docs/training.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_EPOCHS = 8
"""Of a curve that is extrapolated"""
LEVEL = 0.8
_DRAWS = 40
_SEED = 20_260_105  # fixed: the same curve gives the same forecast


class Forecast(NamedTuple):
    """A metric after more epochs."""

    value: float
    """Median"""
    low: float
    high: float
    level: float
    epochs: int
    """Epochs that it rests on"""
    at: int
    """Epoch of the forecast"""


class _Family(NamedTuple):
    curve: Callable[[Floats, Floats], Floats]
    """(parameters, epochs) → values"""
    lowest: Floats
    highest: Floats
    starts: Callable[[Floats], list[Floats]]
    """From the values of the curve"""


def forecast(values: Floats, at: int, *, level: float = LEVEL) -> Forecast | None:
    """Return where a metric from 0 to 1 will be after epoch `at`; None: there is nothing to go on from.

    That is with fewer than eight epochs, or where all of them have one value: a curve that never moved shows no spread,
    and the interval would be one number.

    Args:
        values: (n,) the metric after epochs 1 … n; epochs without a number are passed over.
        at: epoch, n or later.
        level: of the interval.
    """
    epochs = (np.flatnonzero(np.isfinite(values)) + 1).astype(np.float64)
    known = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    if len(known) < LEAST_EPOCHS or np.ptp(known) == 0:
        return None
    rng = np.random.default_rng(_SEED)
    ends = [end for family in (_POW4, _MMF4) for end in _drawn_ends(family, epochs, known, float(at), rng)]
    low, middle, high = np.quantile(np.clip(ends, 0.0, 1.0), [(1 - level) / 2, 0.5, (1 + level) / 2])
    return Forecast(float(middle), float(low), float(high), level, len(known), at)


def _drawn_ends(family: _Family, epochs: Floats, values: Floats, at: float, rng: np.random.Generator) -> list[float]:
    count, weights = len(values), np.sqrt(epochs / epochs[-1])
    best = min((_fit(family, epochs, values, weights, start) for start in family.starts(values)), key=lambda f: f[1])[0]
    fitted = family.curve(best, epochs)
    residuals = values - fitted
    late, block = residuals[count // 3 :], max(2, count // 8)
    ends = []
    for _ in range(_DRAWS):
        begins = rng.integers(0, count - block + 1, count // block + 1)
        rows = (begins[:, None] + np.arange(block)[None, :]).ravel()[:count]
        again = _fit(family, epochs, fitted + residuals[rows], weights, best)[0]
        ends.append(float(family.curve(again, np.array([at]))[0]) + float(rng.choice(late)))
    return ends


def _fit(family: _Family, epochs: Floats, values: Floats, weights: Floats, start: Floats) -> tuple[Floats, float]:
    """Return the parameters, and what the fit costs."""
    from scipy.optimize import least_squares  # takes a tenth of a second to import

    def residuals(parameters: Floats) -> Floats:
        return np.asarray((family.curve(parameters, epochs) - values) * weights, dtype=np.float64)

    room = 1e-6 * (family.highest - family.lowest)
    found = least_squares(
        residuals, np.clip(start, family.lowest + room, family.highest - room), bounds=(family.lowest, family.highest),
        loss="soft_l1", f_scale=0.02, max_nfev=60,
    )  # fmt: skip
    return np.asarray(found.x, dtype=np.float64), float(found.cost)


def _pow4(parameters: Floats, epochs: Floats) -> Floats:
    slope, offset, end, power = parameters
    return np.asarray(end - np.power(slope * epochs + offset, -power), dtype=np.float64)


def _mmf4(parameters: Floats, epochs: Floats) -> Floats:
    begin, half, end, power = parameters
    raised = np.power(epochs, power)
    return np.asarray((begin * half + end * raised) / (half + raised), dtype=np.float64)


def _end(values: Floats) -> float:
    return float(np.clip(values.max() + 0.03, 0.01, 0.99))


_POW4 = _Family(
    _pow4, np.array([1e-3, 1.0, 0.0, 0.05]), np.array([50.0, 50.0, 1.0, 5.0]),
    lambda values: [np.array([1.0, 1.0, _end(values), 0.7]), np.array([0.1, 1.0, _end(values), 1.5])],
)  # fmt: skip
_MMF4 = _Family(
    _mmf4, np.array([-1.0, 1e-3, 0.0, 0.1]), np.array([1.0, 1e4, 1.0, 4.0]),
    lambda values: [np.array([values[0], 10.0, _end(values), 1.0]), np.array([values[0], 100.0, _end(values), 2.0])],
)  # fmt: skip
