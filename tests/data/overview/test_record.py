"""The record of one data set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Image, Keypoints, Labels
from liftgate.data.formats.read import read
from liftgate.data.overview import overview
from liftgate.data.overview.record import choose_samples, remarks
from liftgate.testing.data import dataset as make
from liftgate.testing.data import yolo_folder


def test_counts_per_class_and_split_are_those_of_the_files(tmp_path: Path) -> None:
    small, large = "0 .5 .5 .1 .1\n", "1 .5 .5 .5 .5\n"
    path = yolo_folder(
        tmp_path, {"train/a.png": small + large, "train/b.png": small, "val/c.png": "", "val/d.png": None}
    )
    view = overview(read(path), imgsz=64)
    rows = {row.name: row for row in view.classes}
    assert rows["cat"].n_objects == 2 and rows["cat"].n_images == 2 and rows["cat"].by_split == {"train": 2, "val": 0}
    assert rows["dog"].n_objects == 1
    assert view.imbalance == 2
    splits = {row["split"]: row for row in view.counts.to_dict()["splits"]}
    assert splits["val"]["n_background"] == 1 and splits["val"]["n_unlabelled"] == 1
    assert rows["cat"].under == {"8": 1.0, "16": 1.0, "32": 1.0}  # √(6.4 × 4.8) = 5.5 px
    assert rows["dog"].under == {"8": 0.0, "16": 0.0, "32": 1.0}


def test_the_record_is_json_and_the_same_seed_gives_the_same() -> None:
    dataset = make(30, n_groups=6)
    one, other = overview(dataset, seed=4), overview(dataset, seed=4)
    assert json.dumps(one.to_dict(), allow_nan=False) == json.dumps(other.to_dict(), allow_nan=False)
    assert one.samples == other.samples


def test_an_empty_data_set_has_an_overview(tmp_path: Path) -> None:
    nothing = Dataset("none", tmp_path, tmp_path, "coco", ("cat",), (), Labels.build([], [], []))
    view = overview(nothing)
    assert view.imbalance is None and view.samples == () and view.under == {}
    json.dumps(view.to_dict(), allow_nan=False)


def test_keypoints_are_placed_in_their_boxes_and_absent_ones_are_not() -> None:
    points = [[[10, 20, 2], [0, 0, 0]], [[30, 60, 1], [40, 80, 2]]]
    images = (Image("a.jpg", Path("/a.jpg"), 100, 100),)
    labels = Labels.build(
        [0, 0], [0, 0], [[0, 0, 20, 40], [20, 40, 40, 80]], keypoints=np.array(points, dtype=np.float64)
    )
    keypoints = Keypoints(("left", "right"), flip_idx=(1, 0))
    view = overview(Dataset("k", Path("/"), Path("/"), "coco", ("car",), images, labels, keypoints=keypoints))
    left, right = view.keypoints
    assert (left.absent, left.hidden, left.visible) == (0, 0.5, 0.5)
    assert (left.x, left.y, left.spread) == (0.5, 0.5, 0.0)
    assert (right.absent, right.x, right.y) == (0.5, 1.0, 1.0)
    assert (left.flips_to, right.flips_to) == ("right", "left")


def test_what_matters_is_remarked_on() -> None:
    dataset = make(20, n_groups=4)
    splits = [replace(image, split="train" if i < 10 else "val") for i, image in enumerate(dataset.images)]
    text = " ".join(remarks(overview(replace(dataset.with_images(splits), confidential=True))))
    assert "4 groups have images in more than one split" in text
    assert "Fewer than 5 groups hold" in text
    assert "licence is unknown" in text and "Confidential" in text


def test_a_sound_data_set_needs_no_remark() -> None:
    dataset = make(40, n_groups=10)
    kept = replace(dataset, licence="MIT", labels=dataset.labels.take(dataset.labels.image > 0))
    kept = kept.with_images([replace(i, split="train", label=Path("/x.txt")) for i in kept.images])
    assert remarks(overview(kept)) == ()


def test_samples_hold_every_class_and_as_many_groups_as_there_can_be() -> None:
    dataset = make(60, n_groups=12, classes=("a", "b", "c"))
    rare = replace(dataset.labels, cls=np.where(np.arange(len(dataset.labels)) == 100, 2, dataset.labels.cls % 2))
    dataset = replace(dataset, labels=rare)
    chosen = choose_samples(dataset, 12, np.random.default_rng(0))
    assert len(set(chosen)) == 12
    assert {int(c) for c in rare.cls[np.isin(rare.image, chosen)]} == {0, 1, 2}
    assert len({dataset.groups[index] for index in chosen}) >= 11


def test_bccd_as_its_readme_says(fixtures: Path) -> None:
    view = overview(read(fixtures / "bccd"))
    assert {row.name: row.n_objects for row in view.classes} == {"RBC": 4155, "WBC": 372, "Platelets": 361}
    assert view.imbalance == pytest.approx(4155 / 361)
    assert view.n_pixels == 300 and len(view.samples) == 12
    assert view.whole_pixels == 1.0
