"""Every sound data set of the fixtures, by name: what is called an error there is a false one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from liftgate.data.core.dataset import Dataset, stack_labels
from liftgate.data.formats.read import read

DICE_NAMES = ["one", "two", "three", "four", "five", "six"]


def sound_sets(fixtures: Path, scratch: Path) -> dict[str, Dataset]:
    """Return bccd, dice, coco_cc (both of its splits as one) and the 15 sets of fixtures/geometry.

    Args:
        fixtures: the folder of the fixtures.
        scratch: an empty folder; dice comes without a data.yaml.
    """
    coco = fixtures / "coco_cc"
    halves = [
        read(coco / "annotations" / f"instances_{part}2017.json", images=coco / "images") for part in ("train", "val")
    ]
    sets = {"bccd": read(fixtures / "bccd"), "dice": read(dice_yaml(fixtures, scratch), name="dice")}
    sets["coco_cc"] = _joined(*halves)
    for folder in sorted((fixtures / "geometry").iterdir()):
        for data_yaml in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            sets[folder.name] = read(data_yaml, name=folder.name)
    return sets


def dice_yaml(fixtures: Path, scratch: Path) -> Path:
    """Write a data.yaml for dice, and return it."""
    path = scratch / "dice" / "data.yaml"
    path.parent.mkdir(parents=True)
    keys = {"path": str(fixtures / "dice"), "train": "images/train", "val": "images/test", "names": DICE_NAMES}
    path.write_text(yaml.safe_dump(keys))
    return path


def _joined(first: Dataset, second: Dataset) -> Dataset:
    """Two parts of one data set with the same classes."""
    moved = replace(second.labels, image=second.labels.image + np.int64(len(first.images)))
    images = (*first.images, *second.images)
    return replace(first, name="coco_cc", images=images, labels=stack_labels([first.labels, moved]))
