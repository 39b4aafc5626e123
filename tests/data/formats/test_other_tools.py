"""What other tools write: read where it is simple, recognised by name where it is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import picture

LABELME: dict[str, Any] = {
    "version": "5.0",
    "imagePath": "a.jpg",
    "imageWidth": 64,
    "imageHeight": 48,
    "shapes": [
        {"label": "cat", "shape_type": "rectangle", "points": [[10, 5], [30, 25]]},
        {"label": "dog", "shape_type": "polygon", "points": [[1, 1], [9, 2], [4, 8]]},
        {"label": "dog", "shape_type": "circle", "points": [[20, 20], [20, 25]]},
        {"label": "dog", "shape_type": "point", "points": [[1, 1]]},
    ],
}


def test_labelme_is_read_from_a_folder(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    (tmp_path / "a.json").write_text(json.dumps(LABELME))
    (tmp_path / "b.json").write_text(json.dumps(LABELME | {"imagePath": "b.jpg", "shapes": "none"}))
    dataset = read(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels.boxes.tolist() == [[10, 5, 30, 25], [1, 1, 9, 8], [15, 15, 25, 25]]
    assert [(fault.kind, fault.image) for fault in dataset.faults] == [
        ("box_missing", "a.jpg"),
        ("row_columns", "b.jpg"),
    ]


def test_createml_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    rows = [
        {"image": "a.jpg", "annotations": [
            {"label": "cat", "coordinates": {"x": 20, "y": 15, "width": 10, "height": 20}},
            {"label": "cat", "coordinates": {"x": 20, "y": 15, "width": -10, "height": 20}},
        ]},
    ]  # fmt: skip
    path = tmp_path / "_annotations.createml.json"
    path.write_text(json.dumps(rows))
    for source in (path, tmp_path):
        dataset = read(source)
        assert dataset.labels.boxes.tolist() == [[15, 5, 25, 25]]
        assert [fault.kind for fault in dataset.faults] == ["box_inverted"]


@pytest.mark.parametrize(
    ("document", "tool"),
    [
        ({"_via_img_metadata": {}, "_via_settings": {}}, "VIA"),
        ({"a.jpg123": {"filename": "a.jpg", "regions": []}}, "VIA"),
        ([{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}], "Label Studio"),
        ({"info": {}, "categories": {"label": {}}, "items": []}, "Datumaro"),
    ],
)
def test_other_tools_are_recognised_by_name(document: object, tool: str, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"{tool}'s own JSON is not read") as caught:
        read(path)
    assert f"export from {tool} as COCO or YOLO" in str(caught.value.hint)


@pytest.mark.parametrize("names", ["classes.txt", "obj.names"])
def test_a_darknet_folder_is_read_without_a_data_yaml(names: str, tmp_path: Path) -> None:
    for part in ("train", "valid"):
        picture(tmp_path / part / "a.jpg")
        (tmp_path / part / "a.txt").write_text("1 .5 .5 .5 .5\n")
    (tmp_path / names).write_text("cat\ndog\n")
    dataset = read(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [(image.id, image.split) for image in dataset.images] == [("train/a.jpg", "train"), ("valid/a.jpg", "val")]
    assert dataset.labels.cls.tolist() == [1, 1]
    assert [fault.kind for fault in dataset.faults] == []


def test_label_studios_yolo_export_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "notes.json").write_text(json.dumps({"categories": [{"id": 0, "name": "cat"}], "info": {}}))
    dataset = read(tmp_path)
    assert (len(dataset.labels), dataset.images[0].split) == (1, None)


def test_voc_with_a_namespace_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages/a.jpg")
    (tmp_path / "Annotations").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    text = f'<annotation xmlns="http://example.org/voc"><object><name>cat</name>{box}</object></annotation>'
    (tmp_path / "Annotations/a.xml").write_text(text)
    dataset = read(tmp_path)
    assert dataset.labels.boxes.tolist() == [[1, 2, 9, 8]]
    assert dataset.faults == ()


def test_two_cvat_tasks_with_one_file_name_are_kept_apart(tmp_path: Path) -> None:
    box = '<box label="cat" xtl="1" ytl="1" xbr="{0}" ybr="{0}"/>'
    images = "".join(
        f'<image id="{n}" name="{name}" task_id="{task}" width="64" height="48">{box.format(size)}</image>'
        for n, (name, task, size) in enumerate([("1.jpg", 7, 10), ("1.jpg", 8, 20), ("2.jpg", 8, 30)])
    )
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    dataset = read(tmp_path)
    assert [image.id for image in dataset.images] == ["task_7/1.jpg", "task_8/1.jpg", "2.jpg"]
    assert dataset.labels.boxes[:, 2].tolist() == [10, 20, 30]
    assert dataset.labels.image.tolist() == [0, 1, 2]
    assert [fault.kind for fault in dataset.faults].count("image_twice") == 2


def test_a_doubled_key_is_said_with_its_line(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    (tmp_path / "data.yaml").write_text("train: images\nnames:\n  0: cat\n  1: dog\n  0: bird\n")
    dataset = read(tmp_path / "data.yaml")
    assert dataset.classes == ("bird", "dog")
    (fault,) = dataset.faults
    assert (fault.kind, fault.where) == ("key_twice", f"{tmp_path / 'data.yaml'}:5")


@pytest.mark.parametrize("form", ["yolo", "coco"])
def test_visibilities_that_are_confidences_are_a_fault(form: str, tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    if form == "yolo":
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels/a.txt").write_text("0 .5 .5 .5 .5 .4 .4 .87 .6 .6 0\n")
        (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\nkpt_shape: [2, 3]\n")
        dataset = read(tmp_path / "data.yaml")
    else:
        row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "keypoints": [2, 2, 0.87, 3, 3, 0]}
        document = {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
            "categories": [{"id": 1, "name": "cat", "keypoints": ["nose", "tail"]}],
            "annotations": [row],
        }
        (tmp_path / "images/gt.json").write_text(json.dumps(document))
        dataset = read(tmp_path / "images/gt.json")
    assert [fault.kind for fault in dataset.faults] == ["visibility_confidence"]
    assert dataset.labels.keypoints is not None
    assert dataset.labels.keypoints[0, :, 2].tolist() == [2.0, 0.0]
