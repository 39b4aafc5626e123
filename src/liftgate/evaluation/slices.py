"""Slices: the same evaluation by operation, camera, day, or any tag of the images. One match serves them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.evaluation.image_level import ImageLevelScores
from liftgate.evaluation.intervals import average_intervals, image_level_intervals, rate_intervals
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.evaluation.resampling import images_by_slice, units
from liftgate.stats.interval import Interval

_SHOWN = {"iou": ("mAP50-95", "mAP50"), "oks": ("OKS-mAP50-95", "OKS-mAP50")}


def evaluate_slices(
    truth: Dataset,
    by: Mapping[str, str],
    tables: tuple[MatchTable, ...],
    point: OperatingPoint | None,
    image_level: ImageLevelScores | None,
    level: float,
) -> dict[str, dict[str, Any]]:
    """Metrics of every slice with intervals over the slice's own groups: plain values, as an Evaluation's.

    Slices are looked at side by side, and their intervals are not adjusted for that.
    """
    found: dict[str, dict[str, Any]] = {}
    keys = np.array(truth.groups, dtype=object)
    for name, inside in images_by_slice(truth, by).items():
        each: dict[str, Interval] = {}
        groups = units(list(keys[inside]))
        for table in tables:
            names = _SHOWN[table.similarity]
            each |= average_intervals(table, names, groups.within(inside), level, design_effect=False)[1]
        if point is not None:
            each |= rate_intervals(_only(point, inside), groups, level)[1]
        if image_level is not None:
            part = replace(image_level, score=image_level.score[inside], positive=image_level.positive[inside])
            each |= image_level_intervals(part, groups, level)[1]
        found[name] = {
            "n_images": int(inside.sum()),
            "n_groups": groups.n_groups,
            "metrics": {metric: interval.estimate for metric, interval in each.items()},
            "intervals": {metric: [interval.low, interval.high] for metric, interval in each.items()},
            "methods": {metric: interval.method for metric, interval in each.items()},
            "groups_effective": {metric: interval.groups_effective for metric, interval in each.items()},
            "notes": {metric: interval.note for metric, interval in each.items() if interval.note},
        }
    return found


def _only(point: OperatingPoint, inside: NDArray[np.bool_]) -> OperatingPoint:
    columns = {name: getattr(point, name)[inside] for name in ("true", "false", "objects", "best")}
    return replace(point, **columns)
