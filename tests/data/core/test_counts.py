"""Counts by split and class."""

from __future__ import annotations

from pathlib import Path

from liftgate.data.core.counts import describe
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.testing.data import yolo_folder


def test_counts_by_split_and_class_and_sizes_as_the_detector_sees_them(tmp_path: Path) -> None:
    row = "0 .5 .5 .25 .5\n"
    labels: dict[str, str | None] = {f"train/v{number % 10}_{number}.jpg": row for number in range(40)}
    document = yolo_folder(tmp_path, labels | {"val/empty.jpg": "", "val/nobody.jpg": None})
    dataset = assign_groups(read(document), r"^(?P<group>v\d)_", base=tmp_path)
    record = describe(dataset, imgsz=1280).to_dict()
    assert (record["n_images"], record["n_groups"], record["n_objects"]) == (42, 12, 40)
    train, val = record["splits"]
    assert train["objects_by_class"] == {"cat": 40, "dog": 0}
    assert train["sizes"] == {"small": 40, "medium": 0, "large": 0}
    assert train["sizes_at_imgsz"] == {"small": 0, "medium": 0, "large": 40}, "16 × 24 px of 64 become 320 × 480"
    assert (val["n_background"], val["n_unlabelled"]) == (1, 1)
    assert record["groups"] == {"n": 12, "smallest": 1, "median": 4.0, "largest": 4}
    assert record["faults"] == {"group_unmatched": 1}


def test_crowd_and_ignored_objects_are_counted_apart(fixtures: Path) -> None:
    record = describe(read(fixtures / "coco_cc/annotations/instances_val2017.json")).to_dict()
    (val,) = record["splits"]
    assert (val["n_objects"], val["n_crowd"]) == (211, 2)
