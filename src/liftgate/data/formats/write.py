"""Write a dataset in any format, and say what the format cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image
from liftgate.data.formats import coco, cvat, voc, yolo
from liftgate.data.formats.cvat.tracks import TRACKS as TRACKS
from liftgate.data.formats.cvat.tracks import track_of
from liftgate.data.formats.links import link_images, safe_names
from liftgate.data.grouping.groups import BESIDE, write_groups
from liftgate.data.provenance.card import Card, write_card
from liftgate.errors import DataError
from liftgate.files import atomic_folder, require_empty
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the format written to cannot hold."""

    what: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer left."""

    folder: Path
    files: tuple[Path, ...]
    """The file (or files, one per split) to read it back from."""
    losses: tuple[Loss, ...]


def write_dataset(
    dataset: Dataset, to: str, folder: Path, card: Card | None = None, *, progress: Progress = silent
) -> Written:
    """Write `dataset` as `to` (yolo, coco, voc, cvat) into `folder`, images as links; originals stay untouched.

    The folder appears when everything is in it, its `card` too. No format holds groups: where they are known, they are
    in a groups.csv beside it, which `--groups` takes.

    Raises:
        DataError: an unknown format, or a folder that is not empty.
    """
    if to not in _LOSSES:
        raise DataError("unknown format", expected=", ".join(_LOSSES), got=to)
    require_empty(folder)
    if to == "yolo":  # its data.yaml names its own folder, so it sees to being whole itself
        everything = [image if image.split else replace(image, split="train") for image in dataset.images]
        files = [yolo.write(dataset.with_images(everything), folder, faithful=True, card=card, progress=progress)]
    else:
        with atomic_folder(folder) as part:
            files = [folder / file.relative_to(part) for file in _WRITERS[to](dataset, part, progress)]
            called = written_names(dataset, to, part)
            write_groups(part, ((called.get(image.id, image.id), image.group) for image in dataset.images))
            if card is not None:
                write_card(card, part)
    return Written(folder, tuple(files), format_losses(dataset, to))


def written_names(dataset: Dataset, to: str, folder: Path) -> Mapping[str, str]:
    """Return what images are called below a folder that was written, by id; where it is the id it is left out."""
    if to == "yolo":
        return yolo.linked_names(folder)
    if to == "coco":
        return {image.id: f"images/{image.id}" for image in dataset.images}
    if to == "voc":
        return dict(zip((image.id for image in dataset.images), safe_names(dataset.images), strict=True))
    return {}


def format_losses(dataset: Dataset, to: str) -> tuple[Loss, ...]:
    """Return what `to` cannot hold of this dataset; empty: a reader gets everything back (boxes to 0.01 px)."""
    return tuple(loss for check in _LOSSES[to] if (loss := check(dataset)) is not None)


def _write_coco(dataset: Dataset, folder: Path, progress: Progress) -> Sequence[Path]:
    files = []
    for split in _parts(dataset):
        part = dataset.take(np.array([image.split == split for image in dataset.images], dtype=np.bool_))
        stem = "person_keypoints" if dataset.keypoints else "instances"
        files.append(coco.write(part, folder / "annotations" / f"{stem}_{split or 'all'}.json", progress))
    link_images(dataset.images, folder / "images", progress)
    return files


def _write_voc(dataset: Dataset, folder: Path, progress: Progress) -> Sequence[Path]:
    return [voc.write(dataset, folder, progress)]


def _write_cvat(dataset: Dataset, folder: Path, progress: Progress) -> Sequence[Path]:
    return [cvat.write(dataset, folder, progress)]


def _parts(dataset: Dataset) -> Sequence[str | None]:
    loose = any(image.split is None for image in dataset.images)
    return (*dataset.splits, *([None] if loose or not dataset.images else []))


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


def _twice(dataset: Dataset) -> NDArray[np.bool_]:
    labels = dataset.labels
    rows = np.column_stack([labels.image, labels.cls, labels.boxes])
    if labels.keypoints is not None:
        rows = np.column_stack([rows, labels.keypoints.reshape(len(labels), labels.keypoints.shape[1] * 3)])
    _, first = np.unique(rows, axis=0, return_index=True)
    again = np.ones(len(labels), dtype=np.bool_)
    again[first] = False
    return again


def _seen_apart(dataset: Dataset) -> NDArray[np.bool_]:
    """Rows with a hidden keypoint (visibility 1) that two columns cannot tell from a visible one."""
    points = dataset.labels.keypoints
    if points is None or dataset.keypoints is None or dataset.keypoints.dims == 3:
        return np.zeros(len(dataset.labels), dtype=np.bool_)
    hidden: NDArray[np.bool_] = (points[..., 2] == 1).any(axis=1)
    return hidden


def _has_points(dataset: Dataset) -> NDArray[np.bool_]:
    points = dataset.labels.keypoints
    if points is None:
        return np.zeros(len(dataset.labels), dtype=np.bool_)
    seen: NDArray[np.bool_] = np.any(points[..., 2] > 0, axis=1)
    return seen


def _flip(dataset: Dataset) -> Loss | None:
    known = dataset.keypoints is not None and (dataset.keypoints.flip_idx or dataset.keypoints.sigmas)
    return Loss("flip_idx and sigmas of the keypoints", 1, dataset.name) if known else None


def _numbers(dataset: Dataset) -> Loss | None:
    own = tuple(range(1, len(dataset.classes) + 1))
    if dataset.category_ids == own:
        return None
    return Loss(
        "category ids: classes are numbered anew", len(own), f"{dataset.classes[0]} was {dataset.category_ids[0]}"
    )


def _unsorted(dataset: Dataset) -> Loss | None:
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


def _absent(dataset: Dataset) -> Loss | None:
    used = set(dataset.labels.cls.tolist())
    names = [name for index, name in enumerate(dataset.classes) if index not in used]
    return Loss("classes without an object", len(names), names[0]) if names else None


def _tracks(dataset: Dataset) -> Loss | None:
    known = dataset.raw.get(TRACKS)
    if not isinstance(known, Mapping) or not known:
        return None
    count = len({track for tracks in known.values() for track in tracks})
    return Loss("tracks: which boxes are one object through a video", count, next(iter(known)))


def _untracked(dataset: Dataset) -> Loss | None:
    return None if track_of(dataset) is not None else _tracks(dataset)


def _no_points(dataset: Dataset) -> Loss | None:
    count = len(dataset.labels)
    return Loss("keypoints", count, ", ".join(dataset.keypoints.names[:3])) if dataset.keypoints and count else None


_GROUPS = _images(f"groups: they are in {BESIDE}, for --groups", lambda image: image.group is not None)
_UNREADABLE = _images("images that cannot be read or are under 10 pixels", lambda i: min(i.width, i.height) < 10)
_AREAS = _rows("areas of outlines: the box's area takes their place", _outlined)


def _videos(dataset: Dataset) -> Loss | None:
    """Groups are lost but for the one video that tracks are of."""
    return _GROUPS(dataset) if track_of(dataset) is None else None


_LOSSES: dict[str, tuple[_Check, ...]] = {
    "yolo": (
        _rows("crowd objects", lambda d: d.labels.crowd),
        _rows("ignored objects", lambda d: d.labels.ignore & ~d.labels.crowd),
        _rows("objects that stand twice", _twice),
        _rows("boxes beyond the image: cut at its edge", _outside),
        _rows("hidden against visible keypoints", _seen_apart),
        _rows("keypoints outside the image: unlabelled", _points_outside),
        _AREAS,
        _UNREADABLE,
        _images("images without a split: put into train", lambda image: image.split is None),
        _numbers,
        _tracks,
        _GROUPS,
    ),
    "coco": (
        _images("images that nobody labelled: they look empty", lambda image: image.label is None),
        _tracks,
        _GROUPS,
    ),
    "cvat": (
        _rows("boxes of objects with keypoints: the box around these takes their place", _has_points),
        _AREAS,
        _images("images that nobody labelled: they look empty", lambda image: image.label is None),
        _flip,
        _numbers,
        _untracked,
        _videos,
    ),
    "voc": (
        _rows("crowd objects: written as difficult", lambda d: d.labels.crowd),
        _no_points,
        _AREAS,
        _absent,
        _unsorted,
        _numbers,
        _tracks,
        _GROUPS,
    ),
}
_WRITERS: dict[str, Callable[[Dataset, Path, Progress], Sequence[Path]]] = {
    "coco": _write_coco,
    "voc": _write_voc,
    "cvat": _write_cvat,
}
