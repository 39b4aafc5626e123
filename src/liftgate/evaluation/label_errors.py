"""Wrong labels in the truth: how far they can move an evaluation or a difference, and intervals that hold both ends.

At most a share of the labels of each class is wrong, but not which, nor in whose favour. So the truth is changed as
far as that share goes, once to the credit of one model and once to that of the other, and everything is computed again:
the interval reaches from the lower end on the first truth to the upper end on the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.metric_names import COCO, RATES
from liftgate.evaluation.multiple_comparisons import compare_arms
from liftgate.evaluation.records import Comparison, Comparisons, Evaluation, LabelErrors
from liftgate.evaluation.seeds import combine_seeds, compare_seeds
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from liftgate.evaluation.verdict import as_gain, decide, explain_verdict
from liftgate.evaluation.weighted_evaluation import evaluate_sample
from liftgate.evaluation.wrong_labels import (
    beyond_the_mean,
    gained_hits,
    image_weights,
    lost_hits,
    matched_labels,
    paired_changes,
    with_changes,
)
from liftgate.stats.interval import Interval

_AS_LABELLED = "classes and slices: with the labels as they are, without doubt about them"
_NOT_COVERED = "not established: how far wrong labels move this metric is not known"


def compare_with_errors(
    truth: Dataset, control: Predictions, treatment: Predictions, spec: ComparisonSpec, errors: LabelErrors
) -> Comparison:
    """Compare two models where a share of the labels of each class may be wrong, all in one model's favour.

    Args:
        truth: the labels, as in `compare`; on a drawn sample the share is that of all images, by the weights of `spec`.
        control: as in `compare`.
        treatment: as in `compare`.
        spec: as in `compare`; a box metric, by the interval rule.
        errors: the largest share of wrong labels.

    Raises:
        UsageError: as `compare`; a metric of whole images or of keypoints, or the point rule.
    """
    return compare_seeds_with_errors(truth, [control], [treatment], spec, errors)


def compare_seeds_with_errors(
    truth: Dataset,
    controls: Sequence[Predictions],
    treatments: Sequence[Predictions],
    spec: ComparisonSpec,
    errors: LabelErrors,
) -> Comparison:
    """Compare two arms over several seeds where labels may be wrong, in each seed those that matter most there.

    Args:
        truth: as in `compare_with_errors`.
        controls: predictions of the control, one for each seed.
        treatments: predictions of the treatment, in the same order.
        spec: as in `compare_with_errors`.
        errors: the largest share of wrong labels.

    Raises:
        UsageError: as `compare_seeds` and `compare_with_errors`.
    """
    plain = compare_seeds(truth, controls, treatments, spec)
    _require_boxes(truth, spec)
    bare = replace(spec, slices=None)
    pairs = list(zip(controls, treatments, strict=True))
    worse = [_both_ways(truth, *pair, bare, errors.rate) for pair in pairs]
    others = [
        combine_seeds([compare(one[side][0], *pair, bare) for one, pair in zip(worse, pairs, strict=True)], spec.rule)
        for side in (0, 1)
    ]
    n_wrong = max(count for one in worse for _, count in one)
    return _in_doubt(plain, others, spec, replace(errors, n_wrong=n_wrong))


def compare_arms_with_errors(
    truth: Dataset,
    control: Predictions,
    treatments: Mapping[str, Predictions],
    spec: ComparisonSpec,
    errors: LabelErrors,
) -> Comparisons:
    """Compare every treatment with one control where labels may be wrong, with simultaneous intervals.

    Args:
        truth: as in `compare_with_errors`.
        control: as in `compare_arms`.
        treatments: as in `compare_arms`.
        spec: as in `compare_with_errors`.
        errors: the largest share of wrong labels.

    Raises:
        UsageError: as `compare_arms` and `compare_with_errors`.
    """
    plain = compare_arms(truth, control, treatments, spec)
    _require_boxes(truth, spec)
    bare, found = replace(spec, slices=None), {}
    for name, treatment in treatments.items():
        worse = _both_ways(truth, control, treatment, bare, errors.rate)
        others = [compare_arms(one, control, treatments, bare).treatments[name] for one, _ in worse]
        noted = replace(errors, n_wrong=max(count for _, count in worse))
        adjusted = _largest_p([plain.treatments[name], *others], "p_adjusted")
        found[name] = replace(_in_doubt(plain.treatments[name], others, spec, noted, name), p_adjusted=adjusted)
    return replace(plain, treatments=found)


def _require_boxes(truth: Dataset, spec: ComparisonSpec) -> None:
    if spec.metric not in (*COCO, *RATES) or truth.labels.keypoints is not None or spec.rule != "interval":
        raise UsageError("wrong labels are allowed for in box metrics that are judged by an interval", got=spec.metric)


def _both_ways(
    truth: Dataset, control: Predictions, treatment: Predictions, spec: ComparisonSpec, rate: float
) -> list[tuple[Dataset, int]]:
    """Return the truth with wrong labels in the control's favour and in the treatment's, and how many they are."""
    conf, thresholds = (0.0, COCO[spec.metric].thresholds) if spec.metric in COCO else (spec.conf, (0,))
    arms = [matched_labels(truth, one, conf, thresholds) for one in (control, treatment)]
    weights = image_weights(truth, spec.weights)
    by_score = spec.metric in COCO and COCO[spec.metric].kind == "AP"
    return [with_changes(truth, favoured, paired_changes(truth, favoured, other), rate, weights, by_score=by_score)
            for favoured, other in (arms, arms[::-1])]  # fmt: skip


def _in_doubt(
    plain: Comparison, others: Sequence[Comparison], spec: ComparisonSpec, errors: LabelErrors, name: str = "treatment"
) -> Comparison:
    """Return a comparison whose interval and verdict hold with the labels as they are and with both changed truths."""
    delta = _union(plain.delta, [one.delta for one in others])
    word = decide(as_gain(delta, spec.metric), spec.margin, spec.rule, spec.claim)
    noted = replace(errors, low=plain.delta.low, high=plain.delta.high, verdict=plain.verdict)
    more = f", and {plain.groups_needed} groups in all," if plain.groups_needed else ""
    settled = f"fewer wrong labels{more} would settle it (check --predictions finds them)" if word == "MARGINAL" else ""
    reason = explain_verdict(
        spec.metric, delta, spec.margin, spec.rule, ("control", name), spec.claim, settled_by=settled
    )
    p_value = _largest_p([plain, *others], "p_value")
    better = None if p_value is None else (1 - p_value / 2 if as_gain(delta, spec.metric).estimate > 0 else p_value / 2)
    return replace(
        plain, delta=delta, verdict=word, reason=f"{reason} {noted.text}", p_value=p_value, probability_better=better,
        groups_needed=None, label_errors=noted, settled_by=settled, percentile=None,
        caveats=(*plain.caveats, *((_AS_LABELLED,) if plain.per_class or plain.slices else ())),
    )  # fmt: skip


def evaluate_with_errors(
    truth: Dataset,
    predictions: Predictions,
    spec: EvaluationSpec,
    errors: LabelErrors,
    weights: Mapping[str, float] | None = None,
) -> Evaluation:
    """Evaluate a model where a share of the labels of each class may be wrong, all in its favour or all against it.

    Args:
        truth: the labels, as in `evaluate`.
        predictions: as in `evaluate`.
        spec: as in `evaluate`.
        errors: the largest share of wrong labels; on a drawn sample that of all images.
        weights: of a drawn sample, as in `evaluate_sample`; None: every image counts alike.

    Raises:
        UsageError: as `evaluate`; keypoints.
    """

    def measured(labels: Dataset, asked: EvaluationSpec) -> Evaluation:
        if weights is None:
            return evaluate(labels, predictions, asked)
        return evaluate_sample(labels, predictions, asked, weights)

    plain = measured(truth, spec)
    if truth.labels.keypoints is not None or predictions.image_level:
        raise UsageError("wrong labels are allowed for in metrics of boxes", where=truth.source)
    arm = matched_labels(truth, predictions, spec.conf, (0,))
    bare = EvaluationSpec(spec.level, spec.conf)
    images = image_weights(truth, weights)
    hits, false = beyond_the_mean(truth, arm, images)
    orders = ((lost_hits, (None, -hits, false)), (gained_hits, (None, hits, -false)))
    changed = [
        with_changes(truth, arm, changes(truth, arm), errors.rate, images, first)
        for changes, gathered in orders
        for first in gathered
    ]
    for thresholds in _tighter(plain.intervals):
        tight = matched_labels(truth, predictions, 0.0, thresholds)
        changed += [
            with_changes(truth, tight, changes(truth, tight), errors.rate, images, by_score=True)
            for changes, _ in orders
        ]
    others = [measured(one, bare) for one, _ in changed]
    intervals = dict(plain.intervals)
    for name, interval in plain.intervals.items():
        if name in (*COCO, *RATES) and all(name in one.intervals for one in others):
            intervals[name] = _union(interval, [one.intervals[name] for one in others])
        elif interval.established:
            intervals[name] = replace(interval, low=None, high=None, note=_NOT_COVERED)
    noted = replace(errors, n_wrong=max(count for _, count in changed))
    return replace(plain, intervals=intervals, settings={**plain.settings, "label_errors": noted.text})


def _largest_p(found: Sequence[Comparison], which: Literal["p_value", "p_adjusted"]) -> float | None:
    """Return the largest p-value, 1 where the sign of the difference hangs on the labels; None: one is unknown."""
    values = [value for one in found if (value := getattr(one, which)) is not None]
    if len(values) < len(found):
        return None
    return 1.0 if len({np.sign(one.delta.estimate) for one in found}) > 1 else max(values)


def _union(plain: Interval, others: list[Interval]) -> Interval:
    """Return the interval that reaches over all; not established where one of them is not."""
    found = [plain, *others]
    if any(one.low is None or one.high is None for one in found):
        return plain if not plain.established else replace(
            plain, low=None, high=None, note="not established: not with as many wrong labels as there may be"
        )  # fmt: skip
    low, high = min(one.low or 0.0 for one in found), max(one.high or 0.0 for one in found)
    return replace(plain, low=low, high=high)


def _tighter(metrics: Iterable[str]) -> list[tuple[int, ...]]:
    """Return the IoU thresholds of metrics that ask for more than IoU 0.5, each once."""
    return [one for one in dict.fromkeys(COCO[name].thresholds for name in metrics if name in COCO) if one != (0,)]
