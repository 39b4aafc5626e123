"""Read the JSON of labelling tools other than COCO: labelme and CreateML; others are recognised by name.

labelme   one JSON next to each image: imagePath, imageWidth, imageHeight, shapes of label, shape_type and points
CreateML  a list of {image, annotations: [{label, coordinates: {x, y, width, height}}]}, x and y the centre, pixels
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from liftgate.data.core.dataset import Dataset, Fault, Image
from liftgate.data.core.image_headers import read_headers, reconcile_size
from liftgate.data.core.safe_names import safe_path
from liftgate.data.formats.columns import LabelColumns
from liftgate.errors import DataError
from liftgate.paths import lexical
from liftgate.progress import Progress, silent

_LARGEST = 256 << 20
_LARGEST_PAGE = 64 << 20  # labelme may hold the picture itself, as text
_SPLITS = {"train": "train", "valid": "val", "val": "val", "test": "test"}

Box = tuple[float, float, float, float]


class _Shape(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str = "polygon"


class _LabelmePage(msgspec.Struct, rename="camel"):
    shapes: list[msgspec.Raw]
    image_path: str
    image_width: float | None = None
    image_height: float | None = None


class _Coordinates(msgspec.Struct):
    x: float
    y: float
    width: float
    height: float


class _CreateMlObject(msgspec.Struct):
    label: str
    coordinates: _Coordinates


class _CreateMlImage(msgspec.Struct):
    image: str
    annotations: list[msgspec.Raw] = []


@dataclass(slots=True)
class _Page:
    """Labels of one image as one record has them."""

    image: str
    source: Path
    width: int = 0
    height: int = 0
    objects: list[tuple[str, Box, int]] = field(default_factory=list)
    """label, xyxy, number from 1"""
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    """(kind, where, message)"""


def recognise(path: Path) -> str | None:
    """Return the name of the tool that wrote a JSON file, or None: unknown."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        document = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if isinstance(document, dict):
        if "shapes" in document and "imagePath" in document:
            return "labelme"
        if "_via_img_metadata" in document or _all_dicts_with(document.values(), "regions"):
            return "VIA"
        if "items" in document and isinstance(document.get("categories"), dict):
            return "Datumaro"
        if "samples" in document:
            return "FiftyOne"
        return None
    if isinstance(document, list):
        if _all_dicts_with(document, "image", "annotations"):
            return "CreateML"
        if _all_dicts_with(document, "data") and any("annotations" in row or "completions" in row for row in document):
            return "Label Studio"
        if _all_dicts_with(document, "External ID") or _all_dicts_with(document, "data_row"):
            return "Labelbox"
    return None


def read(path: Path, *, images: Path | None = None, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read a labelme JSON, a folder of them, or a CreateML JSON.

    Classes are the names that occur, sorted; `Labels.line` is the number of the object in its record, from 1. A labelme
    shape becomes the box around its points; a single point has no box.

    Raises:
        DataError: the JSON of another tool (with its name), or of none that is known.
    """
    source = lexical(path)
    if source.is_dir():
        pages = [page for file in labelme_files(source) for page in _labelme(file, source)]
        return _dataset(pages, source, images, "labelme", name or source.name, progress)
    tool = recognise(source)
    if tool == "labelme":
        pages = _labelme(source, source.parent)
    elif tool == "CreateML":
        pages = _createml(source)
    else:
        raise DataError(
            "this JSON is not read" if tool is None else f"{tool}'s own JSON is not read", where=path,
            expected="COCO, labelme or CreateML", got=tool or "another JSON",
            hint=None if tool is None else f"export from {tool} as COCO or YOLO",
        )  # fmt: skip
    return _dataset(pages, source, images, tool.lower(), name or source.stem, progress)


def labelme_files(folder: Path) -> list[Path]:
    """Return the labelme JSON files of a folder and of train/, valid/ and test/ in it; empty: none."""
    places = (folder, *(folder / part for part in _SPLITS))
    found = [file for place in places for file in sorted(place.glob("*.json"))]
    return found if found and recognise(found[0]) == "labelme" else []


def _labelme(file: Path, root: Path) -> list[_Page]:
    try:
        if file.stat().st_size > _LARGEST_PAGE:
            raise msgspec.DecodeError("over 64 MiB")
        record = msgspec.json.decode(file.read_bytes(), type=_LabelmePage, strict=False)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        image = next((p for p in sorted(file.parent.glob(f"{file.stem}.*")) if p != file), file.with_suffix(".jpg"))
        page = _Page(image.relative_to(root).as_posix(), file)
        page.bad.append(("row_columns", str(file), f"not a labelme JSON: {error}"[:200]))
        return [page]
    named = safe_path(record.image_path, file.parent)
    shown = named if "\\" in named else named.rpartition("/")[2]
    page = _Page(
        (file.parent / (shown or f"{file.stem}.jpg")).relative_to(root).as_posix(), file,
        int(record.image_width or 0), int(record.image_height or 0),
    )  # fmt: skip
    for number, item in enumerate(record.shapes, 1):
        where = f"{file}: shape {number}"
        try:
            shape = msgspec.json.decode(item, type=_Shape, strict=False)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            page.bad.append(("row_not_number", where, str(error)))
            continue
        box = _around(shape)
        if box is None:
            page.bad.append(("box_missing", where, f"{shape.label}: a {shape.shape_type} has no box"))
        else:
            page.objects.append((shape.label, box, number))
    return [page]


def _around(shape: _Shape) -> Box | None:
    xs, ys = [x for x, _ in shape.points], [y for _, y in shape.points]
    if shape.shape_type == "circle" and len(xs) == 2:
        radius = ((xs[1] - xs[0]) ** 2 + (ys[1] - ys[0]) ** 2) ** 0.5
        box = (xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius)
    elif shape.shape_type in ("point", "points") or len(xs) < 2:
        return None
    else:
        box = (min(xs), min(ys), max(xs), max(ys))
    return box if all(abs(side) < 1e9 for side in box) else None


def _createml(file: Path) -> list[_Page]:
    pages = []
    items = msgspec.json.decode(file.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=list[msgspec.Raw])
    for index, item in enumerate(items):
        try:
            record = msgspec.json.decode(item, type=_CreateMlImage, strict=False)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            pages.append(_Page(f"record-{index}", file, bad=[("row_columns", f"{file}: [{index}]", str(error))]))
            continue
        page = _Page(safe_path(record.image, file.parent) or f"record-{index}", file)
        for number, raw in enumerate(record.annotations, 1):
            where = f"{file}: {page.image}, object {number}"
            try:
                found = msgspec.json.decode(raw, type=_CreateMlObject, strict=False)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                page.bad.append(("row_not_number", where, str(error)))
                continue
            at = found.coordinates
            if not all(abs(side) < 1e9 for side in (at.x, at.y, at.width, at.height)):
                page.bad.append(("row_not_number", where, str(at)))
            elif at.width < 0 or at.height < 0:
                page.bad.append(("box_inverted", where, f"{found.label}: {at.width:g} × {at.height:g}"))
            else:
                half_w, half_h = at.width / 2, at.height / 2
                box = (at.x - half_w, at.y - half_h, at.x + half_w, at.y + half_h)
                page.objects.append((found.label, box, number))
        pages.append(page)
    return pages


def _dataset(
    pages: Sequence[_Page], source: Path, images: Path | None, form: str, name: str, progress: Progress
) -> Dataset:
    if not pages:
        raise DataError("no labelled image here", where=source)
    root = lexical(images) if images else source if source.is_dir() else source.parent
    headers = read_headers([root / page.image for page in pages], progress)
    classes = sorted({label for page in pages for label, _, _ in page.objects})
    index = {label: place for place, label in enumerate(classes)}
    columns, records, faults = LabelColumns(), list[Image](), list[Fault]()
    taken: set[str] = set()
    for place, (page, header) in enumerate(zip(pages, headers, strict=True)):
        size, trouble = reconcile_size(header, page.width, page.height)
        id_ = page.image
        if id_ in taken:
            id_ = f"{id_}#{place}"
            faults.append(Fault("image_twice", str(page.source), f"two records name {page.image}", id_))
        taken.add(id_)
        file = root / page.image
        top = page.image.partition("/")[0] if "/" in page.image else ""
        records.append(
            Image(id_, file, *size, split=_SPLITS.get(top), label=page.source, orientation=header.orientation)
        )
        if fault := header.fault(file, id_):
            faults.append(fault)
        faults += [Fault(kind, str(page.source), message, id_) for kind, message in trouble]
        faults += [Fault(kind, where, message, id_) for kind, where, message in page.bad]
        for label, box, number in page.objects:
            columns.add(place, index[label], box, line=number)
    return Dataset(
        name=name,
        root=root,
        source=source,
        format=form,
        classes=tuple(classes),
        images=tuple(records),
        labels=columns.table(),
        faults=tuple(faults),
    )


def _all_dicts_with(rows: Iterable[object], *keys: str) -> bool:
    found = list(rows)
    return bool(found) and all(isinstance(row, dict) and all(key in row for key in keys) for row in found)
