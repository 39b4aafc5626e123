"""PaliGemma JSONL: y before x, on a grid of 1024."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.formats.paligemma import parse_objects
from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import picture


def save(folder: Path, *suffixes: str, name: str = "_annotations.valid.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"image": "a.jpg", "prefix": "detect x", "suffix": suffix}) for suffix in suffixes]
    (folder / name).write_text("\n".join(rows) + "\n")
    return folder / name


def test_y_stands_before_x(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", (100, 50))
    path = save(tmp_path, "<loc0256><loc0128><loc0768><loc0512> knife ; <loc0000><loc0000><loc1023><loc1023> a gun")
    dataset = read(path)
    assert dataset.classes == ("a gun", "knife")
    assert dataset.labels.boxes[0].tolist() == [12.5, 12.5, 50, 37.5]
    assert dataset.labels.boxes[1].tolist() == pytest.approx([0, 0, 99.9, 49.95], abs=0.01)
    assert dataset.splits == ("val",)
    assert dataset.faults == ()


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("<loc0001><loc0002><loc0003> knife", "row_columns"),
        ("<loc0001><loc0002><loc0003><loc0004>", "row_columns"),
        ("knife", "row_columns"),
        ("<loc0001><loc0002><loc0003><loc0004><loc0005> knife", "row_columns"),
        ("<loc0001><loc0002><loc0003><loc1024> knife", "row_out_of_range"),
        ("<loc0500><loc0002><loc0003><loc0004> knife", "box_inverted"),
    ],
)
def test_a_bad_object_is_named_by_its_line(tmp_path: Path, suffix: str, kind: str) -> None:
    picture(tmp_path / "a.jpg")
    dataset = read(save(tmp_path, "<loc0001><loc0002><loc0003><loc0004> gun", suffix))
    assert len(dataset.labels) == 1
    (fault,) = dataset.faults
    assert (fault.kind, fault.image) == (kind, "a.jpg")
    assert fault.where.endswith(".jsonl:2")


def test_lines_that_are_none_and_files_that_are_none(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    path = save(tmp_path, "<loc0001><loc0002><loc0003><loc0004> gun", "")
    deep = '{"a":' * 20_000 + "1" + "}" * 20_000
    path.write_text(path.read_text() + f"not json\n[1]\n\n{deep}\n")
    dataset = read(path)
    assert [fault.kind for fault in dataset.faults] == ["row_columns", "row_columns", "row_columns"]
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="no PaliGemma"):
        read(path)


@given(st.text(alphabet="<loc0123456789> ;ab\n", max_size=80))
def test_no_text_raises(suffix: str) -> None:
    good, bad = parse_objects(suffix)
    assert all(max(numbers) < 1024 and label for label, numbers in good)
    assert all(message for _, message in bad)


def test_a_folder_as_roboflow_exports_it_is_one_data_set_with_its_splits(tmp_path: Path) -> None:
    for split, label in (("train", "knife"), ("valid", "gun"), ("test", "knife")):
        picture(tmp_path / f"dataset/{split}.jpg", (100, 50))
        row = {"image": f"{split}.jpg", "prefix": "", "suffix": f"<loc0256><loc0128><loc0768><loc0512> {label}"}
        (tmp_path / f"dataset/_annotations.{split}.jsonl").write_text(json.dumps(row) + "\n")
    dataset = read(tmp_path)
    assert dataset.splits == ("train", "val", "test")
    assert dataset.classes == ("gun", "knife")
    assert {image.id: image.split for image in dataset.images} == {
        "test.jpg": "test",
        "train.jpg": "train",
        "valid.jpg": "val",
    }
    assert dataset.labels.boxes.tolist() == [[12.5, 12.5, 50, 37.5]] * 3
    assert [dataset.classes[c] for c in dataset.labels.cls] == ["knife", "knife", "gun"]
    with (tmp_path / "dataset/_annotations.valid.jsonl").open("a") as file:
        file.write(json.dumps({"image": "train.jpg", "suffix": ""}) + "\n")
    assert [fault.kind for fault in read(tmp_path).faults] == ["image_twice"]
