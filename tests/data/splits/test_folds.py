"""Folds, new data into an old split, and proof that held-out sets are apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.formats.read import read
from liftgate.data.splits.folds import extend_split, make_folds, prove_disjoint
from liftgate.data.splits.split import Split, make_split, split_counts
from liftgate.errors import DataError
from liftgate.testing import data as factory
from liftgate.testing.data import yolo_folder

ROW = "0 .5 .5 .25 .5\n"


def test_every_group_is_in_val_exactly_once() -> None:
    made = factory.dataset(200, n_groups=23)
    folds = make_folds(made, 5)
    seen: list[str] = []
    for fold in folds:
        seen += {fold.groups[image] for image, split in fold.assignment.items() if split == "val"}
        counts = split_counts(fold)["images"]
        assert 30 <= counts["val"] <= 50
    assert sorted(seen) == sorted(set(made.groups))


def test_a_test_split_is_not_folded() -> None:
    made = factory.dataset(60, n_groups=12)
    made = made.with_images([replace(i, split="test" if i.group == "group0" else "train") for i in made.images])
    for fold in make_folds(made, 3):
        assert [image for image, split in fold.assignment.items() if split == "test"] == [
            image.id for image in made.images if image.group == "group0"
        ]


@pytest.mark.parametrize("folds", [0, 1, 13])
def test_folds_that_do_not_fit(folds: int) -> None:
    with pytest.raises(DataError, match="folds do not fit"):
        make_folds(factory.dataset(24, n_groups=12), folds)


@pytest.mark.parametrize("seed", range(4))
def test_new_data_never_move_what_is_assigned(seed: int) -> None:
    made = factory.dataset(300, n_groups=30)
    old = make_split(made.take(np.array([int(i.group[5:]) < 20 for i in made.images])), seed=seed)  # type: ignore[index]
    new = extend_split(old, made, seed=seed)
    assert {image: new.assignment[image] for image in old.assignment} == dict(old.assignment)
    assert len(new.assignment) == 300
    counts = split_counts(new)["groups"]
    assert counts == {"train": 21, "val": 4, "test": 5} or counts == {"train": 21, "val": 5, "test": 4}


def test_a_new_image_of_a_known_group_joins_it() -> None:
    made = factory.dataset(20, n_groups=4)
    old = Split({"0000.jpg": "test"}, {"0000.jpg": "group0"})
    new = extend_split(old, made)
    assert {new.assignment[image.id] for image in made.images if image.group == "group0"} == {"test"}
    assert split_counts(new)["images"]["test"] == 5, "test has enough: the others go elsewhere"


def test_a_held_out_split_of_another_name_stays_as_it_is() -> None:
    made = factory.dataset(40, n_groups=8)
    old = Split({i.id: "night" for i in made.images[:1]}, {i.id: i.key for i in made.images[:1]})
    new = extend_split(old, made)
    assert {new.assignment[i.id] for i in made.images if i.group == "group0"} == {"night"}
    assert set(new.assignment.values()) == {"train", "val", "test", "night"}


def test_an_old_split_whose_groups_cross_now_is_refused() -> None:
    made = factory.dataset(8, n_groups=2)
    old = Split({"0000.jpg": "train", "0002.jpg": "test"}, {"0000.jpg": "a", "0002.jpg": "b"})
    with pytest.raises(DataError, match="group0 in test, train"):
        extend_split(old, made)


def test_41_videos_and_a_deployment_set_that_is_proved_apart(tmp_path: Path) -> None:
    main = {f"train/video{n:02d}_{k}.jpg": ROW for n in range(41) for k in range(2)}
    a = read(yolo_folder(tmp_path / "main", main, size=(24, 16)))
    b = read(yolo_folder(tmp_path / "deployment", {f"test/cam{n}_0.jpg": ROW for n in range(6)}, size=(16, 24)))
    proof = prove_disjoint(a, b)
    assert (proof.n_images, proof.n_groups) == (6, 6)


def test_sharing_one_image_or_one_group_is_said(tmp_path: Path) -> None:
    a = read(yolo_folder(tmp_path / "a", {"train/x.jpg": ROW, "train/y.jpg": ROW}))
    b = read(yolo_folder(tmp_path / "b", {"test/copy.jpg": ROW}))
    with pytest.raises(DataError, match=r"images/test/copy\.jpg is images/train/x\.jpg"):
        prove_disjoint(a, b)
    c = read(yolo_folder(tmp_path / "c", {"test/z.jpg": ROW}, size=(40, 40)))
    grouped = [d.with_images([replace(i, group="cam1") for i in d.images]) for d in (a, c)]
    with pytest.raises(DataError, match="1 groups"):
        prove_disjoint(*grouped)
    a.images[0].path.unlink()
    with pytest.raises(DataError, match="nothing can be proved"):
        prove_disjoint(a, c)
