"""Breakdown of a comparison by class and by slice, with p-values adjusted for their number (Holm)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.evaluation.informative_groups import class_groups_of_difference, groups_of_difference
from liftgate.evaluation.intervals import difference_interval
from liftgate.evaluation.matched_predictions import MatchedPredictions, class_replicates, replicates, scale_of
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS
from liftgate.evaluation.resampling import Units, affordable_draws, images_by_slice, units
from liftgate.evaluation.small_samples import first_point_reaches, recall_point_variances
from liftgate.stats.differences import difference_t, reaching_further, two_sided_p_value
from liftgate.stats.interval import Interval
from liftgate.stats.multiplicity import holm

_UNTESTED = frozenset({"best_confidence_median"})
"""Metrics without a valid test within one class or slice (a median): only the values are reported."""


def compare_classes(
    first: MatchedPredictions, second: MatchedPredictions, metric: str, conf: float, groups: Units
) -> dict[str, dict[str, float | None]]:
    """Return the metric of every class that has one: control, treatment, delta, and Holm-adjusted p-value.

    The test of each class uses the groups that hold information on that class. Image-level metrics have no classes.

    Args:
        first: predictions of the control.
        second: predictions of the treatment.
        metric: name of the metric.
        conf: confidence threshold of rates.
        groups: resampling units of the images.

    Returns:
        class → `control`, `treatment`, `delta`, `p_holm`; empty for image-level metrics.
    """
    if metric in IMAGE_LEVEL or first.table is None or second.table is None:
        return {}
    weights = groups.draws(affordable_draws(max(len(first.table.score), len(second.table.score))))
    one, two = (class_replicates(arm, metric, conf, groups.of_image, weights) for arm in (first, second))
    delta = two - one
    p_values = np.full(len(delta), np.nan)
    if metric not in _UNTESTED:
        counted = class_groups_of_difference(first, second, metric, groups)
        average = (COCO | OKS).get(metric)
        unseen, down, up = np.zeros((3, len(delta)))
        if average is not None:
            down, up = (first_point_reaches(average, groups, one) for one in (first.table, second.table))
            unseen = np.nan_to_num(recall_point_variances(average, groups, second.table, first.table))
        for k in range(len(delta)):
            interval = difference_t(
                one[k], two[k], n_images=0, groups=counted[k], units=groups.count, scale=scale_of(metric),
                unseen_variance=float(unseen[k]),
            )  # fmt: skip
            p_values[k] = _p_value(reaching_further(interval, down=float(down[k]), up=float(up[k])))
    adjusted = holm(p_values)
    return {
        name: {
            "control": _number(one[k, 0]),
            "treatment": _number(two[k, 0]),
            "delta": _number(delta[k, 0]),
            "p_holm": _number(adjusted[k]),
        }
        for k, name in enumerate(first.table.classes)
        if not math.isnan(delta[k, 0])
    }


def compare_slices(
    truth: Dataset,
    first: MatchedPredictions,
    second: MatchedPredictions,
    metric: str,
    slices: Mapping[str, str],
    level: float,
) -> dict[str, dict[str, Any]]:
    """Return the difference in every slice, with an interval over the slice's own groups and a Holm-adjusted p-value.

    Intervals are not adjusted for the number of slices; to pick the slice with the largest difference, use `p_holm`.

    Args:
        truth: the images and their groups.
        first: predictions of the control.
        second: predictions of the treatment.
        metric: name of the metric.
        slices: image id → slice.
        level: of the intervals.

    Returns:
        slice → control, treatment, delta, interval, level, method, n_images, n_groups, p_holm, note.
    """
    keys = np.array(truth.groups, dtype=object)
    rows: dict[str, dict[str, Any]] = {}
    p_values = []
    for name, inside in images_by_slice(truth, slices).items():
        groups = units(list(keys[inside])).within(inside)
        one, two = (replicates(arm, metric, groups.of_image, groups.draws_within()) for arm in (first, second))
        delta = two - one
        counted = groups_of_difference(first, second, metric, groups)
        row: dict[str, Any] = {"control": _number(one[0]), "treatment": _number(two[0]), "delta": _number(delta[0])}
        row |= {"interval": [None, None], "n_images": int(inside.sum()), "n_groups": groups.n_groups, "level": level}
        row |= {"method": "bootstrap-se-t", "p_holm": None, "note": "", "groups_effective": counted.effective}
        p = math.nan
        if not math.isnan(delta[0]):
            interval = difference_interval((first, second), metric, (one, two), groups, level)
            row["interval"], row["note"] = [interval.low, interval.high], interval.note
            p = math.nan if metric in _UNTESTED else _p_value(interval)
        rows[name] = row
        p_values.append(p)
    for row, adjusted in zip(rows.values(), holm(p_values), strict=True):
        row["p_holm"] = _number(adjusted)
    return rows


def _p_value(interval: Interval) -> float:
    found = two_sided_p_value(interval)
    return math.nan if found is None else found


def _number(value: float | NDArray[np.float64]) -> float | None:
    return None if math.isnan(value) else float(value)
