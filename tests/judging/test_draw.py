"""The draw: known probabilities, one seed one draw, and nothing that was edited is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import liftgate
from judging.two_models import CONF, Person, drawn, predictions, two_models
from liftgate.errors import DataError, UsageError
from liftgate.judging.answers import answers_table, read_answers
from liftgate.judging.draw import MISSED, Draw
from liftgate.judging.draw_files import read_draw, write_draw
from liftgate.judging.pairing import KINDS, Units, pair_detections
from liftgate.judging.plan import default_budget, plan_of
from liftgate.judging.sizes import LARGEST_WEIGHT, scores_of

MODELS = two_models(2)
A_CAT, ITS_LEFT_HALF, A_DOG = (100, 100, 160, 160), (100, 100, 128, 160), (300, 300, 360, 360)


def pairs(ours: list[tuple[float, ...]], theirs: list[tuple[float, ...]]) -> Units:
    rows = [[(0, *row) for row in one] for one in (ours, theirs)]
    return pair_detections(*(predictions(MODELS.truth, one) for one in rows), CONF)


def kinds(units: Units) -> list[str]:
    return sorted(KINDS[kind] for kind in units.kind)


def test_the_same_box_of_the_same_class_is_agreed_and_one_below_the_threshold_is_not_there() -> None:
    assert kinds(pairs([(0, *A_CAT, 0.9), (0, *A_DOG, 0.1)], [(0, *A_CAT, 0.3)])) == ["agreed"]


def test_the_ways_to_differ() -> None:
    assert kinds(pairs([(0, *A_CAT, 0.9)], [(1, *A_CAT, 0.9)])) == ["other_class"]
    assert kinds(pairs([(0, *A_CAT, 0.9)], [(0, *ITS_LEFT_HALF, 0.9)])) == ["badly_placed"]
    assert kinds(pairs([(0, *A_CAT, 0.9)], [(0, *A_DOG, 0.9)])) == ["only_control", "only_treatment"]


def test_a_repeated_detection_does_not_take_the_partner_of_the_first() -> None:
    shifted = tuple(value + 8 for value in A_CAT)
    # The repetition of low confidence lies exactly on the other model's box.
    units = pairs([(0, *shifted, 0.9), (0, *A_CAT, 0.4)], [(0, *A_CAT, 0.9)])
    agreed = units.agreed
    assert units.control[agreed].tolist() == [0]
    assert kinds(units) == ["agreed", "only_control"]


def test_every_probability_is_known_above_zero_and_no_answer_stands_for_many() -> None:
    draw = drawn(MODELS, 90)
    p = np.array(draw.units.probability)
    assert (p >= 1 / LARGEST_WEIGHT - 1e-12).all() and (p <= 1).all()
    asked = [one for one in draw.questions if one.kind != MISSED]
    assert all(one.probability == draw.units.probability[one.unit] for one in asked)
    assert p.sum() == pytest.approx(len(asked), abs=1e-6)
    assert len(draw.questions) == 90
    assert {one.kind for one in draw.questions} >= {"agreed", "only_control", "only_treatment", MISSED}


def test_units_are_drawn_as_often_as_their_probability_says() -> None:
    models = two_models(6, groups=6, per_group=4)
    times, n = np.zeros(len(drawn(models, 40).units.kind)), 150
    for seed in range(n):
        draw = drawn(models, 40, seed)
        times[[one.unit for one in draw.questions if one.unit >= 0]] += 1
    p = np.array(draw.units.probability)
    inside = p < 1
    z = (times[inside] - n * p[inside]) / np.sqrt(n * p[inside] * (1 - p[inside]))
    assert abs(z.mean()) < 0.3 and 0.7 < z.std() < 1.3


def test_one_seed_is_one_draw_and_another_is_another() -> None:
    assert drawn(MODELS, 90, 5).hash == drawn(MODELS, 90, 5).hash
    assert drawn(MODELS, 90, 5).hash != drawn(MODELS, 90, 6).hash


def test_pages_do_not_give_away_which_model_comes_first() -> None:
    first = [one.marks[0].model for one in drawn(MODELS, 300).questions if one.kind == "agreed"]
    assert 0.3 < first.count("control") / len(first) < 0.7


def test_a_repeated_detection_is_shown_with_the_surer_one() -> None:
    rows = [(0, 0, *A_CAT, 0.9), (0, 0, *[value + 8 for value in A_CAT], 0.4)]
    models = MODELS._replace(control=predictions(MODELS.truth, rows))
    draw = drawn(models, 10_000)
    again = next(one for one in draw.questions if one.kind != MISSED and any(m.score == 0.4 for m in one.marks))
    assert [mark.score for mark in again.surer if mark.model == "control"] == [0.9]


def test_the_plan_says_the_number_of_judgements_and_where_they_do_not_pay() -> None:
    near = two_models(4, groups=40, apart=0.1, gain=0.1)
    units = pair_detections(near.control, near.treatment, CONF)
    budget = default_budget(units, scores_of(units, near.control, near.treatment))
    plan = plan_of(drawn(near, budget))
    assert plan.pays and plan.questions == budget and plan.questions < 0.5 * len(near.truth.labels)
    assert 1.1 < plan.width < 1.2
    assert plan.boxes == pytest.approx(len(near.truth.labels), rel=0.25)
    nothing_shared = MODELS._replace(treatment=two_models(9).treatment)  # of other pictures
    far = pair_detections(nothing_shared.control, nothing_shared.treatment, CONF)
    scores = scores_of(far, nothing_shared.control, nothing_shared.treatment)
    assert "will not pay" in plan_of(drawn(nothing_shared, default_budget(far, scores))).text


def test_the_plan_says_beforehand_what_will_settle_nothing() -> None:
    """Groups that nobody gave, models that disagree in a few groups only, and more clicks than boxes."""
    plan = plan_of(drawn(MODELS, 10_000))
    assert plan.notes == () and plan.groups_apart >= 5
    assert plan.agreement > 0.5 and not plan.pays and "too far apart" not in plan.text
    bare = MODELS._replace(truth=MODELS.truth.with_images([replace(one, group=None) for one in MODELS.truth.images]))
    assert "no groups are given" in plan_of(drawn(bare, 60)).notes[0]
    old, new = MODELS.control, MODELS.treatment
    first = np.array([image.group in ("g00", "g01") for image in MODELS.truth.images])
    rows = [np.flatnonzero(~first[old.image]), np.flatnonzero(first[new.image])]
    columns = [
        np.concatenate([getattr(one, name)[kept] for one, kept in zip((old, new), rows, strict=True)])
        for name in ("image", "cls", "boxes", "scores")
    ]
    near = MODELS._replace(
        treatment=replace(new, image=columns[0], cls=columns[1], boxes=columns[2], scores=columns[3])
    )
    (note,) = plan_of(drawn(near, 60)).notes
    assert "the models disagree in 2 of" in note and "nothing will be settled" in note


def test_the_same_predictions_twice_need_no_judgement() -> None:
    with pytest.raises(UsageError, match="the same predictions"):
        liftgate.judge(MODELS.control, MODELS.control, MODELS.truth)


def test_too_small_a_budget_is_refused() -> None:
    with pytest.raises(UsageError, match="too few judgements"):
        drawn(MODELS, 5)


def test_a_draw_is_read_as_it_was_written(tmp_path: Path) -> None:
    draw = drawn(MODELS, 90)
    write_draw(draw, tmp_path)
    assert read_draw(tmp_path) == draw == read_draw(tmp_path / "draw.json")


def first_question(document: dict[str, Any], key: str, value: object) -> None:
    document["questions"][0][key] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: first_question(d, "probability", 0.99), "the draw was edited"),
        (lambda d: first_question(d, "probability", 0.0), "not an inclusion probability"),
        (lambda d: first_question(d, "probability", float("nan")), "not an inclusion probability"),
        (lambda d: first_question(d, "unit", 10**6), "units or images that it does not have"),
        (lambda d: d["units"]["probability"].pop(), "differ in length"),
        (lambda d: d.pop("draw"), "not a draw"),
        (lambda d: d.pop("questions"), "not a draw"),
        (lambda d: d.update(seed="x"), "not a draw"),
    ],
)
def test_an_edited_draw_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = write_draw(drawn(MODELS, 90), tmp_path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        read_draw(path)


def test_an_edited_table_beside_the_draw_is_refused(tmp_path: Path) -> None:
    write_draw(drawn(MODELS, 90), tmp_path)
    table = tmp_path / "draw.csv"
    table.write_text(table.read_text().replace("agreed", "only_control", 1))
    with pytest.raises(DataError, match=r"draw\.csv was edited"):
        read_draw(tmp_path)


@pytest.fixture(scope="module")
def draw() -> Draw:
    return drawn(MODELS, 90)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HASH", "0" * 64, "answers to another draw"),
        ("q01", "q999", "no such question"),
        ("q02,", "q01,", "q01 is answered twice, first in line 2"),
        ("ANSWER", "perhaps", "not an answer to q01"),
        ("ANSWER", "", "not an answer to q01"),
    ],
)
def test_bad_answers_are_refused_by_file_and_line(tmp_path: Path, draw: Draw, old: str, new: str, message: str) -> None:
    answers = Person(MODELS).answers(draw)
    file = tmp_path / "answers.csv"
    text = answers_table(draw, answers).decode()
    old = {"HASH": draw.hash, "ANSWER": f"q01,{answers[0].answer}"}.get(old, old)
    new = f"q01,{new}" if "not an answer" in message else new
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as refused:
        read_answers(file, draw)
    assert "answers.csv:" in str(refused.value)


def test_answers_survive_their_file(tmp_path: Path, draw: Draw) -> None:
    answers = Person(MODELS).answers(draw, 'Ann "the, boss"')
    file = tmp_path / "answers.csv"
    file.write_bytes(answers_table(draw, answers))
    assert read_answers(file, draw) == answers
