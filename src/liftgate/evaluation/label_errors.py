"""Wrong labels in the truth: how far they can move an evaluation or a difference, and intervals that hold both ends.

At most a share of the labels of each class is wrong, but not which, nor in whose favour. So the truth is changed as
far as that share goes, once to the credit of one model and once to that of the other, and everything is computed again:
the interval reaches from the lower end on the first truth to the upper end on the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import areas, iou
from liftgate.data.core.dataset import Dataset, Labels, stack_labels
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO, RATES
from liftgate.evaluation.multiple_comparisons import compare_arms
from liftgate.evaluation.records import Comparison, Comparisons, Evaluation, LabelErrors
from liftgate.evaluation.resampling import units
from liftgate.evaluation.seeds import combine_seeds, compare_seeds
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from liftgate.evaluation.verdict import as_gain, decide, explain_verdict
from liftgate.evaluation.weighted_evaluation import evaluate_sample
from liftgate.stats.interval import Interval

_SAME_OBJECT = 0.1
"""IoU from which a detection may be what a wrong label should have said"""
_FOUND = 0.5
_AS_LABELLED = "classes and slices: with the labels as they are, without doubt about them"
_NOT_COVERED = "not established: how far wrong labels move this metric is not known"

Rows = NDArray[np.int64]


class _Change(NamedTuple):
    """One label that may be wrong."""

    worth: int
    """How many hits it moves from one model to the other"""
    score: float
    cls: int
    """Class whose share of wrong labels it counts towards"""
    label: int
    """Row of the labels; −1: one is missing"""
    detection: int
    """Row of the favoured model's predictions, which is what the label should have said; −1: the object is elsewhere"""


class _Matched(NamedTuple):
    """One model's detections of sufficient confidence, matched to the labels at IoU 0.5."""

    hit_by: Rows
    """(m,) row of the detection that hits each label; −1: none"""
    free: NDArray[np.bool_]
    """(n,) detections that hit nothing"""
    image: Rows
    """(n,) index into the truth's images"""
    predictions: Predictions


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
    conf = 0.0 if spec.metric in COCO else spec.conf
    arms = [_matched(truth, one, conf) for one in (control, treatment)]
    weights = _image_weights(truth, spec.weights)
    return [_changed(truth, favoured, _paired_changes(truth, favoured, other), rate, weights)
            for favoured, other in (arms, arms[::-1])]  # fmt: skip


def _image_weights(truth: Dataset, weights: Mapping[str, float] | None) -> NDArray[np.float64]:
    """Return how many images each stands for: more than 1 on a drawn sample."""
    known = weights or {}
    return np.array([known.get(group or "", 1.0) for group in truth.groups], dtype=np.float64)


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
    arm = _matched(truth, predictions, spec.conf)
    bare = EvaluationSpec(spec.level, spec.conf)
    images = _image_weights(truth, weights)
    hits, false = _beyond_the_mean(truth, arm, images)
    orders = ((_lost, (None, -hits, false)), (_gained, (None, hits, -false)))
    changed = [
        _changed(truth, arm, changes(truth, arm), errors.rate, images, first)
        for changes, gathered in orders
        for first in gathered
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


def _matched(truth: Dataset, predictions: Predictions, conf: float) -> _Matched:
    table = match(truth, predictions)
    sure = table.score >= conf
    hit = sure & (table.hit[0] & 1 != 0) & (table.skip[0] & 1 == 0)
    wrong = sure & (table.hit[0] & 1 == 0) & (table.skip[0] & 1 == 0)
    hit_by = np.full(len(truth.labels), -1, dtype=np.int64)
    hit_by[table.found[hit]] = table.row[hit]
    free = np.zeros(len(predictions), dtype=np.bool_)
    free[table.row[wrong]] = True
    image = np.full(len(predictions), -1, dtype=np.int64)
    image[table.row] = table.image
    return _Matched(hit_by, free, image, predictions)


def _counted(labels: Labels) -> NDArray[np.bool_]:
    return ~(labels.crowd | labels.ignore)


def _paired_changes(truth: Dataset, favoured: _Matched, other: _Matched) -> Iterable[_Change]:
    """Yield the labels that, if wrong, move hits from the other model to the favoured one."""
    labels, own = truth.labels, favoured.predictions
    only_other = _counted(labels) & (other.hit_by >= 0) & (favoured.hit_by < 0)
    neither = _counted(labels) & (other.hit_by < 0) & (favoured.hit_by < 0)
    for label in np.flatnonzero(only_other | neither):
        near = np.flatnonzero(favoured.free & (favoured.image == labels.image[label]))
        overlap = iou(labels.boxes[[label]], own.boxes[near])[0]
        best = int(near[overlap.argmax()]) if overlap.max(initial=0.0) >= _SAME_OBJECT else -1
        if only_other[label]:
            score = float(other.predictions.scores[other.hit_by[label]])
            yield _Change(1 if best < 0 else 2, score, int(labels.cls[label]), int(label), best)
            if best >= 0:  # where the detection is taken by another label
                yield _Change(1, score, int(labels.cls[label]), int(label), -1)
        elif best >= 0:
            yield _Change(1, float(own.scores[best]), int(labels.cls[label]), int(label), best)
    for row in np.flatnonzero(favoured.free):
        rivals = np.flatnonzero(
            (other.image == favoured.image[row]) & other.free & (other.predictions.cls == own.cls[row])
        )
        if iou(own.boxes[[row]], other.predictions.boxes[rivals])[0].max(initial=0.0) < _FOUND:
            yield _Change(1, float(own.scores[row]), int(own.cls[row]), -1, int(row))


def _lost(truth: Dataset, arm: _Matched) -> Iterable[_Change]:
    """Yield the labels that a model finds: each may lie elsewhere."""
    for label in np.flatnonzero(_counted(truth.labels) & (arm.hit_by >= 0)):
        score = float(arm.predictions.scores[arm.hit_by[label]])
        yield _Change(1, score, int(truth.labels.cls[label]), int(label), -1)


def _gained(truth: Dataset, arm: _Matched) -> Iterable[_Change]:
    """Yield the detections that hit nothing: each may be an object, one that is labelled elsewhere or one that is not.

    An object that is labelled elsewhere leaves the number of objects as it is, which is worth more.
    """
    labels, own = truth.labels, arm.predictions
    unfound = _counted(labels) & (arm.hit_by < 0)
    for row in np.flatnonzero(arm.free):
        score, cls = float(own.scores[row]), int(own.cls[row])
        for label in np.flatnonzero(unfound & (labels.image == arm.image[row]) & (labels.cls == cls)):
            yield _Change(2, score, cls, int(label), int(row))
        yield _Change(1, score, cls, -1, int(row))


def _beyond_the_mean(
    truth: Dataset, arm: _Matched, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n_images,) the hits, and the false detections, of an image's group beyond those of the mean group.

    Wrong labels widen an interval most where they lie together, in a group that differs from the others already.
    Every image counts by its weight, (n_images,).
    """
    counted, group = _counted(truth.labels), units(truth.groups).group
    n = len(group)  # at most as many groups
    of_label, worth = group[truth.labels.image[counted]], weights[truth.labels.image[counted]]
    objects, hits = np.bincount(of_label, worth, n), np.bincount(of_label, worth * (arm.hit_by[counted] >= 0), n)
    at = arm.image[arm.free]
    images, false = np.bincount(group, weights, n), np.bincount(group[at], weights[at], n)
    found, wrong = hits.sum() / max(1.0, objects.sum()), false.sum() / max(1.0, images.sum())
    return (hits - found * objects)[group], (false - wrong * images)[group]


def _changed(
    truth: Dataset,
    arm: _Matched,
    changes: Iterable[_Change],
    rate: float,
    weights: NDArray[np.float64],
    first: NDArray[np.float64] | None = None,
) -> tuple[Dataset, int]:
    """Return the truth with the changes that are worth most, within the rate in each class, and their number.

    Every label counts as often as its image; the last one of a class may go beyond the rate. Of changes that are worth
    the same those come first whose image has the larger value in `first`, (n_images,), then the more confident.
    """
    labels, own = truth.labels, arm.predictions
    counted = _counted(labels)
    objects = np.bincount(labels.cls[counted], weights[labels.image[counted]], minlength=len(truth.classes))
    left = (rate * objects - 1e-9).tolist()
    cls, boxes, area = labels.cls.copy(), labels.boxes.copy(), labels.area.copy()
    missing: list[int] = []
    used_labels: set[int] = set()
    used_detections: set[int] = set()

    def urgency(change: _Change) -> tuple[float, ...]:
        image = labels.image[change.label] if change.label >= 0 else arm.image[change.detection]
        before = 0.0 if first is None else -float(first[image])
        return -change.worth, before, -change.score, change.label, change.detection

    for one in sorted(changes, key=urgency):
        if left[one.cls] <= 0 or one.label in used_labels or one.detection in used_detections:
            continue
        left[one.cls] -= weights[labels.image[one.label] if one.label >= 0 else arm.image[one.detection]]
        if one.detection >= 0:
            used_detections.add(one.detection)
        if one.label < 0:
            missing.append(one.detection)
            continue
        used_labels.add(one.label)
        if one.detection >= 0:
            cls[one.label], boxes[one.label] = own.cls[one.detection], own.boxes[one.detection]
            area[one.label] = areas(boxes[[one.label]])[0]
        else:  # nobody knows where: outside the image, where nothing is found
            boxes[one.label] -= 10 * float(np.max(truth.images[labels.image[one.label]].upright))
    table = replace(labels, cls=cls, boxes=boxes, area=area, sides=None)
    if missing:
        table = stack_labels([table, Labels.build(arm.image[missing], own.cls[missing], own.boxes[missing])])
        table = table.take(np.argsort(table.image, kind="stable"))
    return replace(truth, labels=table), len(used_labels) + len(missing)


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
