"""Folds by group: what is locked takes no part, and every training has images to train and to validate on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.pipeline.folds import HELD_OUT, Folds, open_images
from liftgate.study.records import DatasetSpec
from liftgate.testing.data import dataset, picture

SPEC = DatasetSpec("scenes", "data.yaml", lock=("test",))


def scenes(folder: Path, *places: tuple[str | None, str]) -> Dataset:
    """Return a data set of one image for each (split, group)."""
    made = dataset(len(places))
    images = []
    for number, (image, (split, group)) in enumerate(zip(made.images, places, strict=True)):
        path = picture(folder / image.id, seed=number)
        images.append(replace(image, path=path, split=split, group=group))
    return made.with_images(images)


def test_locked_images_their_groups_and_their_copies_take_no_part(tmp_path: Path) -> None:
    data = scenes(tmp_path, ("train", "a"), ("train", "b"), ("test", "b"), ("test", "c"), ("val", "d"), (None, "e"))
    shutil.copy(data.images[3].path, data.images[4].path)  # an image of d is one of the locked
    assert open_images(data, SPEC).tolist() == [True, False, False, False, False, False]
    unlocked = open_images(data, replace(SPEC, lock=()))
    assert unlocked.tolist() == [True, True, True, True, True, False], "one is in no split of the study"


@pytest.mark.parametrize(
    ("places", "fold", "expected"),
    [
        ("train:a train:b val:c val:d", [0, 1, 1, 0], ["train", "val"]),  # its own val
        ("train:a train:a train:b train:c", [1, 1, 1, 0], ["train", "train", "val"]),  # none: the smallest group
        ("val:a val:b val:b train:c", [1, 1, 1, 0], ["val", "train", "train"]),  # nothing but val
        ("train:a train:a train:a train:b", [1, 1, 1, 0], ["val", "train", "train"]),  # a single group
    ],
)
def test_every_fold_has_images_to_train_and_to_validate_on(
    tmp_path: Path, places: str, fold: list[int], expected: list[str]
) -> None:
    data = scenes(tmp_path, *(tuple(one.split(":")) for one in places.split()))  # type: ignore[misc]
    folds = Folds(data, np.array(fold), 2)
    splits = [image.split for image in folds.training(0).images]
    assert [split for split in splits if split != HELD_OUT] == expected
    assert [split == HELD_OUT for split in splits] == [number == 0 for number in fold]
