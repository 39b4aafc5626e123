"""Influences: by how much each image moves a metric."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from liftgate.evaluation.image_level import ImageLevelThreshold, image_level_scores
from liftgate.evaluation.influences import average_influences, influences
from liftgate.evaluation.intervals import alike_variance_of
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.matched_predictions import MatchedPredictions, replicates
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO
from liftgate.evaluation.operating_point import operating_point
from liftgate.evaluation.resampling import Units, units

METRICS = (
    "recall", "precision", "false_positives_per_image", "accuracy", "AUC", "mAP50", "mAP50-95", "AR_100",
)  # fmt: skip


@pytest.fixture(scope="module")
def simulated() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "simulated.py"
    spec = importlib.util.spec_from_file_location("simulated_for_influences", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def two_models(simulated: ModuleType, **cell: object) -> tuple[Units, list[MatchedPredictions]]:
    data = simulated.sample(simulated.Cell(**cell), np.random.default_rng(4))
    arms = []
    for model in (data.first, data.second):
        table = match(data.truth, model)
        flags = image_level_scores(data.truth, model, ImageLevelThreshold(("c0",), 0.5))
        arms.append(MatchedPredictions(table, operating_point(table, 0.25), flags))
    return units(data.truth.groups), arms


@pytest.mark.parametrize("metric", METRICS)
def test_they_foretell_what_draws_of_groups_give(simulated: ModuleType, metric: str) -> None:
    groups, (first, second) = two_models(simulated, groups=40, per_group=8, sizes="zipf", classes=3)
    draws = groups.draws(300)
    one, two = (influences(arm, metric, groups) for arm in (first, second))
    assert one.sum() == pytest.approx(0, abs=1e-12)
    for arms, moved in (((first,), one), ((first, second), two - one)):
        rows = [replicates(arm, metric, groups.of_image, draws) for arm in arms]
        drawn = rows[-1] - (rows[0] if len(rows) == 2 else 0)
        foretold = drawn[0] + np.bincount(groups.group, moved) @ (draws[:, 1:] - 1)
        assert np.corrcoef(foretold, drawn[1:])[0, 1] > 0.85
        assert np.std(foretold) == pytest.approx(np.std(drawn[1:]), rel=0.25)


def all_point(table: MatchTable, name: str, weight: NDArray[np.float64]) -> float:
    """AP of weighted images with the precision at every hit, or AR, by the definition."""
    values, metric = [], COCO[name]
    for k, t in itertools.product(range(len(table.classes)), metric.thresholds):
        own = slice(table.start[k], table.start[k + 1])
        hit, each = (table.hit[0][own] >> t & 1) != 0, weight[table.image[own]]
        hit &= table.rank[own] < metric.max_detections
        precision = np.cumsum(hit * each) / np.cumsum(each)
        best = np.maximum.accumulate(np.where(hit, precision, 0)[::-1])[::-1] if metric.kind == "AP" else 1.0
        values.append(float((best * hit) @ each) / float(weight[table.label_image[table.label_class == k]].sum()))
    return float(np.mean(values))


@pytest.mark.parametrize("name", ["mAP50", "mAP50-95", "AR_1", "AR_100"])
def test_they_are_its_derivative_in_the_weight_of_an_image(simulated: ModuleType, name: str) -> None:
    groups, (arm, _) = two_models(simulated, groups=8, per_group=6, classes=2)
    assert arm.table is not None
    groups = replace(groups, weight=np.random.default_rng(0).uniform(0.9, 1.1, 8))  # no two precisions are equal
    weight, step = groups.image_weights(), 1e-6
    found = average_influences(arm.table, COCO[name], groups)
    for image in range(48):
        moved = weight * (1 + step * (np.arange(48) == image))
        slope = (all_point(arm.table, name, moved) - all_point(arm.table, name, weight)) / step
        assert found[image] == pytest.approx(slope, abs=1e-6)


def test_images_that_are_groups_of_their_own_need_none(simulated: ModuleType) -> None:
    groups, arms = two_models(simulated, groups=30, per_group=1)
    assert alike_variance_of(arms[:1], "mAP50", groups) is None


def test_a_class_that_one_group_holds_varies_as_groups_do(simulated: ModuleType) -> None:
    """No draw shows what another group with such a class would say: it counts for the share of the mean that it is."""
    groups, (arm, _) = two_models(simulated, groups=30, per_group=10, classes=3, process="own class")
    found = alike_variance_of([arm], "mAP50-95", groups)
    moved = np.bincount(groups.group, influences(arm, "mAP50-95", groups))
    assert found is not None and found.variance > 2 * float(np.sum(moved**2))
