"""Intervals of the rates, each by the method that holds for it."""

from __future__ import annotations

import numpy as np

from liftgate.evaluation.metrics import fraction, shown
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.evaluation.resampling import Units
from liftgate.stats.clustered import cluster_ratio_t, median_interval
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard


def rate_interval(point: OperatingPoint, name: str, groups: Units, level: float) -> Interval:
    """Interval of one of RATES, by the method that holds for it."""
    n_images = len(point.true)
    if name == "best_confidence_median":
        return median_interval(point.best[shown(point)], groups.of_image[shown(point)], level)
    top, bottom = fraction(point, name)
    k, n = (np.bincount(groups.of_image, column, minlength=groups.count) for column in (top, bottom))
    if name == "false_positives_per_image":
        simple = float(np.var(top, ddof=1)) / n_images if n_images > 1 else None
        return cluster_ratio_t(k, n, level, n_images=n_images, simple_variance=simple)
    return korn_graubard(k, n, level, n_images=n_images)
