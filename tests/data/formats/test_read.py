"""`read`: whatever lies at a path; Roboflow's exports as they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import picture


def coco_part(folder: Path, name: str, image: str, **more: Any) -> None:
    document = {
        "images": [{"id": 0, "file_name": image, "width": 64, "height": 48}],
        "categories": [{"id": 0, "name": "cones", "supercategory": "none"}, {"id": 1, "name": "blue"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(document | more))


def test_roboflow_coco_is_one_data_set_with_three_splits(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "valid", "test")):
        picture(tmp_path / part / "a.jpg", seed=number)
        coco_part(tmp_path / part, "_annotations.coco.json", "a.jpg")
    dataset = read(tmp_path)
    assert [(image.id, image.split) for image in dataset.images] == [
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "val"),
        ("test/a.jpg", "test"),
    ]
    assert dataset.labels.image.tolist() == [0, 1, 2]
    assert {image.coco_id for image in dataset.images} == {None}, "0 in every file names nothing"
    assert dataset.faults == ()


def test_coco_2017_as_it_is_downloaded(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "val")):
        picture(tmp_path / f"{part}2017/{number}.jpg", seed=number)
        image = [{"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 48}]
        rows = [{"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 3, 4]}]
        coco_part(tmp_path / "annotations", f"instances_{part}2017.json", "", images=image, annotations=rows)
        coco_part(tmp_path / "annotations", f"captions_{part}2017.json", "")
    dataset = read(tmp_path)
    assert [(image.id, image.split, image.coco_id) for image in dataset.images] == [
        ("train2017/0.jpg", "train", 0),
        ("val2017/1.jpg", "val", 1),
    ]
    coco_part(tmp_path / "annotations", "person_keypoints_val2017.json", "")
    with pytest.raises(DataError, match="more than one JSON for a split"):
        read(tmp_path)


def test_categories_that_differ_from_file_to_file_are_refused(tmp_path: Path) -> None:
    coco_part(tmp_path / "train", "_annotations.coco.json", "a.jpg")
    coco_part(tmp_path / "valid", "_annotations.coco.json", "a.jpg", categories=[{"id": 1, "name": "yellow"}])
    with pytest.raises(DataError, match="1 yellow"):
        read(tmp_path)


def test_roboflow_voc_has_xml_beside_the_pictures(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    for part, name in (("train", "zebra"), ("valid", "ape")):
        picture(tmp_path / part / "a.jpg")
        text = f"<annotation><object><name>{name}</name>{box}</object></annotation>"
        (tmp_path / part / "a.xml").write_text(text)
    picture(tmp_path / "test/b.jpg")
    dataset = read(tmp_path)
    assert dataset.format == "voc"
    assert [(image.id, image.split, image.label is None) for image in dataset.images] == [
        ("test/b.jpg", "test", True),
        ("train/a.jpg", "train", False),
        ("valid/a.jpg", "val", False),
    ]
    assert dataset.classes == ("ape", "zebra")
    assert dataset.labels.cls.tolist() == [1, 0]
    np.testing.assert_array_equal(dataset.labels.boxes, [[1, 2, 9, 8]] * 2)


def test_coco_cc_as_a_folder_needs_to_know_which(fixtures: Path) -> None:
    with pytest.raises(DataError, match="name the kind that is meant"):
        read(fixtures / "coco_cc")


def test_what_is_no_data_set_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    for path, says in ((tmp_path / "x.csv", "not a data set"), (tmp_path, "no data set"), (tmp_path / "y", "no such")):
        with pytest.raises(DataError, match=says):
            read(path)


def test_a_pattern_names_one_kind_of_coco_json_with_all_its_splits(tmp_path: Path) -> None:
    for kind, name in (("instances", "cat"), ("person_keypoints", "person")):
        for split in ("train", "val"):
            picture(tmp_path / f"images/{split}.jpg")
            document = {
                "images": [{"id": 1 + (split == "val"), "file_name": f"{split}.jpg", "width": 64, "height": 48}],
                "categories": [{"id": 1, "name": name}],
                "annotations": [],
            }
            (tmp_path / "annotations").mkdir(exist_ok=True)
            (tmp_path / f"annotations/{kind}_{split}2017.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="more than one JSON for a split") as caught:
        read(tmp_path)
    assert "instances_*.json" in str(caught.value.hint)
    dataset = read(tmp_path / "annotations/person*.json")
    assert (dataset.classes, dataset.splits) == (("person",), ("train", "val"))
    assert {image.id for image in dataset.images} == {"images/train.jpg", "images/val.jpg"}
    (tmp_path / "annotations/notes.txt").touch()
    for pattern, said in (("nothing*.json", "no such file"), ("*.txt", "one COCO JSON for each split")):
        with pytest.raises(DataError, match=said):
            read(tmp_path / "annotations" / pattern)
