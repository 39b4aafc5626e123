"""A verdict from judgements: the same as from labels where everything is judged, and honest where a sample is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from judging.two_models import Person, drawn, two_models
from liftgate.cli.compare import judged_text
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.judging.answers import Answer, merge_answers
from liftgate.judging.compare import compare_answers
from liftgate.judging.draw import MISSED

MODELS = two_models(1)
EVERYTHING = 10_000


@pytest.mark.parametrize("metric", ["recall", "precision", "false_positives_per_image"])
def test_with_every_unit_judged_it_is_the_comparison_that_labels_give(metric: str) -> None:
    draw = drawn(MODELS, EVERYTHING)
    # Every image is searched for missed objects too, so nothing is estimated.
    assert draw.counts()[MISSED] == len(MODELS.truth.images)
    judged = compare_answers(draw, merge_answers(draw, Person(MODELS).answers(draw)), metric=metric, margin=0.01)
    labelled = compare(MODELS.truth, MODELS.control, MODELS.treatment, ComparisonSpec(metric=metric, margin=0.01))
    assert judged.comparison.control == pytest.approx(labelled.control, abs=1e-9)
    assert judged.comparison.treatment == pytest.approx(labelled.treatment, abs=1e-9)
    assert judged.comparison.delta.estimate == pytest.approx(labelled.delta.estimate, abs=1e-9)
    # With all labels a group informs where its counts differ, here where any detection does: a hair's difference.
    width = labelled.delta.high - labelled.delta.low
    assert judged.comparison.delta.low == pytest.approx(labelled.delta.low, abs=0.03 * width)
    assert judged.comparison.delta.high == pytest.approx(labelled.delta.high, abs=0.03 * width)
    assert judged.verdict == labelled.verdict
    assert judged.difference.shares is not None and judged.difference.shares.groups == pytest.approx(1)


def test_a_sample_is_unbiased_and_its_interval_covers_what_labels_say() -> None:
    person = Person(MODELS)
    exact = compare(MODELS.truth, MODELS.control, MODELS.treatment, ComparisonSpec(metric="recall")).delta
    found = []
    for seed in range(24):
        draw = drawn(MODELS, 110, seed)
        assert len(draw.questions) == 110
        found.append(compare_answers(draw, merge_answers(draw, person.answers(draw)), metric="recall").comparison.delta)
    error = np.array([one.estimate for one in found]) - exact.estimate
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(len(error))
    wider = [(one.high - one.low) / (exact.high - exact.low) for one in found]
    assert np.median(wider) > 1.01  # it knows less than labels do, and says so
    assert np.mean([one.low <= exact.estimate <= one.high for one in found]) >= 0.95


def test_a_doubt_widens_the_interval_both_ways_and_is_never_a_no() -> None:
    draw = drawn(MODELS, 150)
    words = Person(MODELS).answers(draw)
    sure = compare_answers(draw, merge_answers(draw, words), metric="recall").comparison.delta
    place = [i for i, one in enumerate(draw.questions) if one.kind == "only_treatment"][:8]
    doubting = [replace(one, answer="unsure") if i in place else one for i, one in enumerate(words)]
    result = compare_answers(draw, merge_answers(draw, doubting), metric="recall")
    unsure = result.comparison.delta
    for word in ("yes", "no"):
        forced = [replace(one, answer=word) if i in place else one for i, one in enumerate(words)]
        one = compare_answers(draw, merge_answers(draw, forced), metric="recall").comparison.delta
        assert unsure.low <= one.low + 1e-9 and one.high - 1e-9 <= unsure.high
    assert unsure.high - unsure.low > sure.high - sure.low
    assert result.difference.doubt > 0
    assert any("8 answers are in doubt" in note for note in result.comparison.caveats)
    one = [replace(one, answer="unsure") if i == place[0] else one for i, one in enumerate(words)]
    alone = compare_answers(draw, merge_answers(draw, one), metric="recall")
    assert any(note.startswith("1 answer is in doubt") for note in alone.comparison.caveats)


def test_an_image_of_which_nobody_knows_what_was_missed_lets_recall_differ_by_nothing() -> None:
    draw = drawn(MODELS, 150)
    words = Person(MODELS).answers(draw)
    kinds = {one.id: one.kind for one in draw.questions}
    open_ = [replace(one, answer="unsure") if kinds[one.question] == MISSED else one for one in words]
    found = compare_answers(draw, merge_answers(draw, open_), metric="recall")
    delta = found.comparison.delta
    assert delta.low <= 0 <= delta.high
    assert found.difference.objects_missed is None, "unknown is no number"
    assert found.comparison.control is None and found.comparison.treatment is None
    assert "missed by both unknown" in "\n".join(judged_text(found))
    bounded = [replace(one, answer="at most 2") if kinds[one.question] == MISSED else one for one in words]
    narrow = compare_answers(draw, merge_answers(draw, bounded), metric="recall").comparison.delta
    assert narrow.high - narrow.low <= delta.high - delta.low
    # Precision does not ask how many objects there are.
    same = [
        compare_answers(draw, merge_answers(draw, one), metric="precision").comparison.delta for one in (words, open_)
    ]
    assert same[0] == same[1]


def test_what_the_audit_adds_is_never_nothing_even_where_it_finds_no_difference() -> None:
    draw = drawn(MODELS, 110)
    kinds = {one.id: one.kind for one in draw.questions}
    words = [replace(one, answer="both") if kinds[one.question] == "agreed" else one
             for one in Person(MODELS).answers(draw)]  # fmt: skip
    found = compare_answers(draw, merge_answers(draw, words), metric="recall")
    assert found.difference.shares is not None
    assert found.difference.shares.agreed > 0
    assert sum(found.difference.shares) == pytest.approx(1)


def test_two_people_who_disagree_are_refused_or_count_as_doubt_and_their_agreement_is_told() -> None:
    draw = drawn(MODELS, 110)
    ann = Person(MODELS).answers(draw, "ann")
    ben = [replace(one, person="ben") for one in ann]
    place = next(i for i, one in enumerate(draw.questions) if len(one.marks) == 1 and one.kind != MISSED)
    ben[place] = replace(ben[place], answer="no" if ann[place].answer == "yes" else "yes")
    with pytest.raises(DataError, match="people disagree about 1 of 110 questions") as refused:
        merge_answers(draw, [*ann, *ben])
    assert "ann" in str(refused.value) and "--conflicts unsure" in str(refused.value)
    both = merge_answers(draw, [*ann, *ben], conflicts_unsure=True)
    assert both.by_question[draw.questions[place].id] == "unsure"
    assert both.kappa is not None and 0.9 < both.kappa.estimate < 1 and both.kappa.established
    result = compare_answers(draw, both, metric="precision")
    assert result.to_dict()["judgements"]["conflicts"] == [draw.questions[place].id]


def test_a_metric_that_needs_labels_is_refused() -> None:
    draw = drawn(MODELS, 110)
    answers = merge_answers(draw, Person(MODELS).answers(draw))
    with pytest.raises(UsageError, match="mAP50 cannot be judged"):
        compare_answers(draw, answers, metric="mAP50")
    with pytest.raises(UsageError, match="less than a margin"):
        compare_answers(draw, answers, claim="equal")


def test_four_groups_establish_nothing() -> None:
    few = two_models(3, groups=4)
    draw = drawn(few, 60)
    result = compare_answers(draw, merge_answers(draw, Person(few).answers(draw)), metric="precision", margin=-0.9)
    assert result.verdict == "MARGINAL" and not result.comparison.delta.established


def test_half_a_file_is_refused_with_what_is_missing() -> None:
    draw = drawn(MODELS, 110)
    answers = Person(MODELS).answers(draw)
    with pytest.raises(DataError, match="55 of 110 questions have no answer"):
        merge_answers(draw, answers[:55])
    with pytest.raises(DataError, match="answered twice by ann"):
        merge_answers(draw, [*answers, Answer("q001", "no", "ann", None)])
