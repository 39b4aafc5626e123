"""What champion and challenger found in the same image, matched at IoU 0.5; stored by image and summed by minute.

The sums decide, so they are held to what was added: each row has a checksum, no pair is ever deleted, and the minutes
hold as many images as there are pairs. Tests of older versions have pairs without minutes and checksums.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.production_log.live import prepare
from liftgate.data.production_log.records import LoggedBox
from liftgate.errors import DataError, full_disk_hint
from liftgate.hashing import is_sound_row, row_checksum

PAIRS = "pairs.sqlite"
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
_Cells = tuple[Any, ...]
_N_CELLS = 14
"""Of a pair, without its checksum"""
_PAIRS = """
CREATE TABLE IF NOT EXISTS pairs (
    elapsed REAL NOT NULL, time REAL NOT NULL, camera TEXT NOT NULL, image TEXT NOT NULL,
    champion_version TEXT NOT NULL,
    agreed INTEGER NOT NULL, champion_only INTEGER NOT NULL, challenger_only INTEGER NOT NULL,
    brightness REAL NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    frame TEXT NOT NULL, champion TEXT NOT NULL, challenger TEXT NOT NULL, checksum INTEGER
)
"""
_MINUTES = """
CREATE TABLE IF NOT EXISTS minutes (
    camera TEXT NOT NULL, minute INTEGER NOT NULL, images INTEGER NOT NULL, agreed INTEGER NOT NULL,
    champion_only INTEGER NOT NULL, challenger_only INTEGER NOT NULL, brightness REAL NOT NULL,
    checksum INTEGER NOT NULL, PRIMARY KEY (camera, minute)
)
"""
_SUMMED = (
    "SELECT camera, CAST(elapsed / 60 AS INTEGER), COUNT(*), SUM(agreed), SUM(champion_only), SUM(challenger_only), "
    "SUM(brightness) FROM pairs GROUP BY 1, 2 ORDER BY 1, 2"
)
"""Of a test of an older version"""


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
        """Open the store of a test, made if it is missing.

        Raises:
            DataError: the file is no database, or is damaged.
        """
        self._path = folder / PAIRS
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        except sqlite3.Error as error:
            raise _unreadable(self._path, error) from None
        try:
            prepare(self._db, "")
            with self._transaction():  # a reader finds all of it or nothing
                self._make_tables()
        except _UNREADABLE as error:
            self._db.close()
            raise _unreadable(self._path, error) from None

    def _make_tables(self) -> None:
        """Make what is missing; pairs of an older version are summed, and go without checksums."""
        self._db.execute(_PAIRS)
        self._db.execute(_MINUTES)
        if "checksum" not in {row[1] for row in self._db.execute("PRAGMA table_info(pairs)")}:
            self._db.execute("ALTER TABLE pairs ADD COLUMN checksum INTEGER")
            for row in self._db.execute(_SUMMED).fetchall():
                self._put_minute(row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block does, or nothing of it; an error of the block stays the one that is raised."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself rolls back where a disk is full
                self._db.execute("ROLLBACK")
            raise

    def add(self, pair: Pair) -> None:
        """Add one.

        Raises:
            DataError: the minute that it belongs to is damaged.
        """
        row = (
            float(pair.elapsed) + 0.0, float(pair.time) + 0.0, pair.camera, pair.image, pair.champion_version,
            *_counts(pair), float(pair.brightness) + 0.0, int(pair.width), int(pair.height), pair.frame,
            msgspec.json.encode(pair.champion).decode(), msgspec.json.encode(pair.challenger).decode(),
        )  # fmt: skip  # + 0.0: SQLite returns -0.0 as 0.0
        stored = (*row, row_checksum(*row))
        with self._transaction():
            self._db.execute(f"INSERT INTO pairs VALUES ({', '.join('?' * len(stored))})", stored)
            self._add_to_minute(pair)

    def _add_to_minute(self, pair: Pair) -> None:
        minute = int(pair.elapsed / 60)
        one = "SELECT * FROM minutes WHERE camera = ? AND minute = ?"
        found = self._db.execute(one, (pair.camera, minute)).fetchone()
        before = (pair.camera, minute, 0, 0, 0, 0, 0.0) if found is None else _sound(self._path, found)
        added = (1, *_counts(pair), float(pair.brightness))
        self._put_minute((*before[:2], *(old + new for old, new in zip(before[2:], added, strict=True))))

    def _put_minute(self, row: tuple[Any, ...]) -> None:
        self._db.execute("INSERT OR REPLACE INTO minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, row_checksum(*row)))

    def last_elapsed(self) -> float:
        """Return the time of the last pair, seconds since the test began; 0 without one.

        Raises:
            DataError: it is damaged.
        """
        try:
            found = self._db.execute("SELECT * FROM pairs ORDER BY rowid DESC LIMIT 1").fetchone()
        except _UNREADABLE as error:
            raise _unreadable(self._path, error) from None
        return 0.0 if found is None else float(_sound(self._path, found)[0])

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
    rows = _read_rows(folder)[0]
    if not rows:
        return []
    length = max(int(row[1]) for row in rows) + 1
    tables: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((5, length)))
    for camera, minute, *values in rows:
        tables[str(camera)][:, int(minute)] = [*values[:4], values[4] / values[0]]
    return [
        CameraMinutes(camera, table[0], table[1], table[2], table[3], _filled(table[4], table[0] > 0))
        for camera, table in sorted(tables.items())
    ]


def read_disagreements(folder: Path) -> list[Pair]:
    """Return the pairs with a disagreement, in the order of the time.

    Raises:
        DataError: the store is damaged.
    """
    minutes, rows = _read_rows(folder, pairs=True)
    for column, name in ((6, "champion"), (7, "challenger")):
        if sum(row[column] for row in rows) != sum(minute[column - 2] for minute in minutes):
            raise _damaged(folder / PAIRS, f"other objects of the {name} alone than were added")
    boxes = msgspec.json.Decoder(tuple[LoggedBox, ...])
    return [
        Pair(
            row[0], row[1], row[2], row[3], row[4], Counts(row[5], row[6], row[7]), row[8], row[9], row[10], row[11],
            boxes.decode(row[12]), boxes.decode(row[13]),
        )
        for row in rows
    ]  # fmt: skip


def _counts(pair: Pair) -> tuple[int, int, int]:
    return int(pair.counts.agreed), int(pair.counts.champion_only), int(pair.counts.challenger_only)


def _read_rows(folder: Path, *, pairs: bool = False) -> tuple[list[_Cells], list[_Cells]]:
    """Return the minutes of a test, and on request its pairs with a disagreement, all without their checksums."""
    path = folder / PAIRS
    if not path.exists():
        return [], []
    try:
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
            db.execute("BEGIN")  # both are of one moment
            tables = {str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "pairs" not in tables:  # the server has made the file, and not yet the table
                return [], []
            query = "SELECT * FROM minutes ORDER BY 1, 2" if "minutes" in tables else _SUMMED
            minutes = [tuple(row) for row in db.execute(query)]
            added = db.execute("SELECT MAX(rowid) FROM pairs").fetchone()[0] or 0
            wanted = "SELECT * FROM pairs WHERE champion_only + challenger_only > 0 ORDER BY elapsed"
            found = [tuple(row) for row in db.execute(wanted)] if pairs else []
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    if "minutes" in tables:
        minutes = [_sound(path, row) for row in minutes]
    if (images := sum(row[2] for row in minutes)) != added:
        raise _damaged(path, f"{images} images in all minutes, {added} pairs")
    return minutes, [_sound(path, row) if len(row) > _N_CELLS else row for row in found]


def _sound(path: Path, row: _Cells) -> _Cells:
    """Return a row without its checksum.

    Raises:
        DataError: it is not what was written.
    """
    if not is_sound_row(row):
        raise _damaged(path, "a row is not what was written")
    return row[:-1]


def _unreadable(path: Path, error: Exception) -> DataError:
    what = "the pairs of the shadow test cannot be read"
    return DataError(what, where=path, got=error, hint=full_disk_hint(error))


def _damaged(path: Path, got: str) -> DataError:
    hint = "restore the file from a backup, or start the test anew"
    return DataError("the pairs of the shadow test are damaged", where=path, got=got, hint=hint)


def _filled(values: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    place = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    filled: NDArray[np.float64] = values[place]
    filled[: int(np.argmax(known))] = values[int(np.argmax(known))]
    return filled
