"""Finished hours become Parquet files; what is too old or too much is deleted.

A file is written aside, synced and renamed; then one transaction of the live part names the file and deletes its rows.
The live part alone says which files belong to the log: one that a killed compaction left is not named, is read by
nobody, and is removed by the next compaction.
"""

from __future__ import annotations

import importlib.util
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from liftgate.data.production_log.live import open_log
from liftgate.data.production_log.records import COLUMNS, Row
from liftgate.files import replacing
from liftgate.locks import waiting_lock

HOURS = "hours"
_HOUR = 3600.0
_ROW_GROUP = 1000
"""Rows that are read together: of a few images among millions only these are unpacked"""
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
        DataError: it is damaged.
    """
    now = time.time() if now is None else now
    db = open_log(folder)
    try:
        with waiting_lock(folder / "compaction.lock"):
            _remove_unnamed(db, folder)
            files = rows = 0
            if can_compact():
                for hour in _finished_hours(db, now):
                    count = _write_hour(db, folder, hour)
                    files, rows = files + 1, rows + count
            deleted_files, deleted_rows = _delete_old(db, folder, keep, now)
            if rows or deleted_rows:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Compacted(files, rows, deleted_files, deleted_rows)
    finally:
        db.close()


def _finished_hours(db: sqlite3.Connection, now: float) -> list[int]:
    """Return hours since 1970 that have rows and ended; also those of a clock that was wrong."""
    query = "SELECT DISTINCT CAST(time / 3600 AS INTEGER) FROM images WHERE time < ? ORDER BY 1"
    return [int(one[0]) for one in db.execute(query, (now // _HOUR * _HOUR,))]


def _write_hour(db: sqlite3.Connection, folder: Path, hour: int) -> int:
    columns = ", ".join(("id", *COLUMNS))
    query = f"SELECT {columns} FROM images WHERE time >= ? AND time < ? ORDER BY time, id"
    found = db.execute(query, (hour * _HOUR, (hour + 1) * _HOUR)).fetchall()
    ids, rows = [int(one[0]) for one in found], [one[1:] for one in found]
    name = _free_name(db, hour)
    path = folder / HOURS / name
    path.parent.mkdir(exist_ok=True)
    _write_parquet(path, rows)
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM images WHERE id = ?", [(one,) for one in ids])
    db.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?)", (name, len(rows), path.stat().st_size, rows[0][0], rows[-1][0])
    )
    db.execute("COMMIT")
    return len(rows)


def _free_name(db: sqlite3.Connection, hour: int) -> str:
    """Return a name for an hour; late rows, such as after a clock was set back, get a second file."""
    stem = f"{datetime.fromtimestamp(hour * _HOUR, UTC):%Y-%m-%dT%H}"
    taken = {str(one[0]) for one in db.execute("SELECT name FROM files WHERE name LIKE ?", (f"{stem}%",))}
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


def _remove_unnamed(db: sqlite3.Connection, folder: Path) -> None:
    named = {str(one[0]) for one in db.execute("SELECT name FROM files")}
    place = folder / HOURS
    for path in place.iterdir() if place.is_dir() else ():
        if path.name not in named and path.suffix in (".parquet", ".part"):
            path.unlink(missing_ok=True)


def _delete_old(db: sqlite3.Connection, folder: Path, keep: Retention, now: float) -> tuple[int, int]:
    files = [
        (str(name), int(size), float(last))
        for name, size, last in db.execute("SELECT name, n_bytes, last FROM files ORDER BY last")
    ]
    gone = [one for one in files if keep.days is not None and one[2] < now - keep.days * 86400]
    rest = files[len(gone) :]
    total = sum(one[1] for one in rest)
    while keep.n_bytes is not None and rest and total > keep.n_bytes:
        gone.append(rest.pop(0))
        total -= gone[-1][1]
    rows = 0
    db.execute("BEGIN IMMEDIATE")
    db.executemany("DELETE FROM files WHERE name = ?", [(name,) for name, _, _ in gone])
    if keep.days is not None:
        rows = db.execute("DELETE FROM images WHERE time < ?", (now - keep.days * 86400,)).rowcount
    db.execute("COMMIT")
    for name, _, _ in gone:  # named by nobody any more: a kill here leaves them to the next compaction
        (folder / HOURS / name).unlink(missing_ok=True)
    return len(gone), rows
