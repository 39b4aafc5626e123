"""Read a data.yaml, or a folder with a list of classes, as a Dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset, Fault, Image, Keypoints, Labels
from liftgate.data.core.image_headers import ImageHeader, read_headers
from liftgate.data.formats.columns import LabelColumns, whole_visibility
from liftgate.data.formats.yolo import document as yaml_document
from liftgate.data.formats.yolo.listing import base_folder, list_images
from liftgate.data.formats.yolo.rows import LabelRows, parse_rows
from liftgate.documents import DocumentError, decode, read_limited
from liftgate.errors import DataError
from liftgate.paths import is_file, lexical
from liftgate.progress import Progress, silent

_LARGEST_LABEL = 64 << 20


def read(path: Path, *, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read a data.yaml with its images' headers and labels.

    Boxes are in pixels of the upright image. An image without a label file has `label` None. Invalid rows, and all rows
    of an image whose size is unknown, are in `faults` and not in `labels`.

    Raises:
        DataError: the YAML cannot be read; all other problems are faults.
    """
    return _read(yaml_document.load_data_yaml(path), name or lexical(path).parent.name, progress)


def find_class_list(folder: Path) -> Path | None:
    """Return the file of class names of a folder of images and rows without a data.yaml; None: there is none.

    darknet has obj.names or classes.txt, Roboflow's darknet export train/_darknet.labels, Label Studio classes.txt.
    """
    names = ("classes.txt", "obj.names", "_darknet.labels", "labels/classes.txt", "train/_darknet.labels")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_class_list(folder: Path, classes: Path, *, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read a folder of images and YOLO rows whose class names are in a text file, one a line.

    An image's split is its folder train, valid (val) or test; elsewhere it has none.

    Raises:
        DataError: the list of names cannot be read, or is empty.
    """
    folder = lexical(folder)
    try:
        names = [line.strip() for line in decode(read_limited(classes)).splitlines() if line.strip()]
    except (OSError, DocumentError) as error:
        raise DataError("cannot read the class names", where=classes, got=str(error)) from None
    document = yaml_document.DataYaml(lexical(classes), {"names": names, "train": "."}, {})
    document.base = folder
    dataset = _read(document, name or folder.name, progress)
    splits = {"train": "train", "valid": "val", "val": "val", "test": "test"}
    images = [
        replace(image, split=next((splits[part] for part in Path(image.id).parts[:-1] if part in splits), None))
        for image in dataset.images
    ]
    return replace(dataset.with_images(images), source=folder, raw={})


def _read(document: yaml_document.DataYaml, name: str, progress: Progress) -> Dataset:
    classes = yaml_document.class_names(document)
    keypoints = yaml_document.keypoints(document)
    base = base_folder(document)
    splits = list_images(document, base)
    files = [(file, split) for split, found in splits.items() for file in found]
    root = _root(base, [file for file, _ in files])
    headers = read_headers([file for file, _ in files], progress)
    images, faults = _images(files, headers, root)
    labels, row_faults = _labels(images, len(classes), keypoints, progress)
    orphans = _orphans(images)
    labels, odd = whole_visibility(labels)
    if odd:
        row_faults.append(Fault("visibility_confidence", str(lexical(document.path)), odd))
    return Dataset(
        name=name,
        root=root,
        source=lexical(document.path),
        format="yolo",
        classes=classes,
        images=tuple(images),
        labels=labels,
        keypoints=keypoints,
        faults=(*document.faults, *faults, *row_faults, *orphans),
        raw=document.keys,
    )


def label_path(image: Path) -> Path:
    """Return where Ultralytics expects an image's labels: the last `images` in the path becomes `labels`.

    >>> label_path(Path("/d/images/train/a.jpg")).as_posix()
    '/d/labels/train/a.txt'
    """
    parts = list(image.parts)
    for index in range(len(parts) - 2, 0, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _root(base: Path, files: Sequence[Path]) -> Path:
    """Return the base folder, or the folder above it that contains all images."""
    if all(file.is_relative_to(base) for file in files):
        return base
    return Path(os.path.commonpath([base, *(file.parent for file in files)]))


def _images(
    files: Sequence[tuple[Path, str]], headers: Sequence[ImageHeader], root: Path
) -> tuple[list[Image], list[Fault]]:
    images, faults = [], []
    for (file, split), header in zip(files, headers, strict=True):
        label = label_path(file)
        image = Image(
            id=file.relative_to(root).as_posix(),
            path=file,
            width=header.width,
            height=header.height,
            split=split,
            label=label if is_file(label) else None,
            orientation=header.orientation,
        )
        images.append(image)
        if fault := header.fault(file, image.id):
            faults.append(fault)
    return images, faults


def _labels(
    images: Sequence[Image], n_classes: int, keypoints: Keypoints | None, progress: Progress
) -> tuple[Labels, list[Fault]]:
    count, dims = (len(keypoints.names), keypoints.dims) if keypoints else (0, 3)
    columns, faults = LabelColumns(count), []
    for index, image in enumerate(images):
        if image.label is None:
            continue
        rows, trouble = _read_rows(image.label, n_classes, count, dims)
        faults += [
            Fault(kind, f"{image.label}:{line}" if line else str(image.label), message, image.id)
            for kind, line, message in (*trouble, *rows.bad)
        ]
        if image.width:
            width, height = image.upright
            for row in rows.good:
                columns.add(
                    index,
                    row.cls,
                    _corners(row.box, width, height),
                    line=row.line,
                    area=None if row.area is None else row.area * width * height,
                    keypoints=_points(row.points, dims, width, height),
                )
        if index % 256 == 0:
            progress("reading labels", index, len(images))
    progress("reading labels", len(images), len(images))
    return columns.table(), faults


def _corners(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    x, y, w, h = box
    return (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height


def _points(points: Sequence[float], dims: int, width: int, height: int) -> list[float]:
    """Return keypoints in pixels with visibility; without that column, a negative coordinate means unlabelled."""
    out: list[float] = []
    for start in range(0, len(points), dims):
        x, y = points[start], points[start + 1]
        if dims == 3:
            out += (x * width, y * height, points[start + 2])
        else:
            out += (0.0, 0.0, 0.0) if x < 0 or y < 0 else (x * width, y * height, 2.0)
    return out


def _read_rows(
    label: Path, n_classes: int, n_keypoints: int, dims: int
) -> tuple[LabelRows, list[tuple[str, int, str]]]:
    try:
        if label.stat().st_size > _LARGEST_LABEL:
            return LabelRows(), [("label_too_large", 0, "over 64 MiB")]
        text = label.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return LabelRows(), [("label_not_text", 0, f"byte {error.start} is no UTF-8")]
    except OSError as error:
        raise DataError("cannot read labels", where=label, got=error.strerror) from None
    return parse_rows(text, n_classes, n_keypoints, dims), []


def _orphans(images: Sequence[Image]) -> list[Fault]:
    """Return a fault for each label file without an image, in the folders of these images' labels."""
    expected = {label_path(image.path) for image in images}
    faults = []
    for folder in sorted({label.parent for label in expected}):
        if not folder.is_dir():
            continue
        for file in sorted(folder.glob("*.txt")):
            if file not in expected and file.name != "classes.txt" and _holds_rows(file):
                faults.append(Fault("label_orphan", str(file), "no image for these labels"))
    return faults


def _holds_rows(file: Path) -> bool:
    """Return whether a text file seems to be labels: empty, or with a first row of at least five numbers."""
    if not file.is_file():  # opening a named pipe would wait for ever
        return False
    try:
        with file.open(encoding="utf-8") as lines:
            words = lines.readline(10_000).split()
        return not words or (len(words) >= 5 and all(map(_is_number, words)))
    except (OSError, UnicodeDecodeError):
        return False


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
