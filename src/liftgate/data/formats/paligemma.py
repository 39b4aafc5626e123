"""PaliGemma JSONL: one line per image, boxes as `<loc>` tokens in the text that the model is to write.

    {"image": "a.jpg", "prefix": "detect cat", "suffix": "<loc0256><loc0128><loc0768><loc0640> cat ; <loc…> dog"}

The four tokens of a box are y_min, x_min, y_max, x_max: **y before x**, on a grid of 1024 over the upright image. Read
as x before y, or on a grid of 1000, every box is transposed or 2% too large, and no training mends that.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from liftgate.data.dataset import Dataset, Fault, Image
from liftgate.data.formats.coco.reader import split_of
from liftgate.data.formats.columns import LabelColumns
from liftgate.data.formats.safe import safe_path
from liftgate.data.headers import read_headers
from liftgate.data.places import lexical
from liftgate.errors import DataError
from liftgate.progress import Progress, silent

GRID = 1024
_TOKEN = re.compile(r"<loc(\d{4})>")
_OBJECT = re.compile(r"\s*((?:<loc\d{4}>\s*)*)(.*?)\s*", re.DOTALL)


class _Line(msgspec.Struct):
    image: str
    suffix: str = ""


def read(path: Path, *, images: Path | None = None, name: str | None = None, progress: Progress = silent) -> Dataset:
    """Read a PaliGemma detection JSONL with its images beside it (or in `images`).

    Classes are the names that occur, sorted; `Labels.line` is the line of the JSONL. The split is in the file's name
    (`_annotations.valid.jsonl`).

    Raises:
        DataError: the file cannot be read, or no line of it is one.
    """
    source = lexical(path)
    try:
        lines = source.read_bytes().splitlines()
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None
    rows: list[tuple[int, _Line]] = []
    faults: list[Fault] = []
    decode = msgspec.json.Decoder(_Line).decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append((number, decode(line)))
        except msgspec.MsgspecError as error:
            faults.append(Fault("row_columns", f"{source}:{number}", str(error)))
    if not rows:
        raise DataError("no PaliGemma JSONL", where=path, expected='lines of {"image": …, "suffix": …}')
    folder = lexical(images) if images else source.parent
    files = [folder / (safe_path(row.image) or f"line-{number}") for number, row in rows]
    headers = read_headers(files, progress)
    parsed = [_objects(row.suffix) for _, row in rows]
    classes = sorted({label for found, _ in parsed for label, _ in found})
    index = {label: place for place, label in enumerate(classes)}
    columns = LabelColumns()
    records: dict[str, Image] = {}
    places: dict[str, int] = {}
    split = split_of(source)
    for (number, _), file, header, (found, bad) in zip(rows, files, headers, parsed, strict=True):
        id_ = file.relative_to(folder).as_posix()
        if id_ not in places:
            places[id_] = len(places)
            records[id_] = Image(
                id_, file, header.width, header.height, split, label=source, orientation=header.orientation
            )
            if fault := header.fault(file, id_):
                faults.append(fault)
        faults += [Fault(kind, f"{source}:{number}", message, id_) for kind, message in bad]
        width, height = records[id_].upright
        for label, (top, left, bottom, right) in found if width else ():
            box = (left * width / GRID, top * height / GRID, right * width / GRID, bottom * height / GRID)
            columns.add(places[id_], index[label], box, line=number)
    return Dataset(
        name=name or source.stem,
        root=folder,
        source=source,
        format="paligemma",
        classes=tuple(classes),
        images=tuple(records.values()),
        labels=columns.table(),
        faults=tuple(faults),
    )


def _objects(suffix: str) -> tuple[list[tuple[str, list[int]]], list[tuple[str, str]]]:
    """(label, [y_min, x_min, y_max, x_max] on the grid) of every object, and (kind, message) of what is none."""
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
