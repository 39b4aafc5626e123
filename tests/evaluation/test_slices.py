"""Slices are evaluations of a part, from one match of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from oracle import coco_sets

METRICS = {"mAP50-95", "mAP50", "recall", "precision", "best_confidence_median", "false_positives_per_image"}


def test_each_slice_equals_the_evaluation_of_its_images_alone() -> None:
    gt, dt = coco_sets.awkward(8, images=36, decimals=3)
    keys = [f"v{i // 3}" for i in range(36)]
    data, model = coco_sets.dataset(gt, keys), coco_sets.predictions(dt, gt)
    tags = {image.id: "day" if i < 18 else "night" for i, image in enumerate(data.images) if i != 35}
    slices = evaluate(data, model, EvaluationSpec(slices=tags)).slices
    assert set(slices) == {"day", "night"}
    for name, part in slices.items():
        inside = np.array([tags.get(image.id) == name for image in data.images])
        alone = evaluate(data.take(inside), model)
        assert set(part["metrics"]) == METRICS
        assert (part["n_images"], part["n_groups"]) == (inside.sum(), alone.n_groups)
        for metric, value in part["metrics"].items():
            assert value == pytest.approx(alone.metrics[metric]), metric
            other = alone.intervals[metric]
            assert part["intervals"][metric] == pytest.approx([other.low, other.high]), metric
            assert part["methods"][metric] == other.method


def test_a_small_slice_is_not_established_but_counted() -> None:
    gt, dt = coco_sets.awkward(8, images=10)
    data, model = coco_sets.dataset(gt), coco_sets.predictions(dt, gt)
    rare = evaluate(data, model, EvaluationSpec(slices={data.images[i].id: "rare" for i in range(3)})).slices["rare"]
    assert rare["n_images"] == 3
    assert all(bounds == [None, None] for bounds in rare["intervals"].values())


def test_tags_of_other_images_are_an_error() -> None:
    gt, dt = coco_sets.awkward(8, images=10)
    with pytest.raises(UsageError, match="no image belongs to a slice"):
        evaluate(coco_sets.dataset(gt), coco_sets.predictions(dt, gt), EvaluationSpec(slices={"elsewhere.jpg": "day"}))


@pytest.mark.parametrize("metric", ["mAP50", "recall", "false_positives_per_image", "best_confidence_median"])
def test_a_comparison_by_slice_equals_the_comparison_of_its_images_alone(metric: str) -> None:
    gt, dt = coco_sets.awkward(8, images=36, decimals=3)
    data = coco_sets.dataset(gt, [f"v{i // 3}" for i in range(36)])
    good = coco_sets.predictions(dt, gt)
    poor = coco_sets.predictions([row for i, row in enumerate(dt) if i % 3], gt)
    tags = {image.id: "day" if i < 18 else "night" for i, image in enumerate(data.images)}
    result = compare(data, poor, good, ComparisonSpec(metric=metric, slices=tags))
    p_values = {}
    for name, row in result.slices.items():
        inside = np.array([tags[image.id] == name for image in data.images])
        part = data.take(inside)
        alone = compare(part, *(_on(part, model) for model in (poor, good)), ComparisonSpec(metric=metric))
        assert (row["control"], row["treatment"]) == (alone.control, alone.treatment)
        assert row["delta"] == pytest.approx(alone.delta.estimate)
        assert (row["n_images"], row["n_groups"]) == (18, 6)
        assert row["interval"] == pytest.approx([alone.delta.low, alone.delta.high])
        if metric == "best_confidence_median":
            assert row["p_holm"] is None
        else:
            p_values[name] = alone.p_value
    if known := {name: p for name, p in p_values.items() if p is not None}:  # Holm: the smaller of two is doubled
        first = min(known, key=lambda name: known[name])
        assert result.slices[first]["p_holm"] == pytest.approx(min(1.0, len(known) * known[first]))


def _on(part: object, model: object) -> object:
    from liftgate.evaluation.alignment import align

    return align(part, model)  # type: ignore[arg-type]
