"""Write a dataset in any supported format, and count what is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats import coco, cvat, voc, yolo
from liftgate.data.formats.links import link_images, safe_names
from liftgate.data.formats.losses import CHECKS, Loss, format_losses, images_left_out
from liftgate.data.grouping.groups import write_groups
from liftgate.data.provenance.card import Card, write_card
from liftgate.errors import DataError
from liftgate.files import atomic_folder, require_empty
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Written:
    """Result of writing a dataset."""

    folder: Path
    files: tuple[Path, ...]
    """The file, or one file per split, that `read` takes."""
    losses: tuple[Loss, ...]
    n_images: int
    n_objects: int
    names: Mapping[str, str] = field(default_factory=dict)
    """image id → its name below the folder; absent where it is the id"""


def write_dataset(
    dataset: Dataset,
    to: str,
    folder: Path,
    card: Card | None = None,
    *,
    finish: Callable[[Path], None] | None = None,
    progress: Progress = silent,
) -> Written:
    """Write `dataset` as `to` (yolo, coco, voc, cvat) into `folder`, images as links; originals stay untouched.

    The folder appears once it is complete, including its `card` and the files that `finish` adds. No format has
    groups: known ones are written to groups.csv, which `--groups` takes. Images that could only be written as if they
    were empty are left out and counted (`images_left_out`).

    Raises:
        DataError: an unknown format, a folder that is not empty, or no image that can be written.
    """
    if to not in CHECKS:
        raise DataError("unknown format", expected=", ".join(CHECKS), got=to)
    require_empty(folder)
    out, losses = images_left_out(dataset, to)
    if len(out) and out.all():
        reasons = "; ".join(f"{loss.what} ({loss.count})" for loss in losses)
        raise DataError("no image can be written", where=dataset.source, got=reasons, hint="`liftgate check` shows why")
    if objects := int(np.sum(out[dataset.labels.image])):
        losses += (Loss("objects on images that are left out", objects, losses[0].example),)
    kept = dataset.take(~out) if out.any() else dataset
    if to == "yolo":  # it appears whole by itself
        everything = [image if image.split else replace(image, split="train") for image in kept.images]
        tree = yolo.write_tree(
            kept.with_images(everything),
            folder,
            faithful=True,
            portable=True,
            card=card,
            finish=finish,
            progress=progress,
        )
        files, names, n_objects = [tree.data_yaml], tree.names, tree.n_objects
    else:
        names, n_objects = _names(kept, to), len(kept.labels)
        with atomic_folder(folder) as part:
            files = [folder / file.relative_to(part) for file in _WRITERS[to](kept, part, progress)]
            write_groups(part, ((names.get(image.id, image.id), image.group) for image in kept.images))
            if card is not None:
                write_card(card, part)
            if finish is not None:
                finish(part)
    losses += format_losses(kept, to)
    return Written(folder, tuple(files), losses, len(kept.images), n_objects, names)


def _names(dataset: Dataset, to: str) -> Mapping[str, str]:
    if to == "coco":
        return {image.id: f"images/{image.id}" for image in dataset.images}
    if to == "voc":
        return dict(zip((image.id for image in dataset.images), safe_names(dataset.images), strict=True))
    return {}


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


_WRITERS: dict[str, Callable[[Dataset, Path, Progress], Sequence[Path]]] = {
    "coco": _write_coco,
    "voc": _write_voc,
    "cvat": _write_cvat,
}
