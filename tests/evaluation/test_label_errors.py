"""Wrong labels in the truth widen an interval by as much as they can move it; a PASS does not hang on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import liftgate
from judging.two_models import Models, two_models
from liftgate.cli import main
from liftgate.data.core.dataset import Dataset, Image, Labels, stack_labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.data.formats.coco.predictions import write_predictions
from liftgate.errors import LiftgateError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.drawn_sample import DrawnFrames, write_sample
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.label_errors import (
    compare_arms_with_errors,
    compare_seeds_with_errors,
    compare_with_errors,
    evaluate_with_errors,
)
from liftgate.evaluation.metric_names import COCO, RATES
from liftgate.evaluation.metric_options import ImageLevelThreshold
from liftgate.evaluation.multiple_comparisons import compare_arms
from liftgate.evaluation.records import Comparison, LabelErrors
from liftgate.evaluation.seeds import compare_seeds
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from liftgate.evaluation.weighted_evaluation import evaluate_sample

ONE = LabelErrors(1e-6, "as given")
"""So few that one label of each class may be wrong"""


@pytest.fixture(scope="module")
def models() -> Models:
    return two_models(3, groups=12, per_group=3)


def with_one_wrong(models: Models) -> list[Dataset]:
    """Truths in which one label is gone, elsewhere, added or said by either model instead."""
    truth, made = models.truth, []
    labels = truth.labels
    said = [(one.image, one.cls, one.boxes) for one in models[1:]]
    image, cls, boxes = (np.concatenate([columns[k] for columns in said]) for k in range(3))
    for row in range(0, len(labels), 2):
        made.append(labels.take(np.arange(len(labels)) != row))
        for place in np.flatnonzero(image == labels.image[row]):
            other_cls, other_boxes = labels.cls.copy(), labels.boxes.copy()
            other_cls[row], other_boxes[row] = cls[place], boxes[place]
            made.append(replace(labels, cls=other_cls, boxes=other_boxes))
    for place in range(0, len(image), 2):
        added = Labels.build(image[[place]], cls[[place]], boxes[[place]])
        table = stack_labels([labels, added])
        made.append(table.take(np.argsort(table.image, kind="stable")))
    return [replace(truth, labels=table) for table in made]


@pytest.mark.parametrize("metric", ["recall", "precision", "false_positives_per_image"])
def test_no_single_wrong_label_moves_the_interval_out(models: Models, metric: str) -> None:
    spec = ComparisonSpec(metric=metric)
    wide = compare_with_errors(*models, spec, ONE).delta
    ends = [compare(one, *models[1:], spec).delta for one in with_one_wrong(models)[::11]]
    assert wide.low is not None and wide.high is not None
    assert min(one.low for one in ends if one.low is not None) >= wide.low
    assert max(one.high for one in ends if one.high is not None) <= wide.high


def test_average_precision_is_not_moved_further_by_labels_wrong_at_random(models: Models) -> None:
    spec, rng = ComparisonSpec(metric="mAP50"), np.random.default_rng(0)
    wide = compare_with_errors(*models, spec, LabelErrors(0.1, "as given")).delta
    plain = compare(*models, spec).delta
    assert wide.low is not None and plain.low is not None and wide.low < plain.low
    labels = models.truth.labels
    for _ in range(8):
        gone = rng.permutation(len(labels))[: len(labels) // 10]
        noisy = replace(models.truth, labels=labels.take(~np.isin(np.arange(len(labels)), gone)))
        found = compare(noisy, *models[1:], spec).delta.estimate
        assert wide.low < found < (wide.high or 0)


def drawn_after_one(seed: int, share: float) -> tuple[Models, Dataset]:
    """Two models that are equally good, labels of which a share is drawn after the second, and the truth."""
    rng = np.random.default_rng(seed)
    count = 200
    image, cls = np.arange(count) // 2, np.zeros(count, dtype=np.int64)
    corner, size = rng.uniform(0, 400, (count, 2)), rng.uniform(60, 120, (count, 2))
    true = np.concatenate([corner, corner + size], axis=1)
    seen = [true + rng.normal(0, 6, true.shape) for _ in range(2)]
    labelled = np.where((rng.uniform(size=count) < share)[:, None], seen[1], true)
    images = tuple(
        Image(f"g{i // 5:02d}_{i}.png", Path("/nowhere") / str(i), 640, 640, group=f"g{i // 5:02d}", label=Path("/n"))
        for i in range(count // 2)
    )
    truths = [
        Dataset("made", Path("/n"), Path("/n"), "yolo", ("thing",), images, Labels.build(image, cls, boxes))
        for boxes in (labelled, true)
    ]
    scores = rng.uniform(0.3, 1, count)
    found = [Predictions(tuple(one.id for one in images), ("thing",), image, cls, boxes, scores) for boxes in seen]
    return Models(truths[0], found[0], found[1]), truths[1]


@pytest.mark.parametrize("metric", ["mAP75", "mAP50-95", "AR_100"])
def test_labels_drawn_after_one_models_boxes_give_it_no_pass(metric: str) -> None:
    """Both models hit every object at IoU 0.5; only tighter thresholds see whose boxes the labels follow."""
    models, truth = drawn_after_one(1, 0.2)
    spec = ComparisonSpec(metric=metric)
    assert compare(*models, spec).verdict == "PASS"
    assert compare(truth, *models[1:], spec).verdict == "MARGINAL"
    found = compare_with_errors(*models, spec, LabelErrors(0.25, "as given"))
    assert found.verdict == "MARGINAL"
    assert found.delta.low is not None and found.delta.low <= compare(truth, *models[1:], spec).delta.estimate


@pytest.mark.parametrize("metric", ["mAP75", "mAP50-95"])
def test_labels_drawn_after_the_boxes_of_a_model_alone_are_within_its_interval(metric: str) -> None:
    models, truth = drawn_after_one(2, 0.1)
    rate, spec = LabelErrors(0.13, "as given"), EvaluationSpec()
    wide = evaluate_with_errors(truth, models.treatment, spec, rate).intervals[metric]
    plain = evaluate(truth, models.treatment, spec).intervals[metric]
    drawn = evaluate(models.truth, models.treatment, spec).metrics[metric] - plain.estimate
    assert wide.high is not None and plain.high is not None and drawn > 0.01
    assert wide.high - plain.high > drawn / 2


def test_the_same_models_do_not_differ_whatever_the_labels_are(models: Models) -> None:
    same = Models(models.truth, models.control, models.control)
    found = compare_with_errors(*same, ComparisonSpec(metric="recall"), LabelErrors(0.2, "as given"))
    assert not found.delta.low and not found.delta.high


def test_a_pass_that_hangs_on_the_labels_is_marginal_and_says_so() -> None:
    models = two_models(4, groups=20, gain=2.0)
    spec = ComparisonSpec(metric="recall")
    plain = compare(*models, spec)
    assert plain.verdict == "PASS"
    few = compare_with_errors(*models, spec, LabelErrors(0.005, "as given"))
    many = compare_with_errors(*models, spec, LabelErrors(0.2, "as given"))
    assert few.verdict == "PASS"
    assert many.verdict == "MARGINAL"
    assert many.delta.low is not None and plain.delta.low is not None and many.delta.low < plain.delta.low
    assert many.delta.estimate == plain.delta.estimate
    assert "fewer wrong labels" in many.reason
    assert "Up to 20% of the labels of each class may be wrong (as given)" in many.reason
    assert many.label_errors is not None and many.label_errors.verdict == "PASS"
    assert many.groups_needed is None, "groups do not make labels right"
    assert Comparison.from_dict(json.loads(json.dumps(many.to_dict()))).label_errors == many.label_errors


def test_over_several_seeds_the_labels_that_matter_most_in_each_are_doubted(models: Models) -> None:
    """The same runs three times: the interval of one run, made symmetric; seeds add nothing here."""
    spec, rate = ComparisonSpec(metric="recall"), LabelErrors(0.03, "as given")
    runs = ([models.control] * 3, [models.treatment] * 3)
    alone, plain = compare_with_errors(*models, spec, rate), compare_seeds(models.truth, *runs, spec)
    found = compare_seeds_with_errors(models.truth, *runs, spec, rate)
    assert found.delta.high - found.delta.low == pytest.approx(alone.delta.high - alone.delta.low, rel=0.05)
    assert found.delta.low < plain.delta.low - 0.05 and found.delta.high > plain.delta.high + 0.05
    assert found.label_errors is not None and found.label_errors.low == plain.delta.low
    assert found.p_value is None and "3 seeds" in found.delta.method


def test_several_treatments_are_doubted_each_by_its_own_labels(models: Models) -> None:
    spec, rate = ComparisonSpec(metric="recall"), LabelErrors(0.03, "as given")
    arms = {"new": models.treatment, "same": models.control}
    plain = compare_arms(models.truth, models.control, arms, spec).treatments
    found = compare_arms_with_errors(models.truth, models.control, arms, spec, rate).treatments
    assert found["new"].delta.low < plain["new"].delta.low and found["new"].delta.high > plain["new"].delta.high
    assert not found["same"].delta.established, "the same model does not differ, whatever the labels are"
    assert found["new"].p_adjusted is not None and found["new"].p_adjusted >= (plain["new"].p_adjusted or 0)
    assert "of new" in found["new"].reason


def test_on_a_drawn_sample_a_label_counts_as_often_as_its_image(models: Models) -> None:
    """Where each image stands for two, the share is of twice as many labels, and each wrong one is twice as dear."""
    rate = LabelErrors(0.04, "as given")
    one, two = (ComparisonSpec("recall", weights=dict.fromkeys(models.truth.groups, w)) for w in (1.0, 2.0))
    plain = compare_with_errors(*models, ComparisonSpec("recall"), rate)
    first, second = (compare_with_errors(*models, spec, rate) for spec in (one, two))
    for found in (first, second):
        assert found.label_errors is not None and plain.label_errors is not None
        assert found.label_errors.n_wrong == plain.label_errors.n_wrong
        assert found.delta.low == pytest.approx(plain.delta.low, abs=0.01)
    heavy = {name: 3.0 if index == 0 else 1.0 for index, name in enumerate(sorted(set(models.truth.groups)))}
    uneven = compare_with_errors(*models, ComparisonSpec("recall", weights=heavy), rate)
    assert uneven.label_errors is not None and uneven.delta.low < (uneven.label_errors.low or 1)


def test_a_model_alone_has_intervals_for_labels_wrong_in_its_favour_and_against_it(models: Models) -> None:
    spec = EvaluationSpec()
    plain = evaluate(models.truth, models.control, spec)
    wide = evaluate_with_errors(models.truth, models.control, spec, LabelErrors(0.05, "as given"))
    assert wide.metrics == plain.metrics
    for name in ("recall", "precision", "mAP50", "mAP50-95", "false_positives_per_image"):
        before, after = plain.intervals[name], wide.intervals[name]
        assert after.low < before.low and after.high > before.high, name
    assert "labels" in wide.settings["label_errors"]


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_no_single_wrong_label_moves_the_interval_of_a_model_alone_further(models: Models, arm: str) -> None:
    """Not even one in the group that makes the groups most uneven, which widens an interval more than it moves it."""
    predictions, spec = getattr(models, arm), EvaluationSpec()
    wide = evaluate_with_errors(models.truth, predictions, spec, ONE).intervals
    for truth in with_one_wrong(models)[::13]:
        found = evaluate(truth, predictions, spec).intervals
        for name in ("recall", "precision", "false_positives_per_image"):
            assert found[name].low >= wide[name].low and found[name].high <= wide[name].high, name


def test_what_wrong_labels_are_not_allowed_for_in_has_no_interval(models: Models) -> None:
    spec = EvaluationSpec(threshold=ImageLevelThreshold((models.truth.classes[0],), 0.5))
    plain = evaluate(models.truth, models.control, spec).intervals
    found = evaluate_with_errors(models.truth, models.control, spec, ONE).intervals
    beyond = [name for name, one in plain.items() if name not in (*COCO, *RATES) and one.established]
    assert beyond
    assert not any(found[name].established for name in beyond)
    assert found["recall"].established


def test_an_unknown_p_value_stays_unknown_and_classes_are_said_to_be_as_labelled(models: Models) -> None:
    same = compare_with_errors(models.truth, models.control, models.control, ComparisonSpec(metric="recall"), ONE)
    assert same.p_value is None and same.probability_better is None
    two = compare_with_errors(*models, ComparisonSpec(metric="recall"), ONE)
    assert any("labels as they are" in caveat for caveat in two.caveats)


def test_the_rate_is_a_number_or_what_two_annotators_or_a_review_say(models: Models, tmp_path: Path) -> None:
    agree = tmp_path / "agree.json"
    agree.write_text(json.dumps({"f1_50_class": 0.95, "f1_50_class_interval": [0.92, 0.97]}))
    review = tmp_path / "reviewed.json"
    counted = len(models.truth.labels)
    kind = {"flagged": 10, "reviewed": 10, "mistakes": 5, "unsure": 0}
    review.write_text(json.dumps([
        {"kind": "missing", **kind, "share": {"estimate": 0.5, "low": 0.2, "high": 0.8}},
        {"kind": "box", **kind, "share": {"estimate": 0.1, "low": 0.0, "high": 0.2}},
    ]))  # fmt: skip
    for given, rate in (("0.03", 0.03), (0.03, 0.03), (agree, 0.04), (str(review), 10 / counted)):
        found = liftgate.compare(*models, metric="recall", label_errors=given)
        assert found.label_errors is not None
        assert found.label_errors.rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0", "not a share"), ("0.7", "not a share"), ("nan", "not a share"), ("nothing.json", "cannot read"),
        ({"f1_50_class_interval": [None, None]}, "no interval"), ({"kappa": 0.9}, "does not say"), ([], "does not say"),
        ({"f1_50_class_interval": [0.99, 0.5]}, "no interval"), ({"f1_50_class_interval": [-5, 1]}, "no interval"),
        ([{"kind": "box", "flagged": 3, "reviewed": 3, "share": {"low": None, "high": None}}], "no interval"),
        ([{"kind": "box", "flagged": "a", "reviewed": 3, "share": {"low": 0.1, "high": 0.2}}], "does not say"),
        ([{"kind": "box", "flagged": 3, "reviewed": 3, "share": {}}], "does not say"),
        ([{"kind": "box", "flagged": 3, "reviewed": 3, "share": 3}], "does not say"),
    ],
)  # fmt: skip
def test_a_rate_that_is_none_is_refused(models: Models, tmp_path: Path, content: object, message: str) -> None:
    given = content if isinstance(content, str) else tmp_path / "rate.json"
    if isinstance(given, Path):
        given.write_text(json.dumps(content))
    with pytest.raises(LiftgateError, match=message):
        liftgate.compare(*models, metric="recall", label_errors=given)


def test_only_box_metrics_judged_by_an_interval_allow_for_wrong_labels(models: Models) -> None:
    with pytest.raises(LiftgateError, match="judged by an interval"):
        liftgate.compare(*models, metric="recall", rule="point", label_errors=0.1)


def test_on_the_command_line(models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = coco.write(models.truth, tmp_path / "truth.json")
    old, new = (write_predictions(one, models.truth, tmp_path / f"{name}.json")
                for name, one in (("old", models.control), ("new", models.treatment)))  # fmt: skip
    arms = ["--truth", str(truth), "--control", str(old), "--treatment", str(new), "--label-errors", "0.1"]
    groups = ["--groups", r"^(?P<group>g\d+)_"]
    main(["compare", *arms, *groups, "--metric", "recall", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["label_errors"]["rate"] == 0.1
    assert found["interval"][0] < found["label_errors"]["low"]
    main(["compare", *arms, *groups, "--metric", "recall", "--treatment", f"again={new}", "--json"])
    several = json.loads(capsys.readouterr().out)
    assert all(one["label_errors"]["rate"] == 0.1 for one in several["comparisons"].values())
    words = ["evaluate", "--truth", str(truth), "--predictions", str(old), *groups, "--label-errors", "0.1"]
    assert main(words) == 0
    assert "Up to 10% of the labels of each class may be wrong" in capsys.readouterr().err
    capsys.readouterr()
    whole = LabelErrors(0.1, "as given")
    sampled = ["--sample", str(everything(models, tmp_path / "sample.csv"))]
    words = [word for word in words if word not in groups]
    assert main([*words, *sampled, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = evaluate_with_errors(models.truth, models.control, EvaluationSpec(), whole, halved(models)).intervals
    assert found["intervals"]["recall"] == pytest.approx([expected["recall"].low, expected["recall"].high])
    assert main([*words[:-1], str(reviewed(models, tmp_path / "reviewed.json")), *sampled]) == 2
    assert "a review counts every label alike" in capsys.readouterr().err
    more = ["compare", *arms[:-1], str(tmp_path / "reviewed.json"), "--metric", "recall", *sampled]
    assert main(more) == 2
    assert "a review counts every label alike" in capsys.readouterr().err


def halved(models: Models) -> dict[str, float]:
    """Weights of a sample of which every group was as likely as not to be drawn."""
    return {group or "": 2.0 for group in models.truth.groups}


def everything(models: Models, path: Path) -> Path:
    """A sample that happens to hold every image."""
    names, groups = (
        tuple(image.id for image in models.truth.images),
        tuple(group or "" for group in models.truth.groups),
    )
    drawn = DrawnFrames(names, groups, (0.5,) * len(names), "recall", 0, len(names), len(set(groups)))
    return write_sample(drawn, path)


def reviewed(models: Models, path: Path) -> Path:
    share = {"estimate": 0.5, "low": 0.2, "high": 0.8}
    path.write_text(json.dumps([{"kind": "box", "flagged": 10, "reviewed": 10, "share": share}]))
    return path


def uneven(models: Models) -> dict[str, float]:
    names = sorted({group or "" for group in models.truth.groups})
    return {name: 1.0 + index % 4 for index, name in enumerate(names)}


def test_on_a_drawn_sample_a_model_alone_allows_for_wrong_labels_by_the_weights(models: Models) -> None:
    """The share is of all images: it does not matter for how many each stands, only for how many more than others."""
    spec, rate = EvaluationSpec(), LabelErrors(0.05, "as given")
    one = dict.fromkeys(uneven(models), 1.0)
    same = [evaluate_with_errors(models.truth, models.control, spec, rate, w) for w in (one, halved(models))]
    assert same[0].settings["label_errors"] == same[1].settings["label_errors"]
    for weights in (one, uneven(models)):
        plain = evaluate_sample(models.truth, models.control, spec, weights)
        wide = evaluate_with_errors(models.truth, models.control, spec, rate, weights)
        assert wide.metrics == plain.metrics and wide.method == plain.method
        for name, before in plain.intervals.items():
            after = wide.intervals[name]
            if name in ("recall", "precision", "mAP50", "mAP50-95", "false_positives_per_image"):
                assert after.low < before.low and after.high > before.high, name
            if before.established and after.established and weights is one:
                found = same[1].intervals[name]
                assert (found.low, found.high) == pytest.approx((after.low, after.high)), name


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_no_single_wrong_label_of_a_sample_moves_the_interval_further(models: Models, arm: str) -> None:
    predictions, spec, weights = getattr(models, arm), EvaluationSpec(), uneven(models)
    wide = evaluate_with_errors(models.truth, predictions, spec, ONE, weights).intervals
    for truth in with_one_wrong(models)[::13]:
        found = evaluate_sample(truth, predictions, spec, weights).intervals
        for name in ("recall", "precision", "false_positives_per_image"):
            assert found[name].low >= wide[name].low and found[name].high <= wide[name].high, name
