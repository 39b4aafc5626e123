"""Training trees are read back as they were written, and nobody else's data.yaml passes for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from liftgate.backends.training_tree import label_path, read_tree
from liftgate.errors import DataError
from liftgate.testing.backends import write_tree


def test_images_come_in_the_order_of_the_list_with_repeats(tmp_path: Path) -> None:
    tree = read_tree(write_tree(tmp_path / "tree", train=2, held_out=1))
    assert [path.name for path in tree.images("train")] == ["train000.png", "train001.png"]
    (tmp_path / "tree" / "train.txt").write_text("./images/train001.png\n" * 3)
    assert [path.name for path in tree.images("train")] == ["train001.png"] * 3
    assert all(path.is_file() for path in tree.images("val"))


def test_the_manifest_says_which_image_of_the_dataset_a_link_is(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "tree", train=1, held_out=1)
    manifest = {"images": {"images/train000.png": "camera 3/frame 17.jpg"}, "images_left_out": []}
    (source.parent / "manifest.json").write_text(json.dumps(manifest))
    tree = read_tree(source)
    assert tree.image_id(tree.images("train")[0]) == "camera 3/frame 17.jpg"


def test_a_yaml_with_a_download_script_is_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "tree", train=1, held_out=1)
    source.write_text(source.read_text() + yaml.safe_dump({"download": "import os; os.system('id')"}))
    with pytest.raises(DataError, match="no `download`"):
        read_tree(source)


@pytest.mark.parametrize("content", ["", "[1, 2]", "names: 3", "{", "train: a.txt"])
def test_what_is_no_tree_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(DataError, match="of a training tree"):
        read_tree(tmp_path / "data.yaml")


def test_a_split_that_is_not_there_and_a_list_that_is_gone_are_said(tmp_path: Path) -> None:
    tree = read_tree(write_tree(tmp_path / "tree", train=1, held_out=1))
    with pytest.raises(DataError, match="no such split"):
        tree.images("winter")
    (tmp_path / "tree" / "val.txt").unlink()
    with pytest.raises(DataError, match="list of images is gone"):
        tree.images("val")


def test_labels_lie_where_the_last_images_folder_becomes_labels() -> None:
    assert label_path(Path("/images/set/images/a.jpg")) == Path("/images/set/labels/a.txt")
