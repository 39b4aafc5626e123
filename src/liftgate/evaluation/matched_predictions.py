"""Matched predictions: one model's predictions, matched once, and any metric of them under many weightings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import align
from liftgate.evaluation.image_level import ImageLevelScores, ImageLevelThreshold, image_level_rate, image_level_scores
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS
from liftgate.evaluation.metrics import averaged_metrics, class_averages, rate
from liftgate.evaluation.oks_sigmas import resolve_sigmas
from liftgate.evaluation.operating_point import OperatingPoint, operating_point
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.rates import Scale


class MatchedPredictions(NamedTuple):
    """One model's matched predictions, as far as one metric needs them; None: not needed."""

    table: MatchTable | None
    """Matched by box; for OKS metrics by keypoints"""
    point: OperatingPoint | None
    """Counts at the confidence threshold, matched by box"""
    image_level: ImageLevelScores | None


def match_for_metric(
    truth: Dataset, predictions: Predictions, spec: ComparisonSpec, threshold: ImageLevelThreshold | None
) -> MatchedPredictions:
    """Match predictions as the metric of `spec` needs it.

    Args:
        truth: the images, their objects and groups.
        predictions: of one model.
        spec: names the metric, the confidence threshold and the OKS sigmas.
        threshold: score from which the model flags an image; needed for image-level metrics.

    Raises:
        UsageError: images were not predicted on, or OKS without sigmas.
    """
    predictions = align(truth, predictions)
    image_level = None
    if spec.metric in IMAGE_LEVEL:
        assert threshold is not None, "validate_for"
        image_level = image_level_scores(truth, predictions, threshold)
        if predictions.image_level:
            return MatchedPredictions(None, None, image_level)
    if not predictions.has_boxes and spec.metric not in OKS:
        raise UsageError(
            f"{spec.metric} needs boxes, and these predictions have keypoints only", hint="--metric OKS-mAP50-95"
        )
    table = match(truth, predictions)
    point = operating_point(table, spec.conf)
    if spec.metric in OKS:
        table = match(truth, predictions, similarity="oks", sigmas=resolve_sigmas(truth, spec.sigmas))
    return MatchedPredictions(table, point, image_level)


def replicates(
    arm: MatchedPredictions, metric: str, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the metric under every weighting.

    Args:
        arm: one model's matched predictions.
        metric: name of the metric.
        unit: (n_images,) index of each image's unit.
        weights: (U, L) how often each unit counts; one column per weighting.

    Returns:
        (L,) NaN where it is undefined.
    """
    if metric in IMAGE_LEVEL:
        assert arm.image_level is not None
        return image_level_rate(arm.image_level, metric, unit, weights)
    assert arm.table is not None and arm.point is not None
    if metric in COCO or metric in OKS:
        return averaged_metrics(arm.table, [metric], unit, weights)[metric]
    return rate(arm.point, metric, unit, weights)


def class_replicates(
    arm: MatchedPredictions, metric: str, conf: float, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the metric of each class under every weighting, shape (K, L); NaN where it is undefined."""
    assert arm.table is not None
    if (average := (COCO | OKS).get(metric)) is not None:
        return class_averages(arm.table, average, unit, weights)
    each = (operating_point(arm.table, conf, cls) for cls in range(len(arm.table.classes)))
    return np.stack([rate(point, metric, unit, weights) for point in each])


def scale_of(metric: str) -> Scale | None:
    """Return the scale on which the interval of one model's metric is symmetric; None: no such scale is used."""
    if metric == "best_confidence_median":
        return None
    return "log" if metric == "false_positives_per_image" else "logit"
