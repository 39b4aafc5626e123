"""The metrics that answers identify, from totals of true positives, detections, objects and images."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
JudgedMetric = Literal["recall", "precision", "F1", "false_positives_per_image", "true_positives_per_image"]
JUDGED_METRICS: tuple[JudgedMetric, ...] = get_args(JudgedMetric)
NEED_MISSED = ("recall", "F1")
"""Metrics that need the number of objects which both models missed"""
PER_IMAGE = ("false_positives_per_image", "true_positives_per_image")

COLUMNS = 7
TP_CONTROL, TP_TREATMENT, FOUND, MISSED, N_CONTROL, N_TREATMENT, IMAGES = range(COLUMNS)
"""Columns of the totals"""


def metric_values(metric: JudgedMetric, totals: Floats) -> tuple[Floats, Floats]:
    """Return the metric of control and treatment from (…, 7) totals; NaN where it is undefined."""
    right = totals[..., TP_CONTROL], totals[..., TP_TREATMENT]
    made = totals[..., N_CONTROL], totals[..., N_TREATMENT]
    objects, images = totals[..., FOUND] + totals[..., MISSED], totals[..., IMAGES]
    if metric == "recall":
        first, second = (_divide(tp, objects) for tp in right)
    elif metric == "precision":
        first, second = (_divide(tp, n) for tp, n in zip(right, made, strict=True))
    elif metric == "F1":
        first, second = (_divide(2 * tp, n + objects) for tp, n in zip(right, made, strict=True))
    elif metric == "false_positives_per_image":
        first, second = (_divide(n - tp, images) for tp, n in zip(right, made, strict=True))
    else:
        first, second = (_divide(tp, images) for tp in right)
    return first, second


def _divide(above: Floats, below: Floats) -> Floats:
    return np.asarray(
        np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0), dtype=np.float64
    )
