"""Image-level screening: scores, thresholds chosen on val, rates on test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.errors import UsageError
from liftgate.measure.screening import Screening, choose_threshold, roc_auc, screen, screening
from oracle import coco_sets


def made(positive: list[int], score: list[float]) -> Screening:
    return Screening(np.array(score), np.array(positive, dtype=bool), np.arange(len(score)))


def test_area_under_the_curve_equals_the_published_figures() -> None:
    assert roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == pytest.approx(0.75)
    assert roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], max_fpr=0.5) == pytest.approx(0.6667, abs=5e-5)
    assert roc_auc([1, 1], [0.1, 0.2]) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=4, max_size=40), st.sampled_from([1.0, 0.5, 0.2]))
def test_area_equals_scikit_learn_with_ties(rows: list[tuple[bool, int]], max_fpr: float) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, score = [row[0] for row in rows], [row[1] / 5 for row in rows]
    if all(truth) or not any(truth):
        return
    expected = metrics.roc_auc_score(truth, score, max_fpr=None if max_fpr == 1.0 else max_fpr)
    assert roc_auc(truth, score, max_fpr) == pytest.approx(expected)


VAL = made([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [0.0, 0.1, 0.2, 0.3, 0.6, 0.25, 0.5, 0.7, 0.8, 0.9])


def test_a_threshold_is_chosen_by_f1_by_recall_or_by_false_alarms() -> None:
    assert choose_threshold(VAL) == 0.25  # 5 of 5 found with 2 alarms: F1 .83; 4 of 5 with 1: .80
    assert choose_threshold(VAL, "recall", 1.0) == 0.25
    assert choose_threshold(VAL, "recall", 0.6) == 0.7
    assert choose_threshold(VAL, "false_alarms", 0.0) == 0.7
    assert choose_threshold(VAL, "false_alarms", 0.2) == 0.5


def test_a_target_that_no_threshold_reaches_is_said() -> None:
    with pytest.raises(UsageError, match="needs a target"):
        choose_threshold(VAL, "recall")
    blind = made([0, 1, 1], [0.5, 0.0, 0.9])
    with pytest.raises(UsageError, match="no threshold reaches"):
        choose_threshold(blind, "recall", 1.0)
    with pytest.raises(UsageError, match="with and without"):
        choose_threshold(made([1, 1], [0.5, 0.6]))


def test_rates_on_test_are_counted_at_the_frozen_threshold() -> None:
    result = screen(VAL, 0.5)
    assert result.accuracy.estimate == 0.8
    assert result.detection_rate is not None and result.detection_rate.estimate == 0.8
    assert result.false_alarm_rate is not None and result.false_alarm_rate.estimate == 0.2
    assert result.accuracy.established
    assert screen(made([1] * 6, [0.9] * 6), 0.5).false_alarm_rate is None


def test_only_threat_classes_flag_an_image() -> None:
    gt, dt = coco_sets.awkward(6, images=15, decimals=3)
    data, model = coco_sets.dataset(gt), coco_sets.predictions(dt, gt)
    result = screening(data, model, ["class0", "class1"])
    for i, image in enumerate(data.images):
        rows = (model.image == i) & (model.cls < 2)
        assert result.score[i] == (model.scores[rows].max() if rows.any() else 0)
        labels = data.labels.cls[data.labels.image == data.images.index(image)]
        assert result.positive[i] == bool((labels < 2).any())
    with pytest.raises(UsageError, match="classes of the truth"):
        screening(data, model, ["weapon"])
