"""The live part of a production log: SQLite, written by a thread that commits what waits as one group.

A row is acknowledged when its group is committed: a process that is killed at any time loses none of these, and the
next reader finds the log whole. (A power cut may lose the last moments: a row is not synced to the disk by itself.)
Several servers may write one log.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.production_log.records import LoggedImage, Quality, Row, to_row
from liftgate.errors import DataError, UsageError, full_disk_hint, with_full_disk_hint

LIVE = "live.sqlite"
_GROUP = 512
_MOST_WAITING = 10_000
_TIMEOUT = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, camera TEXT NOT NULL, image TEXT NOT NULL,
    model_version TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, brightness REAL NOT NULL,
    quality TEXT NOT NULL, reasons TEXT NOT NULL, detections TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, n_rows INTEGER NOT NULL, n_bytes INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL
);
"""
INSERT = (
    "INSERT INTO images (time, camera, image, model_version, width, height, brightness, quality, reasons, detections) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
"""A row in the order of COLUMNS"""


_NEWEST = 5000
_FLAGGED = (
    "SELECT id, quality, reasons FROM images WHERE id > (SELECT max(id) FROM images) - ? "
    "AND time = ? AND camera = ? AND image = ? ORDER BY id DESC"
)
_RANK = {"green": 0, "yellow": 1, "red": 2}


def open_log(folder: Path, *, create: bool = False) -> sqlite3.Connection:
    """Return a connection to the live part of a log.

    Args:
        folder: of the log.
        create: make it where there is none.

    Raises:
        UsageError: there is no log, or a file in its place.
        DataError: the file is no database, or is damaged.
    """
    path = folder / LIVE
    if not create and not path.is_file():
        raise UsageError("there is no production log", where=folder, hint="`liftgate serve --log FOLDER` writes one")
    if folder.exists() and not folder.is_dir():
        raise UsageError("a production log is a folder", where=folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        db = sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False)
        prepare(db, _SCHEMA)
    except sqlite3.DatabaseError as error:
        what, hint = "the production log cannot be opened", full_disk_hint(error)
        raise DataError(what, where=path, got=error, hint=hint) from None
    return db


def prepare(db: sqlite3.Connection, schema: str) -> None:
    """Make a database one that is read while it is written, with these tables.

    Two processes that begin at once meet a lock here for which SQLite does not wait.

    Raises:
        sqlite3.DatabaseError: it is no database, cannot be written, or stays locked.
    """
    end = time.monotonic() + _TIMEOUT
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(schema)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Flag:
    """A rule that a row turned out to break after it was written."""

    time: float
    camera: str
    image: str
    quality: Quality
    reason: str


class LogWriter:
    """Adds images to a log."""

    def __init__(self, folder: Path, on_problem: Callable[[str], None]) -> None:
        """Open the log and start the thread.

        Args:
            folder: of the log; made if it is missing.
            on_problem: called with what went wrong, such as a full disk.

        Raises:
            UsageError: a file is in its place.
            DataError: it is damaged.
        """
        self._db = open_log(folder, create=True)
        self._on_problem = on_problem
        self._waiting: queue.Queue[tuple[Row, Callable[[bool], None]] | Flag | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name="production-log", daemon=True)
        self._thread.start()

    def add(self, image: LoggedImage, done: Callable[[bool], None]) -> None:
        """Queue an image.

        Args:
            image: what to add.
            done: called from another thread, with True when the row is committed, with False when it is not.
        """
        try:
            self._waiting.put_nowait((to_row(image), done))
        except queue.Full:
            done(False)
            self._on_problem("the log is slower than the requests: a row was left out")

    def flag(self, flag: Flag) -> None:
        """Queue a change of the colour of a row that was added before; of an hour that is compacted it is too late."""
        try:
            self._waiting.put_nowait(flag)
        except queue.Full:
            self._on_problem("the log is slower than the requests: a flag was left out")

    def close(self) -> None:
        """Commit what waits and close the log."""
        self._waiting.put(None)
        self._thread.join(timeout=30)
        self._db.close()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            group: list[tuple[Row, Callable[[bool], None]] | Flag] = [first]
            while len(group) < _GROUP:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._waiting.put(None)
                    break
                group.append(more)
            added = [one for one in group if not isinstance(one, Flag)]
            committed = self._commit([row for row, _ in added], [one for one in group if isinstance(one, Flag)])
            for _, done in added:
                done(committed)

    def _commit(self, rows: Sequence[Row], flags: Sequence[Flag]) -> bool:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(INSERT, rows)
            for flag in flags:
                self._change(flag)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._on_problem(f"{len(rows)} rows of the log were not written: {with_full_disk_hint(error)}")
            return False
        return True

    def _change(self, flag: Flag) -> None:
        found = self._db.execute(_FLAGGED, (_NEWEST, flag.time, flag.camera, flag.image)).fetchone()
        if found is None:
            return
        number, quality, reasons = found
        if _RANK[flag.quality] < _RANK[quality]:
            return
        before = reasons.split(",") if reasons and quality == flag.quality else []
        after = ",".join([*before, flag.reason])
        self._db.execute("UPDATE images SET quality = ?, reasons = ? WHERE id = ?", (flag.quality, after, number))
