"""Predictions ↔ COCO results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.data.formats.read import read
from liftgate.errors import DataError

ROW = {"image_id": 7, "category_id": 5, "bbox": [1, 2, 10, 20], "score": 0.5}


@pytest.fixture
def truth() -> Dataset:
    images = tuple(
        Image(f"val/{name}.jpg", Path(f"/d/val/{name}.jpg"), 64, 48, coco_id=id_) for name, id_ in (("a", 7), ("b", 9))
    )
    empty = Labels.build([], [], [])
    return Dataset("t", Path("/d"), Path("/d/t.json"), "coco", ("cat", "dog"), images, empty, category_ids=(2, 5))


def results(tmp_path: Path, *rows: dict[str, Any], settings: Any = None, text: str | None = None) -> Path:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(rows) if text is None else text)
    if settings is not None:
        (tmp_path / "p.settings.json").write_text(json.dumps(settings))
    return path


@pytest.mark.parametrize("image_id", [7, "7", "val/a.jpg", "a.jpg", "a", "/their/machine/a.jpg"])
def test_an_image_may_be_named_in_any_clear_way(tmp_path: Path, truth: Dataset, image_id: Any) -> None:
    found = coco.read_predictions(results(tmp_path, ROW | {"image_id": image_id}), truth)
    assert found.image.tolist() == [0]
    assert found.boxes.tolist() == [[1, 2, 11, 22]]
    assert found.cls.tolist() == [1]
    assert found.images == ("val/a.jpg", "val/b.jpg"), "images without a detection were looked at too"
    assert found.settings.get("image_ids_respelled") == (1 if image_id == "7" else None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_id": 8}, r"unknown image_id .*\[1\]"),
        ({"category_id": 3}, r"unknown category_id .*\[1\]"),
        ({"score": float("nan")}, r"\[1\].*"),
        ({"score": 1e999}, r"\[1\]"),
        ({"bbox": [1, 2, -3, 4]}, r"negative size .*\[1\]"),
        ({"bbox": [1, 2, 3]}, r"\[1\]"),
        ({"bbox": [1, 2, 3, float("inf")]}, r"\[1\]"),
        ({"bbox": None}, r"without bbox .*\[1\]"),
        ({"score": "high"}, r"\[1\]"),
    ],
)
def test_a_row_that_cannot_be_meant_is_an_error_with_its_index(
    tmp_path: Path, truth: Dataset, change: dict, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        coco.read_predictions(results(tmp_path, ROW, ROW | change), truth)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"image_id": 7, "category_id": 5,\n "bbox": [1, 2', r"cut off .*p.json:2"),
        ("{}", "not a COCO results file"),
        ("", "cut off"),
        ("[1, 2]", r"\[0\]"),
        ("null", "results file"),
    ],
)
def test_a_file_that_is_none_is_one_clear_error(tmp_path: Path, truth: Dataset, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        coco.read_predictions(results(tmp_path, text=text), truth)


def test_class_indices_from_zero_are_recognised_and_said(tmp_path: Path, truth: Dataset) -> None:
    found = coco.read_predictions(results(tmp_path, ROW | {"category_id": 0}, ROW | {"category_id": 1}), truth)
    assert found.cls.tolist() == [0, 1]
    assert found.settings["category_numbering"] == "class from 0"


def test_the_models_own_classes_are_matched_by_name(tmp_path: Path, truth: Dataset) -> None:
    rows = [ROW | {"category_id": number} for number in (1, 2, 3)]
    found = coco.read_predictions(results(tmp_path, *rows, settings={"classes": ["Dog", "car", "cat"]}), truth)
    assert found.cls.tolist() == [1, 0]
    assert found.settings["other_classes_dropped"] == 1
    with pytest.raises(DataError, match="no class in common"):
        coco.read_predictions(results(tmp_path, *rows, settings={"classes": ["x", "y", "z"]}), truth)


def test_a_backend_numbers_the_data_sets_classes_from_one(tmp_path: Path, truth: Dataset) -> None:
    settings = {"classes": {"dog": "dog"}, "imgsz": 640}
    found = coco.read_predictions(results(tmp_path, ROW | {"category_id": 2}, settings=settings), truth)
    assert found.cls.tolist() == [1]
    assert found.settings["imgsz"] == 640


def test_settings_say_which_images_were_looked_at(tmp_path: Path, truth: Dataset) -> None:
    found = coco.read_predictions(results(tmp_path, settings={"images": [9]}), truth)
    assert found.images == ("val/b.jpg",)
    with pytest.raises(DataError, match="unknown image_id"):
        coco.read_predictions(results(tmp_path, ROW, settings={"images": [9]}), truth)
    with pytest.raises(DataError, match="settings"):
        coco.read_predictions(results(tmp_path, settings=[1]), truth)


def test_writing_and_reading_back(tmp_path: Path, truth: Dataset) -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 30, (20, 2))
    made = Predictions(
        images=("val/a.jpg", "val/b.jpg"),
        classes=("cat", "dog"),
        image=rng.integers(0, 2, 20),
        cls=rng.integers(0, 2, 20),
        boxes=np.hstack([corners, corners + rng.uniform(0, 20, (20, 2))]),
        scores=rng.uniform(0, 1, 20),
        settings={"conf": 0.001},
    )
    found = coco.read_predictions(coco.write_predictions(made, truth, tmp_path / "p.json"), truth)
    np.testing.assert_allclose(found.boxes, made.boxes, atol=1e-9)
    np.testing.assert_array_equal(found.scores, made.scores)
    np.testing.assert_array_equal(found.image, made.image)
    np.testing.assert_array_equal(found.cls, made.cls)
    assert found.settings["conf"] == 0.001
    again = coco.read_predictions(coco.write_predictions(found, truth, tmp_path / "q.json"), truth)
    assert again.content_hash() == found.content_hash()


def test_detections_on_unlabelled_images_fit_a_data_set_that_numbers_its_classes_otherwise(
    tmp_path: Path, truth: Dataset
) -> None:
    """Category 2 of the file is the dog, whatever class has the number 2 in the data set."""
    unlabelled = replace(truth, classes=("bird", "dog", "cat"), category_ids=())
    of_a_dog_and_a_cat = Predictions(
        images=("val/a.jpg", "val/b.jpg"),
        classes=unlabelled.classes,
        image=np.array([0, 1]),
        cls=np.array([1, 2]),
        boxes=np.array([[1.0, 2, 11, 22], [5, 5, 9, 9]]),
        scores=np.array([0.5, 0.4]),
        settings={"category_numbering": "category ids"},
    )
    path = coco.write_predictions(of_a_dog_and_a_cat, unlabelled, tmp_path / "p.json")
    found = coco.read_predictions(path, truth)
    assert [truth.classes[i] for i in found.cls] == ["dog", "cat"]


def test_keypoints_come_with_or_without_a_box(fixtures: Path) -> None:
    for folder, truth_name, rows in (("keypoints", "gt_dataset", "dt_dataset"), ("crowdpose", "", "")):
        names = ("example_crowdpose_val", "example_crowdpose_preds") if not truth_name else (truth_name, rows)
        truth = read(fixtures / f"evaluator/{folder}/{names[0]}.json")
        found = coco.read_predictions(fixtures / f"evaluator/{folder}/{names[1]}.json", truth)
        assert truth.keypoints is not None
        assert found.keypoints is not None
        assert found.keypoints.shape == (len(found), len(truth.keypoints.names), 3)
        assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()


def test_the_ignore_pair_mixes_types_of_ids(fixtures: Path) -> None:
    folder = fixtures / "evaluator/crowd"
    truth = read(folder / "gt_ignore_test.json")
    assert len(truth.labels) == 14
    found = coco.read_predictions(folder / "dt_ignore_test.json", truth)
    assert len(found) == 63
    assert found.settings["image_ids_respelled"] == 1


def test_predictions_on_record_are_read_back(tmp_path: Path, truth: Dataset) -> None:
    path = results(tmp_path, ROW)
    known = coco.read_predictions(path, truth).content_hash()
    assert coco.read_recorded(path, truth, known).content_hash() == known


@pytest.mark.parametrize("damage", ["cut", "edited"])
def test_predictions_on_record_that_were_damaged_say_how_to_go_on(tmp_path: Path, truth: Dataset, damage: str) -> None:
    path = results(tmp_path, ROW)
    known = coco.read_predictions(path, truth).content_hash()
    text = path.read_text()
    path.write_text(text[:-10] if damage == "cut" else text.replace("0.5", "0.9"))
    with pytest.raises(DataError) as error:
        coco.read_recorded(path, truth, known)
    assert error.value.hint == "delete p.json: `liftgate run` predicts again"
