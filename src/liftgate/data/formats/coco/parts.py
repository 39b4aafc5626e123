"""Read one COCO JSON per split as one Dataset.

`annotations/instances_train2017.json` and so on, or Roboflow's `train/_annotations.coco.json`, `valid/…`, `test/…`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset, Image, stack_labels
from liftgate.data.formats.coco.reader import read, split_of
from liftgate.data.provenance.licences import strictest
from liftgate.errors import DataError
from liftgate.paths import lexical
from liftgate.progress import Progress, silent


def find_parts(folder: Path) -> list[Path]:
    """Return the JSON files of a folder that are its splits; empty: not a COCO folder.

    Raises:
        DataError: more than one for a split (instances and keypoints): the caller has to name one kind.
    """
    found = [file for part in ("train", "valid", "val", "test") for file in sorted((folder / part).glob("*.coco.json"))]
    found = found or sorted((folder / "annotations").glob("*.json")) or sorted(folder.glob("*.coco.json"))
    found = [file for file in found if not file.name.startswith("captions_")]
    by_split: dict[str | None, list[Path]] = defaultdict(list)
    for file in found:
        by_split[split_of(file)].append(file)
    twice = next((files for files in by_split.values() if len(files) > 1), None)
    if twice:
        names = ", ".join(file.name for file in twice[:4])
        kind = twice[0].parent / f"{twice[0].stem.split('_')[0]}_*.json"
        hint = f"name the kind that is meant, all its splits: '{kind}'"
        raise DataError("more than one JSON for a split", where=folder, got=names, hint=hint)
    return found


def read_parts(
    folder: Path,
    files: Sequence[Path],
    *,
    images: Path | None = None,
    name: str | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Read the files and return them as one dataset whose image ids are relative to `folder`.

    Raises:
        DataError: as `read`, or categories that are not the same in all files.
    """
    root = lexical(folder)
    parts = [read(file, images=images, progress=progress) for file in files]
    first = parts[0]
    for part in parts[1:]:
        mine, theirs = (dict(zip(p.category_ids, p.classes, strict=True)) for p in (first, part))
        if mine != theirs or part.keypoints != first.keypoints:
            differ = sorted({f"{id_} {name}" for id_, name in mine.items() ^ theirs.items()}) or ["keypoints"]
            raise DataError(
                "the categories differ from file to file",
                where=part.source,
                expected=f"those of {first.source.name}",
                got=", ".join(differ[:5]),
                hint="`liftgate data merge` joins data sets with different classes",
            )
    all_images: list[Image] = []
    labels = []
    faults = []
    for part in parts:
        ids = {image.id: _id(image, part, root) for image in part.images}
        labels.append(replace(part.labels, image=part.labels.image + len(all_images)))
        all_images += [replace(image, id=ids[image.id]) for image in part.images]
        faults += [replace(fault, image=ids.get(fault.image or "", fault.image)) for fault in part.faults]
    coco_ids = [image.coco_id for image in all_images]
    if len(set(coco_ids)) < len(coco_ids):  # Roboflow counts from 0 in every file, so its ids are ambiguous
        all_images = [replace(image, coco_id=None) for image in all_images]
    return replace(
        first,
        name=name or root.name,
        root=root,
        source=root,
        images=tuple(all_images),
        labels=stack_labels(labels),
        faults=tuple(faults),
        licence=strictest(*(part.licence for part in parts)),
    )


def _id(image: Image, part: Dataset, root: Path) -> str:
    """Return the image's path below the root, with the suffix that distinguishes two records of one file."""
    inside = part.root / image.id
    relative = os.path.relpath(inside, root)
    return Path(relative).as_posix() if not relative.startswith("..") else f"{image.split}/{image.id}"
