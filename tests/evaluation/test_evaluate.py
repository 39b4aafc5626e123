"""evaluate: what every number means, and what becomes of data that is empty, tiny or odd."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.metric_names import COCO, RATES
from liftgate.evaluation.spec import EvaluationSpec
from oracle import coco_sets

BOX = [10.0, 10.0, 50.0, 50.0]
FAR = [200.0, 200.0, 250.0, 250.0]


def truth(objects: list[int], groups: list[str | None] | None = None, classes: tuple[str, ...] = ("a",)) -> Dataset:
    """One image per entry, with that many objects side by side."""
    rows = [(i, [10 + 60 * k, 10, 50 + 60 * k, 50]) for i, count in enumerate(objects) for k in range(count)]
    keys = groups or [None] * len(objects)
    return Dataset(
        name="made",
        root=Path(),
        source=Path("made.yaml"),
        format="yolo",
        classes=classes,
        images=tuple(Image(f"{i:03}.jpg", Path(f"{i:03}.jpg"), 640, 640, group=key) for i, key in enumerate(keys)),
        labels=Labels.build([i for i, _ in rows], [0] * len(rows), [box for _, box in rows]),
    )


def said(rows: list[tuple[int, list[float], float]], dataset: Dataset, **settings: Any) -> Predictions:
    return Predictions(
        images=tuple(image.id for image in dataset.images),
        classes=dataset.classes,
        image=np.array([row[0] for row in rows], dtype=np.int64),
        cls=np.zeros(len(rows), dtype=np.int64),
        boxes=np.array([row[1] for row in rows], dtype=float).reshape(-1, 4),
        scores=np.array([row[2] for row in rows], dtype=float),
        settings=settings,
    )


def test_rates_are_counted_at_the_confidence_threshold_and_iou_one_half() -> None:
    data = truth([1] * 10)
    rows = [(i, BOX, 0.9) for i in range(6)] + [(6, BOX, 0.2), (7, FAR, 0.8), (8, FAR, 0.1)]
    result = evaluate(data, said(rows, data), EvaluationSpec(conf=0.25))
    assert result.metrics["recall"] == 0.6
    assert result.metrics["precision"] == pytest.approx(6 / 7)
    assert result.metrics["false_positives_per_image"] == 0.1
    assert result.metrics["best_confidence_median"] == 0.9  # 6 × .9, .8, .2, .1 and 0 for the image without detection
    lower = evaluate(data, said(rows, data), EvaluationSpec(conf=0.15))
    assert lower.metrics["recall"] == 0.7
    assert lower.metrics["best_confidence_median"] == 0.9


def test_every_metric_has_an_interval_that_says_its_sample_level_and_method() -> None:
    data = truth([1, 2] * 10, [f"v{i // 2}" for i in range(20)])
    result = evaluate(data, said([(i, BOX, 0.3 + 0.03 * i) for i in range(15)], data), EvaluationSpec(level=0.9))
    assert set(result.intervals) == {name for name, value in result.metrics.items() if value is not None}
    for name, interval in result.intervals.items():
        assert interval.established, name
        assert interval.low <= result.metrics[name] <= interval.high, name  # type: ignore[operator]
        assert (interval.level, interval.n_groups) == (0.9, 10) or name == "precision"
    assert (result.n_images, result.n_groups) == (20, 10)
    assert "bootstrap" in result.method and "korn-graubard" in result.method


def test_groups_of_like_frames_widen_the_interval_and_say_by_how_much() -> None:
    hits = [(i, BOX, 0.9) for i in range(60) if (i // 10) % 2]
    alone, together = truth([1] * 60), truth([1] * 60, [f"v{i // 10}" for i in range(60)])
    frames, videos = evaluate(alone, said(hits, alone)), evaluate(together, said(hits, together))
    assert videos.metrics == frames.metrics
    for name in ("mAP50", "recall"):
        wide, narrow = videos.intervals[name], frames.intervals[name]
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)  # type: ignore[operator]
        assert wide.design_effect is not None and wide.design_effect > 5
        assert wide.n_effective is not None and wide.n_effective < 12


def test_under_five_groups_no_interval_is_established() -> None:
    data = truth([1] * 40, [f"v{i // 10}" for i in range(40)])
    result = evaluate(data, said([(i, BOX, 0.9) for i in range(30)], data))
    assert result.metrics["recall"] == 0.75
    assert not any(interval.established for interval in result.intervals.values())
    assert "4 groups" in result.intervals["mAP50"].note


def test_images_come_worst_first_with_their_counts() -> None:
    data = truth([2, 1, 0, 1])
    rows = [(0, BOX, 0.9), (1, FAR, 0.9), (1, BOX, 0.1), (3, BOX, 0.9)]
    images = evaluate(data, said(rows, data)).images
    assert [image["id"] for image in images] == ["001.jpg", "000.jpg", "002.jpg", "003.jpg"]
    assert images[0] == {"id": "001.jpg", "group": None, "tp": 0, "fp": 1, "fn": 1, "best_confidence": 0.9}


def test_per_class_and_curves_agree_with_the_totals() -> None:
    gt, dt = coco_sets.awkward(2, images=20, decimals=2)
    result = evaluate(coco_sets.dataset(gt), coco_sets.predictions(dt, gt))
    defined = [row["AP50"] for row in result.per_class.values() if row["AP50"] is not None]
    assert np.mean(defined) == pytest.approx(result.metrics["mAP50"])
    precision = result.curves["precision_recall"]["precision"]
    assert np.mean(precision) == pytest.approx(result.metrics["mAP50"], abs=1e-6)
    confidence = result.curves["confidence"]
    assert confidence["recall"][25] == pytest.approx(result.metrics["recall"], abs=1e-6)
    assert confidence["precision"][25] == pytest.approx(result.metrics["precision"], abs=1e-6)
    assert len(confidence["conf"]) == 101


def test_a_crowd_or_difficult_object_is_neither_found_nor_missed() -> None:
    data = truth([1] * 6)
    difficult = replace(data, labels=replace(data.labels, ignore=np.array([True] + [False] * 5)))
    result = evaluate(difficult, said([(i, BOX, 0.9) for i in range(6)], difficult))
    assert (result.metrics["recall"], result.metrics["precision"]) == (1.0, 1.0)
    assert sum(image["tp"] for image in result.images) == 5


def test_no_detections_at_all_is_zero_and_not_an_error() -> None:
    data = truth([1] * 8)
    metrics = evaluate(data, said([], data)).metrics
    assert metrics["mAP50-95"] == metrics["recall"] == metrics["best_confidence_median"] == 0
    assert metrics["precision"] is None


def test_no_truth_at_all_leaves_only_what_is_defined() -> None:
    data = truth([0] * 8)
    result = evaluate(data, said([(0, BOX, 0.9)], data))
    assert all(result.metrics[name] is None for name in (*COCO, "recall", "best_confidence_median"))
    assert (result.metrics["precision"], result.metrics["false_positives_per_image"]) == (0.0, 1 / 8)
    json.dumps(result.to_dict(), allow_nan=False)


def test_no_images_is_an_error_that_names_the_source() -> None:
    data = truth([])
    with pytest.raises(UsageError, match=r"no images.*made\.yaml"):
        evaluate(data, said([], data))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_or_box_that_is_no_number_is_refused(bad: float) -> None:
    data = truth([1] * 5)
    with pytest.raises(UsageError, match="score that is no number"):
        evaluate(data, said([(0, BOX, bad)], data))
    with pytest.raises(UsageError, match="box that is no number"):
        evaluate(data, said([(0, [bad, 0, 1, 1], 0.5)], data))


def test_images_that_were_not_predicted_on_are_refused_not_counted_as_misses() -> None:
    data = truth([1] * 5)
    partial = replace(said([(0, BOX, 0.9)], data), images=tuple(image.id for image in data.images[:3]))
    with pytest.raises(UsageError, match="2 of 5 images were not predicted on"):
        evaluate(data, partial)


def test_predictions_on_more_images_and_classes_than_asked_about_are_cut_to_the_question() -> None:
    data = truth([1] * 6, classes=("a", "b"))
    rows = said([(i, BOX, 0.9) for i in range(6)], data)
    wide = replace(rows, classes=("z", "b", "a"), cls=np.array([2, 2, 2, 0, 2, 2]))
    asked = data.take(np.arange(4))
    result = evaluate(asked, wide)
    assert result.n_images == 4
    assert result.metrics["recall"] == 0.75
    assert result.metrics["false_positives_per_image"] == 0


def test_a_detection_turned_inside_out_finds_nothing() -> None:
    data = truth([1] * 5)
    result = evaluate(data, said([(i, [50.0, 50.0, 10.0, 10.0], 0.9) for i in range(5)], data))
    assert result.metrics["recall"] == 0


@pytest.mark.parametrize("wrong", [{"level": 95}, {"conf": 25}, {"level": 0}, {"conf": float("nan")}])
def test_levels_and_thresholds_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    data = truth([1] * 5)
    with pytest.raises(UsageError):
        evaluate(data, said([], data), EvaluationSpec(**wrong))  # type: ignore[arg-type]


def test_the_record_survives_json_and_keeps_the_names_that_others_rely_on() -> None:
    data = truth([1] * 6)
    record = evaluate(data, said([(i, BOX, 0.9) for i in range(5)], data, imgsz=640)).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {"metrics", "intervals", "level", "method", "n_images", "n_groups"} <= set(record)
    assert set(record["metrics"]) == {*COCO, *RATES}
    assert len(record["intervals"]["recall"]) == 2
    assert record["settings"]["predictions"]["imgsz"] == 640


def test_pose_without_sigmas_is_refused_with_a_hint() -> None:
    points = np.tile(np.array([[20.0, 20.0, 2.0], [40.0, 40.0, 2.0], [30.0, 30.0, 2.0]]), (5, 1, 1))
    from liftgate.data.core.dataset import Keypoints

    data = replace(truth([1] * 5), keypoints=Keypoints(("p", "q", "r")))
    data = replace(data, labels=replace(data.labels, keypoints=points))
    pose = replace(said([(i, BOX, 0.9) for i in range(5)], data), keypoints=points)
    with pytest.raises(UsageError, match="sigmas"):
        evaluate(data, pose)
    result = evaluate(data, pose, EvaluationSpec(sigmas=0.05))
    assert result.metrics["OKS-mAP50-95"] == pytest.approx(1.0)
    assert result.settings["sigmas"] == [0.05] * 3
