"""The judgements go where they tell most, and what the audit of agreed pairs leaves unknown is in the interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.two_models import CONF, two_models
from liftgate.data.core.predictions import Predictions
from liftgate.judging.allocation import OneSidedness, allocate, audit_error, one_sidedness
from liftgate.judging.pairing import Units, pair_detections
from liftgate.judging.sizes import LARGEST_WEIGHT, level_variance, scores_of

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
    error, shrink = audit_error(rates, p, OneSidedness(0.25, max(side**2, 0.25)))
    rng, runs = np.random.default_rng(seed), 1500
    sign = np.where(rng.uniform(size=(runs, len(rates))) < (1 + side) / 2, 1, -1)
    truth = sign * (rng.uniform(size=(runs, len(rates))) < rates)
    seen = rng.uniform(size=truth.shape) < p
    estimate = shrink * (truth * seen / p).sum(axis=1)
    squares = (estimate - truth.sum(axis=1)) ** 2
    assert squares.mean() < error + 4 * squares.std() / np.sqrt(runs) + 1e-9


def test_where_one_model_makes_fewer_detections_more_agreed_pairs_are_audited() -> None:
    """Precision divides by unequal numbers there, so that it also asks whether both boxes of a pair are right."""
    disagree = np.arange(120) % 2  # one model's as often as the other's, or only the first's
    audited = []
    for others in (np.ones(120) + disagree, np.ones(120)):
        kind = np.concatenate([np.zeros(300), others]).astype(np.int64)
        row = np.arange(420)
        units = Units(
            kind, row, np.where(kind == 2, -1, row), np.where(kind == 1, -1, row), np.where(kind == 0, 0.9, 0.0)
        )
        score = np.full(420, 0.7)
        level = level_variance(units, score)
        audited.append((allocate(units, score, 100).agreed, float(level[0])))
    (even, none), (uneven, some) = audited
    assert none == 0 and some == pytest.approx((2 * 120 / 720) ** 2 * 0.91 * 0.09)
    assert uneven > 1.5 * even


def test_few_answers_about_agreed_pairs_move_the_estimate_little() -> None:
    """Pairs of unlike truth are rarely all to one model's credit; a tenth of 100 pairs, one of them found."""
    sided = one_sidedness(0, 0)
    few, many = (audit_error(np.full(100, 0.01), np.full(100, share), sided)[1] for share in (0.1, 0.9))
    assert few < 0.2 < 0.9 < many


def test_only_pairs_to_both_models_credit_show_that_most_of_them_cancel() -> None:
    assert one_sidedness(0, 0).at_most > 0.8, "an audit that finds none leaves nearly the worst case"
    assert one_sidedness(0, 6).at_most > 0.95
    assert one_sidedness(0, 6) == pytest.approx(one_sidedness(6, 0))
    balanced = [one_sidedness(n, n).at_most for n in (0, 1, 3, 10)]
    assert (np.diff(balanced) < 0).all() and balanced[-1] < 0.15


@pytest.mark.parametrize("to_second", [0.8, 0.9, 1.0])
def test_the_share_of_one_models_credit_is_rarely_beyond_what_the_audit_says(to_second: float) -> None:
    rng = np.random.default_rng(3)
    found = [(number - second, second) for number in (1, 3, 8) for second in rng.binomial(number, to_second, 60)]
    beyond = [(2 * to_second - 1) ** 2 > one_sidedness(*one).at_most for one in found]
    if to_second < 1:
        assert np.mean(beyond) <= 0.15
    else:  # all of them, and the audit has seen only such
        assert all(one_sidedness(*one).at_most > 0.9 for one in found)


def test_a_weak_detection_of_the_other_model_makes_one_without_a_partner_likelier() -> None:
    seen = Predictions(("a",), ("cat",), *row(0.4))
    weak = Predictions(("a",), ("cat",), *row(0.1, moved=1.0))
    elsewhere = Predictions(("a",), ("cat",), *row(0.1, moved=300.0))
    units = pair_detections(seen, weak, CONF)
    assert len(units) == 1
    assert scores_of(units, seen, weak)[0] == pytest.approx(1 - 0.6 * (1 - np.sqrt(0.1)))
    assert scores_of(units, seen, elsewhere)[0] == pytest.approx(0.4)
    mirrored = pair_detections(weak, seen, CONF)
    assert scores_of(mirrored, weak, seen) == pytest.approx(scores_of(units, seen, weak))


def row(score: float, moved: float = 0.0) -> tuple[np.ndarray, ...]:
    whole = np.zeros(1, dtype=np.int64)
    return whole, whole, np.array([[10.0, 10, 60, 60]]) + moved, np.array([score])
