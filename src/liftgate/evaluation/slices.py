"""Slices: metrics and intervals by camera, day, or any tag of the images, from one match of the predictions."""

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

_METRICS = {"iou": ("mAP50-95", "mAP50"), "oks": ("OKS-mAP50-95", "OKS-mAP50")}


def evaluate_slices(
    truth: Dataset,
    by: Mapping[str, str],
    tables: tuple[MatchTable, ...],
    point: OperatingPoint | None,
    image_level: ImageLevelScores | None,
    level: float,
) -> dict[str, dict[str, Any]]:
    """Return the metrics of every slice, with intervals over the slice's own groups, as plain JSON values.

    Intervals are not adjusted for the number of slices.

    Args:
        truth: the images and their groups.
        by: image id → slice.
        tables: detections matched by box, and by keypoints where there are any.
        point: counts at the confidence threshold; None: no boxes.
        image_level: image-level scores; None: no image-level metrics.
        level: of the intervals.

    Returns:
        slice → metrics, intervals, methods, n_images, n_groups, groups_effective, notes.
    """
    found: dict[str, dict[str, Any]] = {}
    keys = np.array(truth.groups, dtype=object)
    for name, inside in images_by_slice(truth, by).items():
        each: dict[str, Interval] = {}
        groups = units(list(keys[inside]))
        for table in tables:
            names = _METRICS[table.similarity]
            each |= average_intervals(table, names, groups.within(inside), level, design_effect=False)[1]
        if point is not None:
            each |= rate_intervals(_restricted(point, inside), groups, level)[1]
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


def _restricted(point: OperatingPoint, inside: NDArray[np.bool_]) -> OperatingPoint:
    columns = {name: getattr(point, name)[inside] for name in ("true", "false", "objects", "best")}
    return replace(point, **columns)
