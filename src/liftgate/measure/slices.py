"""Slices: the same evaluation by operation, camera, day, or any tag of the images. One match serves them all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from liftgate.data.dataset import Dataset
from liftgate.data.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.measure.average_precision import average_precision, mean_over_classes
from liftgate.measure.evaluation import covering, rate_interval
from liftgate.measure.metrics import RATES, fraction
from liftgate.measure.operating_point import OperatingPoint, operating_point
from liftgate.measure.resampling import Units, affordable, units
from liftgate.measure.table import match
from liftgate.stats.clustered import jackknife_t
from liftgate.stats.interval import Interval

Slices = Mapping[str, Mapping[str, Interval]]
"""Slice → metric → estimate with its interval; undefined metrics are left out"""


def evaluate_slices(
    truth: Dataset, predictions: Predictions, tags: Mapping[str, str], *, level: float = 0.95, conf: float = 0.25
) -> Slices:
    """mAP50-95, mAP50 and the rates of every slice.

    `tags` gives the slice of each image id; images without a tag belong to no slice. Slices are looked at side by side
    and their intervals are not adjusted for that.

    Raises:
        UsageError: no image has a tag, or as `evaluate`.
    """
    predictions = covering(truth, predictions)
    label = np.array([tags.get(image.id, "") for image in truth.images], dtype=object)
    names = sorted(set(label) - {""})
    if not names:
        raise UsageError(
            "no image has a tag", expected=f"ids like {truth.images[0].id!r}", got=next(iter(tags), "no tags")
        )
    table, keys = match(truth, predictions), np.array(truth.groups, dtype=object)
    point = operating_point(table, conf)
    found: dict[str, dict[str, Interval]] = {}
    for name in names:
        inside = label == name
        groups = units(list(keys[inside]), affordable(len(predictions)))
        unit = np.zeros(len(label), dtype=np.int64)  # images outside get the last unit, which no lane counts
        unit[inside], unit[~inside] = groups.of_image, groups.count
        weights = np.concatenate([groups.leave_one_out(), np.zeros((1, 1 + groups.count))])
        ap = average_precision(table, unit, weights)
        found[name] = {}
        for metric, thresholds in (("mAP50-95", tuple(range(10))), ("mAP50", (0,))):
            lanes = mean_over_classes(ap, thresholds)
            if not math.isnan(lanes[0]):
                found[name][metric] = jackknife_t(
                    float(lanes[0]),
                    lanes[1:],
                    level,
                    n_images=int(inside.sum()),
                    n_groups=groups.n_groups,
                    within=(0.0, 1.0),
                )
        found[name] |= _rates(_only(point, inside), units(list(keys[inside]), int(inside.sum())), level)
    return found


def _only(point: OperatingPoint, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> OperatingPoint:
    columns = {name: getattr(point, name)[inside] for name in ("true", "false", "objects", "best")}
    return replace(point, **columns)


def _rates(point: OperatingPoint, groups: Units, level: float) -> dict[str, Interval]:
    return {name: rate_interval(point, name, groups, level) for name in RATES if _defined(point, name)}


def _defined(point: OperatingPoint, name: str) -> bool:
    return bool((point.objects if name == "best_confidence_median" else fraction(point, name)[1]).sum() > 0)
