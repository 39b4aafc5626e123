"""Images are recognised by what they show, not by what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.image_identity import ImageIdentities
from liftgate.data.formats.read import read
from liftgate.testing.backends import write_tree
from liftgate.testing.data import dataset


def test_every_image_is_recognised_in_the_same_files_and_none_in_others(tmp_path: Path) -> None:
    data = read(write_tree(tmp_path / "scenes"))
    known = ImageIdentities.of(data.split("test"), data.split("val"))
    assert known.shared_with(data).tolist() == [image.split == "test" for image in data.images]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    known = ImageIdentities.of(read(write_tree(tmp_path / "scenes")).split("test"))
    assert ImageIdentities.from_json(known.to_json()) == known
    with pytest.raises(ValueError, match="identities"):
        ImageIdentities.from_json("{}")


def test_where_no_image_is_there_labels_decide_once_enough_of_them_agree() -> None:
    data = dataset(6, objects=2)  # without files
    known = ImageIdentities.of(data)
    assert known.shared_with(data).all()
    assert not known.shared_with(dataset(6, objects=2, seed=1)).any()
    assert not known.shared_with(data.take(np.array([0]))).any(), "two boxes that agree may be chance"


def test_labels_that_were_rounded_on_the_way_still_agree() -> None:
    data = dataset(6, objects=3)
    moved = data.labels.boxes + np.random.default_rng(0).uniform(-0.5, 0.5, data.labels.boxes.shape)
    object.__setattr__(data.labels, "boxes", moved)
    assert ImageIdentities.of(dataset(6, objects=3)).shared_with(data).all()


def test_a_data_set_without_images_or_labels_shares_nothing() -> None:
    data = dataset(4, objects=2)
    empty = data.take(np.zeros(4, dtype=np.bool_))
    assert ImageIdentities.of(data).shared_with(empty).tolist() == []
    assert not ImageIdentities.of(empty).shared_with(data).any()
    assert not ImageIdentities.of(data).shared_with(dataset(4, objects=0)).any()
