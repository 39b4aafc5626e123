"""Judging group by group until it is settled: every look is valid, and no group is passed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import liftgate
from judging.two_models import CONF, Models, Person, two_models
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.verdict import groups_that_settle
from liftgate.judging.answers import Answer, answers_table, merge_answers
from liftgate.judging.compare import JudgedComparison, compare_answers
from liftgate.judging.draw import Draw, DrawnModel, Until, draw_questions
from liftgate.judging.draw_files import read_draw, write_draw
from liftgate.judging.pairing import pair_detections
from liftgate.judging.part import judged_part
from liftgate.services.judging import until_gate
from liftgate.stats.always_valid import always_valid_quantile
from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import Interval

MODELS = two_models(8, groups=24)


def drawn(models: Models, until: Until | None, budget: int = 260) -> Draw:
    units = pair_detections(models.control, models.treatment, CONF)
    names = (DrawnModel("old", models.control.content_hash()), DrawnModel("new", models.treatment.content_hash()))
    return draw_questions(
        models.truth,
        models.control,
        models.treatment,
        units,
        models=names,
        conf=CONF,
        budget=budget,
        seed=1,
        until=until,
    )


DRAW = drawn(MODELS, Until("precision", -0.2))
ANSWERS = Person(MODELS).answers(DRAW)


def after(groups: int, draw: Draw = DRAW, answers: list[Answer] = ANSWERS) -> JudgedComparison:
    done = set(draw.group_order[:groups])
    group_of = {one.id: draw.images[one.image].group for one in draw.questions}
    kept = [one for one in answers if group_of[one.question] in done]
    until = draw.until
    assert until is not None
    return compare_answers(draw, merge_answers(draw, kept), metric=until.metric, margin=until.margin)


def test_questions_come_group_by_group_in_a_random_order_of_all_groups() -> None:
    groups = [DRAW.images[one.image].group for one in DRAW.questions]
    order = list(dict.fromkeys(groups))
    assert len(order) == len([group for group, before in zip(groups, [None, *groups], strict=False) if group != before])
    assert order == [group for group in DRAW.group_order if group in order]
    assert sorted(DRAW.group_order) == sorted({image.group for image in DRAW.images}) != list(DRAW.group_order)


def test_a_verdict_can_be_asked_for_after_any_group_and_says_when_to_stop() -> None:
    early, later = after(3), after(24)
    assert early.verdict == "MARGINAL" and not early.comparison.delta.established
    assert later.verdict == "PASS" and later.comparison.delta.method == "always-valid-t"
    first = next(count for count in range(5, 25) if after(count).verdict == "PASS")
    stopped = after(first)
    assert first < 24 and stopped.progress is not None
    assert stopped.progress.questions_left > 0
    assert "settled, stop here" in stopped.progress.text(stopped.verdict)


def test_it_says_about_how_many_more_answers_it_takes() -> None:
    draw = drawn(MODELS, Until("precision", -0.03))
    half = after(10, draw, Person(MODELS).answers(draw))
    assert half.verdict == "MARGINAL" and half.progress is not None and half.progress.more is not None
    assert f"about {half.progress.more} more answers" in half.progress.text(half.verdict)


def test_each_look_is_wider_than_an_interval_that_is_looked_at_once() -> None:
    plain = drawn(MODELS, None)
    once = compare_answers(plain, merge_answers(plain, Person(MODELS).answers(plain)), metric="precision").comparison
    always = after(24).comparison
    assert always.delta.high - always.delta.low > 1.2 * (once.delta.high - once.delta.low)
    assert always.delta.estimate == pytest.approx(once.delta.estimate, abs=0.03)
    assert always.p_value is not None and once.p_value is not None


def test_a_group_with_an_open_question_ends_what_counts_and_one_without_questions_does_not() -> None:
    group_of = {one.id: DRAW.images[one.image].group for one in DRAW.questions}
    open_ = next(one for one in ANSWERS if group_of[one.question] == DRAW.group_order[7])
    part = judged_part(DRAW, {one.question for one in ANSWERS} - {open_.question})
    assert {image.group for image in part.images} == set(DRAW.group_order[:7])
    few = drawn(two_models(8, groups=24), Until("precision", 0.0), budget=25)  # fewer questions than would reach all
    asked = {few.images[one.image].group for one in few.questions}
    assert asked < set(few.group_order)
    whole = judged_part(few, {one.id for one in few.questions})
    assert {image.group for image in whole.images} == set(few.group_order)
    with pytest.raises(DataError, match="no group is judged completely"):
        judged_part(DRAW, ())


def test_what_is_to_be_settled_is_fixed_before_the_first_answer(tmp_path: Path) -> None:
    write_draw(DRAW, tmp_path)
    assert read_draw(tmp_path) == DRAW
    answers = tmp_path / "answers.csv"
    answers.write_bytes(answers_table(DRAW, ANSWERS[:150]))
    arms = (MODELS.control, MODELS.treatment)
    result = liftgate.compare_judgements(tmp_path, answers, *arms)
    assert result.comparison.metric == "precision" and result.comparison.margin == -0.2
    with pytest.raises(UsageError, match="fixed before the first answer"):
        liftgate.compare_judgements(tmp_path, answers, *arms, margin=-0.5)
    with pytest.raises(UsageError, match="fixed before the first answer"):
        liftgate.compare_judgements(tmp_path, answers, *arms, metric="recall")


STUDY = """
study: tiny
question: Is it better?
datasets: {d: {path: data.yaml, groups: folder}}
arms: {old: {weights: old.pt}, new: {weights: new.pt}}
gates:
  lift: {metric: recall, treatment: new, control: old, on: d.val, margin: 0.02}
  broad: {metric: mAP50, treatment: new, control: old, on: d.val}
  enough: {arm: new, on: d.val, claims: [{metric: recall, at_least: 0.9}]}
flow: [baseline, lift]
"""


def test_until_may_name_a_gate_of_a_study(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    until = until_gate(study, "lift")
    assert (until.metric, until.margin, until.level) == ("recall", 0.02, 0.95) and until.gate.startswith("lift ")
    for name, message in (("broad", "cannot be judged"), ("enough", "no comparison by intervals"), ("lif", "no gate")):
        with pytest.raises(UsageError, match=message):
            until_gate(study, name)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (Until("recall", 0.0, level=1.2), "a level lies between"), (Until("recall", 0.0, level=0.5), "a level lies"),
        (Until("recall", 0.0, "equal"), "differ by less than a margin"), (Until("recall", float("nan")), "a margin is"),
    ],
)  # fmt: skip
def test_what_no_answers_could_settle_is_refused_before_the_first(until: Until, message: str, tmp_path: Path) -> None:
    """It is fixed in the draw: found out by `compare`, every answer would be lost."""
    with pytest.raises(UsageError, match=message):
        liftgate.judge(MODELS.control, MODELS.treatment, MODELS.truth, tmp_path / "draw", until=until)
    assert not (tmp_path / "draw").exists()


def test_how_many_more_it_takes_does_not_carry_over_the_width_that_few_groups_have() -> None:
    """Five groups have 3.4 times the quantile of t, twenty 1.6 times: a constant factor asks for four times as many."""
    few = Interval(0.03, -0.17, 0.23, 0.95, "always-valid-t", 40, 5, standard_error=0.2 / 8.45, groups_effective=5.0)
    needed = groups_that_settle(few, -0.1)
    constant = groups_that_settle(replace(few, method="bootstrap-se-t"), -0.1)
    assert needed is not None and constant is not None and needed < constant / 2
    assert always_valid_quantile(0.95, needed - 1, needed) < 1.8 * t_quantile(0.95, needed - 1)
