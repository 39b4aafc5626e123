"""Case M (CASES.md): is a fine-tuned model better than one off the shelf? 21 videos, 252 frames, 60 judgements."""

from __future__ import annotations

from pathlib import Path

import pytest

import liftgate
from judging.two_models import Models, Person, two_models
from liftgate.errors import UsageError
from liftgate.judging.answers import answers_table


def test_sixty_judgements_settle_what_254_drawn_boxes_would(tmp_path: Path) -> None:
    truth, control, treatment = two_models(1, groups=21, per_group=12, apart=0.1, gain=1.5, objects=1)
    assert (len(truth.images), len(set(truth.groups)), len(truth.labels)) == (252, 21, 254)
    study = liftgate.judge(control, treatment, truth, budget=60)
    assert study.plan.questions == 60
    answers = tmp_path / "answers.csv"
    person = Person(Models(truth, control, treatment))
    answers.write_bytes(answers_table(study.draw, person.answers(study.draw)))
    judged = liftgate.compare_judgements(study.draw, answers, control, treatment, metric="recall")
    labelled = liftgate.compare(truth, control, treatment, metric="recall")
    assert judged.verdict == labelled.verdict == "PASS"
    assert abs(judged.comparison.delta.estimate - labelled.delta.estimate) < 0.02
    widths = [one.high - one.low for one in (judged.comparison.delta, labelled.delta)]
    assert widths[0] / widths[1] < 1.3 and study.plan.width < 1.6
    for margin in (2.0, float("nan")):  # two points are 0.02
        with pytest.raises(UsageError, match="margin"):
            liftgate.compare_judgements(study.draw, answers, control, treatment, metric="recall", margin=margin)
