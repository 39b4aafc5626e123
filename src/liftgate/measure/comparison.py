"""compare: two models on the same images → the paired difference of a metric, its interval and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.dataset import Dataset
from liftgate.data.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.measure.average_precision import average_precision
from liftgate.measure.evaluation import covering
from liftgate.measure.metrics import COCO, LESS_IS_BETTER, OKS, averaged, known, rate
from liftgate.measure.operating_point import OperatingPoint, operating_point
from liftgate.measure.records import Comparison
from liftgate.measure.resampling import DRAWS, Units, affordable, units
from liftgate.measure.same_images import demand_same_images
from liftgate.measure.sigmas import resolve_sigmas
from liftgate.measure.table import MatchTable, match
from liftgate.measure.verdict import decide, explain, groups_that_settle, oriented
from liftgate.stats.clustered import bootstrap_se_t, bootstrap_weights, jackknife_t, jackknife_variance
from liftgate.stats.interval import MIN_GROUPS, Interval
from liftgate.stats.multiplicity import holm, t_p_value
from liftgate.study.records import Rule

MOST_CHANGED = 50
"""How many images a comparison names."""

# What predictions may differ in without the comparison being confounded: which model it is, and when it ran.
_NATURAL = frozenset(
    {"weights", "model", "classes", "classes_note", "seed", "seconds", "speed", "created", "date", "time"}
)
# How the file was read says nothing of how it was made.
_READING = frozenset({"category_numbering", "image_ids_respelled", "other_classes_dropped"})


class Arm(NamedTuple):
    """One side of a comparison, matched."""

    table: MatchTable
    point: OperatingPoint


class Paired(NamedTuple):
    """Both estimates, their difference, and the differences over bootstrap draws of groups."""

    control: float
    treatment: float
    delta: Interval
    draws: NDArray[np.float64]


def compare(
    truth: Dataset,
    control: Predictions,
    treatment: Predictions,
    *,
    metric: str = "mAP50-95",
    margin: float = 0.0,
    level: float = 0.95,
    conf: float = 0.25,
    rule: Rule = "interval",
    sigmas: Sequence[float] | str | float | None = None,
) -> Comparison:
    """Compare two models' predictions on the same truth.

    Returns:
        Comparison: treatment − control of `metric` with a t interval over groups (delete-one-group jackknife; for the
        median, where that fails, the standard error of a cluster bootstrap), the verdict against `margin`, per class
        with Holm's adjustment, and the images that changed most.

    Raises:
        UsageError: the two were not made on the same images and classes, or the metric is not known.
    """
    known(metric, pose=truth.labels.keypoints is not None)
    if not 0 < level < 1 or not 0 <= conf <= 1 or not math.isfinite(margin):
        raise UsageError("level lies between 0 and 1, conf in 0 … 1, margin is a number", got=(level, conf, margin))
    demand_same_images(control, treatment)
    arms = [_arm(truth, predictions, metric, conf, sigmas) for predictions in (control, treatment)]
    groups = units(truth.groups, affordable(max(len(control), len(treatment))))
    paired = _paired(arms, metric, groups, level)
    delta = paired.delta
    gain = oriented(delta, metric)
    word = decide(gain, margin, rule)
    return Comparison(
        metric=metric,
        control=paired.control,
        treatment=paired.treatment,
        delta=delta,
        margin=margin,
        verdict=word,
        reason=explain(metric, delta, margin, rule, ("control", "treatment")),
        groups_needed=groups_that_settle(gain, margin) if word == "MARGINAL" and rule == "interval" else None,
        differences=setting_differences(control.settings, treatment.settings),
        per_class=_per_class(arms, metric, groups, level),
        images=_changed(truth, arms),
        caveats=_caveats(control, treatment),
        **_shown_only(paired, metric, level),
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


def _arm(
    truth: Dataset, predictions: Predictions, metric: str, conf: float, sigmas: Sequence[float] | str | float | None
) -> Arm:
    predictions = covering(truth, predictions)
    table = match(truth, predictions)
    point = operating_point(table, conf)
    if metric in OKS:
        table = match(truth, predictions, similarity="oks", sigmas=resolve_sigmas(truth, sigmas))
    return Arm(table, point)


def _paired(arms: Sequence[Arm], metric: str, groups: Units, level: float) -> Paired:
    """Both estimates and the interval of their difference. The same weights for both arms: that is what pairs them."""
    n_images, n_groups = len(arms[0].table.images), groups.n_groups
    drawn = bootstrap_weights(groups.count, DRAWS, np.random.default_rng(0))
    left_out, draws = groups.leave_one_out(), slice(1 + groups.count, None)
    first, second = (_lanes(arm, metric, groups, np.concatenate([left_out, drawn], axis=1)) for arm in arms)
    difference = second - first
    estimate = float(difference[0])
    if math.isnan(estimate):
        raise UsageError(f"{metric} is undefined here", hint="is there any truth of that size, and any detection?")
    if metric == "best_confidence_median":
        delta = bootstrap_se_t(estimate, difference[draws], level, n_images=n_images, n_groups=n_groups)
    else:
        delta = jackknife_t(
            estimate,
            difference[1 : 1 + groups.count],
            level,
            n_images=n_images,
            n_groups=n_groups,
            simple_variance=_simple_variance(arms, metric) if n_groups < n_images else None,
        )
    return Paired(float(first[0]), float(second[0]), delta, difference[draws])


def _simple_variance(arms: Sequence[Arm], metric: str) -> float:
    """Variance of the difference if every image were a group of its own."""
    alone = units(arms[0].table.images, affordable(len(arms[0].table.score)))
    one, two = (_lanes(arm, metric, alone, alone.leave_one_out()) for arm in arms)
    return jackknife_variance((two - one)[1:])


def _shown_only(paired: Paired, metric: str, level: float) -> dict[str, Any]:
    """Percentile interval over draws, and the share of draws in which the treatment is better: never judged by."""
    drawn = paired.draws[np.isfinite(paired.draws)]
    if not paired.delta.established or not len(drawn):
        return {}
    tail = (1 - level) / 2
    low, high = (float(value) for value in np.quantile(drawn, [tail, 1 - tail]))
    gain = -drawn if metric in LESS_IS_BETTER else drawn
    return {"percentile": (low, high), "probability_better": float(np.mean(gain > 0) + np.mean(gain == 0) / 2)}


def _lanes(arm: Arm, metric: str, groups: Units, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    if metric in COCO or metric in OKS:
        return averaged(arm.table, [metric], groups.of_image, weights)[metric]
    return rate(arm.point, metric, groups.of_image, weights)


def _per_class(arms: Sequence[Arm], metric: str, groups: Units, level: float) -> dict[str, dict[str, float | None]]:
    """AP of every class with truth: both arms, difference, and p-value adjusted for looking at all of them (Holm)."""
    asked = (COCO | OKS).get(metric, COCO["mAP50-95"])
    weights = groups.leave_one_out()
    first, second = (
        average_precision(arm.table, groups.of_image, weights, size=asked.size)[:, list(asked.thresholds)].mean(axis=1)
        for arm in arms
    )
    delta = second - first
    left_out = delta[:, 1:] - delta[:, 1:].mean(axis=1, keepdims=True)
    error = np.sqrt((groups.count - 1) / groups.count * np.sum(left_out**2, axis=1))
    tested = groups.n_groups >= MIN_GROUPS
    p = t_p_value(delta[:, 0], error, groups.count - 1) if tested else np.full(len(delta), np.nan)
    adjusted = holm(p)
    return {
        name: {
            "control": _number(first[k, 0]),
            "treatment": _number(second[k, 0]),
            "delta": _number(delta[k, 0]),
            "p_holm": _number(adjusted[k]),
        }
        for k, name in enumerate(arms[0].table.classes)
        if not math.isnan(delta[k, 0])
    }


def _changed(truth: Dataset, arms: Sequence[Arm]) -> tuple[dict[str, Any], ...]:
    """Images whose F1 changed most, both ways."""
    first, second = arms[0].point.f1, arms[1].point.f1
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


def _caveats(control: Predictions, treatment: Predictions) -> tuple[str, ...]:
    arms = (("control", control), ("treatment", treatment))
    silent = [name for name, arm in arms if not set(arm.settings) - _READING]
    if not silent:
        return ()
    return (f"how the predictions of {' and '.join(silent)} were made is not recorded: thresholds may differ",)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
