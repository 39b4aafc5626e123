"""The truth that predictions are measured against: one split of a data set, with its groups."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent

Truth = Dataset | Path | str
"""A data set in memory, or where one lies"""

_OF_IMAGES = ("image", "jpeg", "size", "split", "path", "list", "group")


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
        split: default val, where there is one.
        images: folder of the images, where the labels do not name it.
        progress: called with the number of items done and in all.

    Raises:
        UsageError: it cannot be read, or has no such split.
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
        dataset = dataset.split(split)  # first: a rule need not fit images of other splits
    return dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())


def faults_of_truth(dataset: Dataset) -> str:
    """Return the faults of the labels as a sentence, because numbers against damaged truth look like any others.

    Empty without faults.

    Missing or unreadable images are no fault here: measuring needs their labels only.
    """
    labels = [fault.kind for fault in dataset.faults if not fault.kind.startswith(_OF_IMAGES)]
    if not labels:
        return ""
    counts = ", ".join(f"{kind} {number}" for kind, number in Counter(labels).most_common())
    return f"the truth was read with faults ({counts}): `liftgate check` says where"
