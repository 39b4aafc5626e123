"""The draw on disk: draw.json, which is read again, and draw.csv, which people read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np

from liftgate.data.core.csv_tables import table_bytes
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError
from liftgate.files import write_bytes, write_json
from liftgate.hashing import short
from liftgate.judging.draw import QUESTION_KINDS, Draw
from liftgate.records import to_record

DRAW, TABLE, PAGE = "draw.json", "draw.csv", "judge.html"


def write_draw(draw: Draw, folder: Path) -> Path:
    """Write draw.json and draw.csv into a folder and return the path of the first."""
    write_bytes(folder / TABLE, draw_table(draw))
    write_json(folder / DRAW, {"draw": draw.hash, **asdict(draw)})
    return folder / DRAW


def draw_table(draw: Draw) -> bytes:
    """Return draw.csv: each question with its image, group and inclusion probability."""
    rows = [
        (one.id, one.kind, draw.images[one.image].id, draw.images[one.image].group, repr(one.probability))
        for one in draw.questions
    ]
    return table_bytes(("question", "kind", "image", "group", "probability"), rows)


def read_draw(path: Path) -> Draw:
    """Read a draw: draw.json, or the folder that holds it.

    Raises:
        DataError: it cannot be read, was edited, or has a probability that is none.
    """
    path = path / DRAW if path.is_dir() else path
    try:
        document = load_json(path, LARGE)
    except (OSError, DocumentError) as error:
        raise DataError(
            "cannot read the draw", where=path, got=str(error), hint="draw.json of `liftgate judge`"
        ) from None
    declared = document.pop("draw", None) if isinstance(document, dict) else None
    if not isinstance(declared, str):
        raise DataError("not a draw of `liftgate judge`", where=path, expected="an object with the key draw")
    try:
        draw = to_record(document, Draw)
    except msgspec.ValidationError as error:
        raise DataError("not a draw of `liftgate judge`", where=path, got=str(error)) from None
    _require_sound(draw, path)
    if draw.hash != declared:
        raise DataError(
            "the draw was edited: its probabilities no longer say how the questions were drawn", where=path,
            expected=short(declared), got=short(draw.hash), hint="restore the file that `liftgate judge` wrote",
        )  # fmt: skip
    table = path.with_name(TABLE)
    if table.is_file() and table.read_bytes() != draw_table(draw):
        raise DataError(f"{TABLE} was edited: it differs from {path.name}", where=table, hint="restore or delete it")
    return draw


def _require_sound(draw: Draw, path: Path) -> None:
    """Refuse columns that do not fit each other, and probabilities that are none.

    Raises:
        DataError: names the first.
    """
    columns = asdict(draw.units)
    if len({len(column) for column in columns.values()}) != 1 or len(draw.image_probability) != len(draw.images):
        raise DataError("the columns of the draw differ in length", where=path)
    places: list[tuple[str, float]] = [(one.id, one.probability) for one in draw.questions]
    places += [(f"unit {index}", value) for index, value in enumerate(draw.units.probability)]
    places += [(one.id, value) for one, value in zip(draw.images, draw.image_probability, strict=True)]
    for name, value in places:
        if not 0 < value <= 1:
            hint = "what cannot be drawn cannot be estimated: draw again with `liftgate judge`"
            raise DataError(
                "not an inclusion probability", where=f"{path}: {name}", expected="above 0, at most 1", got=value,
                hint=hint,
            )  # fmt: skip
    n_units, n_images = len(draw.units.kind), len(draw.images)
    inside = (np.array(draw.units.image) < n_images).all() and (np.array(draw.units.image) >= 0).all()
    for one in draw.questions:
        inside &= one.kind in QUESTION_KINDS and 0 <= one.image < n_images and -1 <= one.unit < n_units
    if not inside:
        raise DataError("the draw names units or images that it does not have", where=path)
