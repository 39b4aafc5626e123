"""Logistic regression with a ridge, by Newton's method: odds of a small table of evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_STEPS = 50
_LARGEST = 30.0
"""Of a logit: odds beyond e^30 say nothing more"""


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A fitted regression."""

    mean: Floats
    """(F,) of the evidence"""
    spread: Floats
    """(F,) standard deviation of the evidence; 1 where it does not vary"""
    weights: Floats
    """(1 + F,) constant, then one for each column, standardised"""

    def odds(self, evidence: Floats) -> Floats:
        """Return (n,) odds of the first kind against the second, both taken as equally frequent."""
        linear = _design(evidence, self.mean, self.spread) @ self.weights
        return np.asarray(np.exp(np.clip(linear, -_LARGEST, _LARGEST)), dtype=np.float64)


def fit_logistic(first: Floats, second: Floats, *, ridge: float = 1.0) -> Logistic:
    """Fit the odds of the rows of `first` (a, F) against those of `second` (b, F), each kind with the weight b in all.

    Args:
        first: evidence of the first kind, at least one row.
        second: evidence of the second kind, at least one row.
        ridge: penalty on the squared weights; keeps them finite where the kinds do not overlap.

    >>> fitted = fit_logistic(np.array([[2.0], [3.0], [1.0]]), np.array([[0.0], [-1.0], [1.0]]))
    >>> bool(fitted.odds(np.array([[3.0]]))[0] > 1 > fitted.odds(np.array([[-1.0]]))[0])
    True
    """
    evidence = np.concatenate([first, second])
    target = np.concatenate([np.ones(len(first)), np.zeros(len(second))])
    weight = np.concatenate([np.full(len(first), len(second) / len(first)), np.ones(len(second))])
    mean = np.average(evidence, axis=0, weights=weight)
    spread = np.sqrt(np.average((evidence - mean) ** 2, axis=0, weights=weight))
    spread = np.where(spread > 1e-9, spread, 1.0)
    design = _design(evidence, mean, spread)
    found, penalty = np.zeros(design.shape[1]), np.eye(design.shape[1]) * ridge
    penalty[0, 0] = 1e-6
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -_LARGEST, _LARGEST)))
        slope = design.T @ (weight * (chance - target)) + penalty @ found
        curve = (design * (weight * chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        found = found - step
        if float(np.abs(step).max()) < 1e-6:
            break
    return Logistic(mean, spread, found)


def held_out_odds(first: Floats, second: Floats, *, folds: int = 5) -> Floats:
    """Return (b,) odds of each row of `second`, from a fit that has not seen it.

    A rare row of the first kind among the second would else count as an example against itself.

    Args:
        first: (a, F) evidence of the first kind, at least one row.
        second: (b, F) evidence of the second kind, at least two rows.
        folds: in how many parts `second` is left out in turn.
    """
    fold = np.arange(len(second)) % min(folds, len(second))
    odds = np.zeros(len(second))
    for part in range(int(fold.max()) + 1):
        out = fold == part
        odds[out] = fit_logistic(first, second[~out]).odds(second[out])
    return odds


def _design(evidence: Floats, mean: Floats, spread: Floats) -> Floats:
    return np.concatenate([np.ones((len(evidence), 1)), (evidence - mean) / spread], axis=1)
