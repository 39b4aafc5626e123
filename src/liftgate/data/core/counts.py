"""Counts of a dataset: what is in it, by split and class, before anybody looks at pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import areas
from liftgate.data.core.dataset import Dataset

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's size ranges end here: small < 32², medium < 96², large from there; pixel²"""


def describe(dataset: Dataset, *, imgsz: int = 640) -> dict[str, Any]:
    """Return plain JSON values: counts by split and class, box sizes in COCO's ranges as stored and at `imgsz`.

    `at_imgsz` is what the detector sees: the longer side of the image scaled to `imgsz` (up or down), as Ultralytics
    does. Crowd and ignored rows are counted apart and not among the objects.
    """
    splits = dataset.splits if dataset.splits else (None,)
    loose = any(image.split is None for image in dataset.images) and dataset.splits
    rows = [_part(dataset, split, imgsz) for split in (*splits, *([None] if loose else []))]
    return {
        "name": dataset.name,
        "format": dataset.format,
        "source": str(dataset.source),
        "classes": list(dataset.classes),
        "n_images": len(dataset.images),
        "n_groups": len(set(dataset.groups)),
        "n_objects": int((~dataset.labels.crowd & ~dataset.labels.ignore).sum()),
        "keypoints": list(dataset.keypoints.names) if dataset.keypoints else None,
        "imgsz": imgsz,
        "splits": rows,
        "groups": _group_sizes(dataset.groups),
        "faults": dict(sorted(Counter(fault.kind for fault in dataset.faults).items())),
    }


def _part(dataset: Dataset, split: str | None, imgsz: int) -> dict[str, Any]:
    if split is None:
        part = dataset.take(np.array([image.split is None for image in dataset.images], dtype=np.bool_))
    else:
        part = dataset.split(split)
    labels = part.labels
    counted = labels.take(~labels.crowd & ~labels.ignore)
    with_objects = np.zeros(len(part.images), dtype=np.bool_)
    with_objects[counted.image] = True
    unlabelled = sum(image.label is None for image in part.images)
    longest = np.array([max(image.width, image.height, 1) for image in part.images], dtype=np.float64)
    scale = (imgsz / longest)[counted.image] if len(counted) else np.zeros(0)
    return {
        "split": split,
        "n_images": len(part.images),
        "n_groups": len(set(part.groups)),
        "n_objects": len(counted),
        "objects_by_class": dict(
            zip(part.classes, np.bincount(counted.cls, minlength=len(part.classes)).tolist(), strict=True)
        ),
        "n_crowd": int(labels.crowd.sum()),
        "n_ignored": int((labels.ignore & ~labels.crowd).sum()),
        "n_background": int((~with_objects).sum()) - unlabelled,
        "n_unlabelled": unlabelled,
        "sizes": _ranges(counted.area),
        "sizes_at_imgsz": _ranges(areas(counted.boxes) * scale**2),
        "image_sizes": _common_sizes(part),
    }


def _ranges(area: NDArray[np.float64]) -> dict[str, int]:
    small, medium = int((area < SMALL).sum()), int((area < MEDIUM).sum())
    return {"small": small, "medium": medium - small, "large": len(area) - medium}


def _common_sizes(dataset: Dataset) -> dict[str, int]:
    counts = Counter(f"{width}×{height}" for width, height in (image.upright for image in dataset.images))
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:5])


def _group_sizes(keys: Sequence[str]) -> dict[str, Any]:
    sizes = np.array(sorted(Counter(keys).values()), dtype=np.int64)
    if not len(sizes):
        return {"n": 0, "smallest": 0, "median": 0.0, "largest": 0}
    return {
        "n": len(sizes),
        "smallest": int(sizes[0]),
        "median": float(np.median(sizes)),
        "largest": int(sizes[-1]),
    }
