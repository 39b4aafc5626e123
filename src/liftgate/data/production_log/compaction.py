"""Finished hours become Parquet files; what is too old or too much is deleted.

A file is written aside, synced and renamed; then one transaction of the live part names the file and deletes its rows.
The live part alone says which files belong to the log: one that a killed compaction left is not named, is read by
nobody, and is removed by the next compaction.

Nothing is removed while the list of files is damaged. A damaged row keeps its own hour in the live part, and no other.
"""

from __future__ import annotations

import importlib.util
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from liftgate.data.production_log.live import LIVE, damaged_log, open_log, require_all, require_sound
from liftgate.data.production_log.records import COLUMNS, Row
from liftgate.errors import DataError, full_disk_hint
from liftgate.files import replacing
from liftgate.hashing import file_hash, row_checksum
from liftgate.locks import waiting_lock

HOURS = "hours"
_HOUR = 3600.0
_ROW_GROUP = 1000
"""Rows that are read together: of a few images among millions only these are unpacked"""
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
_REPEATED = ["camera", "model_version", "width", "height", "quality", "reasons"]
"""Columns with few values"""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a log is kept; None: all of it."""

    days: float | None = None
    n_bytes: int | None = None
    """Of its Parquet files"""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction did."""

    files: int
    """Written"""
    rows: int
    """That became Parquet"""
    deleted_files: int
    deleted_rows: int
    """Of the live part, by their age"""


def can_compact() -> bool:
    """Return whether the extra `log` is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def compact(folder: Path, keep: Retention = Retention(), *, now: float | None = None) -> Compacted:
    """Turn finished hours into Parquet files and delete what is not kept; without the extra `log` only the latter.

    Args:
        folder: of the log.
        keep: how much is kept.
        now: seconds since 1970; None: now.

    Raises:
        UsageError: there is no log.
        DataError: it is damaged: nothing was removed where the list of files is, all but the damaged hours was done
            where rows are.
    """
    now = time.time() if now is None else now
    db = open_log(folder)
    db.text_factory = _any_text
    try:
        with waiting_lock(folder / "compaction.lock"):
            damage: list[DataError] = []
            done = _compact(db, folder, keep, now, damage)
            if done.rows or done.deleted_rows:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except _UNREADABLE as error:
        what, hint = "the production log cannot be compacted", full_disk_hint(error)
        raise DataError(what, where=folder / LIVE, got=error, hint=hint) from None
    finally:
        db.close()
    if damage:
        raise damage[0]
    return done


def _any_text(content: bytes) -> str:
    """Return a cell's text; what is no UTF-8 becomes something that fails its row's checksum, and no other row."""
    return content.decode("utf-8", "surrogateescape")


def _compact(db: sqlite3.Connection, folder: Path, keep: Retention, now: float, damage: list[DataError]) -> Compacted:
    """Do what can be done, and add what is damaged to `damage`."""
    _remove_unnamed(_sound_files(db, folder, damage), folder)
    files = rows = 0
    for hour in _finished_hours(db, now) if can_compact() else ():
        try:
            count = _write_hour(db, folder, hour)
        except (DataError, *_UNREADABLE) as error:  # the hour stays in the live part
            if db.in_transaction:
                db.execute("ROLLBACK")
            damage.append(error if isinstance(error, DataError) else damaged_log(folder, str(error)))
        else:
            files, rows = files + 1, rows + count
    old = _old_rows(db, folder, now - keep.days * 86400, damage) if keep.days is not None else []
    deleted = _delete_old(db, folder, _old_files(_sound_files(db, folder, damage), keep, now), old)
    return Compacted(files, rows, deleted, len(old))


class _File(NamedTuple):
    number: int
    name: str
    n_bytes: int
    last: float


def _sound_files(db: sqlite3.Connection, folder: Path, damage: list[DataError]) -> list[_File]:
    """Return the files of the log in the order of their last row, read from the table and not from its index.

    Args:
        db: of the log.
        folder: of the log.
        damage: gets what is wrong with the number of images, by which no file is removed.

    Raises:
        DataError: a row is gone or is not what was written: by these rows files are removed.
    """
    db.execute("BEGIN")  # numbers and rows are of one moment
    try:
        require_all(db, folder, "files")
        try:
            require_all(db, folder, "images")
        except DataError as error:
            damage.append(error)
        query = "SELECT rowid, name, n_rows, n_bytes, first, last, sha256, checksum FROM files NOT INDEXED"
        found = db.execute(query).fetchall()
    finally:
        db.execute("COMMIT")
    for row in found:
        require_sound(folder, row[1:])
    return sorted((_File(row[0], row[1], row[3], row[5]) for row in found), key=lambda one: (one.last, one.name))


def _finished_hours(db: sqlite3.Connection, now: float) -> list[int]:
    """Return hours since 1970 that have rows and ended; also those of a clock that was wrong."""
    query = "SELECT DISTINCT CAST(time / 3600 AS INTEGER) FROM images WHERE time < ? ORDER BY 1"
    return [int(one[0]) for one in db.execute(query, (now // _HOUR * _HOUR,))]


def _write_hour(db: sqlite3.Connection, folder: Path, hour: int) -> int:
    columns = ", ".join(("id", *COLUMNS))
    query = f"SELECT {columns}, checksum FROM images WHERE time >= ? AND time < ? ORDER BY time, id"
    found = db.execute(query, (hour * _HOUR, (hour + 1) * _HOUR)).fetchall()
    if not found:
        raise damaged_log(folder, "a row has an impossible time")
    for one in found:  # what is damaged gets no new checksum
        require_sound(folder, one[1:])
    ids, rows = [int(one[0]) for one in found], [one[1:-1] for one in found]
    name = _free_name(db, hour)
    path = folder / HOURS / name
    path.parent.mkdir(exist_ok=True)
    _write_parquet(path, rows)
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM images WHERE id = ?", [(one,) for one in ids])
    named = (name, len(rows), path.stat().st_size, rows[0][0], rows[-1][0], file_hash(path))
    db.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", (*named, row_checksum(*named)))
    db.execute("COMMIT")
    return len(rows)


def _free_name(db: sqlite3.Connection, hour: int) -> str:
    """Return a name for an hour; late rows, such as after a clock was set back, get a second file."""
    stem = f"{datetime.fromtimestamp(hour * _HOUR, UTC):%Y-%m-%dT%H}"
    query = "SELECT name FROM files NOT INDEXED WHERE name LIKE ?"
    taken = {str(one[0]) for one in db.execute(query, (f"{stem}%",))}
    names = (f"{stem}.parquet", *(f"{stem}.{n}.parquet" for n in range(1, len(taken) + 2)))
    return next(name for name in names if name not in taken)


def _write_parquet(path: Path, rows: list[Row]) -> None:
    import pyarrow
    import pyarrow.parquet

    kinds = {"time": pyarrow.float64(), "width": pyarrow.int32(), "height": pyarrow.int32(),
             "brightness": pyarrow.float32()}  # fmt: skip
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    arrays = [pyarrow.array(values, schema.field(n).type) for n, values in enumerate(zip(*rows, strict=True))]
    table = pyarrow.Table.from_arrays(arrays, schema=schema)
    with replacing(path, "wb") as file:
        pyarrow.parquet.write_table(
            table,
            file,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            write_statistics=["time"],
            use_dictionary=_REPEATED,
        )


def _remove_unnamed(files: list[_File], folder: Path) -> None:
    named = {one.name for one in files}
    place = folder / HOURS
    for path in place.iterdir() if place.is_dir() else ():
        if path.name not in named and path.suffix in (".parquet", ".part"):
            path.unlink(missing_ok=True)


def _old_files(files: list[_File], keep: Retention, now: float) -> list[_File]:
    """Return the files that are not kept, of all in the order of their last row."""
    gone = [one for one in files if keep.days is not None and one.last < now - keep.days * 86400]
    rest = files[len(gone) :]
    total = sum(one.n_bytes for one in rest)
    while keep.n_bytes is not None and rest and total > keep.n_bytes:
        gone.append(rest.pop(0))
        total -= gone[-1].n_bytes
    return gone


def _old_rows(db: sqlite3.Connection, folder: Path, before: float, damage: list[DataError]) -> list[int]:
    """Return the ids of live rows that are too old; a damaged one may have another time and is left out."""
    query = f"SELECT id, {', '.join(COLUMNS)}, checksum FROM images WHERE time < ?"
    found = []
    try:
        for number, *row in db.execute(query, (before,)):
            try:
                require_sound(folder, tuple(row))
                found.append(int(number))
            except DataError as error:
                damage.append(error)
    except _UNREADABLE as error:  # what was read until here is sound
        damage.append(damaged_log(folder, str(error)))
    return found


def _delete_old(db: sqlite3.Connection, folder: Path, files: list[_File], rows: list[int]) -> int:
    """Delete files and live rows, and return the number of the files."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM files WHERE rowid = ?", [(one.number,) for one in files])
    db.executemany("DELETE FROM images WHERE id = ?", [(one,) for one in rows])
    db.execute("COMMIT")
    for one in files:  # named by nobody any more: a kill here leaves them to the next compaction
        (folder / HOURS / one.name).unlink(missing_ok=True)
    return len(files)
