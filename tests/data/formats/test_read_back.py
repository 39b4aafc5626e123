"""What was written is read again, and every change is seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.formats.read_back import ReadBack, read_back
from liftgate.data.formats.write import write_dataset
from liftgate.testing.data import picture, yolo_folder

SAME = {"images_missing": 0, "objects_missing": 0, "objects_added": 0, "flags_changed": 0, "visibility_changed": 0}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = "0 .5 .5 .25 .5\n1 .3 .3 .2 .2\n1 .7 .7 .2 .2\n"
    return read(yolo_folder(tmp_path / "set", {f"train/{n}.jpg": rows for n in range(3)} | {"val/a/0.jpg": rows}))


@pytest.mark.parametrize("to", ["yolo", "coco", "voc", "cvat"])
def test_a_sound_conversion_comes_back_whole(dataset: Dataset, tmp_path: Path, to: str) -> None:
    found = read_back(dataset, write_dataset(dataset, to, tmp_path / "out"))
    assert found.largest_px is not None
    assert found.largest_px <= 0.01
    assert {**found.to_dict(), "largest_px": 0} == {"n_images": 4, "n_objects": 12, "largest_px": 0, **SAME}


@pytest.mark.parametrize(
    ("file", "text", "changed"),
    [
        ("1", "1 .3 .3 .2 .2\n0 .5 .5 .25 .5\n1 .7 .7 .2 .2\n", {}),  # another order is no difference
        ("1", "0 .5 .5 .25 .5\n1 .3 .3 .2 .2\n", {"objects_missing": 1, "n_objects": 11}),
        (
            "1",
            "1 .5 .5 .25 .5\n1 .3 .3 .2 .2\n1 .7 .7 .2 .2\n",
            {"objects_missing": 1, "objects_added": 1, "n_objects": 11},
        ),
        (
            "1",
            "0 .9 .5 .25 .5\n1 .3 .3 .2 .2\n1 .7 .7 .2 .2\n",
            {"objects_missing": 1, "objects_added": 1, "n_objects": 11},
        ),
    ],
)
def test_what_is_not_as_it_was_is_counted(
    dataset: Dataset, tmp_path: Path, file: str, text: str, changed: dict[str, int]
) -> None:
    written = write_dataset(dataset, "yolo", tmp_path / "out")
    (tmp_path / f"out/labels/{file}.txt").write_text(text)
    found = read_back(dataset, written)
    assert {**found.to_dict(), "largest_px": 0} == {
        "n_images": 4,
        "n_objects": 12,
        "largest_px": 0,
        **SAME,
        **changed,
    }


def test_a_side_that_moved_by_a_little_is_measured(dataset: Dataset, tmp_path: Path) -> None:
    written = write_dataset(dataset, "yolo", tmp_path / "out")
    rows = "0 .5 .5 .2625 .5\n1 .3 .3 .2 .2\n1 .7 .7 .2 .2\n"  # 64 px wide: each side 0.4 px further out
    (tmp_path / "out/labels/1.txt").write_text(rows)
    found: ReadBack = read_back(dataset, written)
    assert found.n_objects == 12
    assert found.largest_px == pytest.approx(0.4)


def test_flags_and_visibility_that_a_format_cannot_hold_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "a.jpg")
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 20], "keypoints": [5, 6, 2, 7, 8, 1]}
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "tail"]}],
        "annotations": [row, {**row, "id": 2, "iscrowd": 1, "keypoints": [0] * 6}],
    }
    (tmp_path / "people.json").write_text(json.dumps(document))
    words = ["data", "convert", str(tmp_path / "people.json"), "--verify", "--to"]
    assert main([*words, "voc", "--out", str(tmp_path / "voc"), "--json"]) == 1
    back = json.loads(capsys.readouterr().out)["read_back"]
    assert (back["n_objects"], back["flags_changed"], back["visibility_changed"]) == (2, 1, 2)
    assert main([*words, "yolo", "--out", str(tmp_path / "yolo")]) == 1
    out = capsys.readouterr().out
    assert "read back: 1 of 2 objects" in out
    assert "objects missing: 1" in out
