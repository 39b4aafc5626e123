"""Read a COCO JSON as a Dataset."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from liftgate.data.core.dataset import Dataset, Fault, Image, Keypoints
from liftgate.data.core.image_headers import ImageHeader, read_headers, reconcile_size
from liftgate.data.core.safe_names import safe_path
from liftgate.data.formats.coco.annotations import read_annotations
from liftgate.data.formats.coco.document import (
    UNDECODABLE,
    CategoryRow,
    CocoDocument,
    Id,
    ImageRow,
    read_json,
    row_decoder,
)
from liftgate.data.formats.columns import whole_visibility
from liftgate.data.provenance.licences import canonical_licence, strictest
from liftgate.errors import DataError
from liftgate.paths import is_file, lexical
from liftgate.progress import Progress, silent

T = TypeVar("T")

_SPLIT_WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read(path: Path, *, images: Path | None = None, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read COCO instances or person keypoints.

    Classes are the categories in the order of their ids, which stay in `category_ids`. Boxes are `bbox` as given,
    `area` the annotation's own (of its outline), `line` the annotation id. The split is taken from the file's name
    (`instances_val2017.json`) or its folder (`valid/_annotations.coco.json`). Images are searched in `images`,
    or next to the JSON; if none is found, sizes come from the JSON, which is enough to evaluate. The licence is the
    strictest of its images, if every image names one. Roboflow's placeholder category 0 is left out.

    Raises:
        DataError: not JSON, not COCO, or without a category.
    """
    document = read_json(path, CocoDocument)
    source = lexical(path)
    faults: list[Fault] = []
    categories = _categories(source, document, faults)
    keypoints = _keypoints(categories)
    split = split_of(source)
    rows = _rows(document.images, ImageRow, source, "images", faults)
    folder = lexical(images) if images else _find_folder(source, split, rows)
    found, by_id = _images(source, rows, folder, split, faults, progress)
    labels, row_faults = read_annotations(source, document.annotations, found, by_id, categories, keypoints, progress)
    labels, odd = whole_visibility(labels)
    if odd:
        row_faults.append(Fault("visibility_confidence", str(source), odd))
    if _placeholder(categories) and not (labels.cls == 0).any():
        categories, labels = categories[1:], replace(labels, cls=labels.cls - 1)
    return Dataset(
        name=name or source.stem,
        root=folder or source.parent,
        source=source,
        format="coco",
        classes=tuple(category.name for category in categories),
        images=tuple(found),
        labels=labels,
        category_ids=tuple(category.id for category in categories),
        keypoints=keypoints,
        faults=(*faults, *row_faults),
        licence=licence_of(document.licenses, [row.license for row in rows]),
    )


def _placeholder(categories: Sequence[CategoryRow]) -> bool:
    """Return whether the first category is Roboflow's placeholder: id 0, named as the supercategory of the others."""
    first, *others = categories
    return (
        first.id == 0
        and first.supercategory == "none"
        and bool(others)
        and all(category.supercategory == first.name for category in others)
    )


def _rows(raw: Iterable[msgspec.Raw], kind: type[T], source: Path, where: str, faults: list[Fault]) -> list[T]:
    decode = row_decoder(kind)
    rows = []
    for index, item in enumerate(raw):
        try:
            rows.append(decode(item))
        except UNDECODABLE as error:
            faults.append(Fault("row_columns", f"{source}: {where}[{index}]", str(error)))
    return rows


def _categories(source: Path, document: CocoDocument, faults: list[Fault]) -> list[CategoryRow]:
    table: dict[int, CategoryRow] = {}
    for category in _rows(document.categories, CategoryRow, source, "categories", faults):
        if table.setdefault(category.id, category) is not category:
            message = f"category {category.id} is {table[category.id].name!r} and {category.name!r}"
            faults.append(Fault("category_twice", str(source), message))
    if not table:
        raise DataError("no categories", where=source, expected="at least one entry in categories")
    names = Counter(category.name for category in table.values())
    if twice := sorted(name for name, times in names.items() if times > 1):
        faults.append(Fault("names_twice", str(source), f"more than one category is called {', '.join(twice[:5])}"))
    return [table[number] for number in sorted(table)]


def _keypoints(categories: Sequence[CategoryRow]) -> Keypoints | None:
    """Return the keypoints of the first category that has any: one skeleton per data set."""
    for category in categories:
        if category.keypoints:
            count = len(category.keypoints)
            flip = category.flip_idx if category.flip_idx and sorted(category.flip_idx) == [*range(count)] else None
            sigmas = category.sigmas if category.sigmas and len(category.sigmas) == count else None
            return Keypoints(
                tuple(category.keypoints), tuple(flip) if flip else None, tuple(sigmas) if sigmas else None
            )
    return None


def split_of(source: Path) -> str | None:
    """Return train, val or test, from a word of the file's name or from the folder's name; None: neither."""
    words = [word for word in re.split(r"[^a-z]+", source.stem.lower()) if word in _SPLIT_WORDS]
    return _SPLIT_WORDS.get(words[0] if words else source.parent.name.lower())


def _find_folder(source: Path, split: str | None, rows: Sequence[ImageRow]) -> Path | None:
    """Return the folder that `file_name`s are relative to, among the usual ones; None: in none of them."""
    here, above = source.parent, source.parent.parent
    tail = next((word for word in source.stem.split("_") if re.fullmatch(r"(train|val|test)\d*", word)), split or "")
    candidates = [here, here / "images", above / "images", above, here / tail, above / tail]
    candidates += [here / "images" / tail, above / "images" / tail]
    samples = [row.file_name for row in rows[:: max(1, len(rows) // 16)]]
    counted = [
        (sum(is_file(folder / safe_path(sample, folder)) for sample in samples), folder) for folder in candidates
    ]
    best = max(counted, key=lambda pair: pair[0], default=(0, here))
    return best[1] if best[0] else None


def _images(
    source: Path,
    rows: Sequence[ImageRow],
    folder: Path | None,
    split: str | None,
    faults: list[Fault],
    progress: Progress,
) -> tuple[list[Image], dict[Id, int]]:
    """Return the images, and COCO id → index among them."""
    place = folder or source.parent
    names = [safe_path(row.file_name, place) for row in rows]
    files = [place / (name or "unnamed") for name in names]
    headers = read_headers(files, progress) if folder else [ImageHeader()] * len(rows)
    if not folder and rows:
        faults.append(Fault("images_missing", str(source), f"none of {len(rows)} images found next to the JSON"))
    found: list[Image] = []
    by_id: dict[Id, int] = {}
    taken: set[str] = set()
    for row, name, file, header in zip(rows, names, files, headers, strict=True):
        if row.id in by_id:
            faults.append(Fault("image_twice", str(source), f"two images have the id {row.id!r}: {row.file_name}"))
            continue
        size, trouble = reconcile_size(header, *_size(row))
        image_id = name or f"image-{row.id}"
        if image_id in taken:
            faults.append(Fault("image_twice", str(source), f"two images have the file {row.file_name}", image_id))
            image_id = f"{image_id}#{row.id}"
        taken.add(image_id)
        by_id[row.id] = len(found)
        found.append(
            Image(
                id=image_id,
                path=file,
                width=size[0],
                height=size[1],
                split=split,
                label=source,
                coco_id=row.id,
                orientation=header.orientation,
            )
        )
        if fault := header.fault(file, image_id):
            faults.append(fault)
        faults += [Fault(kind, f"{source}: image {row.id}", message, image_id) for kind, message in trouble]
    return found, by_id


def _size(row: ImageRow) -> tuple[int, int]:
    width, height = row.width or 0, row.height or 0
    return (int(width), int(height)) if 0 < width < 1e6 and 0 < height < 1e6 else (0, 0)


_COMMONS = re.compile(r"creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain/(zero))/(\d\.\d)", re.IGNORECASE)


class _Licence(msgspec.Struct):
    id: Id
    name: str | None = None
    url: str | None = None


def licence_of(raw: msgspec.Raw, used: Sequence[Id | None]) -> str | None:
    """Return the strictest licence of those that images use; None if an image has no known licence.

    The URL is tried before the name, because names omit the version.

    >>> table = msgspec.Raw(b'[{"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/", "name": "Attribution"}]')
    >>> licence_of(table, [4, 4]), licence_of(table, [4, None])
    ('CC-BY-2.0', None)
    """
    try:
        rows = msgspec.json.decode(raw, type=list[_Licence], strict=False)
    except UNDECODABLE:
        return None
    named = {str(row.id): _spdx(row) for row in rows}
    return strictest(*dict.fromkeys(named.get(str(id_)) for id_ in used)) if used else None


def _spdx(row: _Licence) -> str | None:
    if match := _COMMONS.search(row.url or ""):
        kind, zero, version = match.groups()
        return "CC0-1.0" if zero else f"CC-{kind.upper()}-{version}"
    return canonical_licence(row.name)
