"""Keep only some classes or keypoints of a dataset, or give classes other names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.errors import DataError
from liftgate.suggestions import did_you_mean


def keep_classes(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return the dataset with only these classes, in this order; the boxes of others are dropped.

    An image that loses all its boxes stays as a background image (see `emptied_images`).

    Raises:
        DataError: a name is not a class; the hint has the nearest class.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in dataset.classes:
            raise DataError(
                "no such class",
                where=dataset.source,
                expected=", ".join(dataset.classes[:12]),
                got=name,
                hint=did_you_mean(name, dataset.classes),
            )
    if not wanted:
        raise DataError("no class to keep", where=dataset.source, expected=", ".join(dataset.classes[:12]))
    old = [dataset.classes.index(name) for name in wanted]
    new = np.full(len(dataset.classes), -1, dtype=np.int64)
    new[old] = np.arange(len(old))
    kept = new[dataset.labels.cls] >= 0
    labels = dataset.labels.take(kept)
    return replace(
        dataset,
        classes=tuple(wanted),
        category_ids=tuple(dataset.category_ids[index] for index in old),
        labels=replace(labels, cls=new[labels.cls]),
    )


def emptied_images(before: Dataset, after: Dataset) -> NDArray[np.bool_]:
    """Return (n images,) whether an image had labels before, and has none after; the images are the same."""
    had, has = (np.bincount(one.labels.image, minlength=len(one.images)) > 0 for one in (before, after))
    return np.asarray(had & ~has)


def rename_classes(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """Return the dataset with classes by other names; classes that get the same name are joined at the first one.

    Args:
        dataset: the data set.
        names: old name → new name; classes that it does not name keep theirs.

    Raises:
        DataError: a name is not a class; the hint has the nearest class.
    """
    for name in names:
        if name not in dataset.classes:
            hint = did_you_mean(name, dataset.classes)
            expected = ", ".join(dataset.classes[:12])
            raise DataError("no such class to rename", where=dataset.source, expected=expected, got=name, hint=hint)
    called = [names.get(name, name) for name in dataset.classes]
    classes = tuple(dict.fromkeys(called))
    place = np.array([classes.index(name) for name in called], dtype=np.int64)
    return replace(
        dataset,
        classes=classes,
        category_ids=tuple(dataset.category_ids[called.index(name)] for name in classes),
        labels=replace(dataset.labels, cls=place[dataset.labels.cls]),
    )


def keep_keypoints(dataset: Dataset, names: Sequence[str] | Mapping[str, str]) -> Dataset:
    """Return the dataset with only these keypoints, in this order; flip_idx, sigmas and every row follow.

    A mapping gives each its new name.

    Raises:
        DataError: a name is not a keypoint, is given twice, or its mirror image is not kept (flip_idx would be
            incomplete).
    """
    old = dataset.keypoints
    if old is None:
        raise DataError("no keypoints in this data set", where=dataset.source)
    for name in names:
        if name not in old.names:
            hint = did_you_mean(name, old.names)
            raise DataError(
                "no such keypoint", where=dataset.source, expected=", ".join(old.names), got=name, hint=hint
            )
    called = tuple(names.values()) if isinstance(names, Mapping) else tuple(names)
    if not names or len(set(names)) < len(names) or len(set(called)) < len(called):
        raise DataError("keypoints are kept once each", where=dataset.source, got=", ".join(called) or "none")
    places = [old.names.index(name) for name in names]
    flip = None
    if old.flip_idx is not None:
        partners = [old.flip_idx[place] for place in places]
        if lonely := [
            old.names[place] for place, partner in zip(places, partners, strict=True) if partner not in places
        ]:
            raise DataError(
                "a keypoint without its mirror image",
                where=dataset.source,
                got=", ".join(lonely),
                hint="keep both of a pair, or neither",
            )
        flip = tuple(places.index(partner) for partner in partners)
    sigmas = None if old.sigmas is None else tuple(old.sigmas[place] for place in places)
    points = dataset.labels.keypoints
    return replace(
        dataset,
        keypoints=replace(old, names=called, flip_idx=flip, sigmas=sigmas),
        labels=replace(dataset.labels, keypoints=None if points is None else points[:, places]),
    )
