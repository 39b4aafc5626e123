"""Odds of evidence: those of the true densities where there is enough of it, finite where the kinds do not overlap."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.stats.logistic import fit_logistic


def test_odds_are_those_of_two_normal_densities_whatever_their_numbers() -> None:
    rng = np.random.default_rng(0)
    fitted = fit_logistic(rng.normal(1, 1, (3000, 1)), rng.normal(-1, 1, (9000, 1)))
    at = np.array([[-1.0], [0.0], [1.0]])
    assert fitted.odds(at) == pytest.approx(np.exp(2 * at[:, 0]), rel=0.2)  # density ratio of N(1, 1) and N(−1, 1)


def test_kinds_that_do_not_overlap_and_columns_that_do_not_vary_stay_finite() -> None:
    first, second = np.array([[1.0, 5.0]] * 20), np.array([[0.0, 5.0]] * 20)
    odds = fit_logistic(first, second).odds(np.concatenate([first[:1], second[:1]]))
    assert np.isfinite(odds).all() and odds[0] > 5 and odds[1] < 0.2
