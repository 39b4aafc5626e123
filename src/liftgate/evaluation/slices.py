"""Slices: the same evaluation by operation, camera, day, or any tag of the images. One match serves them all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.evaluation.average_precision import average_precision, mean_over_classes
from liftgate.evaluation.image_level import ImageLevelScores, screened_interval
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.metrics import COCO, OKS, RATES, SCREENING, fraction
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.evaluation.rate_intervals import rate_interval
from liftgate.evaluation.resampling import affordable, units
from liftgate.stats.clustered import jackknife_t
from liftgate.stats.interval import Interval

_SHOWN = {"iou": ("mAP50-95", "mAP50"), "oks": ("OKS-mAP50-95", "OKS-mAP50")}


def inside_of(truth: Dataset, by: Mapping[str, str]) -> dict[str, NDArray[np.bool_]]:
    """slice → which of the truth's images (n,) are in it, in order of the names; images without one are in none.

    Raises:
        UsageError: no image has one.
    """
    label = np.array([by.get(image.id, "") for image in truth.images], dtype=object)
    names = sorted(set(label) - {""})
    if not names:
        example = truth.images[0].id if truth.images else "none"
        raise UsageError("no image belongs to a slice", expected=f"ids like {example!r}", got=next(iter(by), "nothing"))
    return {name: label == name for name in names}


def evaluate_slices(
    truth: Dataset,
    by: Mapping[str, str],
    tables: tuple[MatchTable, ...],
    point: OperatingPoint | None,
    screened: ImageLevelScores | None,
    level: float,
) -> dict[str, dict[str, Any]]:
    """Metrics of every slice with intervals over the slice's own groups: plain values, as an Evaluation's.

    Slices are looked at side by side, and their intervals are not adjusted for that.
    """
    found: dict[str, dict[str, Any]] = {}
    keys = np.array(truth.groups, dtype=object)
    for name, inside in inside_of(truth, by).items():
        each: dict[str, Interval] = {}
        for table in tables:
            each |= _averaged(table, keys, inside, level)
        groups = units(list(keys[inside]), int(inside.sum()))
        if point is not None:
            part = _only(point, inside)
            each |= {rate: rate_interval(part, rate, groups, level) for rate in RATES if _defined(part, rate)}
        if screened is not None:
            part_screened = replace(screened, score=screened.score[inside], positive=screened.positive[inside])
            some = {rate: screened_interval(part_screened, rate, groups, level) for rate in SCREENING}
            each |= {rate: interval for rate, interval in some.items() if interval is not None}
        found[name] = {
            "n_images": int(inside.sum()),
            "n_groups": groups.n_groups,
            "metrics": {metric: interval.estimate for metric, interval in each.items()},
            "intervals": {metric: [interval.low, interval.high] for metric, interval in each.items()},
            "methods": {metric: interval.method for metric, interval in each.items()},
        }
    return found


def _averaged(
    table: MatchTable, keys: NDArray[np.object_], inside: NDArray[np.bool_], level: float
) -> dict[str, Interval]:
    groups = units(list(keys[inside]), affordable(len(table.score)))
    ap = average_precision(table, *groups.within(inside))
    found = {}
    for metric in _SHOWN[table.similarity]:
        lanes = mean_over_classes(ap, (COCO | OKS)[metric].thresholds)
        if not math.isnan(lanes[0]):
            counts: dict[str, Any] = {"n_images": int(inside.sum()), "n_groups": groups.n_groups}
            found[metric] = jackknife_t(float(lanes[0]), lanes[1:], level, **counts, within=(0.0, 1.0))
    return found


def _only(point: OperatingPoint, inside: NDArray[np.bool_]) -> OperatingPoint:
    columns = {name: getattr(point, name)[inside] for name in ("true", "false", "objects", "best")}
    return replace(point, **columns)


def _defined(point: OperatingPoint, name: str) -> bool:
    return bool((point.objects if name == "best_confidence_median" else fraction(point, name)[1]).sum() > 0)
