"""Write a Dataset as COCO JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import xyxy_to_xywh
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.files import replacing
from liftgate.progress import Progress, silent

_PIECE = 4096


def write(dataset: Dataset, path: Path, progress: Progress = silent) -> Path:
    """Write images, labels and classes as COCO JSON and return `path`.

    Boxes keep every digit; `area`, `iscrowd`, `ignore` and keypoints are kept; the size is that of the upright image.
    Ids of images and categories are the dataset's own; annotation ids are its `line` if unique, else 1 … n. Rows are
    written in chunks: a million boxes take the memory of a few thousand.
    """
    require_utf8_names((image.id for image in dataset.images), dataset.source)
    labels = dataset.labels
    unique = dataset.format == "coco" and len(np.unique(labels.line)) == len(labels)
    ids = labels.line if unique else np.arange(1, len(labels) + 1)
    image_ids = coco_ids(dataset)
    with replacing(path, "wb") as file:
        file.write(b'{"categories":' + msgspec.json.encode(_categories(dataset)))
        _stream(file, "images", len(dataset.images), lambda part: _image_rows(dataset, image_ids, part), progress)
        rows = lambda part: _annotation_rows(dataset, image_ids, ids[part], part)  # noqa: E731
        _stream(file, "annotations", len(labels), rows, progress)
        file.write(b"}\n")
    return path


def _stream(
    file: IO[bytes], key: str, count: int, rows: Callable[[slice], list[dict[str, object]]], progress: Progress
) -> None:
    file.write(f',\n"{key}":['.encode())
    for start in range(0, count, _PIECE):
        progress(f"writing {key}", start, count)
        inside = msgspec.json.encode(rows(slice(start, start + _PIECE)))[1:-1]
        file.write((b",\n" if start else b"\n") + inside)
    progress(f"writing {key}", count, count)
    file.write(b"]")


def _image_rows(dataset: Dataset, ids: Sequence[int | str], part: slice) -> list[dict[str, object]]:
    return [
        {"id": id_, "file_name": image.id, "width": image.upright[0], "height": image.upright[1]}
        for id_, image in zip(ids[part], dataset.images[part], strict=True)
    ]


def _annotation_rows(
    dataset: Dataset, image_ids: Sequence[int | str], ids: NDArray[np.int64], part: slice
) -> list[dict[str, object]]:
    labels = dataset.labels
    columns = (ids, labels.image[part], labels.cls[part], xyxy_to_xywh(labels.boxes[part]), labels.area[part])
    flags = (labels.crowd[part], labels.ignore[part])
    rows: list[dict[str, object]] = [
        {
            "id": id_,
            "image_id": image_ids[image],
            "category_id": dataset.category_ids[cls],
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
            "ignore": int(ignore),
        }
        for id_, image, cls, box, area, crowd, ignore in zip(*(c.tolist() for c in (*columns, *flags)), strict=True)
    ]
    if labels.keypoints is not None:
        for row, points in zip(rows, labels.keypoints[part], strict=True):
            row["keypoints"] = points.ravel().tolist()
            row["num_keypoints"] = int((points[:, 2] > 0).sum())
    return rows


def coco_ids(dataset: Dataset) -> list[int | str]:
    """Return the COCO id of each image: its own if all have one, else 1 … n.

    A mixture would be ambiguous, and pycocotools wants numbers.
    """
    own = [image.coco_id for image in dataset.images]
    ids = [id_ for id_ in own if id_ is not None]
    return ids if len(set(ids)) == len(own) else list(range(1, len(own) + 1))


def _categories(dataset: Dataset) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"id": id_, "name": name} for id_, name in zip(dataset.category_ids, dataset.classes, strict=True)
    ]
    if dataset.keypoints:
        for row in rows:
            row["keypoints"] = list(dataset.keypoints.names)
            # Beyond COCO, which has no place for them; readers that do not know them pass over them.
            if dataset.keypoints.flip_idx:
                row["flip_idx"] = list(dataset.keypoints.flip_idx)
            if dataset.keypoints.sigmas:
                row["sigmas"] = list(dataset.keypoints.sigmas)
    return rows
