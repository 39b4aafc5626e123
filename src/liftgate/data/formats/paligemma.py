"""Read PaliGemma JSONL: one line per image, boxes as `<loc>` tokens in the target text.

    {"image": "a.jpg", "prefix": "detect cat", "suffix": "<loc0256><loc0128><loc0768><loc0640> cat ; <loc…> dog"}

The four tokens of a box are y_min, x_min, y_max, x_max: **y before x**, on a grid of 1024 over the upright image. Read
as x before y, or on a grid of 1000, every box is transposed or 2% too large, which no training corrects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from liftgate.data.core.dataset import Dataset, Fault, Image
from liftgate.data.core.image_headers import read_headers
from liftgate.data.core.safe_names import safe_path
from liftgate.data.formats.coco.reader import split_of
from liftgate.data.formats.columns import LabelColumns
from liftgate.documents import LARGE, DocumentError, read_limited
from liftgate.errors import DataError
from liftgate.paths import lexical
from liftgate.progress import Progress, silent

GRID = 1024
_TOKEN = re.compile(r"<loc(\d{4})>")
_OBJECT = re.compile(r"\s*((?:<loc\d{4}>\s*)*)(.*?)\s*", re.DOTALL)


class _Line(msgspec.Struct):
    image: str
    suffix: str = ""


def read(path: Path, *, images: Path | None = None, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read a PaliGemma detection JSONL with its images next to it (or in `images`).

    Classes are the names that occur, sorted; `Labels.line` is the line of the JSONL. The split is taken from the file's
    name (`_annotations.valid.jsonl`).

    Raises:
        DataError: the file cannot be read, or has no valid line.
    """
    source = lexical(path)
    return _dataset([source], lexical(images) if images else source.parent, source, name or source.stem, progress)


def find_parts(folder: Path) -> list[Path]:
    """The JSONL files of a folder that are its splits, as Roboflow exports them; empty: none."""
    places = (folder, folder / "dataset")
    return next((found for place in places if (found := sorted(place.glob("_annotations.*.jsonl")))), [])


def read_parts(
    files: Sequence[Path], *, images: Path | None = None, name: str | None = None, progress: Progress = silent
) -> Dataset:
    """Read one JSONL for each split, all in one folder, as one dataset.

    Raises:
        DataError: as `read`.
    """
    sources = [lexical(file) for file in files]
    folder = sources[0].parent
    return _dataset(sources, lexical(images) if images else folder, folder, name or folder.name, progress)


class _Part(NamedTuple):
    """One parsed line of one file."""

    source: Path
    number: int
    image: str
    objects: list[tuple[str, list[int]]]
    bad: list[tuple[str, str]]


def _dataset(sources: Sequence[Path], folder: Path, shown: Path, name: str, progress: Progress) -> Dataset:
    faults: list[Fault] = []
    parts = [part for source in sources for part in _parts(source, faults)]
    if not parts:  # one split of several may be empty
        raise DataError("no PaliGemma JSONL", where=shown, expected='lines of {"image": …, "suffix": …}')
    files = [folder / (safe_path(part.image, folder) or f"line-{part.number}") for part in parts]
    headers = read_headers(files, progress)
    classes = sorted({label for part in parts for label, _ in part.objects})
    index = {label: place for place, label in enumerate(classes)}
    columns = LabelColumns()
    records: dict[str, Image] = {}
    places: dict[str, int] = {}
    for part, file, header in zip(parts, files, headers, strict=True):
        id_ = file.relative_to(folder).as_posix()
        where = f"{part.source}:{part.number}"
        if id_ not in places:
            places[id_] = len(places)
            records[id_] = Image(
                id_,
                file,
                header.width,
                header.height,
                split_of(part.source),
                label=part.source,
                orientation=header.orientation,
            )
            if fault := header.fault(file, id_):
                faults.append(fault)
        elif records[id_].label != part.source:
            faults.append(Fault("image_twice", where, f"{id_} is in another split too", id_))
        faults += [Fault(kind, where, message, id_) for kind, message in part.bad]
        width, height = records[id_].upright
        for label, (top, left, bottom, right) in part.objects if width else ():
            box = (left * width / GRID, top * height / GRID, right * width / GRID, bottom * height / GRID)
            columns.add(places[id_], index[label], box, line=part.number)
    return Dataset(
        name=name,
        root=folder,
        source=shown,
        format="paligemma",
        classes=tuple(classes),
        images=tuple(records.values()),
        labels=columns.table(),
        faults=tuple(faults),
    )


def _parts(source: Path, faults: list[Fault]) -> list[_Part]:
    try:
        lines = read_limited(source, LARGE).splitlines()
    except (OSError, DocumentError) as error:
        raise DataError(
            "cannot read the file", where=source, got=error.strerror if isinstance(error, OSError) else error
        ) from None
    parts: list[_Part] = []
    decode = msgspec.json.Decoder(_Line).decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            faults.append(Fault("row_columns", f"{source}:{number}", str(error)))
        else:
            parts.append(_Part(source, number, row.image, *parse_objects(row.suffix)))
    return parts


def parse_objects(suffix: str) -> tuple[list[tuple[str, list[int]]], list[tuple[str, str]]]:
    """Return (label, [y_min, x_min, y_max, x_max] on the grid) of every object, and (kind, message) of invalid ones."""
    good: list[tuple[str, list[int]]] = []
    bad: list[tuple[str, str]] = []
    for part in suffix.split(";"):
        match = _OBJECT.fullmatch(part)
        tokens, label = match.groups() if match else ("", part)
        numbers = [int(digits) for digits in _TOKEN.findall(tokens)]
        if not numbers and not label:
            continue
        if len(numbers) != 4 or not label or "<loc" in label:
            bad.append(("row_columns", f"expected four <loc> tokens and a name, got {part.strip()[:60]!r}"))
        elif max(numbers) >= GRID:
            bad.append(("row_out_of_range", f"<loc{max(numbers):04d}> is beyond the grid of {GRID}"))
        elif numbers[2] < numbers[0] or numbers[3] < numbers[1]:
            bad.append(("box_inverted", f"{label}: y {numbers[0]} to {numbers[2]}, x {numbers[1]} to {numbers[3]}"))
        else:
            good.append((label, numbers))
    return good, bad
