"""The truth that predictions are measured against: one split of a data set, with its groups."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import UNREAD_OBJECTS
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent

Truth = Dataset | Path | str
"""A data set in memory, or its path"""

_BOX_FAULTS = ("size_rotated", "size_differs", "image_twice")
_IMAGE_FAULTS = ("image", "jpeg", "size", "split", "path", "list", "group")


def read_truth(
    truth: Truth,
    *,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Return the split of a data set that is evaluated, with its groups.

    Args:
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`; None: the data set's own.
        split: name of the split; default `val`, where there is one.
        images: folder of the images, where the labels do not name it.
        progress: called with the number of items done and in all.

    Raises:
        UsageError: it cannot be read, has no such split, or has no usable object.
    """
    if isinstance(truth, Dataset):
        dataset, where = truth, truth.source
    else:
        where = Path(truth)
        dataset = read(where, images=None if images is None else Path(images), progress=progress)
    if split is None:
        split = "val" if "val" in dataset.splits else None
    elif split not in dataset.splits:
        has = ", ".join(dataset.splits) or "none: leave --split out"
        raise UsageError(f"no split {split!r}", where=where, expected=has, got=split)
    if split is not None:
        dataset = dataset.split(split)  # before groups: a rule need not match images of other splits
    _require_objects(dataset, where)
    return dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())


def faults_of_truth(dataset: Dataset) -> str:
    """Return the faults of the labels in one sentence; empty without faults.

    Metrics against damaged labels look like any others, so this belongs to the result. Missing or unreadable images
    are no fault here: evaluation needs only their labels.
    """
    kept = [f.kind for f in dataset.faults if f.kind in _BOX_FAULTS or not f.kind.startswith(_IMAGE_FAULTS)]
    unlabelled = _unlabelled(dataset)
    note = f"{unlabelled} images of the truth have no label file, and count as empty" if unlabelled else ""
    if not kept:
        return note
    counts = ", ".join(f"{kind} {number}" for kind, number in Counter(kept).most_common())
    faults = f"the truth was read with faults ({counts}): `liftgate check` shows where"
    return f"{faults}; {note}" if note else faults


def _unlabelled(dataset: Dataset) -> int:
    """Return the number of images without a label file that have no object from another source."""
    bare = np.array([image.label is None for image in dataset.images], dtype=np.bool_)
    bare[dataset.labels.image] = False
    return int(bare.sum())


def _require_objects(dataset: Dataset, where: object) -> None:
    """Refuse a truth without any object that a model could find.

    Raises:
        UsageError: every object is a crowd or ignored, or none could be read.
    """
    labels = dataset.labels
    if (~labels.crowd & ~labels.ignore).any():
        return
    if len(labels):
        what = "every object of the truth is a crowd or ignored: there is nothing to find"
        hint = "masks exported by CVAT or SAM have iscrowd 1 on single objects too: set it to 0 for these"
        raise UsageError(what, where=where, got=f"{len(labels)} objects", hint=hint)
    if dataset.images and _unlabelled(dataset) == len(dataset.images):
        hint = "an image on which there is nothing has an empty label file"
        raise UsageError("the truth has no labels", where=where, got=f"{len(dataset.images)} images", hint=hint)
    kinds = Counter(f.kind for f in dataset.faults if f.kind in UNREAD_OBJECTS or f.kind == "label_orphan")
    if kinds:
        got = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        raise UsageError(
            "no object of the truth could be read", where=where, got=got, hint="`liftgate check` shows why"
        )
