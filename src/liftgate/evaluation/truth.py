"""The truth that predictions are measured against: one split of a data set, with its groups."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent

_OF_IMAGES = ("image", "jpeg", "size", "split", "path", "list", "group")


def read_truth(
    path: Path | str,
    *,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Read a data set and return the split that is to be measured, with its groups.

    Raises:
        UsageError: it cannot be read, or has no such split.
    """
    dataset = read(Path(path), images=None if images is None else Path(images), progress=progress)
    if split is None:
        split = "val" if "val" in dataset.splits else None
    elif split not in dataset.splits:
        has = ", ".join(dataset.splits) or "none: leave --split out"
        raise UsageError(f"no split {split!r}", where=path, expected=has, got=split)
    if split is not None:
        dataset = dataset.split(split)  # first: a rule need not fit images that nobody measures
    return dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())


def faults_of_truth(dataset: Dataset) -> str:
    """Say what the reader met in the labels, for numbers against damaged truth look like any others; empty: nothing.

    Missing or unreadable images are no fault here: measuring needs their labels only.
    """
    labels = [fault.kind for fault in dataset.faults if not fault.kind.startswith(_OF_IMAGES)]
    if not labels:
        return ""
    counts = ", ".join(f"{kind} {number}" for kind, number in Counter(labels).most_common())
    return f"the truth was read with faults ({counts}): `liftgate check` says where"
