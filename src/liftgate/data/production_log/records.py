"""One image of a production log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from liftgate.hashing import row_checksum

Quality = Literal["red", "yellow", "green"]


class LoggedBox(msgspec.Struct, frozen=True, rename={"cls": "class"}):
    """One detection."""

    cls: str
    confidence: float
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the image"""


@dataclass(frozen=True, slots=True)
class LoggedImage:
    """What a model found in one image."""

    time: float
    """Seconds since 1970, UTC"""
    camera: str
    """Empty: not said"""
    image: str
    """Name of the image; the log holds no pixels"""
    model_version: str
    width: int
    height: int
    brightness: float
    """Mean of all pixels and channels, 0 to 255"""
    quality: Quality
    reasons: tuple[str, ...]
    """Rules that made it red or yellow"""
    detections: tuple[LoggedBox, ...]

    @property
    def taken(self) -> str:
        """Time as ISO 8601, UTC."""
        return datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")


COLUMNS = (
    "time", "camera", "image", "model_version", "width", "height", "brightness", "quality", "reasons", "detections"
)  # fmt: skip
"""Of the table and of the files, in this order; reasons are joined by commas, detections are JSON"""

Row = tuple[float, str, str, str, int, int, float, str, str, str]
StoredRow = tuple[float, str, str, str, int, int, float, str, str, str, int]
"""A row with its checksum, as the live part holds it"""

_BOXES = msgspec.json.Decoder(tuple[LoggedBox, ...])


def to_row(image: LoggedImage) -> StoredRow:
    """Return an image as a row of the table, with its checksum."""
    boxes = msgspec.json.encode(image.detections).decode()
    row = (
        float(image.time) + 0.0, image.camera, image.image, image.model_version, int(image.width), int(image.height),
        float(image.brightness) + 0.0, image.quality, ",".join(image.reasons), boxes,
    )  # fmt: skip  # + 0.0: SQLite returns -0.0 as 0.0
    return (*row, row_checksum(*row))


def from_row(row: Row) -> LoggedImage:
    """Return a row of the table as an image."""
    quality: Quality = "red" if row[7] == "red" else "yellow" if row[7] == "yellow" else "green"
    reasons = tuple(row[8].split(",")) if row[8] else ()
    return LoggedImage(row[0], row[1], row[2], row[3], row[4], row[5], row[6], quality, reasons, _BOXES.decode(row[9]))
