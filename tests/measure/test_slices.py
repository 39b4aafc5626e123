"""Slices are evaluations of a part, from one match of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.errors import UsageError
from liftgate.measure.evaluation import evaluate
from liftgate.measure.slices import evaluate_slices
from oracle import coco_sets


def test_each_slice_equals_the_evaluation_of_its_images_alone() -> None:
    gt, dt = coco_sets.awkward(8, images=36, decimals=3)
    keys = [f"v{i // 3}" for i in range(36)]
    data, model = coco_sets.dataset(gt, keys), coco_sets.predictions(dt, gt)
    tags = {image.id: "day" if i < 18 else "night" for i, image in enumerate(data.images) if i != 35}
    slices = evaluate_slices(data, model, tags)
    assert set(slices) == {"day", "night"}
    for name in slices:
        inside = np.array([tags.get(image.id) == name for image in data.images])
        alone = evaluate(data.take(inside), model)
        assert set(slices[name]) == {
            "mAP50-95",
            "mAP50",
            "recall",
            "precision",
            "best_confidence_median",
            "false_positives_per_image",
        }
        for metric, interval in slices[name].items():
            assert interval.estimate == pytest.approx(alone.metrics[metric]), metric
            other = alone.intervals[metric]
            assert (interval.low, interval.high) == pytest.approx((other.low, other.high)), metric
            assert interval.n_groups == other.n_groups


def test_a_small_slice_is_not_established_but_counted() -> None:
    gt, dt = coco_sets.awkward(8, images=10)
    data, model = coco_sets.dataset(gt), coco_sets.predictions(dt, gt)
    slices = evaluate_slices(data, model, {data.images[i].id: "rare" for i in range(3)})
    assert all(not interval.established for interval in slices["rare"].values())


def test_tags_of_other_images_are_an_error() -> None:
    gt, dt = coco_sets.awkward(8, images=10)
    with pytest.raises(UsageError, match="no image has a tag"):
        evaluate_slices(coco_sets.dataset(gt), coco_sets.predictions(dt, gt), {"elsewhere.jpg": "day"})
