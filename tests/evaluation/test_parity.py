"""The twelve numbers are pycocotools', to 1e-12, on real pairs and on made-up sets with everything awkward in them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import liftgate
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.average_precision import average_precision
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.match_table import SIZE_RANGES
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO, OKS
from liftgate.evaluation.metrics import averaged_metrics
from liftgate.evaluation.oks_sigmas import COCO_SIGMAS
from liftgate.evaluation.spec import EvaluationSpec
from oracle import coco_sets, official, slow_ap


def ours(truth: Dataset, predictions: Predictions) -> dict[str, float]:
    table = match(truth, predictions)
    values_by_name = averaged_metrics(table, COCO, np.arange(len(table.images)), np.ones((len(table.images), 1)))
    return {name: float(values[0]) for name, values in values_by_name.items()}


def assert_equal(ours: Mapping[str, float | None], theirs: Mapping[str, float | None]) -> None:
    for name, value in theirs.items():
        mine = ours[name]
        if value is None:
            assert mine is None or math.isnan(mine), name
        else:
            assert mine == pytest.approx(value, abs=1e-12), name


def pair(fixtures: Path, truth: str, results: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder = fixtures / "evaluator"
    gt, dt = json.loads((folder / truth).read_text()), json.loads((folder / results).read_text())
    for row in gt["annotations"]:  # CrowdPose leaves the area out, and pycocotools then fails
        row.setdefault("area", row["bbox"][2] * row["bbox"][3])
    return gt, dt


def test_official_table_of_the_hundred_images_to_three_digits(fixtures: Path) -> None:
    truth, results = pair(fixtures, "instances_val2014_100.json", "instances_val2014_fakebbox100_results.json")
    metrics = evaluate(coco_sets.dataset(truth), coco_sets.predictions(results, truth)).metrics
    published = [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]
    assert [round(metrics[name] or 0, 3) for name in COCO] == published


@pytest.mark.parametrize(
    ("truth", "results"),
    [
        ("instances_val2014_100.json", "instances_val2014_fakebbox100_results.json"),
        ("crowd/gt_dataset.json", "crowd/dt_dataset.json"),
        ("keypoints/gt_dataset.json", "keypoints/dt_dataset.json"),
        ("crowdpose/example_crowdpose_val.json", "crowdpose/example_crowdpose_preds.json"),
    ],
)
def test_boxes_equal_pycocotools_on_every_fixture_pair(fixtures: Path, truth: str, results: str) -> None:
    gt, dt = pair(fixtures, truth, results)
    theirs = official.pycocotools(gt, dt)
    assert_equal(ours(coco_sets.dataset(gt), coco_sets.predictions(dt, gt)), theirs)


def test_boxes_equal_pycocotools_on_the_ignore_pair_once_its_ids_are_of_one_type(fixtures: Path) -> None:
    gt, dt = pair(fixtures, "crowd/gt_ignore_test.json", "crowd/dt_ignore_test.json")
    for row in (*gt["images"], *gt["annotations"], *dt):
        row["id" if "file_name" in row else "image_id"] = 2299
    theirs = official.pycocotools(gt, dt)
    assert theirs["mAP50-95"] and theirs["mAP50-95"] > 0.5
    assert_equal(ours(coco_sets.dataset(gt), coco_sets.predictions(dt, gt)), theirs)


@pytest.mark.parametrize(
    ("truth", "results", "sigmas"),
    [
        ("keypoints/gt_dataset.json", "keypoints/dt_dataset.json", COCO_SIGMAS),
        ("keypoints/gt_dataset.json", "keypoints/dt_dataset.json", (0.05,) * 17),
        ("crowdpose/example_crowdpose_val.json", "crowdpose/example_crowdpose_preds.json", (0.05,) * 14),
    ],
)
def test_keypoints_equal_pycocotools(fixtures: Path, truth: str, results: str, sigmas: tuple[float, ...]) -> None:
    gt, dt = pair(fixtures, truth, results)
    theirs = official.pycocotools(gt, dt, "keypoints", sigmas)
    evaluation = evaluate(coco_sets.dataset(gt), coco_sets.predictions(dt, gt), EvaluationSpec(sigmas=sigmas))
    assert evaluation.settings["sigmas"] == list(sigmas)
    assert_equal({name.removeprefix("OKS-"): evaluation.metrics[name] for name in OKS}, theirs)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), decimals=st.integers(1, 3), digits=st.sampled_from([2, 17]))
def test_boxes_equal_pycocotools_on_awkward_sets(seed: int, decimals: int, digits: int) -> None:
    gt, dt = coco_sets.awkward(seed, decimals=decimals, digits=digits)
    if dt:
        assert_equal(ours(coco_sets.dataset(gt), coco_sets.predictions(dt, gt)), official.pycocotools(gt, dt))


@pytest.mark.parametrize("digits", [2, 17])
def test_boxes_equal_pycocotools_when_read_from_files_with_numbers_of_any_precision(
    tmp_path: Path, digits: int
) -> None:
    # IoU of exactly one half hangs on the last bit of a width, so a width is what the file says, not right − left.
    truth, found = tmp_path / "truth.json", tmp_path / "found.json"
    for seed in range(40):
        gt, dt = coco_sets.awkward(seed, digits=digits)
        for image in gt["images"]:
            image |= {"file_name": f"{image['id']}.jpg", "width": 640, "height": 640}
        truth.write_text(json.dumps(gt))
        found.write_text(json.dumps(dt))
        assert_equal(liftgate.evaluate(truth, found).metrics, official.pycocotools(gt, dt))


def test_more_than_a_hundred_detections_of_a_class_in_an_image_are_cut_as_pycocotools_cuts() -> None:
    gt, _ = coco_sets.awkward(3, images=2)
    image, category = gt["annotations"][0]["image_id"], gt["annotations"][0]["category_id"]
    dt = [
        {"image_id": image, "category_id": category, "bbox": row["bbox"], "score": round(0.9 - 0.001 * (i % 150), 3)}
        for i, row in enumerate(gt["annotations"] * 60)
    ]
    assert len(dt) > 150
    assert_equal(ours(coco_sets.dataset(gt), coco_sets.predictions(dt, gt)), official.pycocotools(gt, dt))


def test_sides_are_those_of_the_file_so_that_32_pixels_at_a_tenth_are_small() -> None:
    box = [132.4, 32.4, 32.0, 32.0]
    assert (32.4 + 32.0) - 32.4 > 32.0  # in floating point
    gt = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "area": 900.0, "iscrowd": 0}],
    }
    far = [32.4, 232.4, 32.0, 32.0]
    dt = [
        {"image_id": 1, "category_id": 1, "bbox": far, "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": box, "score": 0.8},
    ]
    theirs = official.pycocotools(gt, dt)
    assert theirs["mAP_small"] == pytest.approx(0.5)
    assert_equal(ours(coco_sets.dataset(gt), coco_sets.predictions(dt, gt)), theirs)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_kernel_equals_its_slow_twin_class_by_class(seed: int) -> None:
    gt, dt = coco_sets.awkward(seed, images=6, decimals=2)
    table = match(coco_sets.dataset(gt), coco_sets.predictions(dt, gt))
    for size in ("all", "small"):
        fast = average_precision(table, np.zeros(len(table.images), dtype=np.int64), np.ones((1, 1)), size=size)
        for t in (0, 5):
            slow = slow_ap.average_precision(gt, dt, slow_ap.THRESHOLDS[t], SIZE_RANGES[size])
            for k, category in enumerate(gt["categories"]):
                if category["id"] in slow:
                    assert fast[k, t, 0] == pytest.approx(slow[category["id"]], abs=1e-9)
                else:
                    assert math.isnan(fast[k, t, 0])
