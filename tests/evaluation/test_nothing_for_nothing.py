"""No variance means no interval and no PASS: every metric × side × word; groups that hold nothing count for nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, FAR, said, truth
from evaluation.test_pose import pose
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.image_level import ImageLevelThreshold
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS, RATES
from liftgate.evaluation.records import Evaluation
from liftgate.evaluation.sample_size import size_difference, size_rate
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from liftgate.evaluation.verdict import judge_claims
from liftgate.stats.interval import Interval
from liftgate.study.records import Claim, ClaimWord, Gate, Rule

THRESHOLD = ImageLevelThreshold(("a",), 0.5)
SIDES = ("at_least", "at_most")


def frames(groups: int = 12, per_group: int = 5, holding: int | None = None) -> Dataset:
    """Images in groups; objects only in the first `holding` groups."""
    holding = groups if holding is None else holding
    count = groups * per_group
    return truth([int(i // per_group < holding) for i in range(count)], [f"v{i // per_group:02}" for i in range(count)])


def same_everywhere(kind: str) -> tuple[Dataset, Predictions]:
    """A model of which nothing varies: it says nothing at all, or finds everything with one score."""
    if kind == "poses":
        data, model = pose()
        return data, model
    data = frames()
    rows = [] if kind == "silent" else [(i, BOX, 0.9) for i in range(len(data.images))]
    return data, said(rows, data)


def spec_for(metric: str, **more: object) -> ComparisonSpec:
    thresholds = (THRESHOLD, THRESHOLD) if metric in IMAGE_LEVEL else ()
    return ComparisonSpec(metric, thresholds=thresholds, sigmas=0.05 if metric in OKS else None, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("claim", ["better", "equal"])
@pytest.mark.parametrize("kind", ["silent", "perfect"])
@pytest.mark.parametrize("metric", [*COCO, *RATES, *IMAGE_LEVEL])
def test_two_models_that_never_differ_pass_nothing(metric: str, kind: str, claim: ClaimWord) -> None:
    data, model = same_everywhere(kind)
    try:
        result = compare(data, model, model, spec_for(metric, claim=claim, margin=0.01 if claim == "equal" else 0.0))
    except UsageError as error:
        assert "undefined here" in str(error)
        return
    assert not result.delta.established and result.verdict == "MARGINAL"
    assert result.p_value is None and result.probability_better is None and result.percentile is None
    assert "not established" in result.reason


@pytest.mark.parametrize("metric", list(OKS))
def test_two_pose_models_that_never_differ_pass_nothing(metric: str) -> None:
    data, model = same_everywhere("poses")
    try:
        assert compare(data, model, model, spec_for(metric)).verdict == "MARGINAL"
    except UsageError as error:
        assert "undefined here" in str(error)


@pytest.mark.parametrize("rule", ["interval", "point"])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("metric", [*COCO, *RATES, *IMAGE_LEVEL])
def test_a_claim_without_an_interval_is_marginal_on_either_side(metric: str, side: str, rule: Rule) -> None:
    """Under five groups nothing is established: no PASS by interval, and none by point values either."""
    data = frames(groups=4)
    rng = np.random.default_rng(0)
    rows = [(i, BOX if rng.random() < 0.7 else FAR, 0.4 + rng.random() / 2) for i in range(len(data.images))]
    measured = evaluate(data, said(rows, data), EvaluationSpec(threshold=THRESHOLD))
    for bound in (-1.0, 0.0, 0.5, 1.0, 5.0):
        gate = Gate("g", "d.val", rule=rule, arm="a", claims=(Claim(metric, **{side: bound}),))
        assert judge_claims(gate, measured).word != "PASS"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("metric", [*COCO, *RATES, *IMAGE_LEVEL])
@pytest.mark.parametrize("kind", ["mixed", "silent", "perfect"])
def test_every_word_is_reached_without_a_fault_and_says_what_would_settle_it(metric: str, side: str, kind: str) -> None:
    """PASS, MARGINAL and FAIL of every metric on both sides; `at_most` with MARGINAL once crashed a whole study."""
    data = frames(groups=20)
    rng = np.random.default_rng(1)
    rows = [(i, BOX if rng.random() < 0.7 else FAR, 0.4 + rng.random() / 2) for i in range(len(data.images))]
    rows = {"mixed": rows, "silent": [], "perfect": [(i, BOX, 0.9) for i in range(len(data.images))]}[kind]
    measured = evaluate(data, said(rows, data), EvaluationSpec(threshold=THRESHOLD))
    value, interval = measured.metrics.get(metric), measured.intervals.get(metric)
    bounds = [0.0, 0.3, 1.0] if value is None else [value - 0.01, value, value + 0.01, value - 5, value + 5]
    for bound in bounds:
        verdict = judge_claims(Gate("g", "d.val", arm="a", claims=(Claim(metric, **{side: bound}),)), measured)
        if interval is None or not interval.established:
            assert verdict.word == "MARGINAL"
        row = verdict.evidence[0]
        if row["groups_needed"] is not None:
            assert row["groups_needed"] > measured.n_groups and "80% chance" in verdict.sentence


def test_groups_without_objects_are_no_evidence() -> None:
    data = frames(groups=20, holding=2)
    rows = [(i, BOX if i % 3 else FAR, 0.5 + i / 300) for i in range(len(data.images))]
    measured = evaluate(data, said(rows, data))
    for metric in ("recall", "mAP50", "mAP50-95", "best_confidence_median"):
        interval = measured.intervals[metric]
        assert not interval.established and (interval.n_groups, interval.groups_informative) == (20, 2)
        assert "2 of 20 groups hold what it is about" in interval.note
    precision = measured.intervals["precision"]
    assert precision.established and precision.groups_informative == 20


def test_groups_in_which_two_models_answer_alike_say_nothing_of_their_difference() -> None:
    data = frames(groups=40)
    control = [(i, BOX if i % 2 else FAR, 0.5 + i / 500) for i in range(len(data.images))]
    treatment = [(i, BOX, score) if i // 5 in (3, 9, 11, 20) else (i, box, score) for i, box, score in control]
    result = compare(data, said(control, data), said(treatment, data), ComparisonSpec("recall"))
    assert result.delta.groups_informative == 4 and result.verdict == "MARGINAL"
    more = [(i, BOX, score) if i // 5 < 12 else (i, box, score) for i, box, score in control]
    lift = compare(data, said(control, data), said(more, data), ComparisonSpec("recall"))
    assert lift.delta.groups_informative == 12 and lift.delta.degrees == pytest.approx(11)


def test_p_value_and_probability_say_the_same() -> None:
    data = frames(groups=15)
    rng = np.random.default_rng(3)
    models = [
        said([(i, BOX if rng.random() < p else FAR, rng.uniform(0.3, 0.9)) for i in range(75)], data)
        for p in (0.5, 0.65)
    ]
    result = compare(data, *models, ComparisonSpec("recall"))
    assert result.probability_better == pytest.approx(1 - result.p_value / 2)  # type: ignore[operator]


def test_point_values_pass_from_five_groups_on() -> None:
    words = []
    for groups in (4, 5):
        data = frames(groups=groups)
        rows = [(i, BOX if i % 2 else FAR, 0.5 + i / 200) for i in range(len(data.images))]
        better = [(i, BOX, score) for i, _, score in rows]
        result = compare(data, said(rows, data), said(better, data), ComparisonSpec("recall", rule="point"))
        words.append(result.verdict)
    assert words == ["MARGINAL", "PASS"]


def test_no_groups_are_said_to_be_none_and_names_of_frames_warn_with_a_rule() -> None:
    data = replace(frames(), images=tuple(replace(image, group=None) for image in frames().images))
    rows = [(i, BOX if i % 3 else FAR, 0.5 + i / 300) for i in range(60)]
    more = [(i, BOX if i % 4 else FAR, 0.5 + i / 300) for i in range(60)]
    plain = compare(data, said(rows, data), said(more, data), ComparisonSpec("recall"))
    assert any("every image counts as a group of its own" in caveat for caveat in plain.caveats)
    for form in ("{}_{:03}.jpg", "{}_mp4-{}_jpg.rf.0a1b.jpg", "{}-mp4-{}.jpg"):
        names = [form.format("yard" if i < 30 else "street", i) for i in range(60)]
        images = tuple(replace(image, id=name) for image, name in zip(data.images, names, strict=True))
        frames_of_videos = replace(data, images=images)
        result = compare(
            frames_of_videos, said(rows, frames_of_videos), said(more, frames_of_videos), ComparisonSpec("recall")
        )
        (warning,) = [caveat for caveat in result.caveats if "groups" in caveat]
        assert warning.startswith("warning:") and "frames of 2 videos" in warning and "--groups '^(?P<group>" in warning


def test_what_is_no_interval_is_no_number_in_json_either() -> None:
    interval = Interval(0.5, None, None, 0.95, "bootstrap-se-t", 10, 2)
    measured = Evaluation({}, {"recall": interval}, {}, {}, "t", "p", 0.95, "m", 10, 2)
    assert measured.to_dict()["intervals"]["recall"] == [None, None]
    assert "groups_effective" in measured.to_dict()["interval_details"]["recall"]


def test_a_level_that_is_meant_as_the_chance_of_error_is_refused() -> None:
    """An interval of level 0.05 is a sixteenth of a standard error long on each side: nearly any gain would pass."""
    data = truth([1] * 20, [f"v{i // 2}" for i in range(20)])
    found = said([(i, BOX, 0.9) for i in range(0, 20, 3)], data)
    with pytest.raises(UsageError, match=r"0\.5 and 1") as caught:
        compare(data, found, found, ComparisonSpec(level=0.05))
    assert caught.value.hint == "95% is 0.95, not 0.05"
    with pytest.raises(UsageError, match=r"0\.5 and 1"):
        evaluate(data, found, EvaluationSpec(level=0.05))
    for size in (size_rate, size_difference):
        with pytest.raises(UsageError, match=r"0\.5 and 1"):
            size(0.9, 0.95, level=0.05)
