"""Repair the faults that `check` finds in the demo's data set, in a new folder."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from liftgate.checks.probes.label_geometry import probe
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.splits.split import Split, make_split, read_split
from liftgate.demo.demo_dataset import GROUPS, TRANSPOSED, data_yaml_text
from liftgate.files import write_text

RATIOS = (0.45, 0.1, 0.45)
"""Train, val, test by video. Nearly half is for the test, because the verdict's interval depends on its 18 videos."""


class RepairedDataset(NamedTuple):
    """The repaired data set, and what was wrong."""

    data_yaml: Path
    split: Split
    in_pixels: tuple[str, ...]
    """Label files whose rows were in pixels"""
    groups_in_several_splits: tuple[str, ...]
    """Groups that lay in more than one split"""
    transposed: bool
    """Whether the exporter wrote y before x"""


def repair(delivered: Path, folder: Path, *, transposed: bool | None = None) -> RepairedDataset:
    """Write the data set of `delivered` (a data.yaml) to `folder`, with labels in fractions and a split by group.

    Images are not copied: `folder/images` is a link. A complete repair is left as it is, with any changes made since.

    Args:
        delivered: its data.yaml.
        folder: created.
        transposed: whether y was written before x, as a check has just found; None: the boxes are probed here.
    """
    before = assign_groups(read(delivered), GROUPS, base=delivered.parent)
    in_pixels = tuple(label.name for label in _labels(before) if _is_in_pixels(label))
    if transposed is None:
        found = probe(before)
        transposed = found is not None and found.answer == "does not fit" and found.best.transform == "transposed"
    frozen = folder / "split.csv"
    if not frozen.is_file():
        _write_labels(before, folder / "labels", transposed)
        link = folder / "images"
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(delivered.parent / "images", folder), target_is_directory=True)
        _write_lists(folder, {image.id: image.split or "train" for image in before.images})
        mended = assign_groups(read(folder / "data.yaml"), GROUPS, base=folder)
        split = make_split(mended, RATIOS)
        _write_lists(folder, split.assignment)
        split.write(frozen)  # last: where it is, all the rest is
    return RepairedDataset(
        folder / "data.yaml", read_split(frozen), in_pixels, groups_in_several_splits(before), transposed
    )


def groups_in_several_splits(dataset: Dataset) -> tuple[str, ...]:
    """Return the groups whose images lie in more than one split."""
    splits = defaultdict(set)
    for image in dataset.images:
        splits[image.key].add(image.split)
    return tuple(sorted(group for group, found in splits.items() if len(found) > 1))


def _labels(dataset: Dataset) -> list[Path]:
    return sorted(image.label for image in dataset.images if image.label is not None)


def _is_in_pixels(label: Path) -> bool:
    """Fractions are at most 1; Ultralytics drops an image with a row beyond, without stopping."""
    return any(float(value) > 1 for line in label.read_text("utf-8").splitlines() for value in line.split()[1:])


def _write_labels(dataset: Dataset, folder: Path, transposed: bool) -> None:
    """Rewrite the label files: rows in pixels divided by the image's size, x before y."""
    for image in dataset.images:
        if image.label is None:
            continue
        sides = (image.width, image.height) * 2 if _is_in_pixels(image.label) else (1, 1, 1, 1)
        rows = []
        for line in image.label.read_text("utf-8").splitlines():
            cls, *numbers = line.split()
            values = [float(number) / side for number, side in zip(numbers, sides, strict=True)]
            values = [values[place] for place in TRANSPOSED] if transposed else values
            rows.append(" ".join([cls, *(f"{value:.6f}" for value in values)]) + "\n")
        write_text(folder / image.label.name, "".join(rows))


def _write_lists(folder: Path, assignment: Mapping[str, str]) -> None:
    for split in ("train", "val", "test"):
        names = sorted(name for name, place in assignment.items() if place == split)
        write_text(folder / f"{split}.txt", "".join(f"./{name}\n" for name in names))
    write_text(folder / "data.yaml", data_yaml_text())
