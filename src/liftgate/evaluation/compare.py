"""compare: the paired difference of a metric between two models on the same images, its interval and verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import known_truth, require_same_images
from liftgate.evaluation.breakdown import compare_classes, compare_slices
from liftgate.evaluation.group_hints import group_caveats
from liftgate.evaluation.intervals import difference_interval
from liftgate.evaluation.matched_predictions import MatchedPredictions, match_for_metric, replicates
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS
from liftgate.evaluation.records import Comparison, ImageChange
from liftgate.evaluation.resampling import IMAGE_DRAWS, Units, image_units, units, weighted_units
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.evaluation.verdict import PUBLISHED, as_gain, decide, explain_verdict, groups_that_settle
from liftgate.stats.clustered import bootstrap_variance
from liftgate.stats.differences import two_sided_p_value
from liftgate.stats.interval import Interval

MAX_NAMED_IMAGES = 50
"""The most images that a comparison lists"""

# Settings that may differ without confounding the comparison: they say which model it is, or when it ran.
_EXPECTED_TO_DIFFER = frozenset(
    {"weights", "model", "classes", "classes_note", "seed", "seconds", "speed", "created", "date", "time"}
)
# Settings that the reader of a predictions file adds: they say nothing about how the predictions were made.
_SET_BY_READER = frozenset({"category_numbering", "image_ids_respelled", "other_classes_dropped", "scores_outside_0_1"})


class PairedDifference(NamedTuple):
    """Value of both models, their difference with its interval, and the difference in each bootstrap draw of groups."""

    control: float
    treatment: float
    delta: Interval
    draws: NDArray[np.float64]


def compare(
    truth: Dataset,
    control: Predictions,
    treatment: Predictions,
    spec: ComparisonSpec = ComparisonSpec(),  # noqa: B008 (frozen)
) -> Comparison:
    """Compare two models' predictions on the same truth, without the images whose labels could not be read.

    Returns:
        Comparison: treatment − control of the metric with a t interval over groups (standard error of a cluster
        bootstrap, effective groups − 1 degrees of freedom), the verdict against the margin, per class and per slice
        with Holm's adjustment, and the images that changed most.

    Raises:
        UsageError: the two were not made on the same images and classes, or the metric is not known.
    """
    truth, left_out, note = known_truth(truth)
    spec.validate_for(truth, models=2)
    require_same_images(control, treatment, left_out)
    both = (control, treatment)
    first, second = (match_for_metric(truth, one, spec, spec.threshold(i)) for i, one in enumerate(both))
    arms = (first, second)
    groups = units(truth.groups) if spec.weights is None else weighted_units(truth.groups, spec.weights)
    pair = paired_difference(truth, arms, spec, groups)
    return build_comparison(truth, both, arms, pair, spec, groups, note=note)


def build_comparison(
    truth: Dataset,
    predictions: tuple[Predictions, Predictions],
    arms: tuple[MatchedPredictions, MatchedPredictions],
    pair: PairedDifference,
    spec: ComparisonSpec,
    groups: Units,
    *,
    name: str = "treatment",
    note: str = "",
) -> Comparison:
    """Return the record of a paired difference: verdict, breakdown, changed images, and settings that differ.

    Args:
        truth: the images and their groups.
        predictions: of control and treatment.
        arms: the same, matched.
        pair: their paired difference.
        spec: what is compared, and by which rule.
        groups: resampling units of the images.
        name: of the treatment, in the verdict's sentence.
        note: which images were left out; empty: none.
    """
    metric, delta = spec.metric, pair.delta
    gain = as_gain(delta, metric)
    word = decide(gain, spec.margin, spec.rule, spec.claim)
    unsettled = word == "MARGINAL" and spec.rule == "interval"
    slices = spec.slices
    return Comparison(
        metric=metric,
        control=pair.control,
        treatment=pair.treatment,
        delta=delta,
        margin=spec.margin,
        claim=spec.claim,
        verdict=word,
        reason=explain_verdict(metric, delta, spec.margin, spec.rule, ("control", name), spec.claim),
        groups_needed=groups_that_settle(gain, spec.margin, spec.claim) if unsettled else None,
        differences=setting_differences(*(one.settings for one in predictions)),
        per_class=compare_classes(*arms, metric, spec.conf, groups),
        slices={} if slices is None else compare_slices(truth, *arms, metric, slices, spec.interval_level),
        images=_most_changed_images(truth, arms, metric),
        caveats=(
            *((note,) if note else ()),
            *_caveats(*predictions),
            *_limit_notes(arms, metric),
            *group_caveats(truth),
        ),
        p_value=two_sided_p_value(delta),
        percentile=_percentile_interval(pair, spec.interval_level),
        probability_better=_probability_better(gain),
    )


def compare_published(
    metric: str, control: float, treatment: float, *, margin: float = 0.0, n_images: int = 0, n_groups: int = 0
) -> Comparison:
    """Compare two published numbers by the point rule: without images there is no interval."""
    note = "published numbers: no interval"
    delta = Interval(treatment - control, None, None, 0.95, PUBLISHED, n_images, n_groups, note=note)
    return Comparison(
        metric=metric,
        control=control,
        treatment=treatment,
        delta=delta,
        margin=margin,
        verdict=decide(as_gain(delta, metric), margin, "point"),
        reason=explain_verdict(metric, delta, margin, "point", ("control", "treatment")),
        groups_needed=None,
    )


def setting_differences(control: Mapping[str, Any], treatment: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the settings that the two were made with and that differ; empty where either recorded none."""
    if not set(control) - _SET_BY_READER or not set(treatment) - _SET_BY_READER:
        return ()
    keys = sorted((set(control) | set(treatment)) - _EXPECTED_TO_DIFFER - _SET_BY_READER)
    nothing = "not recorded"
    return tuple(
        f"{key}: control {control.get(key, nothing)}, treatment {treatment.get(key, nothing)}"
        for key in keys
        if control.get(key, nothing) != treatment.get(key, nothing)
    )


def paired_difference(
    truth: Dataset, arms: tuple[MatchedPredictions, MatchedPredictions], spec: ComparisonSpec, groups: Units
) -> PairedDifference:
    """Return both values and the interval of their difference; both models share each draw, which pairs them.

    Raises:
        UsageError: the metric is undefined here.
    """
    metric, n_images = spec.metric, len(truth.images)
    first, second = (replicates(arm, metric, groups.of_image, groups.draws()) for arm in arms)
    difference = second - first
    if math.isnan(difference[0]):
        raise UsageError(f"{metric} is undefined here", hint="is there any truth of that kind, and any detection?")
    simple = _simple_variance(n_images, arms, spec, groups)
    delta = difference_interval(arms, metric, (first, second), groups, spec.interval_level, simple)
    return PairedDifference(float(first[0]), float(second[0]), delta, difference[1:])


def _simple_variance(
    n_images: int, arms: Sequence[MatchedPredictions], spec: ComparisonSpec, groups: Units
) -> float | None:
    """Return the variance of the difference if every image were a group of its own; None: every image is one."""
    if groups.n_groups == n_images or groups.weight is not None:
        return None
    alone = image_units(n_images)
    weights = alone.draws(IMAGE_DRAWS)
    one, two = (replicates(arm, spec.metric, alone.of_image, weights) for arm in arms)
    return bootstrap_variance(float(two[0] - one[0]), (two - one)[1:], alone.count)


def _percentile_interval(pair: PairedDifference, level: float) -> tuple[float, float] | None:
    """Return the percentile interval over the draws, for display only: verdicts do not use it."""
    drawn = pair.draws[np.isfinite(pair.draws)]
    if not pair.delta.established or not len(drawn):
        return None
    tail = (1 - level) / 2
    low, high = (float(value) for value in np.quantile(drawn, [tail, 1 - tail]))
    return low, high


def _probability_better(gain: Interval) -> float | None:
    """Return the share of the t distribution around the gain above 0; equivalent to the two-sided p-value."""
    p_value = two_sided_p_value(gain)
    if p_value is None:
        return None
    return 1 - p_value / 2 if gain.estimate > 0 else p_value / 2


def _most_changed_images(truth: Dataset, arms: Sequence[MatchedPredictions], metric: str) -> tuple[ImageChange, ...]:
    """Return the images whose F1 changed most; for image-level metrics, those that became right or wrong."""
    first, second = (_per_image(arm, metric) for arm in arms)
    change = second - first
    order = np.lexsort((np.array([image.id for image in truth.images]), -np.abs(change)))[:MAX_NAMED_IMAGES]
    return tuple(
        {
            "id": truth.images[i].id,
            "group": truth.images[i].group,
            "control": float(first[i]),
            "treatment": float(second[i]),
            "change": float(change[i]),
        }
        for i in order
        if change[i] != 0
    )


def _per_image(arm: MatchedPredictions, metric: str) -> NDArray[np.float64]:
    if metric in IMAGE_LEVEL:
        assert arm.image_level is not None
        return np.asarray(arm.image_level.flagged == arm.image_level.positive, dtype=np.float64)
    assert arm.point is not None
    return arm.point.f1


def _limit_notes(arms: Sequence[MatchedPredictions], metric: str) -> tuple[str, ...]:
    """Return notes on detections beyond COCO's limit, for metrics that have one."""
    if metric not in COCO and metric not in OKS:
        return ()
    return tuple(dict.fromkeys(note for arm in arms if arm.table is not None and (note := arm.table.limit_note())))


def _caveats(control: Predictions, treatment: Predictions) -> tuple[str, ...]:
    arms = (("control", control), ("treatment", treatment))
    unrecorded = [name for name, arm in arms if not set(arm.settings) - _SET_BY_READER]
    if not unrecorded:
        return ()
    return (f"how the predictions of {' and '.join(unrecorded)} were made is not recorded: thresholds may differ",)
