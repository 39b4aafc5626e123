"""compare: two models on the same images → the paired difference of a metric, its interval and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import require_same_images
from liftgate.evaluation.breakdown import per_class, per_slice
from liftgate.evaluation.matched_predictions import MatchedPredictions, match_for_metric, replicates
from liftgate.evaluation.metrics import LESS_IS_BETTER, SCREENING
from liftgate.evaluation.records import Comparison
from liftgate.evaluation.resampling import DRAWS, Units, affordable, units
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.evaluation.verdict import decide, explain, groups_that_settle, oriented
from liftgate.stats.clustered import bootstrap_se_t, bootstrap_weights, jackknife_t, jackknife_variance
from liftgate.stats.interval import Interval
from liftgate.stats.multiplicity import t_p_value

MOST_CHANGED = 50
"""How many images a comparison names."""

# What predictions may differ in without the comparison being confounded: which model it is, and when it ran.
_NATURAL = frozenset(
    {"weights", "model", "classes", "classes_note", "seed", "seconds", "speed", "created", "date", "time"}
)
# How the file was read says nothing of how it was made.
_READING = frozenset({"category_numbering", "image_ids_respelled", "other_classes_dropped", "scores_outside_0_1"})


class PairedDifference(NamedTuple):
    """Both estimates, their difference, and the differences over jackknife replicates and bootstrap draws of groups."""

    control: float
    treatment: float
    delta: Interval
    replicates: NDArray[np.float64]
    """What the standard error was made of"""
    draws: NDArray[np.float64]
    degrees: int


def compare(
    truth: Dataset,
    control: Predictions,
    treatment: Predictions,
    spec: ComparisonSpec = ComparisonSpec(),  # noqa: B008 (frozen)
) -> Comparison:
    """Compare two models' predictions on the same truth.

    Returns:
        Comparison: treatment − control of `metric` with a t interval over groups (delete-one-group jackknife; for the
        median, where that fails, the standard error of a cluster bootstrap), the verdict against `margin`, per class
        and per slice with Holm's adjustment, and the images that changed most.

    Raises:
        UsageError: the two were not made on the same images and classes, or the metric is not known.
    """
    spec.validate_for(truth, models=2)
    require_same_images(control, treatment)
    both = (control, treatment)
    arms = [match_for_metric(truth, one, spec, spec.threshold(i)) for i, one in enumerate(both)]
    groups = units(truth.groups, affordable(max(len(control), len(treatment))))
    return build_comparison(truth, both, arms, paired_difference(truth, arms, spec, groups), spec, groups)


def build_comparison(
    truth: Dataset,
    predictions: tuple[Predictions, Predictions],
    arms: Sequence[MatchedPredictions],
    pair: PairedDifference,
    spec: ComparisonSpec,
    groups: Units,
    *,
    name: str = "treatment",
) -> Comparison:
    """The record of a pair: its verdict, its parts, and what differs beside the model."""
    metric, delta = spec.metric, pair.delta
    gain = oriented(delta, metric)
    word = decide(gain, spec.margin, spec.rule, spec.claim)
    unsettled = word == "MARGINAL" and spec.rule == "interval"
    p_value = None
    if delta.established and delta.standard_error is not None:
        p_value = float(t_p_value(delta.estimate, delta.standard_error, pair.degrees))
    return Comparison(
        metric=metric,
        control=pair.control,
        treatment=pair.treatment,
        delta=delta,
        margin=spec.margin,
        claim=spec.claim,
        verdict=word,
        reason=explain(metric, delta, spec.margin, spec.rule, ("control", name), spec.claim),
        groups_needed=groups_that_settle(gain, spec.margin, spec.claim) if unsettled else None,
        differences=setting_differences(*(one.settings for one in predictions)),
        per_class=per_class(arms, metric, spec.conf, groups),
        slices={} if spec.slices is None else per_slice(truth, arms, metric, spec.slices, spec.interval_level),
        images=_changed(truth, arms, metric),
        caveats=_caveats(*predictions),
        p_value=p_value,
        **_shown_only(pair, metric, spec.interval_level),
    )


def published(
    metric: str, control: float, treatment: float, *, margin: float = 0.0, n_images: int = 0, n_groups: int = 0
) -> Comparison:
    """A comparison of two published numbers, by the point rule: there is nothing to make an interval of."""
    note = "published numbers: no interval"
    delta = Interval(treatment - control, None, None, 0.95, "published", n_images, n_groups, note=note)
    return Comparison(
        metric=metric,
        control=control,
        treatment=treatment,
        delta=delta,
        margin=margin,
        verdict=decide(oriented(delta, metric), margin, "point"),
        reason=explain(metric, delta, margin, "point", ("control", "treatment")),
        groups_needed=None,
    )


def setting_differences(control: Mapping[str, Any], treatment: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs in how the two were made, as sentences; empty where either side has recorded nothing."""
    if not set(control) - _READING or not set(treatment) - _READING:
        return ()
    keys = sorted((set(control) | set(treatment)) - _NATURAL - _READING)
    nothing = "not recorded"
    return tuple(
        f"{key}: control {control.get(key, nothing)}, treatment {treatment.get(key, nothing)}"
        for key in keys
        if control.get(key, nothing) != treatment.get(key, nothing)
    )


def paired_difference(
    truth: Dataset, arms: Sequence[MatchedPredictions], spec: ComparisonSpec, groups: Units
) -> PairedDifference:
    """Both estimates and the interval of their difference. The same weights for both arms: that is what pairs them."""
    metric, level = spec.metric, spec.interval_level
    n_images, n_groups = len(truth.images), groups.n_groups
    drawn = bootstrap_weights(groups.count, DRAWS, np.random.default_rng(0))
    weights = np.concatenate([groups.leave_one_out(), drawn], axis=1)
    first, second = (replicates(arm, metric, groups.of_image, weights) for arm in arms)
    difference = second - first
    estimate = float(difference[0])
    if math.isnan(estimate):
        raise UsageError(f"{metric} is undefined here", hint="is there any truth of that kind, and any detection?")
    left_out, draws = difference[1 : 1 + groups.count], difference[1 + groups.count :]
    degrees = groups.count - 1
    if metric == "best_confidence_median":
        left_out, degrees = draws, n_groups - 1
        delta = bootstrap_se_t(estimate, draws, level, n_images=n_images, n_groups=n_groups)
    else:
        grouped = n_groups < n_images
        simple = _simple_variance(truth, arms, metric) if grouped else jackknife_variance(left_out)
        delta = jackknife_t(estimate, left_out, level, n_images=n_images, n_groups=n_groups, simple_variance=simple)
    return PairedDifference(float(first[0]), float(second[0]), delta, left_out, draws, degrees)


def _simple_variance(truth: Dataset, arms: Sequence[MatchedPredictions], metric: str) -> float:
    """Variance of the difference if every image were a group of its own."""
    largest = max((len(arm.table.score) for arm in arms if arm.table is not None), default=len(truth.images))
    alone = units([image.id for image in truth.images], affordable(largest))
    one, two = (replicates(arm, metric, alone.of_image, alone.leave_one_out()) for arm in arms)
    return jackknife_variance((two - one)[1:])


def _shown_only(pair: PairedDifference, metric: str, level: float) -> dict[str, Any]:
    """Percentile interval over draws, and the share of draws in which the treatment is better: never judged by."""
    drawn = pair.draws[np.isfinite(pair.draws)]
    if not pair.delta.established or not len(drawn):
        return {}
    tail = (1 - level) / 2
    low, high = (float(value) for value in np.quantile(drawn, [tail, 1 - tail]))
    gain = -drawn if metric in LESS_IS_BETTER else drawn
    return {"percentile": (low, high), "probability_better": float(np.mean(gain > 0) + np.mean(gain == 0) / 2)}


def _changed(truth: Dataset, arms: Sequence[MatchedPredictions], metric: str) -> tuple[dict[str, Any], ...]:
    """Images whose F1 changed most, both ways; for image-level metrics those that turned right or wrong."""
    first, second = (_per_image(arm, metric) for arm in arms)
    change = second - first
    order = np.lexsort((np.array([image.id for image in truth.images]), -np.abs(change)))[:MOST_CHANGED]
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
    if metric in SCREENING:
        assert arm.screened is not None
        return np.asarray(arm.screened.flagged == arm.screened.positive, dtype=np.float64)
    assert arm.point is not None
    return arm.point.f1


def _caveats(control: Predictions, treatment: Predictions) -> tuple[str, ...]:
    arms = (("control", control), ("treatment", treatment))
    silent = [name for name, arm in arms if not set(arm.settings) - _READING]
    if not silent:
        return ()
    return (f"how the predictions of {' and '.join(silent)} were made is not recorded: thresholds may differ",)
