"""Read Pascal VOC as a Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset, Fault, Image
from liftgate.data.core.image_headers import SUFFIXES, read_headers, reconcile_size
from liftgate.data.formats.columns import LabelColumns
from liftgate.data.formats.voc.annotation import VocAnnotation, parse_annotation
from liftgate.documents import LARGE, DocumentError, read_limited
from liftgate.errors import DataError
from liftgate.paths import lexical
from liftgate.progress import Progress, silent

_FOLDERS = {"train": "train", "valid": "val", "val": "val", "test": "test"}


@dataclass(slots=True)
class _Layout:
    """Files of a VOC folder by stem, with the folder if XML and images are in the same one."""

    labels: dict[str, Path]
    pictures: dict[str, Path]
    home: Path
    """Folder of the images, also of missing ones"""
    splits: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read(path: Path, *, images: Path | None = None, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read a VOC folder: Annotations/*.xml, JPEGImages/ (or `images`), ImageSets/Main/{train,val,test}.txt.

    Or, as Roboflow exports it, XML next to the images in train/, valid/ and test/. Classes are the names that occur,
    sorted. `Labels.line` is the number of the object in its file, from 1. `difficult` becomes `ignore`.

    Raises:
        DataError: the folder has no XML.
    """
    root = lexical(path)
    layout = _standard(root, images) if (root / "Annotations").is_dir() else _flat(root)
    if not layout.labels:
        raise DataError("no Pascal VOC data set", where=path, expected="Annotations/*.xml")
    keys = sorted(layout.labels.keys() | layout.pictures.keys())
    files = {key: layout.pictures.get(key, layout.home / f"{key}.jpg") for key in keys}
    headers = read_headers([files[key] for key in keys], progress)
    found: list[Image] = []
    faults = list(layout.faults)
    columns = LabelColumns()
    first_seen: dict[str, int] = {}
    for index, (key, header) in enumerate(zip(keys, headers, strict=True)):
        label, file = layout.labels.get(key), files[key]
        annotation = parse_annotation(label) if label else VocAnnotation()
        size, trouble = reconcile_size(header, annotation.width, annotation.height)
        image = Image(
            id=file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name,
            path=file,
            width=size[0],
            height=size[1],
            split=layout.splits.get(key),
            label=label,
            orientation=header.orientation,
        )
        found.append(image)
        if fault := header.fault(file, image.id):
            faults.append(fault)
        if Path(annotation.filename).stem not in ("", Path(key).name):
            trouble.append(("filename_differs", f"<filename> is {annotation.filename!r}"))
        faults += [Fault(kind, str(label), message, image.id) for kind, message in trouble]
        faults += [Fault(kind, where, message, image.id) for kind, where, message in annotation.bad]
        for obj in annotation.objects:
            cls = first_seen.setdefault(obj.name, len(first_seen))
            columns.add(index, cls, obj.box, line=obj.number, ignore=obj.difficult)
        if index % 256 == 0:
            progress("reading annotations", index, len(keys))
    classes = sorted(first_seen)
    labels = columns.table()
    alphabetical = np.array([classes.index(name) for name in first_seen], dtype=np.int64)
    return Dataset(
        name=name or root.name,
        root=root,
        source=root,
        format="voc",
        classes=tuple(classes),
        images=tuple(found),
        labels=replace(labels, cls=alphabetical[labels.cls]),
        faults=tuple(faults),
    )


def is_flat(folder: Path) -> bool:
    """Return whether XML is next to the images, in `folder` or in train/, valid/, test/ below it."""
    return any(next((folder / part).glob("*.xml"), None) is not None for part in (".", *_FOLDERS))


def _standard(root: Path, images: Path | None) -> _Layout:
    home = lexical(images) if images else root / "JPEGImages"
    labels = {file.stem: file for file in sorted((root / "Annotations").glob("*.xml"))}
    pictures = _pictures(home)
    splits, faults = _splits(root / "ImageSets" / "Main", labels.keys() | pictures.keys())
    return _Layout(labels, pictures, home, splits, faults)


def _flat(root: Path) -> _Layout:
    layout = _Layout({}, {}, root)
    for part in (".", *_FOLDERS):
        folder = root / part
        prefix = "" if part == "." else f"{part}/"
        labels = {f"{prefix}{file.stem}": file for file in sorted(folder.glob("*.xml"))}
        pictures = {f"{prefix}{stem}": file for stem, file in _pictures(folder).items()}
        layout.labels |= labels
        layout.pictures |= pictures
        if part in _FOLDERS:
            layout.splits |= dict.fromkeys(labels.keys() | pictures.keys(), _FOLDERS[part])
    return layout


def _pictures(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*")) if file.suffix.lower() in SUFFIXES}


def _splits(folder: Path, stems: set[str]) -> tuple[dict[str, str], list[Fault]]:
    """Return image stem → split, from the lists that exist; `trainval` only if neither train nor val does."""
    lists = {split: folder / f"{split}.txt" for split in ("train", "val", "test")}
    if not lists["train"].is_file() and not lists["val"].is_file():
        lists = {"train": folder / "trainval.txt", "test": lists["test"]}
    splits: dict[str, str] = {}
    faults: list[Fault] = []
    for split, file in lists.items():
        shared: dict[str, list[str]] = {}
        for line, stem in _list_lines(file, stems):
            if stem not in stems:
                faults.append(Fault("split_unknown_image", f"{file}:{line}", f"no image and no XML called {stem}"))
            elif splits.setdefault(stem, split) != split:
                shared.setdefault(splits[stem], []).append(stem)
        faults += [
            Fault("split_shared", str(file), f"{len(both)} images of {split} are in {first} too, such as {both[0]}")
            for first, both in shared.items()
        ]
    return splits, faults


def _list_lines(file: Path, stems: set[str]) -> Iterator[tuple[int, str]]:
    if not file.is_file():
        return
    try:
        text = read_limited(file, LARGE).decode("utf-8-sig", "surrogateescape")
    except (OSError, DocumentError) as error:
        raise DataError("cannot read the list of a split", where=file, got=error) from None
    for number, line in enumerate(text.splitlines(), 1):
        stem = line.strip()
        if stem and stem not in stems:  # lists of one class have `stem 1` or `stem -1`
            stem = stem.rsplit(maxsplit=1)[0]
        if stem:
            yield number, stem
