"""Read corrected pre-labels from a CVAT export of any supported format."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from liftgate.data.core.archive import names_in, unpack
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats import coco, cvat, darknet
from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.progress import Progress, silent


def read_corrected(path: Path, known: Dataset, progress: Progress = silent) -> Dataset:
    """Read a CVAT export (CVAT XML 1.1, COCO 1.0 or YOLO 1.1; a zip or its contents) of the images of `known`.

    Splits, groups and terms are `known`'s: CVAT keeps none of them. Images that are not in the export are not in
    the result.

    Raises:
        DataError: none of these formats, a hostile zip, or no image in common.
    """
    found = _read(path, known, progress)
    by_id = {image.id: image for image in known.images}
    images = []
    for image in found.images:
        old = by_id.get(image.id)
        images.append(image if old is None else replace(old, label=image.label))
    return replace(
        found.with_images(images),
        name=known.name,
        origin=known.origin,
        licence=known.licence,
        confidential=known.confidential,
    )


def _read(path: Path, known: Dataset, progress: Progress) -> Dataset:
    suffix = path.suffix.lower()
    if suffix == ".xml":
        return cvat.read(path, images=known.root, progress=progress)
    if suffix == ".json":
        return coco.read(path, images=known.root, progress=progress)
    if suffix != ".zip":
        return read(path, images=known.root, progress=progress)
    names = names_in(path)
    if any(Path(name).name == "annotations.xml" for name in names):
        return cvat.read(path, images=known.root, progress=progress)
    if any(Path(name).name == "obj.names" for name in names):
        return darknet.read_zip(path, known)
    if not any(name.endswith(".json") for name in names):
        raise DataError(
            "no export of CVAT that is known", where=path, expected="CVAT 1.1, COCO 1.0 or YOLO 1.1", got=names[:1]
        )
    with tempfile.TemporaryDirectory() as place:
        unpack(path, Path(place) / "zip", suffixes={".json"})
        (file, *more) = sorted((Path(place) / "zip").rglob("*.json"))
        if more:
            raise DataError("more than one JSON in the zip", where=path, got=", ".join(f.name for f in (file, *more)))
        return coco.read(file, images=known.root, progress=progress)
