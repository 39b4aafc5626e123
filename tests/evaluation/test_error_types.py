"""Every mistake has one type, and mending a type wins what it costs."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import liftgate
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.error_types import TYPES, errors_by_type
from liftgate.evaluation.evaluate import evaluate
from oracle import coco_sets

A, B = [0.0, 0.0, 100.0, 100.0], [300.0, 0.0, 400.0, 100.0]
HALF = [60.0, 0.0, 160.0, 100.0]  # IoU .25 with A
NOWHERE = [500.0, 500.0, 600.0, 600.0]


def one_image(detections: list[tuple[list[float], int, float]]) -> tuple[Dataset, Predictions]:
    """An object of class 0 at A and one of class 1 at B."""
    data = Dataset(
        name="one", root=Path(), source=Path("one"), format="yolo", classes=("a", "b"),
        images=(Image("0.jpg", Path("0.jpg"), 640, 640),), labels=Labels.build([0, 0], [0, 1], [A, B]),
    )  # fmt: skip
    model = Predictions(
        images=("0.jpg",),
        classes=("a", "b"),
        image=np.zeros(len(detections), dtype=np.int64),
        cls=np.array([row[1] for row in detections], dtype=np.int64),
        boxes=np.array([row[0] for row in detections]).reshape(-1, 4),
        scores=np.array([row[2] for row in detections]),
    )
    return data, model


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([(A, 0, 0.9), (B, 1, 0.9)], {}),
        ([(A, 1, 0.9), (B, 1, 0.95)], {"class": 1}),
        ([(HALF, 0, 0.9), (B, 1, 0.9)], {"location": 1}),
        ([(HALF, 1, 0.9), (B, 1, 0.95)], {"both": 1, "missed": 1}),
        ([(A, 0, 0.9), (A, 0, 0.8), (B, 1, 0.9)], {"duplicate": 1}),
        ([(A, 0, 0.9), (NOWHERE, 0, 0.8), (B, 1, 0.9)], {"background": 1}),
        ([(A, 0, 0.9)], {"missed": 1}),
        ([(A, 0, 0.9), (B, 1, 0.9), (NOWHERE, 0, 0.1)], {}),
    ],
)
def test_each_mistake_is_of_one_type(
    detections: list[tuple[list[float], int, float]], expected: dict[str, int]
) -> None:
    result = errors_by_type(*one_image(detections))
    assert {name: number for name, number in result.count.items() if number} == expected
    assert all(cost >= 0 for cost in result.cost.values())
    assert {name for name, cost in result.cost.items() if cost > 0} <= set(expected)


def test_mending_a_wrong_class_makes_it_right_in_the_other_class() -> None:
    result = errors_by_type(*one_image([(A, 1, 0.99), (B, 1, 0.9)]))
    assert result.cost["class"] == pytest.approx(1 - 0.25)  # before: class a 0, class b 1/2


def test_the_confusion_matrix_counts_every_object_and_every_detection_once() -> None:
    gt, dt = coco_sets.awkward(12, images=25, decimals=3)
    data, model = coco_sets.dataset(gt), coco_sets.predictions(dt, gt)
    result = errors_by_type(data, model)
    metrics = evaluate(data, model)
    true = sum(image["tp"] for image in metrics.images)
    false = sum(image["fp"] for image in metrics.images)
    assert np.trace(result.confusion[:-1, :-1]) == true
    assert result.confusion[:, :-1].sum() == true + false
    objects = np.array([row["n_objects"] for row in metrics.per_class.values()])
    np.testing.assert_array_equal(result.confusion[:-1].sum(axis=1), objects)
    assert sum(result.count[name] for name in TYPES if name != "missed") == false


def test_no_detections_leave_only_missed_objects() -> None:
    data, model = one_image([])
    result = errors_by_type(data, replace(model, boxes=np.empty((0, 4))))
    assert result.count == {**dict.fromkeys(TYPES, 0), "missed": 2}


def test_every_type_is_counted_as_often_as_by_hotcoco(fixtures: Path) -> None:
    hotcoco = pytest.importorskip("hotcoco")
    folder = fixtures / "evaluator"
    truth, found = folder / "instances_val2014_100.json", folder / "instances_val2014_fakebbox100_results.json"
    with contextlib.redirect_stdout(io.StringIO()):
        coco = hotcoco.COCO(str(truth))
        run = hotcoco.COCOeval(coco, coco.load_res(str(found)), "bbox")
        run.evaluate()
        run.accumulate()
        theirs = run.tide_errors(pos_thr=0.5, bg_thr=0.1)
    ours = liftgate.evaluate(truth, found, conf=0.0, errors=True).errors
    names = {"class": "Cls", "location": "Loc", "both": "Both", "duplicate": "Dupe", "background": "Bkg"}
    assert ours["count"] == {name: theirs["counts"][other] for name, other in (*names.items(), ("missed", "Miss"))}
    # What is missed is left out of both; here a class of which nothing is left has no AP, there it has 0.
    assert [ours["cost"][name] for name in names] == pytest.approx([theirs["delta_ap"][n] for n in names.values()])
