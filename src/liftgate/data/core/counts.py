"""Count images, groups and objects of a dataset by split and class, without decoding images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import areas
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import fault_counts, unread_images

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's size ranges end here: small < 32², medium < 96², large from there; pixel²"""


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Counts of one split. Crowd and ignored rows are counted separately, not as objects."""

    split: str | None
    """None: images without a split"""
    n_images: int
    n_groups: int
    n_objects: int
    objects_by_class: Mapping[str, int]
    n_crowd: int
    n_ignored: int
    n_background: int
    """Images that are labelled as empty"""
    n_unlabelled: int
    """Images without a label file"""
    sizes: Mapping[str, int]
    """small, medium, large → objects, as stored"""
    sizes_at_imgsz: Mapping[str, int]
    """The same as the detector sees them: the longer side of the image scaled to `imgsz`, as Ultralytics does"""
    image_sizes: Mapping[str, int]
    """The five commonest, such as `640×480` → images"""


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """Number of groups and of images per group."""

    n: int
    smallest: int
    median: float
    largest: int


@dataclass(frozen=True, slots=True)
class DatasetCounts:
    """Counts of a dataset."""

    name: str
    format: str
    source: str
    classes: tuple[str, ...]
    n_images: int
    n_groups: int
    n_objects: int
    keypoints: tuple[str, ...] | None
    imgsz: int
    splits: tuple[SplitCounts, ...]
    groups: GroupSizes
    faults: Mapping[str, int]
    """kind of fault → how often it occurs"""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        record = asdict(self)
        record["classes"] = list(self.classes)
        record["keypoints"] = None if self.keypoints is None else list(self.keypoints)
        record["splits"] = list(record["splits"])
        return record


def describe(dataset: Dataset, *, imgsz: int = 640) -> DatasetCounts:
    """Return counts by split and class, and box sizes in COCO's ranges as stored and at `imgsz`."""
    splits = dataset.splits if dataset.splits else (None,)
    loose = any(image.split is None for image in dataset.images) and dataset.splits
    return DatasetCounts(
        name=dataset.name,
        format=dataset.format,
        source=str(dataset.source),
        classes=dataset.classes,
        n_images=len(dataset.images),
        n_groups=len(set(dataset.groups)),
        n_objects=int((~dataset.labels.crowd & ~dataset.labels.ignore).sum()),
        keypoints=dataset.keypoints.names if dataset.keypoints else None,
        imgsz=imgsz,
        splits=tuple(_split_counts(dataset, split, imgsz) for split in (*splits, *([None] if loose else []))),
        groups=_group_sizes(dataset.groups),
        faults=fault_counts(dataset.faults),
    )


def _split_counts(dataset: Dataset, split: str | None, imgsz: int) -> SplitCounts:
    if split is None:
        part = dataset.take(np.array([image.split is None for image in dataset.images], dtype=np.bool_))
    else:
        part = dataset.split(split)
    labels = part.labels
    counted = labels.take(~labels.crowd & ~labels.ignore)
    empty = np.ones(len(part.images), dtype=np.bool_)
    empty[labels.image] = False
    unlabelled = np.array([image.label is None for image in part.images], dtype=np.bool_)
    longest = np.array([max(image.width, image.height, 1) for image in part.images], dtype=np.float64)
    scale = (imgsz / longest)[counted.image] if len(counted) else np.zeros(0)
    by_class = np.bincount(counted.cls, minlength=len(part.classes)).tolist()
    return SplitCounts(
        split=split,
        n_images=len(part.images),
        n_groups=len(set(part.groups)),
        n_objects=len(counted),
        objects_by_class=dict(zip(part.classes, by_class, strict=True)),
        n_crowd=int(labels.crowd.sum()),
        n_ignored=int((labels.ignore & ~labels.crowd).sum()),
        n_background=int((empty & ~unlabelled & ~unread_images(part)).sum()),
        n_unlabelled=int(unlabelled.sum()),
        sizes=_size_counts(counted.area),
        sizes_at_imgsz=_size_counts(areas(counted.boxes) * scale**2),
        image_sizes=_common_sizes(part),
    )


def _size_counts(area: NDArray[np.float64]) -> dict[str, int]:
    small, medium = int((area < SMALL).sum()), int((area < MEDIUM).sum())
    return {"small": small, "medium": medium - small, "large": len(area) - medium}


def _common_sizes(dataset: Dataset) -> dict[str, int]:
    counts = Counter(f"{width}×{height}" for width, height in (image.upright for image in dataset.images))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:5])


def _group_sizes(keys: Sequence[str]) -> GroupSizes:
    sizes = np.array(sorted(Counter(keys).values()), dtype=np.int64)
    if not len(sizes):
        return GroupSizes(0, 0, 0.0, 0)
    return GroupSizes(len(sizes), int(sizes[0]), float(np.median(sizes)), int(sizes[-1]))
