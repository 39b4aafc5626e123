"""Evaluate one model on a drawn sample: every image counts by its inverse inclusion probability."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.alignment import align, known_truth
from liftgate.evaluation.informative_groups import groups_of_average, groups_of_rate
from liftgate.evaluation.intervals import alike_variance_of
from liftgate.evaluation.match_table import MAX_DETECTIONS
from liftgate.evaluation.matched_predictions import MatchedPredictions
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO
from liftgate.evaluation.metrics import averaged_metrics, rate
from liftgate.evaluation.operating_point import operating_point
from liftgate.evaluation.records import Evaluation
from liftgate.evaluation.resampling import weighted_units
from liftgate.evaluation.small_samples import first_point_reach
from liftgate.evaluation.spec import EvaluationSpec
from liftgate.stats.clustered import bootstrap_se_t
from liftgate.stats.differences import reaching_further
from liftgate.stats.groups import GroupCount
from liftgate.stats.interval import Interval

RATES = ("recall", "precision", "false_positives_per_image")


def evaluate_sample(
    truth: Dataset, predictions: Predictions, spec: EvaluationSpec, weights: Mapping[str, float]
) -> Evaluation:
    """Measure predictions on the images of a drawn sample.

    Args:
        truth: the sampled images, with their groups.
        predictions: on these images.
        spec: level and confidence threshold.
        weights: group → inverse inclusion probability of its images.

    Returns:
        Evaluation: the 12 COCO numbers, recall, precision and false positives per image, weighted, with intervals over
        draws of groups; nothing per class, no curves and no calibration, which would count every image alike.
    """
    spec.validate()
    truth, _, left_out = known_truth(truth)
    predictions = align(truth, predictions)
    table = match(truth, predictions)
    point, groups = operating_point(table, spec.conf), weighted_units(truth.groups, weights)
    matched, drawn, n_images = MatchedPredictions(table, point, None), groups.draws(), len(truth.images)
    values: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}

    def add(name: str, row: NDArray[np.float64], count: GroupCount) -> None:
        values[name] = None if math.isnan(row[0]) else float(row[0])
        if values[name] is not None:
            count = count._replace(least=alike_variance_of([matched], name, groups))
            logit = name != "false_positives_per_image"
            intervals[name] = bootstrap_se_t(
                float(row[0]), row[1:], spec.level, n_images=n_images, groups=count, units=groups.count, logit=logit,
            )  # fmt: skip

    for name, row in averaged_metrics(table, tuple(COCO), groups.of_image, drawn).items():
        add(name, row, groups_of_average(table, COCO[name], groups))
        if name in intervals:
            further = first_point_reach(COCO[name], groups, table)
            intervals[name] = reaching_further(intervals[name], up=min(further, 1 - (intervals[name].high or 0.0)))
    for name in RATES:
        add(name, rate(point, name, groups.of_image, drawn), groups_of_rate(point, name, groups))
    settings: dict[str, object] = {
        "predictions": dict(predictions.settings), "conf": spec.conf, "iou": 0.5, "max_det": MAX_DETECTIONS["iou"],
    }  # fmt: skip
    if left_out:
        settings["left_out"] = left_out
    return Evaluation(
        metrics=values, intervals=intervals, per_class={}, settings=settings, truth=truth.truth_hash(),
        predictions=predictions.content_hash(), level=spec.level, n_images=n_images, n_groups=groups.n_groups,
        method="weighted by inverse inclusion probability: bootstrap-se-logit-t; false positives: bootstrap-se-t",
    )  # fmt: skip
