"""compare: paired on the same images, honest about what differs, and exact about what it resamples."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare, compare_published, setting_differences
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from oracle import coco_sets
from oracle.tost import equal_within


def two_models(groups: int = 12, better: float = 0.3) -> tuple[Dataset, Predictions, Predictions]:
    data = truth([1] * (groups * 5), [f"v{i // 5}" for i in range(groups * 5)])
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.3, 0.99, size=(2, groups * 5))
    hits = rng.random(groups * 5)
    control = [(i, BOX if hits[i] < 0.5 else FAR, scores[0, i]) for i in range(groups * 5)]
    treatment = [(i, BOX if hits[i] < 0.5 + better else FAR, scores[1, i]) for i in range(groups * 5)]
    return data, said(control, data), said(treatment, data)


def test_a_clear_lift_passes_and_its_reverse_fails_and_harms() -> None:
    data, control, treatment = two_models()
    lift = compare(data, control, treatment, ComparisonSpec(metric="mAP50", margin=0.05))
    assert lift.verdict == "PASS"
    assert lift.delta.n_groups == 12 and lift.delta.method == "bootstrap-se-t"
    harm = compare(data, treatment, control, ComparisonSpec(metric="mAP50"))
    assert harm.verdict == "FAIL" and "harms" in harm.reason
    assert harm.delta.estimate == pytest.approx(-lift.delta.estimate)
    assert (harm.delta.low, harm.delta.high) == pytest.approx((-lift.delta.high, -lift.delta.low))  # type: ignore[operator]


def test_the_difference_is_that_of_the_two_evaluations() -> None:
    data, control, treatment = two_models()
    for metric in ("mAP50-95", "AR_10", "recall", "precision", "best_confidence_median", "false_positives_per_image"):
        result = compare(data, control, treatment, ComparisonSpec(metric=metric))
        first, second = (evaluate(data, model).metrics[metric] for model in (control, treatment))
        assert (result.control, result.treatment) == (first, second)
        assert result.delta.estimate == pytest.approx(second - first)  # type: ignore[operator]


def test_the_bootstrap_draws_each_group_for_both_models_at_once() -> None:
    data, control, treatment = two_models(groups=6)
    result = compare(data, control, treatment, ComparisonSpec(metric="recall"))
    hits = []
    for group in sorted(set(data.groups)):
        part = data.take(np.array([key == group for key in data.groups]))
        hits.append([evaluate(part, model).metrics["recall"] for model in (control, treatment)])
    gains = np.diff(np.array(hits, dtype=float), axis=1)[:, 0]  # groups are even: recall is the mean over them
    assert result.delta.standard_error == pytest.approx(gains.std(ddof=1) / np.sqrt(6), rel=0.05)


def test_pairing_makes_the_interval_narrower_than_two_models_on_their_own() -> None:
    data, control, treatment = two_models(groups=30, better=0.1)
    delta = compare(data, control, treatment, ComparisonSpec(metric="recall")).delta
    alone = [evaluate(data, model).intervals["recall"] for model in (control, treatment)]
    unpaired = np.hypot(*((interval.high - interval.low) / 2 for interval in alone))  # type: ignore[operator]
    assert (delta.high - delta.low) / 2 < 0.8 * unpaired  # type: ignore[operator]


def test_fewer_false_positives_is_a_gain() -> None:
    data, control, treatment = two_models()
    result = compare(data, control, treatment, ComparisonSpec(metric="false_positives_per_image"))
    assert result.delta.estimate < 0
    assert result.verdict == "PASS"
    assert compare(data, treatment, control, ComparisonSpec(metric="false_positives_per_image")).verdict == "FAIL"


def test_an_unsettled_difference_says_how_many_groups_would_settle_it() -> None:
    data, control, treatment = two_models(better=0.1)
    result = compare(data, control, treatment, ComparisonSpec(metric="mAP50", margin=0.08))
    assert result.verdict == "MARGINAL"
    assert result.groups_needed is not None and result.groups_needed > 12
    assert str(result.groups_needed) in result.reason


def test_under_five_groups_the_verdict_is_marginal_whatever_the_difference() -> None:
    data, control, treatment = two_models(groups=4, better=0.5)
    result = compare(data, control, treatment, ComparisonSpec(metric="recall"))
    assert result.verdict == "MARGINAL"
    assert "not established" in result.reason


def test_the_same_predictions_differ_by_nothing_which_is_no_interval() -> None:
    gt, dt = coco_sets.awkward(4, images=20)
    data, model = coco_sets.dataset(gt), coco_sets.predictions(dt, gt)
    result = compare(data, model, model)
    assert (result.delta.estimate, result.delta.low, result.delta.high) == (0, None, None)
    assert result.verdict == "MARGINAL" and "0 of 20 groups hold what it is about" in result.reason
    assert result.images == () and result.probability_better is None


def silent_in_half(groups: int = 16) -> tuple[Dataset, Predictions, Predictions]:
    """The control finds nothing in about half of the images, so that its median is 0 in many draws of groups."""
    data = truth([1] * (groups * 6), [f"v{i // 6:02}" for i in range(groups * 6)])
    rng = np.random.default_rng(2)
    share = np.repeat(rng.uniform(0.2, 0.75, groups), 6)
    scores, silent = rng.uniform(0.3, 0.9, (2, len(share))), rng.random(len(share)) < share
    control = [(i, BOX, scores[0, i]) for i in range(len(share)) if not silent[i]]
    return data, said(control, data), said([(i, BOX, scores[1, i]) for i in range(len(share))], data)


def test_a_median_that_is_0_in_many_draws_is_compared_by_the_intervals_of_both_models() -> None:
    data, control, treatment = silent_in_half()
    spec = ComparisonSpec(metric="best_confidence_median", slices={image.id: "all" for image in data.images})
    found = compare(data, control, treatment, spec)
    one, two = (evaluate(data, model).intervals["best_confidence_median"] for model in (control, treatment))
    assert one.low == 0, "in many draws the control finds nothing in half of the images"
    assert found.delta.high is not None and one.low is not None and two.high is not None
    reach = np.hypot(one.estimate - one.low, two.high - two.estimate)
    assert found.delta.high >= found.delta.estimate + reach - 1e-12
    assert found.slices["all"]["interval"] == pytest.approx([found.delta.low, found.delta.high])


def test_settings_that_differ_are_listed_and_make_it_confounded() -> None:
    data, control, treatment = two_models()
    result = compare(
        data,
        replace(control, settings={"imgsz": 640, "conf": 0.001, "weights": "a"}),
        replace(treatment, settings={"imgsz": 416, "conf": 0.001, "weights": "b"}),
    )
    assert result.differences == ("imgsz: control 640, treatment 416",)
    assert result.to_dict()["confounded"] is True


def test_two_evaluations_at_two_thresholds_are_confounded_and_say_so() -> None:
    data, control, treatment = two_models()
    cut = [replace(model, settings={"imgsz": 640, "conf": conf}) for model, conf in ((control, 0.25), (treatment, 0.1))]
    result = compare(data, *cut, ComparisonSpec(metric="mAP50"))
    assert result.differences == ("conf: control 0.25, treatment 0.1",)
    assert result.to_dict()["confounded"] is True


def test_a_setting_that_only_one_side_recorded_is_a_difference_too() -> None:
    assert setting_differences({"conf": 0.25}, {"conf": 0.25, "iou": 0.7}) == (
        "iou: control not recorded, treatment 0.7",
    )


def test_predictions_that_say_nothing_of_their_making_carry_a_caveat() -> None:
    data, control, treatment = two_models()
    assert "not recorded" in compare(data, control, treatment).caveats[0]


def test_other_images_are_refused_by_name() -> None:
    data, control, treatment = two_models()
    with pytest.raises(UsageError, match=r"'059.jpg' in the control alone"):
        compare(data, control, replace(treatment, images=(*treatment.images[:-1], "other.jpg")))


def test_an_unknown_metric_names_the_nearest() -> None:
    data, control, treatment = two_models()
    with pytest.raises(UsageError, match="did you mean mAP50-95"):
        compare(data, control, treatment, ComparisonSpec(metric="map50-95"))


def test_a_metric_without_truth_is_refused_not_zero() -> None:
    data, control, treatment = two_models()
    with pytest.raises(UsageError, match="undefined"):
        compare(data, control, treatment, ComparisonSpec(metric="mAP_large"))


def test_classes_are_adjusted_for_looking_at_all_of_them() -> None:
    gt, dt = coco_sets.awkward(9, images=30, decimals=2)
    rng = np.random.default_rng(0)
    worse = [row | {"score": float(rng.random())} for row in dt]
    data = coco_sets.dataset(gt)
    result = compare(data, coco_sets.predictions(dt, gt), coco_sets.predictions(worse, gt))
    assert set(result.per_class) == {"class0", "class1", "class2"}  # class3 has no truth
    for row in result.per_class.values():
        assert row["delta"] == pytest.approx(row["treatment"] - row["control"])  # type: ignore[operator]
        assert row["p_holm"] is not None and 0 <= row["p_holm"] <= 1


def test_the_images_that_changed_most_are_named() -> None:
    data, control, treatment = two_models()
    images = compare(data, control, treatment).images
    assert images and all(image["change"] == image["treatment"] - image["control"] for image in images)
    assert abs(images[0]["change"]) >= abs(images[-1]["change"])


def test_the_record_keeps_the_names_that_others_rely_on() -> None:
    data, control, treatment = two_models()
    record = compare(data, control, treatment).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {
        "metric", "control", "treatment", "delta", "interval", "level", "method", "margin", "verdict", "n_images",
        "n_groups", "groups_needed",
    } <= set(record)  # fmt: skip


def test_published_numbers_are_compared_by_the_point_rule_without_an_interval() -> None:
    result = compare_published("mAP50", 0.7626, 0.7612, margin=0.01)
    assert result.verdict == "FAIL"
    assert not result.delta.established


@pytest.mark.parametrize("metric", ["recall", "precision", "false_positives_per_image", "AR_10", "mAP75"])
def test_any_metric_is_told_class_by_class(metric: str) -> None:
    gt, dt = coco_sets.awkward(9, images=30, decimals=2)
    data = coco_sets.dataset(gt)
    good, poor = coco_sets.predictions(dt, gt), coco_sets.predictions([row for i, row in enumerate(dt) if i % 4], gt)
    result = compare(data, poor, good, ComparisonSpec(metric=metric))
    assert result.per_class
    for name, row in result.per_class.items():
        alone = compare(*_of_class(name, data, poor, good), ComparisonSpec(metric=metric))
        assert (row["control"], row["treatment"]) == pytest.approx((alone.control, alone.treatment)), name


def _of_class(name: str, data: Dataset, *models: Predictions) -> list[Any]:
    """Truth and predictions with this class only."""
    number = data.classes.index(name)
    only = [replace(data, labels=data.labels.take(data.labels.cls == number))]
    for model in models:
        rows = model.cls == number
        columns = {column: getattr(model, column)[rows] for column in ("image", "cls", "boxes", "scores")}
        only.append(replace(model, **columns))  # type: ignore[arg-type]
    return only


def test_equal_is_shown_by_an_interval_inside_the_margin_and_by_nothing_else() -> None:
    data, control, treatment = two_models(groups=80, better=0.03)
    close = compare(data, control, treatment, ComparisonSpec(metric="recall", claim="equal", margin=0.05))
    assert close.verdict == "PASS" and close.delta.level == pytest.approx(0.9)
    assert "declared to be equal" in close.reason
    few, one, other = two_models(groups=16, better=0.1)
    unsure = compare(few, one, other, ComparisonSpec(metric="recall", claim="equal", margin=0.05))
    assert unsure.verdict == "MARGINAL" and "equality is not shown" in unsure.reason
    data, control, treatment = two_models(better=0.4)
    apart = compare(data, control, treatment, ComparisonSpec(metric="recall", claim="equal", margin=0.05))
    assert apart.verdict == "FAIL" and "not equal" in apart.reason


def test_equal_decides_as_two_one_sided_tests_do() -> None:
    for better, margin in [(0.03, 0.02), (0.05, 0.1), (0.1, 0.3), (0.2, 0.15)]:
        data, control, treatment = two_models(groups=40, better=better)
        result = compare(data, control, treatment, ComparisonSpec(metric="recall", claim="equal", margin=margin))
        plain = compare(data, control, treatment, ComparisonSpec(metric="recall"))
        assert (result.verdict == "PASS") == equal_within(plain.delta, margin).equal


@pytest.mark.parametrize("options", [{"margin": 0.0}, {"margin": 0.1, "rule": "point"}])
def test_equal_without_a_margin_or_an_interval_is_refused(options: dict[str, Any]) -> None:
    data, control, treatment = two_models()
    with pytest.raises(UsageError, match="differ by less than a margin"):
        compare(data, control, treatment, ComparisonSpec(claim="equal", **options))
    with pytest.raises(UsageError, match=r"a level lies between 0\.5 and 1"):
        compare(data, control, treatment, ComparisonSpec(claim="equal", margin=0.1, level=0.4))


def test_sigmas_without_keypoints_are_refused_not_ignored() -> None:
    data, control, treatment = two_models()
    with pytest.raises(UsageError, match="the truth has none"):
        compare(data, control, treatment, ComparisonSpec(sigmas=0.05))
    with pytest.raises(UsageError, match="the truth has none"):
        evaluate(data, control, EvaluationSpec(sigmas=0.05))
