"""Read and write YOLO 1.1, the zip with `obj.names` and `obj_train_data/` that CVAT imports and exports.

Not Ultralytics' layout: rows of boxes only, no splits but train and valid, and no images: these come from a data set
that has been read before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from liftgate.boxes import cxcywh_to_xyxy
from liftgate.data.core.archive import pack, unpack
from liftgate.data.core.dataset import Dataset, Fault
from liftgate.data.core.image_names import ImageNames
from liftgate.data.formats.columns import LabelColumns
from liftgate.data.formats.yolo.rows import parse_rows
from liftgate.data.formats.yolo.tree import format_rows
from liftgate.errors import DataError

_LABELS = "obj_train_data"


def write_zip(dataset: Dataset, path: Path) -> Path:
    """Write the zip without images and return `path`; splits and keypoints are lost."""
    return pack(path, _files(dataset))


def _files(dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    heads = {
        "obj.data": f"classes = {len(dataset.classes)}\ntrain = train.txt\nnames = obj.names\nbackup = backup/\n",
        "obj.names": "".join(f"{name}\n" for name in dataset.classes),
        "train.txt": "".join(f"{_LABELS}/{image.id}\n" for image in dataset.images),
    }
    yield from ((name, text.encode()) for name, text in heads.items())
    boxes = replace(dataset, labels=replace(dataset.labels, keypoints=None)).labels
    order = np.argsort(boxes.image, kind="stable")
    starts = np.searchsorted(boxes.image[order], np.arange(len(dataset.images) + 1))
    for index, image in enumerate(dataset.images):
        rows = format_rows(boxes.take(order[starts[index] : starts[index + 1]]), image, faithful=True)
        name = PurePosixPath(_LABELS, image.id).with_suffix(".txt")
        yield str(name), "".join(f"{row}\n" for row in rows).encode()


def read_zip(path: Path, known: Dataset) -> Dataset:
    """Return the images of `known` with the zip's labels; an image without a file in the zip is unlabelled.

    Raises:
        DataError: no such zip (see `archive.unpack`), or none of its files is about an image of `known`.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "zip"
        unpack(path, folder, suffixes={".txt", ".names"})
        heads = list(folder.rglob("obj.names"))
        if len(heads) != 1:
            raise DataError("no YOLO 1.1 zip", where=path, expected="one obj.names", got=len(heads))
        classes = tuple(line.strip() for line in _text(heads[0]).splitlines() if line.strip())
        files = sorted(file for data in heads[0].parent.glob("obj_*_data") for file in data.rglob("*.txt"))
        return _dataset(path, known, classes, [(_name(file, heads[0].parent), _text(file)) for file in files])


def _dataset(path: Path, known: Dataset, classes: tuple[str, ...], texts: list[tuple[str, str]]) -> Dataset:
    by_stem = ImageNames([replace(image, id=str(PurePosixPath(image.id).with_suffix(""))) for image in known.images])
    columns, faults = LabelColumns(), []
    images = [replace(image, label=None) for image in known.images]
    for name, text in texts:
        place = by_stem.find(name)
        if place is None:
            faults.append(Fault("label_orphan", f"{path}: {name}", "no image of this name"))
            continue
        image = images[place]
        images[place] = replace(image, label=path)
        rows = parse_rows(text, len(classes))
        faults += [Fault(kind, f"{path}: {name}:{line}", message, image.id) for kind, line, message in rows.bad]
        size = np.array(image.upright, dtype=np.float64)
        for row in rows.good:
            box = cxcywh_to_xyxy(np.array([row.box], dtype=np.float64), size)[0].tolist()
            columns.add(place, row.cls, box, line=row.line)
    if texts and all(image.label is None for image in images):
        raise DataError("none of the zip's labels is about these images", where=path, got=texts[0][0])
    return replace(
        known,
        source=path,
        format="yolo",
        classes=classes,
        category_ids=(),
        images=tuple(images),
        labels=columns.table(),
        keypoints=None,
        faults=tuple(faults),
    )


def _name(file: Path, root: Path) -> str:
    return PurePosixPath(*file.relative_to(root).with_suffix("").parts[1:]).as_posix()


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "replace")
