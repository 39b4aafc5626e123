"""CSV of saved answers, such as a vision-language model's: image,class[,score][,x1,y1,x2,y2].

One row for each detection; boxes in pixels of the upright image. Only images with a row were predicted on; a row with
an empty class means that nothing was detected. Without boxes the predictions are for whole images, which image-level
screening can use and box metrics refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from liftgate.data.core.csv_tables import read_table
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import PredictionsBuilder, parse_number, require_readable
from liftgate.errors import DataError

_CORNERS = ("x1", "y1", "x2", "y2")


def read(path: Path, dataset: Dataset) -> Predictions:
    """Read a CSV, or every CSV of a folder.

    Raises:
        DataError: a column is missing, or an invalid row (with its line).
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    builder = PredictionsBuilder(dataset, hint="leave the class empty where nothing was found on the image")
    boxed = False
    for file in files:
        require_readable(file)
        for line, row in read_table(file, ("image", "class")):
            boxed = any(name in row for name in _CORNERS) or boxed
            _read_row(f"{file}:{line}", row, builder)
    return builder.build({}, image_level=not boxed)


def _read_row(where: str, row: Mapping[str, str], builder: PredictionsBuilder) -> None:
    if not row["image"].strip():
        raise DataError("a row names no image", where=where)
    place = builder.cover_named(where, row["image"].strip())
    name = row["class"].strip()
    if not name:
        return
    cls = builder.class_by_name(where, name)
    score = parse_number(where, "the score", row["score"]) if row.get("score", "").strip() else 1.0
    corners = [row.get(corner, "").strip() for corner in _CORNERS]
    if any(corners) and not all(corners):
        raise DataError("half a box", where=where, expected="x1,y1,x2,y2", got=",".join(corners))
    box = [parse_number(where, "a corner", corner) for corner in corners] if all(corners) else None
    if cls is not None:
        builder.add(where, place, cls, score, box)
