"""Read a written dataset again and compare it with its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.image_names import ImageNames
from liftgate.data.formats.read import read
from liftgate.data.formats.write import Written
from liftgate.progress import Progress, report_progress, silent

_NEAR = 0.5
"""Largest distance in pixels at which two boxes are the same object"""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """How a written data set differs from its source, object by object."""

    n_images: int
    """Images found again"""
    n_objects: int
    """Objects found again: same image, same class, every side within half a pixel"""
    images_missing: int
    objects_missing: int
    objects_added: int
    largest_px: float | None
    """Largest difference of a side; None: nothing to compare"""
    flags_changed: int
    """Objects that are crowd or ignored in only one of the two"""
    visibility_changed: int
    """Keypoints with different visibility"""

    @property
    def same(self) -> bool:
        """Whether the copy has every image and object of the source, and no others."""
        return not (
            self.images_missing
            or self.objects_missing
            or self.objects_added
            or self.flags_changed
            or self.visibility_changed
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def read_back(dataset: Dataset, written: Written, *, progress: Progress = silent) -> ReadBack:
    """Read the dataset that `write_dataset` wrote and compare it with `dataset`."""
    after = read(written.folder, progress=progress)
    names, called = ImageNames(after.images), written.names
    places = {name: index for index, name in enumerate(after.classes)}
    cls = np.array([places.get(name, -1) for name in dataset.classes], dtype=np.int64)[dataset.labels.cls]
    mine, theirs = _by_image(dataset), _by_image(after)
    n_images = n_objects = flags = seen = 0
    largest: float | None = None
    for index, image in enumerate(report_progress(dataset.images, "reading back", progress)):
        other = names.find(called.get(image.id, image.id))
        if other is None:
            continue
        n_images += 1
        for one, two in _pairs(mine[index], theirs[other], cls, dataset.labels, after.labels):
            n_objects += len(one)
            away = np.abs(dataset.labels.boxes[one] - after.labels.boxes[two])
            largest = max(largest or 0.0, float(away.max(initial=0)))
            flags += _changed_flags(dataset.labels, one, after.labels, two)
            seen += _changed_visibility(dataset.labels, one, after.labels, two)
    return ReadBack(
        n_images=n_images,
        n_objects=n_objects,
        images_missing=len(dataset.images) - n_images,
        objects_missing=len(dataset.labels) - n_objects,
        objects_added=len(after.labels) - n_objects,
        largest_px=largest,
        flags_changed=flags,
        visibility_changed=seen,
    )


def _by_image(dataset: Dataset) -> list[NDArray[np.int64]]:
    """Return the rows of every image, in the order of the file."""
    order = np.argsort(dataset.labels.image, kind="stable")
    return np.split(order, np.searchsorted(dataset.labels.image[order], np.arange(1, len(dataset.images))))


def _pairs(
    one: NDArray[np.int64], two: NDArray[np.int64], cls: NDArray[np.int64], before: Labels, after: Labels
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield rows of one image that are the same object in both."""
    in_order = len(one) == len(two) and (cls[one] == after.cls[two]).all()
    if in_order and (np.abs(before.boxes[one] - after.boxes[two]) <= _NEAR).all():  # the rule: formats keep the order
        yield one, two
        return
    from scipy.optimize import linear_sum_assignment

    for kind in np.unique(cls[one]):
        a, b = one[cls[one] == kind], two[after.cls[two] == kind]
        away = np.abs(before.boxes[a][:, None] - after.boxes[b][None]).max(axis=2, initial=0)
        rows, columns = linear_sum_assignment(np.minimum(away, 1e6))
        same = away[rows, columns] <= _NEAR
        yield a[rows[same]], b[columns[same]]


def _changed_flags(before: Labels, one: NDArray[np.int64], after: Labels, two: NDArray[np.int64]) -> int:
    changed = (before.crowd[one] != after.crowd[two]) | (before.ignore[one] != after.ignore[two])
    return int(changed.sum())


def _changed_visibility(before: Labels, one: NDArray[np.int64], after: Labels, two: NDArray[np.int64]) -> int:
    if before.keypoints is None:
        return 0
    was = before.keypoints[one][..., 2]
    return int((was != (0 if after.keypoints is None else after.keypoints[two][..., 2])).sum())
