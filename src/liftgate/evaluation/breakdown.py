"""A comparison broken down: class by class and slice by slice, adjusted for looking at all of them (Holm)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.evaluation.matched_predictions import MatchedPredictions, class_replicates, replicates
from liftgate.evaluation.metrics import SCREENING
from liftgate.evaluation.resampling import Units, affordable, units
from liftgate.evaluation.slices import inside_of
from liftgate.stats.clustered import jackknife_t
from liftgate.stats.interval import MIN_GROUPS
from liftgate.stats.multiplicity import holm, t_p_value

_NO_TEST = frozenset({"best_confidence_median"})
"""A jackknife fails for medians; of their parts only the values are shown."""


def per_class(
    arms: Sequence[MatchedPredictions], metric: str, conf: float, groups: Units
) -> dict[str, dict[str, float | None]]:
    """The metric of every class that has one: control, treatment, delta, p-value after Holm. Images have no class."""
    if metric in SCREENING or any(arm.table is None for arm in arms):
        return {}
    assert arms[0].table is not None
    weights = groups.leave_one_out()
    first, second = (class_replicates(arm, metric, conf, groups.of_image, weights) for arm in arms)
    delta = second - first
    left_out = delta[:, 1:] - delta[:, 1:].mean(axis=1, keepdims=True)
    error = np.sqrt((groups.count - 1) / groups.count * np.sum(left_out**2, axis=1))
    tested = groups.n_groups >= MIN_GROUPS and metric not in _NO_TEST
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


def per_slice(
    truth: Dataset, arms: Sequence[MatchedPredictions], metric: str, by: Mapping[str, str], level: float
) -> dict[str, dict[str, Any]]:
    """The difference in every slice, with its own interval over the slice's groups and p-value after Holm.

    Intervals are of each slice alone; whoever picks the slice that shines goes by `p_holm`.
    """
    largest = max((len(arm.table.score) for arm in arms if arm.table is not None), default=len(truth.images))
    keys = np.array(truth.groups, dtype=object)
    rows: dict[str, dict[str, Any]] = {}
    p_values = []
    for name, inside in inside_of(truth, by).items():
        groups = units(list(keys[inside]), affordable(largest))
        unit, weights = groups.within(inside)
        first, second = (replicates(arm, metric, unit, weights) for arm in arms)
        delta = second - first
        row: dict[str, Any] = {"control": _number(first[0]), "treatment": _number(second[0])}
        rows[name] = row | {"delta": _number(delta[0]), "interval": [None, None], "n_images": int(inside.sum())}
        rows[name] |= {"n_groups": groups.n_groups, "level": level, "method": "jackknife-t", "p_holm": None}
        p = math.nan
        if not math.isnan(delta[0]) and metric not in _NO_TEST:
            n_images, n_groups = int(inside.sum()), groups.n_groups
            interval = jackknife_t(float(delta[0]), delta[1:], level, n_images=n_images, n_groups=n_groups)
            rows[name]["interval"] = [interval.low, interval.high]
            if interval.established and interval.standard_error is not None:
                p = float(t_p_value(interval.estimate, interval.standard_error, groups.count - 1))
        p_values.append(p)
    for row, adjusted in zip(rows.values(), holm(p_values), strict=True):
        row["p_holm"] = _number(adjusted)
    return rows


def _number(value: float | NDArray[np.float64]) -> float | None:
    return None if math.isnan(value) else float(value)
