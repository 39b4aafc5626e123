"""The judgements go where they tell most, and what the audit of agreed pairs leaves unknown is in the interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.two_models import CONF, two_models
from liftgate.judging.allocation import allocate, audit_error
from liftgate.judging.pairing import pair_detections
from liftgate.judging.sizes import LARGEST_WEIGHT, scores_of

NEAR = two_models(4, groups=40, apart=0.1, gain=0.1)
UNITS = pair_detections(NEAR.control, NEAR.treatment, CONF)
SCORE = scores_of(UNITS, NEAR.control, NEAR.treatment)


@pytest.mark.parametrize("budget", [20, 60, 150, len(UNITS)])
def test_as_many_as_were_asked_for_are_expected_and_nobody_stands_for_many(budget: int) -> None:
    p = allocate(UNITS, SCORE, budget).probability
    assert p.sum() == pytest.approx(min(budget, len(UNITS)), abs=1e-6)
    assert (p <= 1).all() and (p >= min(1 / LARGEST_WEIGHT, budget / len(UNITS) / 20)).all()


def test_more_judgements_add_less_variance_and_all_of_them_none() -> None:
    added = [allocate(UNITS, SCORE, budget).variance for budget in (30, 60, 120, 240)]
    assert (np.diff(added) < 0).all()
    assert allocate(UNITS, SCORE, len(UNITS)).variance == 0


def test_no_other_division_that_was_tried_adds_less() -> None:
    best = allocate(UNITS, SCORE, 120)
    size = 120 - best.agreed
    assert 10 <= best.agreed < 0.4 * 120  # agreed pairs rarely differ in truth
    assert best.probability[~UNITS.agreed].sum() == pytest.approx(min(size, (~UNITS.agreed).sum()), abs=1e-6)


@given(
    st.lists(st.floats(0.001, 0.5), min_size=1, max_size=60), st.floats(0.03, 1), st.floats(-1, 1), st.integers(0, 99)
)
def test_the_shrunk_estimate_of_agreed_pairs_is_no_further_off_than_it_says(
    chance: list[float], share: float, side: float, seed: int
) -> None:
    """Whichever model the pairs of unlike truth are to the credit of."""
    rates, p = np.array(chance), np.full(len(chance), share)
    error, shrink = audit_error(rates, p)
    rng, runs = np.random.default_rng(seed), 1500
    sign = np.where(rng.uniform(size=(runs, len(rates))) < (1 + side) / 2, 1, -1)
    truth = sign * (rng.uniform(size=(runs, len(rates))) < rates)
    seen = rng.uniform(size=truth.shape) < p
    estimate = shrink * (truth * seen / p).sum(axis=1)
    squares = (estimate - truth.sum(axis=1)) ** 2
    assert squares.mean() < error + 4 * squares.std() / np.sqrt(runs) + 1e-9
