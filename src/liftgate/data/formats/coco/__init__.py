"""COCO: one JSON with images, annotations and categories; and results JSON, the lingua franca of predictions."""

from __future__ import annotations

from liftgate.data.formats.coco.class_numbering import numberings
from liftgate.data.formats.coco.parts import find_parts, read_parts
from liftgate.data.formats.coco.predictions import read_predictions, read_recorded, settings_path, write_predictions
from liftgate.data.formats.coco.reader import read
from liftgate.data.formats.coco.results import CocoResults, read_results
from liftgate.data.formats.coco.writer import write

__all__ = [
    "CocoResults",
    "find_parts",
    "numberings",
    "read",
    "read_parts",
    "read_predictions",
    "read_recorded",
    "read_results",
    "settings_path",
    "write",
    "write_predictions",
]
