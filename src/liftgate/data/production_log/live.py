"""The live part of a production log: SQLite, written by a thread that commits what waits as one group.

A row is acknowledged when its group is committed: a process that is killed at any time loses none of these, and the
next reader finds the log whole. (A power cut may lose the last moments: a row is not synced to the disk by itself.)
Several servers may write one log.

A bit that flips on the disk is found where a row is read: each row of `images` and of `files` has a checksum, and
`totals` has their numbers, kept by triggers, so that none can be gone either. Rows of older versions have none.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liftgate.data.production_log.records import COLUMNS, LoggedImage, Quality, StoredRow, to_row
from liftgate.errors import DataError, UsageError, full_disk_hint, with_full_disk_hint
from liftgate.hashing import is_sound_row, row_checksum

LIVE = "live.sqlite"
_GROUP = 512
_MOST_WAITING = 10_000
_TIMEOUT = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, camera TEXT NOT NULL, image TEXT NOT NULL,
    model_version TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, brightness REAL NOT NULL,
    quality TEXT NOT NULL, reasons TEXT NOT NULL, detections TEXT NOT NULL, checksum INTEGER
);
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, n_rows INTEGER NOT NULL, n_bytes INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    sha256 TEXT, checksum INTEGER
);
"""
_TOTALS = """
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, n_rows INTEGER NOT NULL);
"""
_COUNTED = """
CREATE TRIGGER IF NOT EXISTS {table}_added AFTER INSERT ON {table}
BEGIN UPDATE totals SET n_rows = n_rows + 1 WHERE name = '{table}'; END;
CREATE TRIGGER IF NOT EXISTS {table}_removed AFTER DELETE ON {table}
BEGIN UPDATE totals SET n_rows = n_rows - 1 WHERE name = '{table}'; END;
"""
_ADDED = (("images", "checksum INTEGER"), ("files", "sha256 TEXT"), ("files", "checksum INTEGER"))
"""Columns that logs of older versions lack"""
INSERT = (
    "INSERT INTO images (time, camera, image, model_version, width, height, brightness, quality, reasons, detections, "
    "checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
"""A row in the order of COLUMNS, and its checksum"""


_NEWEST = 5000
_FLAGGED = (
    f"SELECT id, {', '.join(COLUMNS)}, checksum FROM images WHERE id > (SELECT max(id) FROM images) - ? "
    "AND time = ? AND camera = ? AND image = ? ORDER BY id DESC"
)
_FLAG = "UPDATE images SET quality = ?, reasons = ?, checksum = ? WHERE id = ?"
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
        prepare(db, _SCHEMA + _TOTALS)
        _count_rows(db)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        what, hint = "the production log cannot be opened", full_disk_hint(error)
        raise DataError(what, where=path, got=error, hint=hint) from None
    return db


def _count_rows(db: sqlite3.Connection) -> None:
    """Begin to count rows, in a log that is new or of an older version."""
    if db.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0] == 4:
        return
    db.execute("BEGIN IMMEDIATE")
    for table, column in _ADDED:
        if column.split()[0] not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    for table in ("images", "files"):
        db.execute(f"INSERT OR IGNORE INTO totals SELECT '{table}', COUNT(*) FROM {table}")
        for trigger in _COUNTED.format(table=table).split("END;\n")[:2]:
            db.execute(f"{trigger}END")
    db.execute("COMMIT")


def require_sound(folder: Path, row: tuple[object, ...]) -> None:
    """Refuse a row of `images` or `files` that is not what was written; its last cell is the checksum.

    Raises:
        DataError: it is not.
    """
    if not is_sound_row(row):
        raise damaged_log(folder, "a row of it is not what was written")


def require_all(db: sqlite3.Connection, folder: Path, *tables: Literal["images", "files"]) -> None:
    """Refuse a log of which rows are gone, or that has rows which nobody added.

    Args:
        db: of the log, in a transaction: others may write it.
        folder: of the log.
        tables: of which the rows are counted; none named: both.

    Raises:
        DataError: the numbers of rows differ from those that were counted.
    """
    for table in tables or ("images", "files"):
        counted = db.execute("SELECT n_rows FROM totals WHERE name = ?", (table,)).fetchone()
        there = db.execute(f"SELECT COUNT(*) FROM {table} NOT INDEXED").fetchone()
        if counted != there:
            raise damaged_log(folder, f"{there[0]} rows of {table}, and {counted[0] if counted else 0} were added")


def damaged_log(folder: Path, got: str) -> DataError:
    """Return the error of a log that is not what was written."""
    hint = "restore it from a backup, or move the folder away: the next server begins a new log"
    return DataError("the production log is damaged", where=folder / LIVE, got=got, hint=hint)


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
        self._waiting: queue.Queue[tuple[StoredRow, Callable[[bool], None]] | Flag | None] = queue.Queue(_MOST_WAITING)
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
            group: list[tuple[StoredRow, Callable[[bool], None]] | Flag] = [first]
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

    def _commit(self, rows: Sequence[StoredRow], flags: Sequence[Flag]) -> bool:
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
        """Give a row its colour; a row that cannot be read is left to whoever reads it, and costs no other row."""
        try:
            found = self._db.execute(_FLAGGED, (_NEWEST, flag.time, flag.camera, flag.image)).fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not self._db.in_transaction:  # SQLite gave up all of it
                raise
            self._on_problem(f"a flag was left out, its row of the log cannot be read: {error}")
            return
        if found is None:
            return
        number, *row, checksum = found
        quality, reasons = row[-3], row[-2]
        if not is_sound_row((*row, checksum)) or _RANK.get(quality, 3) > _RANK[flag.quality]:
            return  # it is flagged already; or damaged, which whoever reads it finds
        before = reasons.split(",") if reasons and quality == flag.quality else []
        row[-3:-1] = flag.quality, ",".join([*before, flag.reason])
        self._db.execute(_FLAG, (row[-3], row[-2], row_checksum(*row), number))
