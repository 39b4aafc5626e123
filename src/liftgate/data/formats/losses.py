"""Count what a format cannot represent of a dataset, before it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image
from liftgate.data.core.faults import unread_images
from liftgate.data.formats.cvat.tracks import TRACKS, track_of
from liftgate.data.grouping.groups import GROUPS_FILE
from liftgate.paths import is_file


@dataclass(frozen=True, slots=True)
class Loss:
    """One kind of content that is missing or changed in the written dataset."""

    what: str
    count: int
    example: str


def format_losses(dataset: Dataset, to: str) -> tuple[Loss, ...]:
    """Return what the format `to` cannot represent; empty: a reader gets everything back (boxes to 0.01 px)."""
    return tuple(loss for check in CHECKS[to] if (loss := check(dataset)) is not None)


def images_left_out(dataset: Dataset, to: str) -> tuple[NDArray[np.bool_], tuple[Loss, ...]]:
    """Return the mask (images,) of those that could only be written as `to` as if they were empty, and the reasons.

    "Unknown" is never written as "empty": an image whose labels could not be read, an unlabelled one in
    a format without unlabelled images (COCO, CVAT), and one with no object that the format can represent are left out.
    """
    labels = dataset.labels
    count = len(dataset.images)
    reasons: list[tuple[str, NDArray[np.bool_]]] = [
        ("images of whose labels nothing could be read: left out", unread_images(dataset))
    ]
    if to in ("coco", "cvat"):
        unlabelled = np.array([image.label is None for image in dataset.images], dtype=np.bool_)
        unlabelled &= np.bincount(labels.image, minlength=count) == 0
        reasons.append(("images without labels: left out, because in this format they would look empty", unlabelled))
    if to == "yolo":
        absent = np.array([not is_file(image.path) for image in dataset.images], dtype=np.bool_)
        small = np.array([min(image.width, image.height) < 10 for image in dataset.images], dtype=np.bool_)
        held = labels.image[~labels.crowd & ~labels.ignore]
        emptied = (np.bincount(labels.image, minlength=count) > 0) & (np.bincount(held, minlength=count) == 0)
        reasons.append(("images that are not there: left out", absent))
        reasons.append(("images that cannot be read or are under 10 pixels: left out", small))
        reasons.append(("images with nothing but crowd or ignored objects: left out, not empty", emptied))
    out = np.zeros(count, dtype=np.bool_)
    losses = []
    for what, mask in reasons:
        fresh = mask & ~out
        if fresh.any():
            losses.append(Loss(what, int(fresh.sum()), dataset.images[int(np.argmax(fresh))].id))
        out |= mask
    return out, tuple(losses)


_Check = Callable[[Dataset], Loss | None]


def _rows(what: str, mask: Callable[[Dataset], NDArray[np.bool_]]) -> _Check:
    def check(dataset: Dataset) -> Loss | None:
        hit = np.flatnonzero(mask(dataset))
        return Loss(what, len(hit), _row_name(dataset, int(hit[0]))) if len(hit) else None

    return check


def _images(what: str, test: Callable[[Image], bool]) -> _Check:
    def check(dataset: Dataset) -> Loss | None:
        hit = [image.id for image in dataset.images if test(image)]
        return Loss(what, len(hit), hit[0]) if hit else None

    return check


def _row_name(dataset: Dataset, row: int) -> str:
    return f"{dataset.images[int(dataset.labels.image[row])].id}, object {int(dataset.labels.line[row])}"


def _outlined(dataset: Dataset) -> NDArray[np.bool_]:
    boxes = dataset.labels.boxes
    own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.abs(dataset.labels.area - own) > 0.01 * np.maximum(own, 1)


def _outside(dataset: Dataset) -> NDArray[np.bool_]:
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64).reshape(-1, 2)[dataset.labels.image]
    boxes = dataset.labels.boxes
    out: NDArray[np.bool_] = np.any((boxes < -0.005) | (boxes > np.tile(sizes, 2) + 0.005), axis=1)
    return out


def _duplicate_rows(dataset: Dataset) -> NDArray[np.bool_]:
    labels = dataset.labels
    rows = np.column_stack([labels.image, labels.cls, labels.boxes])
    if labels.keypoints is not None:
        rows = np.column_stack([rows, labels.keypoints.reshape(len(labels), labels.keypoints.shape[1] * 3)])
    _, first = np.unique(rows, axis=0, return_index=True)
    again = np.ones(len(labels), dtype=np.bool_)
    again[first] = False
    return again


def _hidden_keypoints(dataset: Dataset) -> NDArray[np.bool_]:
    """Return rows with a hidden keypoint (visibility 1): without a visibility column it would become visible."""
    points = dataset.labels.keypoints
    if points is None or dataset.keypoints is None or dataset.keypoints.dims == 3:
        return np.zeros(len(dataset.labels), dtype=np.bool_)
    hidden: NDArray[np.bool_] = (points[..., 2] == 1).any(axis=1)
    return hidden


def _labelled_keypoints(dataset: Dataset) -> NDArray[np.bool_]:
    points = dataset.labels.keypoints
    if points is None:
        return np.zeros(len(dataset.labels), dtype=np.bool_)
    seen: NDArray[np.bool_] = np.any(points[..., 2] > 0, axis=1)
    return seen


def _keypoint_settings(dataset: Dataset) -> Loss | None:
    known = dataset.keypoints is not None and (dataset.keypoints.flip_idx or dataset.keypoints.sigmas)
    return Loss("flip_idx and sigmas of the keypoints", 1, dataset.name) if known else None


def _renumbered_classes(dataset: Dataset) -> Loss | None:
    own = tuple(range(1, len(dataset.classes) + 1))
    if dataset.category_ids == own:
        return None
    return Loss(
        "category ids: classes are numbered anew", len(own), f"{dataset.classes[0]} was {dataset.category_ids[0]}"
    )


def _reordered_classes(dataset: Dataset) -> Loss | None:
    order = sorted(dataset.classes)
    if list(dataset.classes) == order:
        return None
    return Loss("the order of classes: they are read back by alphabet", len(order), ", ".join(order[:3]))


def _points_outside(dataset: Dataset) -> NDArray[np.bool_]:
    points = dataset.labels.keypoints
    if points is None:
        return np.zeros(len(dataset.labels), dtype=np.bool_)
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64).reshape(-1, 2)[dataset.labels.image]
    beyond = ((points[..., :2] < 0) | (points[..., :2] > sizes[:, None, :])).any(axis=2) & (points[..., 2] > 0)
    out: NDArray[np.bool_] = np.any(beyond, axis=1)
    return out


def _unused_classes(dataset: Dataset) -> Loss | None:
    used = set(dataset.labels.cls.tolist())
    names = [name for index, name in enumerate(dataset.classes) if index not in used]
    return Loss("classes without an object", len(names), names[0]) if names else None


def _tracks(dataset: Dataset) -> Loss | None:
    known = dataset.raw.get(TRACKS)
    if not isinstance(known, Mapping) or not known:
        return None
    count = len({track for tracks in known.values() for track in tracks})
    return Loss("tracks: which boxes are one object through a video", count, next(iter(known)))


def _lost_tracks(dataset: Dataset) -> Loss | None:
    return None if track_of(dataset) is not None else _tracks(dataset)


def _lost_keypoints(dataset: Dataset) -> Loss | None:
    count = len(dataset.labels)
    return Loss("keypoints", count, ", ".join(dataset.keypoints.names[:3])) if dataset.keypoints and count else None


_GROUPS = _images(f"groups: they are in {GROUPS_FILE}, for --groups", lambda image: image.group is not None)
_AREAS = _rows("areas of outlines: the box's area takes their place", _outlined)


def _lost_groups(dataset: Dataset) -> Loss | None:
    """Return the lost groups: all but the video that tracks are of."""
    return _GROUPS(dataset) if track_of(dataset) is None else None


CHECKS: dict[str, tuple[_Check, ...]] = {
    "yolo": (
        _rows("crowd objects", lambda d: d.labels.crowd),
        _rows("ignored objects", lambda d: d.labels.ignore & ~d.labels.crowd),
        _rows("duplicate objects", _duplicate_rows),
        _rows("boxes beyond the image: cut at its edge", _outside),
        _rows("hidden against visible keypoints", _hidden_keypoints),
        _rows("keypoints outside the image: unlabelled", _points_outside),
        _AREAS,
        _images("images without a split: put into train", lambda image: image.split is None),
        _renumbered_classes,
        _tracks,
        _GROUPS,
    ),
    "coco": (
        _tracks,
        _GROUPS,
    ),
    "cvat": (
        _rows("boxes of objects with keypoints: the box around these takes their place", _labelled_keypoints),
        _AREAS,
        _keypoint_settings,
        _renumbered_classes,
        _lost_tracks,
        _lost_groups,
    ),
    "voc": (
        _rows("crowd objects: written as difficult", lambda d: d.labels.crowd),
        _lost_keypoints,
        _AREAS,
        _unused_classes,
        _reordered_classes,
        _renumbered_classes,
        _tracks,
        _GROUPS,
    ),
}
