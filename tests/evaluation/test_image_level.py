"""Image-level screening: scores, thresholds chosen on val, rates on test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.image_level import (
    ImageLevelScores,
    ImageLevelThreshold,
    ThresholdRule,
    choose_image_threshold,
    choose_threshold,
    image_level_rate,
    image_level_scores,
    roc_auc,
)
from liftgate.evaluation.intervals import image_level_interval
from liftgate.evaluation.resampling import units
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from oracle import coco_sets


def made(positive: list[int], score: list[float]) -> ImageLevelScores:
    return ImageLevelScores(np.array(score), np.array(positive, dtype=bool), 0.5)


def estimate(answers: ImageLevelScores, name: str) -> float | None:
    interval = image_level_interval(answers, name, units([str(i) for i in range(len(answers.score))], 1000), 0.95)
    return None if interval is None else interval.estimate


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


def test_pairs_in_the_wrong_order_that_one_group_holds_are_worth_few_groups() -> None:
    """20 groups of five images with and five without a threat: each has one that is wrong, or one has them all."""
    positive, group = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 20, [f"v{i // 10:02}" for i in range(200)]
    right = np.where(positive, 0.8, 0.2) + np.random.default_rng(0).uniform(-0.1, 0.1, 200)
    spread, once = right.copy(), right.copy()
    spread[::10] = 0.2
    once[:10] = 1 - right[:10]
    counts = [
        image_level_interval(made(positive, list(score)), "AUC", units(group), 0.95).groups_effective  # type: ignore[union-attr]
        for score in (spread, once)
    ]
    assert counts[0] == pytest.approx(20, abs=0.5)
    assert counts[1] is not None and counts[1] < 10, "one group has half of what goes wrong"


def test_an_area_that_a_single_missed_image_decides_is_worth_few_groups() -> None:
    """Near 1 a sample has an interval only if it has an error: then the next may well have none, and the area is 1."""
    positive = [1, 0, 0, 0] * 100
    score = list(np.where(positive, 0.8, 0.2) + np.random.default_rng(0).uniform(-0.1, 0.1, 400))
    score[40] = 0.05
    interval = image_level_interval(made(positive, score), "AUC", units([f"v{i // 4:03}" for i in range(400)]), 0.95)
    assert interval is not None and interval.low is not None and interval.high is not None
    assert interval.estimate == pytest.approx(0.99)
    assert interval.groups_effective is not None and interval.groups_effective < 5
    assert 0.5 < interval.low < 0.95 and interval.high > 0.999


VAL = made([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [0.0, 0.1, 0.2, 0.3, 0.6, 0.25, 0.5, 0.7, 0.8, 0.9])


def test_a_threshold_is_chosen_by_f1_by_recall_or_by_false_alarms() -> None:
    assert choose_threshold(VAL) == 0.25  # 5 of 5 found with 2 alarms: F1 .83; 4 of 5 with 1: .80
    assert choose_threshold(VAL, ThresholdRule("recall", 1.0)) == 0.25
    assert choose_threshold(VAL, ThresholdRule("recall", 0.6)) == 0.7
    assert choose_threshold(VAL, ThresholdRule("false_alarms", 0.0)) == 0.7
    assert choose_threshold(VAL, ThresholdRule("false_alarms", 0.2)) == 0.5


def test_a_target_that_no_threshold_reaches_is_said() -> None:
    with pytest.raises(UsageError, match="needs a target"):
        choose_threshold(VAL, ThresholdRule("recall"))
    with pytest.raises(UsageError, match="takes no target"):
        choose_threshold(VAL, ThresholdRule("f1", 0.5))
    with pytest.raises(UsageError, match="a target is a rate"):
        choose_threshold(VAL, ThresholdRule("recall", 90))
    blind = made([0, 1, 1], [0.5, 0.0, 0.9])
    with pytest.raises(UsageError, match="no threshold reaches"):
        choose_threshold(blind, ThresholdRule("recall", 1.0))
    with pytest.raises(UsageError, match="with and without"):
        choose_threshold(made([1, 1], [0.5, 0.6]))


def test_rates_on_test_are_counted_at_the_frozen_threshold() -> None:
    assert [estimate(VAL, name) for name in ("accuracy", "detection_rate", "false_alarm_rate")] == [0.8, 0.8, 0.2]
    assert estimate(VAL, "AUC") == roc_auc(VAL.positive, VAL.score)
    only = made([1] * 6, [0.9] * 6)
    assert estimate(only, "false_alarm_rate") is None and estimate(only, "AUC") is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=6, max_size=25), st.integers(0, 9))
def test_area_under_weights_equals_images_that_stand_there_so_often(rows: list[tuple[bool, int]], seed: int) -> None:
    answers = made([int(row[0]) for row in rows], [row[1] / 4 for row in rows])
    weights = np.random.default_rng(seed).integers(0, 3, (len(rows), 4)).astype(float)
    lanes = image_level_rate(answers, "AUC", np.arange(len(rows)), weights)
    for lane, column in zip(lanes, weights.T.astype(int), strict=True):
        expected = (
            roc_auc(np.repeat(answers.positive, column), np.repeat(answers.score, column)) if column.any() else None
        )
        assert np.isnan(lane) if expected is None else lane == pytest.approx(expected)


def threats() -> tuple[Dataset, Predictions]:
    gt, dt = coco_sets.awkward(6, images=30, decimals=3)
    return coco_sets.dataset(gt, [f"v{i // 3}" for i in range(30)]), coco_sets.predictions(dt, gt)


def test_only_threat_classes_flag_an_image() -> None:
    data, model = threats()
    result = image_level_scores(data, model, ImageLevelThreshold(("class0", "class1"), 0.5))
    for i, image in enumerate(data.images):
        rows = (model.image == i) & (model.cls < 2)
        assert result.score[i] == (model.scores[rows].max() if rows.any() else 0)
        labels = data.labels.cls[data.labels.image == data.images.index(image)]
        assert result.positive[i] == bool((labels < 2).any())
    with pytest.raises(UsageError, match="classes of the truth"):
        image_level_scores(data, model, ImageLevelThreshold(("weapon",), 0.5))


def test_evaluate_says_the_rates_with_intervals_and_where_the_threshold_is_from() -> None:
    data, model = threats()
    screen = choose_image_threshold(data, model, ["class0"], ThresholdRule("false_alarms", 0.3))
    result = evaluate(data, model, EvaluationSpec(threshold=screen))
    answers = image_level_scores(data, model, screen)
    assert result.metrics["accuracy"] == np.mean(answers.flagged == answers.positive)
    assert result.metrics["false_alarm_rate"] <= 0.3  # type: ignore[operator]
    assert all(result.intervals[name].n_groups == 10 for name in ("accuracy", "AUC"))
    assert result.screening["threats"] == ["class0"] and result.screening["threshold"] == screen.threshold
    assert result.screening["chosen"] == "by false_alarms=0.3 on 30 images of val"
    assert "mAP50" in result.metrics and "of whole images" in result.method
    assert type(result).from_dict(result.to_dict()).to_dict() == result.to_dict()


def test_flagged_images_are_counted_with_a_threat_without_one_and_for_each_threat() -> None:
    data, model = threats()
    screen = ImageLevelThreshold(("class0", "class1"), 0.5)
    result = evaluate(data, model, EvaluationSpec(threshold=screen))
    answers = image_level_scores(data, model, screen)
    counts = result.screening
    assert counts["n_with_threat"] + counts["n_without_threat"] == len(data.images)
    assert counts["n_found"] == np.sum(answers.flagged & answers.positive)
    assert counts["n_false_alarms"] == np.sum(answers.flagged & ~answers.positive)
    assert result.metrics["detection_rate"] == pytest.approx(counts["n_found"] / counts["n_with_threat"])
    for number, name in enumerate(screen.threats):
        images = np.unique(data.labels.image[data.labels.cls == number])
        found = {"n_images": len(images), "n_flagged": int(answers.flagged[images].sum())}
        assert counts["threats_found"][name] == found and found["n_images"] > 0
    each = ", ".join(f"{name} {row['n_flagged']} of {row['n_images']}" for name, row in counts["threats_found"].items())
    assert (
        f"{counts['n_found']} of {counts['n_with_threat']} images with a threat flagged ({each})"
        in result.flagged_images
    )
    assert type(result).from_dict(result.to_dict()).flagged_images == result.flagged_images
    old = type(result).from_dict(
        {**result.to_dict(), "screening": {"threats": ["class0"], "threshold": 0.5, "chosen": ""}}
    )
    assert old.flagged_images == "", "not counted is not zero"


def test_answers_of_whole_images_are_screened_without_boxes_and_refused_without_threats() -> None:
    data, model = threats()
    said = Predictions(
        model.images, model.classes, model.image, model.cls, np.full((len(model), 4), np.nan), model.scores,
        settings={"answers": "image", "speed": {"p50_ms": 120.0}},
    )  # fmt: skip
    screen = ImageLevelThreshold(("class0",), 0.5)
    result, boxed = (evaluate(data, one, EvaluationSpec(threshold=screen)) for one in (said, model))
    assert {name: result.metrics[name] for name in ("accuracy", "AUC")} == {
        name: boxed.metrics[name] for name in ("accuracy", "AUC")
    }
    assert "mAP50" not in result.metrics and result.metrics["ms_per_image"] == 120.0
    with pytest.raises(UsageError, match=r"whole images(.|\n)*--threats"):
        evaluate(data, said)
    against = compare(data, said, model, ComparisonSpec(metric="accuracy", thresholds=(screen, screen)))
    assert against.delta.estimate == 0 and against.per_class == {}


def test_two_models_are_compared_each_at_its_own_threshold() -> None:
    data, model = threats()
    sharp, blunt = ImageLevelThreshold(("class0",), 0.5), ImageLevelThreshold(("class0",), 2.0)
    result = compare(data, model, model, ComparisonSpec(metric="detection_rate", thresholds=(blunt, sharp)))
    alone = evaluate(data, model, EvaluationSpec(threshold=sharp))
    assert result.control == 0 and result.treatment == alone.metrics["detection_rate"]
    assert all(row["change"] in (-1.0, 1.0) for row in result.images)
    eager = ImageLevelThreshold(("class0",), 0.0)
    fewer = compare(data, model, model, ComparisonSpec(metric="false_alarm_rate", thresholds=(eager, blunt)))
    assert fewer.delta.estimate == -1 and fewer.verdict == "MARGINAL", "all alarms gone everywhere: no variance"
    quiet = np.flatnonzero(~image_level_scores(data, model, eager).positive)
    loud = quiet[np.arange(len(quiet)) % 3 > 0]
    noisy = replace(
        model,
        image=np.append(model.image, loud), cls=np.append(model.cls, np.zeros_like(loud)),
        boxes=np.concatenate([model.boxes, np.tile([0.0, 0.0, 9.0, 9.0], (len(loud), 1))]),
        scores=np.append(model.scores, np.full(len(loud), 0.9)), sides=None,
    )  # fmt: skip
    fewer = compare(data, noisy, model, ComparisonSpec(metric="false_alarm_rate", thresholds=(sharp, sharp)))
    assert fewer.delta.estimate < 0 and fewer.verdict == "PASS", "fewer false alarms are a gain"
    with pytest.raises(UsageError, match="name the classes that are a threat"):
        compare(data, model, model, ComparisonSpec(metric="accuracy"))
