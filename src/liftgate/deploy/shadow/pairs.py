"""What champion and challenger found in the same image, matched at IoU 0.5; stored by image, read by minute."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.production_log.live import prepare
from liftgate.data.production_log.records import LoggedBox
from liftgate.errors import DataError

PAIRS = "pairs.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pairs (
    elapsed REAL NOT NULL, time REAL NOT NULL, camera TEXT NOT NULL, image TEXT NOT NULL,
    champion_version TEXT NOT NULL,
    agreed INTEGER NOT NULL, champion_only INTEGER NOT NULL, challenger_only INTEGER NOT NULL,
    brightness REAL NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    frame TEXT NOT NULL, champion TEXT NOT NULL, challenger TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Objects in one image."""

    agreed: int
    champion_only: int
    challenger_only: int


@dataclass(frozen=True, slots=True)
class Pair:
    """What both found in one image."""

    elapsed: float
    """Seconds since the test began, by a clock that does not jump"""
    time: float
    """Seconds since 1970"""
    camera: str
    image: str
    champion_version: str
    counts: Counts
    brightness: float
    width: int
    height: int
    frame: str
    """File below the test's frames; empty: not kept"""
    champion: tuple[LoggedBox, ...]
    challenger: tuple[LoggedBox, ...]


def match(champion: Sequence[LoggedBox], challenger: Sequence[LoggedBox]) -> Counts:
    """Return how many detections of one class lie at one place (IoU ≥ 0.5), one to one, and how many are alone."""
    if not champion or not challenger:
        return Counts(0, len(champion), len(challenger))
    first, second = (np.array([one.box for one in side], dtype=np.float64) for side in (champion, challenger))
    overlap = iou(first, second)
    same = np.array([[a.cls == b.cls for b in challenger] for a in champion])
    overlap = np.where(same, overlap, 0.0)
    agreed = 0
    while overlap.max() >= 0.5:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row, :], overlap[:, column] = 0.0, 0.0
        agreed += 1
    return Counts(agreed, len(champion) - agreed, len(challenger) - agreed)


class PairStore:
    """The pairs of one test, on disk; each is committed when `add` returns."""

    def __init__(self, folder: Path) -> None:
        """Open the store of a test, made if it is missing."""
        self._db = sqlite3.connect(folder / PAIRS, isolation_level=None, timeout=10)
        prepare(self._db, _SCHEMA)

    def add(self, pair: Pair) -> None:
        """Add one."""
        row = (
            pair.elapsed, pair.time, pair.camera, pair.image, pair.champion_version, pair.counts.agreed,
            pair.counts.champion_only, pair.counts.challenger_only, pair.brightness, pair.width, pair.height,
            pair.frame, msgspec.json.encode(pair.champion).decode(), msgspec.json.encode(pair.challenger).decode(),
        )  # fmt: skip
        self._db.execute(f"INSERT INTO pairs VALUES ({', '.join('?' * len(row))})", row)

    def last_elapsed(self) -> float:
        """Return the time of the last pair, seconds since the test began; 0 without one."""
        found = self._db.execute("SELECT MAX(elapsed) FROM pairs").fetchone()[0]
        return 0.0 if found is None else float(found)

    def close(self) -> None:
        """Close the store."""
        self._db.close()


@dataclass(frozen=True, slots=True, eq=False)
class CameraMinutes:
    """One camera, minute by minute since the test began; arrays of one length for all cameras."""

    camera: str
    images: NDArray[np.float64]
    agreed: NDArray[np.float64]
    champion_only: NDArray[np.float64]
    challenger_only: NDArray[np.float64]
    brightness: NDArray[np.float64]
    """Mean of the minute; that of the minute before where there is no image"""

    @property
    def difference(self) -> NDArray[np.float64]:
        """Detections of the champion alone less those of the challenger alone."""
        return self.champion_only - self.challenger_only


def read_minutes(folder: Path) -> list[CameraMinutes]:
    """Return the pairs of a test by camera and minute.

    Raises:
        DataError: the store is damaged.
    """
    query = (
        "SELECT camera, CAST(elapsed / 60 AS INTEGER), COUNT(*), SUM(agreed), SUM(champion_only), "
        "SUM(challenger_only), AVG(brightness) FROM pairs GROUP BY 1, 2 ORDER BY 1, 2"
    )
    rows = _query(folder, query)
    if not rows:
        return []
    length = max(int(row[1]) for row in rows) + 1
    tables: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((5, length)))
    for camera, minute, *values in rows:
        tables[str(camera)][:, int(minute)] = [float(value) for value in values]
    return [
        CameraMinutes(camera, table[0], table[1], table[2], table[3], _filled(table[4], table[0] > 0))
        for camera, table in sorted(tables.items())
    ]


def read_disagreements(folder: Path) -> list[Pair]:
    """Return the pairs with a disagreement, in the order of the time."""
    rows = _query(folder, "SELECT * FROM pairs WHERE champion_only + challenger_only > 0 ORDER BY elapsed")
    boxes = msgspec.json.Decoder(tuple[LoggedBox, ...])
    return [
        Pair(
            row[0], row[1], row[2], row[3], row[4], Counts(row[5], row[6], row[7]), row[8], row[9], row[10], row[11],
            boxes.decode(row[12]), boxes.decode(row[13]),
        )
        for row in rows
    ]  # fmt: skip


def _query(folder: Path, query: str) -> list[tuple]:  # type: ignore[type-arg]
    path = folder / PAIRS
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=10)) as db:
            return db.execute(query).fetchall()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):  # the server has made the file, and not yet the table
            return []
        raise DataError("the pairs of the shadow test cannot be read", where=path, got=error) from None


def _filled(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    place = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    filled: NDArray[np.float64] = values[place]
    filled[: int(np.argmax(known))] = values[int(np.argmax(known))]
    return filled
