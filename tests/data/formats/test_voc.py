"""Pascal VOC → Dataset: boxes as they stand, broken XML a fault, bombs refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.data.formats import voc
from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import picture

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11.5</xmax><ymax>22</ymax></bndbox>"


def annotation(*objects: str, size: tuple[int, int] = (64, 48), filename: str = "a.jpg") -> str:
    inside = "".join(f"<object>{thing}</object>" for thing in objects)
    width, height = size
    return (
        f"<annotation><filename>{filename}</filename><size><width>{width}</width><height>{height}</height></size>"
        f"{inside}</annotation>"
    )


def voc_folder(root: Path, **files: str) -> Path:
    (root / "Annotations").mkdir(parents=True)
    for number, (stem, text) in enumerate(files.items()):
        picture(root / f"JPEGImages/{stem}.jpg", seed=number)
        (root / f"Annotations/{stem}.xml").write_text(text)
    return root


def test_objects_splits_and_images_without_xml(tmp_path: Path) -> None:
    root = voc_folder(
        tmp_path / "set",
        a=annotation(f"<name>wbc</name>{BOX}", f"<name>rbc</name><difficult>1</difficult>{BOX}"),
        b=annotation(filename="b.jpg"),
    )
    picture(root / "JPEGImages/c.jpg")
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/train.txt").write_text("a\n")
    (root / "ImageSets/Main/test.txt").write_text("b 1\nzzz\n")
    dataset = read(root)
    assert dataset.classes == ("rbc", "wbc")
    assert [(image.id, image.split) for image in dataset.images] == [
        ("JPEGImages/a.jpg", "train"),
        ("JPEGImages/b.jpg", "test"),
        ("JPEGImages/c.jpg", None),
    ]
    assert [image.label is None for image in dataset.images] == [False, False, True]
    assert dataset.labels.boxes.tolist() == [[1, 2, 11.5, 22]] * 2
    assert dataset.labels.ignore.tolist() == [False, True]
    assert dataset.labels.line.tolist() == [1, 2]
    assert [(fault.kind, fault.where[-10:]) for fault in dataset.faults] == [("split_unknown_image", "test.txt:2")]


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (BOX, "row_columns"),
        ("<name>x</name>", "box_missing"),
        ("<name>x</name><bndbox><xmin>1</xmin></bndbox>", "row_not_number"),
        (f"<name>x</name>{BOX.replace('11.5', 'nan')}", "row_not_number"),
        (f"<name>x</name>{BOX.replace('11.5', '0')}", "box_inverted"),
    ],
)
def test_a_bad_object_is_left_out_and_named_by_its_number(tmp_path: Path, thing: str, kind: str) -> None:
    dataset = read(voc_folder(tmp_path, a=annotation(f"<name>x</name>{BOX}", thing)))
    assert len(dataset.labels) == 1
    (fault,) = dataset.faults
    assert (fault.kind, fault.image) == (kind, "JPEGImages/a.jpg")
    assert fault.where.endswith("a.xml: object 2")


BOMB = """<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><filename>&b;</filename></annotation>"""
THIEF = """<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]>
<annotation><object><name>&a;</name></object></annotation>"""


@pytest.mark.parametrize(
    "text", ["", "<annotation>", "no xml", BOMB, THIEF, '<?xml version="1.0" encoding="klingon"?><a/>', "<a>\0</a>"]
)
def test_broken_and_hostile_xml_is_a_fault(tmp_path: Path, text: str) -> None:
    dataset = read(voc_folder(tmp_path, a=text, b=annotation(f"<name>x</name>{BOX}", filename="b.jpg")))
    assert [fault.kind for fault in dataset.faults] == ["xml_broken"]
    assert dataset.classes == ("x",)


def test_sizes_and_file_names_that_disagree_are_said(tmp_path: Path) -> None:
    root = voc_folder(tmp_path, a=annotation(size=(640, 480)), b=annotation(filename="other.jpg"))
    picture(root / "JPEGImages/c.jpg", (64, 48), orientation=6)
    (root / "Annotations/c.xml").write_text(annotation(size=(64, 48), filename="c.jpg"))
    dataset = read(root)
    assert [fault.kind for fault in dataset.faults] == ["size_differs", "filename_differs", "size_rotated"]
    assert dataset.images[0].width == 64


def test_an_xml_without_its_image_keeps_the_size_it_says(tmp_path: Path) -> None:
    root = voc_folder(tmp_path, a=annotation())
    (root / "Annotations/gone.xml").write_text(annotation(f"<name>x</name>{BOX}", size=(100, 80)))
    dataset = read(root)
    assert [fault.kind for fault in dataset.faults] == ["image_missing", "filename_differs"]
    assert (dataset.images[1].width, dataset.images[1].height) == (100, 80)


def test_a_folder_without_xml_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(DataError, match="no Pascal VOC"):
        read(tmp_path)


def test_writing_and_reading_back(tmp_path: Path) -> None:
    root = voc_folder(
        tmp_path / "set",
        a=annotation(f"<name>w &amp; b</name>{BOX}", f"<name>rbc</name><difficult>1</difficult>{BOX}"),
        b=annotation(filename="b.jpg"),
    )
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/val.txt").write_text("a\n")
    dataset = read(root)
    again = read(voc.write(dataset, tmp_path / "again"))
    assert again.faults == ()
    assert again.classes == dataset.classes == ("rbc", "w & b")
    assert [(i.id, i.split, i.width) for i in again.images] == [(i.id, i.split, i.width) for i in dataset.images]
    np.testing.assert_allclose(again.labels.boxes, dataset.labels.boxes, atol=0.001)
    np.testing.assert_array_equal(again.labels.ignore, dataset.labels.ignore)


def test_bccd_has_364_images_4888_boxes_and_two_without_area(fixtures: Path) -> None:
    dataset = read(fixtures / "bccd")
    assert len(dataset.images) == 364
    counts = np.bincount(dataset.labels.cls).tolist()
    assert dict(zip(dataset.classes, counts, strict=True)) == {"Platelets": 361, "RBC": 4155, "WBC": 372}
    assert {split: len(dataset.split(split).images) for split in dataset.splits} == {
        "train": 205,
        "val": 87,
        "test": 72,
    }
    assert dataset.faults == ()
    flat = np.flatnonzero(dataset.labels.area == 0)
    files = [dataset.images[dataset.labels.image[row]].label for row in flat]
    assert [file.stem for file in files if file] == ["BloodImage_00338", "BloodImage_00343"]
    assert (dataset.labels.line[flat] > 0).all()
