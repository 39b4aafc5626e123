"""Intervals of one model's metrics, and of the difference of two.

Bootstrap for averages and differences, Korn–Graubard for rates, Woodruff for the median.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.average_precision import mean_over_classes
from liftgate.evaluation.image_level import ImageLevelScores, image_level_fraction, image_level_rate
from liftgate.evaluation.influences import influences
from liftgate.evaluation.informative_groups import (
    MANY_GROUPS,
    found_by_group,
    groups_of_average,
    groups_of_difference,
    groups_of_image_level,
    shares_of_groups,
    whole_groups,
)
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.matched_predictions import MatchedPredictions, scale_of
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, OKS, RATES, AveragedMetric
from liftgate.evaluation.metrics import averaged_metrics, has_objects, rate, rate_fraction, shared_by_metrics
from liftgate.evaluation.operating_point import OperatingPoint
from liftgate.evaluation.resampling import IMAGE_DRAWS, Units, affordable_draws, image_units
from liftgate.evaluation.small_samples import SampleValues, first_point_reach, halved_sample, recall_point_variance
from liftgate.stats.alike import alike_groups
from liftgate.stats.clustered import bootstrap_se_t, bootstrap_variance, cluster_ratio_t, median_interval
from liftgate.stats.differences import difference_t, reach_of_both, reaching_further
from liftgate.stats.groups import AlikeVariance, count_groups
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard, within_whole_groups


def average_intervals(
    table: MatchTable, names: tuple[str, ...], groups: Units, level: float, *, design_effect: bool = True
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    """Return values and intervals of COCO or OKS metrics; a value is None where there is no truth.

    Args:
        table: matched by box, or by keypoints for OKS.
        names: of the metrics.
        groups: resampling units of the images; for a slice those `within` it.
        level: of the intervals.
        design_effect: also draw single images, to report how much wider groups make the interval.
    """
    inside = groups.group < groups.n_groups
    n_images, draws = int(inside.sum()), affordable_draws(len(table.score))
    weights = groups.draws(draws) if inside.all() else groups.draws_within(draws)
    # Draws and halves are weightings alike, and a pass over the detections is the same for both.
    halved = halved_sample(groups, "AP")
    wanted = {name: (COCO | OKS)[name] for name in names}
    both = np.concatenate([weights, halved[:, 1:]], axis=1)
    shared = shared_by_metrics(table, wanted.values(), groups.of_image, both)
    drawn, halves = slice(weights.shape[1]), [0, *range(weights.shape[1], both.shape[1])]
    replicates = {
        name: mean_over_classes(shared[metric.computed][:, :, drawn], metric.thresholds)
        for name, metric in wanted.items()
    }
    simple: dict[str, float] = {}
    if design_effect and groups.n_groups < n_images and inside.all():
        alone = image_units(n_images)
        of_images = averaged_metrics(table, names, alone.of_image, alone.draws(IMAGE_DRAWS))
        simple = {name: bootstrap_variance(row[0], row[1:], alone.count) for name, row in of_images.items()}
    values: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    in_sample = SampleValues(table, groups, {key: found[:, :, halves] for key, found in shared.items()})
    for name, row in replicates.items():
        values[name] = None if math.isnan(row[0]) else float(row[0])
        if not math.isnan(row[0]):
            intervals[name] = average_interval(table, name, row, groups, level, simple.get(name), in_sample=in_sample)
    return values, intervals


def average_interval(
    table: MatchTable,
    name: str,
    replicates: NDArray[np.float64],
    groups: Units,
    level: float,
    simple_variance: float | None = None,
    *,
    in_sample: SampleValues | None = None,
) -> Interval:
    """Return the interval of one COCO or OKS metric.

    Args:
        table: the matched detections.
        name: of the metric.
        replicates: (1 + D,) its value, then that of each draw of groups.
        groups: resampling units of the images.
        level: of the interval.
        simple_variance: variance if every image were a group of its own; gives the design effect.
        in_sample: values of the classes, where they are shared with other metrics.
    """
    metric = (COCO | OKS)[name]
    in_sample = in_sample or SampleValues(table, groups)
    counted, bias = groups_of_average(table, metric, groups), in_sample.bias(metric)
    least = alike_variance_of([MatchedPredictions(table, None, None)], name, groups)
    interval = bootstrap_se_t(
        float(replicates[0]), replicates[1:], level, n_images=int((groups.group < groups.n_groups).sum()),
        groups=counted._replace(least=least), units=groups.count, simple_variance=simple_variance, logit=True,
        unseen_variance=in_sample.unseen_variance(metric), bias=bias,
    )  # fmt: skip
    if counted.effective < MANY_GROUPS:
        interval = within_whole_groups(interval, whole_groups(table, metric, groups), bias)
    further = first_point_reach(metric, groups, table)
    interval = reaching_further(interval, up=min(further, 1 - (interval.high or 0.0)))
    return interval if metric.kind == "AP" else _as_low_as_recall(interval, table, metric, groups)


def _as_low_as_recall(interval: Interval, table: MatchTable, metric: AveragedMetric, groups: Units) -> Interval:
    """Return the interval of an AR, in proportion as low as that of the recall at its first IoU threshold.

    Where hardly a group misses an object, no draw shows what a group that does would change; the interval of a rate
    knows how many such groups there may be.
    """
    found = korn_graubard(*found_by_group(table, metric, groups, metric.thresholds[0]), interval.level)
    if interval.low is None or found.low is None or not found.estimate:
        return interval
    return replace(interval, low=min(interval.low, interval.estimate * found.low / found.estimate))


def rate_intervals(
    point: OperatingPoint, groups: Units, level: float
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    """Return values and intervals of all RATES; None where nothing is counted."""
    values: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    in_sample = Units(groups.group, groups.n_groups, groups.group, groups.n_groups)
    for name in RATES:
        value = float(rate(point, name, groups.group, in_sample.sample_weights())[0])
        values[name] = None if math.isnan(value) else value
        if not math.isnan(value):
            intervals[name] = rate_interval(point, name, groups, level)
    return values, intervals


def rate_interval(point: OperatingPoint, name: str, groups: Units, level: float) -> Interval:
    """Return the interval of one of RATES."""
    n_images = len(point.true)
    if name == "best_confidence_median":
        counted = has_objects(point) & (groups.group < groups.n_groups)
        return median_interval(point.best[counted], groups.group[counted], level, n_groups=groups.n_groups)
    top, bottom = rate_fraction(point, name)
    k, n = (np.bincount(groups.group, column, minlength=groups.n_groups) for column in (top, bottom))
    if name == "false_positives_per_image":
        simple = float(np.var(top, ddof=1)) / n_images if n_images > 1 else None
        return cluster_ratio_t(k, n, level, n_images=n_images, simple_variance=simple)
    return korn_graubard(k, n, level, n_images=n_images)


def image_level_intervals(
    answers: ImageLevelScores, groups: Units, level: float
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    """Return values and intervals of all image-level metrics; None where there is nothing to count."""
    found = {name: image_level_interval(answers, name, groups, level) for name in IMAGE_LEVEL}
    values = {name: None if interval is None else interval.estimate for name, interval in found.items()}
    return values, {name: interval for name, interval in found.items() if interval is not None}


def image_level_interval(answers: ImageLevelScores, name: str, groups: Units, level: float) -> Interval | None:
    """Return the interval of one image-level metric; None: there is nothing to count."""
    n_images = len(answers.score)
    if name == "AUC":
        draws = affordable_draws(n_images)
        values = image_level_rate(answers, name, groups.of_image, groups.draws(draws))
        if math.isnan(values[0]):
            return None
        alone = image_units(n_images)
        single = image_level_rate(answers, name, alone.of_image, alone.draws(IMAGE_DRAWS))
        return auc_interval(answers, values, groups, level, bootstrap_variance(single[0], single[1:], alone.count))
    top, bottom = image_level_fraction(answers, name)
    if not bottom.any():
        return None
    k, n = (np.bincount(groups.group, column, minlength=groups.n_groups) for column in (top, bottom))
    return korn_graubard(k, n, level, n_images=n_images)


def auc_interval(
    answers: ImageLevelScores,
    replicates: NDArray[np.float64],
    groups: Units,
    level: float,
    simple_variance: float | None = None,
) -> Interval:
    """Return the interval of AUC; arguments as of `average_interval`."""
    return bootstrap_se_t(
        float(replicates[0]), replicates[1:], level, n_images=len(answers.score), units=groups.count, logit=True,
        groups=groups_of_image_level(answers, "AUC", groups), simple_variance=simple_variance,
    )  # fmt: skip


def difference_interval(
    arms: tuple[MatchedPredictions, MatchedPredictions],
    metric: str,
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    groups: Units,
    level: float,
    simple_variance: float | None = None,
) -> Interval:
    """Return the interval of treatment − control.

    Args:
        arms: both models' matched predictions.
        metric: name of the metric.
        values: of control and treatment, each (1 + D,): of the sample, then of each draw of groups.
        groups: resampling units of the images.
        level: of the interval.
        simple_variance: variance if every image were a group of its own; gives the design effect.
    """
    control, treatment = (arm.table for arm in arms)
    unseen = 0.0
    if (average := (COCO | OKS).get(metric)) is not None and control is not None and treatment is not None:
        unseen = recall_point_variance(average, groups, treatment, control)
    variances = [bootstrap_variance(float(row[0]), row[1:], groups.count) for row in values]
    least, counted = alike_variance_of(arms, metric, groups, variances), groups_of_difference(*arms, metric, groups)
    delta = difference_t(
        *values, level, n_images=int((groups.group < groups.n_groups).sum()), units=groups.count,
        groups=counted._replace(least=least), scale=scale_of(metric), simple_variance=simple_variance,
        unseen_variance=unseen,
    )  # fmt: skip
    if average is not None and control is not None and treatment is not None:
        down, up = (first_point_reach(average, groups, one) for one in (control, treatment))
        delta = reaching_further(delta, down=down, up=up)
    if metric != "best_confidence_median" or not any(_often_zero(drawn, level) for drawn in values):
        return delta
    points = [arm.point for arm in arms if arm.point is not None]
    return reach_of_both(delta, *(rate_interval(point, metric, groups, level) for point in points))


def _often_zero(drawn: NDArray[np.float64], level: float) -> bool:
    """Return whether a median is 0, because half of the images have no detection, in more draws than the tail holds."""
    return float((drawn == 0).mean()) > (1 - level) / 2


def alike_variance_of(
    arms: Sequence[MatchedPredictions], metric: str, groups: Units, variances: Sequence[float] = (0.0, 0.0)
) -> AlikeVariance | None:
    """Return the variance of a metric if large groups differ as much as all groups do; None where it says nothing.

    So many groups that the metric rests on at least MANY_GROUPS do not agree by chance: they are not looked at.

    Args:
        arms: one model, or control and treatment: then it is that of their difference.
        metric: name of the metric.
        groups: resampling units of the images.
        variances: of each model's metric between groups; they scale the influences on a median.
    """
    inside = groups.group < groups.n_groups
    if int(inside.sum()) == groups.n_groups:
        return None  # every image is a group of its own
    share, paired = shares_of_groups(arms, metric, groups), len(arms) == 2
    if count_groups(share).effective >= MANY_GROUPS:
        return None
    each = [influences(arm, metric, groups, one) for arm, one in zip(arms, variances, strict=False)]
    moved = each[1] - each[0] if paired else each[0]
    # One model's groups are skewed near an end of the scale: where the large ones are good, they differ too little.
    return alike_groups(moved[inside], groups.group[inside], share, by_share=paired)
