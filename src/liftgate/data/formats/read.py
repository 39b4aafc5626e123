"""`read`: read a data set of any supported format as one Dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset, Fault
from liftgate.errors import DataError
from liftgate.progress import Progress, silent
from liftgate.suggestions import nearby

_YAMLS = ("data.yaml", "data.yml", "dataset.yaml")


def read(
    path: Path | str, *, images: Path | str | None = None, name: str | None = None, progress: Progress = silent
) -> Dataset:
    """Read a YOLO data.yaml, COCO JSON, Pascal VOC folder, CVAT's XML (or the zip that it exports), or PaliGemma JSONL.

    `images` is the folder of the images, for labels that do not name it (COCO, VOC); `name` is the dataset's name.
    A folder is VOC when it has Annotations/, CVAT when it has annotations.xml, YOLO when it has a data.yaml, COCO when
    it has annotations/*.json; if there are several kinds, give a pattern such as annotations/instances_*.json.
    Roboflow's exports in train/, valid/ and test/ (PaliGemma: dataset/) are read too, and so are labelme and CreateML
    JSON, and a folder of images and YOLO rows with a classes.txt (darknet, Label Studio's YOLO export).

    Raises:
        DataError: no data set that can be read; bad rows are not an error but listed in `Dataset.faults`.
    """
    dataset = _read(Path(path), None if images is None else Path(images), name, progress)
    labels = dataset.labels
    if len(labels) and labels.crowd.all():
        fault = Fault("crowd_only", str(dataset.source), f"all {len(labels):,} objects are crowds")
        return replace(dataset, faults=(*dataset.faults, fault))
    return dataset


def _read(path: Path, images: Path | None, name: str | None, progress: Progress) -> Dataset:
    if "*" in path.name and not path.exists() and (files := sorted(path.parent.glob(path.name))):
        return _read_several(path, files, images, name, progress)
    if not path.exists():
        raise DataError("no such file or folder", where=path, hint=nearby(path))
    if path.is_dir():
        return _read_folder(path, images, name, progress)
    if not path.is_file():  # opening a named pipe would wait for ever
        raise DataError("neither a file nor a folder", where=path, got="a device, a pipe or a socket")
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        from liftgate.data.formats import yolo

        return yolo.read(path, name=name, progress=progress)
    if suffix == ".json":
        from liftgate.data.formats import coco, other_json

        try:
            return coco.read(path, images=images, name=name, progress=progress)
        except DataError:
            if other_json.recognise(path) is None:
                raise
        return other_json.read(path, images=images, name=name, progress=progress)
    if suffix in (".xml", ".zip"):
        from liftgate.data.formats import cvat

        return cvat.read(path, images=images, name=name, progress=progress)
    if suffix == ".jsonl":
        from liftgate.data.formats import paligemma

        return paligemma.read(path, images=images, name=name, progress=progress)
    raise DataError("not a data set", where=path, expected="data.yaml, a COCO JSON, a Pascal VOC folder or CVAT's XML")


def is_dataset(path: Path) -> bool:
    """Return whether `read` would find a data set at a path (a bare folder of images or frames.csv is not one)."""
    from liftgate.data.formats import coco, other_json, paligemma, voc, yolo

    if not path.is_dir():
        return path.suffix.lower() in (".yaml", ".yml", ".json", ".xml", ".zip", ".jsonl")
    marks = ("Annotations", "annotations.xml", *_YAMLS)
    if any((path / mark).exists() for mark in marks):
        return True
    if coco.find_parts(path) or paligemma.find_parts(path) or voc.is_flat(path):
        return True
    return bool(other_json.labelme_files(path)) or yolo.find_class_list(path) is not None


def _read_several(path: Path, files: list[Path], images: Path | None, name: str | None, progress: Progress) -> Dataset:
    """Read the files of a pattern such as `annotations/instances_*.json`: one kind of COCO JSON, all its splits."""
    from liftgate.data.formats import coco

    if strange := [file.name for file in files if file.suffix.lower() != ".json"]:
        raise DataError("a pattern names one COCO JSON for each split", where=path, got=", ".join(strange[:3]))
    folder = path.parent.parent if path.parent.name == "annotations" else path.parent
    return coco.read_parts(folder, files, images=images, name=name, progress=progress)


def _read_folder(path: Path, images: Path | None, name: str | None, progress: Progress) -> Dataset:
    from liftgate.data.formats import coco, cvat, other_json, paligemma, voc, yolo

    if (path / "Annotations").is_dir():
        return voc.read(path, images=images, name=name, progress=progress)
    if (path / "annotations.xml").is_file():
        return cvat.read(path / "annotations.xml", images=images, name=name, progress=progress)
    for candidate in _YAMLS:
        if (path / candidate).is_file():
            return yolo.read(path / candidate, name=name or path.name, progress=progress)
    if parts := coco.find_parts(path):
        return coco.read_parts(path, parts, images=images, name=name, progress=progress)
    if parts := paligemma.find_parts(path):
        return paligemma.read_parts(parts, images=images, name=name or path.name, progress=progress)
    if voc.is_flat(path):
        return voc.read(path, name=name, progress=progress)
    if other_json.labelme_files(path):
        return other_json.read(path, images=images, name=name or path.name, progress=progress)
    for file in sorted(path.glob("*createml.json")):
        return other_json.read(file, images=images, name=name or path.name, progress=progress)
    if (classes := yolo.find_class_list(path)) is not None:
        return yolo.read_class_list(path, classes, name=name, progress=progress)
    inside = sorted(file.name for file in path.glob("*") if file.suffix.lower() in (".yaml", ".yml", ".json"))
    raise DataError(
        "no data set in this folder",
        where=path,
        expected="data.yaml (YOLO), annotations/*.json (COCO), Annotations/ (Pascal VOC) or annotations.xml (CVAT)",
        got=", ".join(inside[:5]) or "none of these",
        hint="name the YAML or JSON itself" if inside else None,
    )
