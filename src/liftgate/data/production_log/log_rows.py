"""Rows of a production log, from its files and its live part, in the order of the time."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liftgate.data.production_log.compaction import HOURS, can_compact
from liftgate.data.production_log.live import LIVE, open_log, require_all, require_sound
from liftgate.data.production_log.records import COLUMNS, LoggedImage, Row, from_row
from liftgate.errors import DataError, UsageError

_FILE = ("name", "n_rows", "n_bytes", "first", "last", "sha256")


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which rows are read; None: all."""

    images: Collection[str] | None = None
    camera: str | None = None
    since: float | None = None
    """Seconds since 1970, included"""
    until: float | None = None
    """Not included"""

    def takes(self, row: Row) -> bool:
        """Return whether a row is asked for."""
        return (
            (self.since is None or row[0] >= self.since)
            and (self.until is None or row[0] < self.until)
            and (self.camera is None or row[1] == self.camera)
            and (self.images is None or row[2] in self.images)
        )


def is_production_log(path: Path) -> bool:
    """Return whether a folder is a production log."""
    return (path / LIVE).is_file()


def read_log(folder: Path, wanted: LogFilter = LogFilter()) -> Iterator[LoggedImage]:
    """Yield the images of a log, file by file, then those of the live part; within each in the order of the time.

    Files and live rows are of one moment: a compaction meanwhile shows no row twice and hides none.

    Args:
        folder: of the log.
        wanted: which rows.

    Raises:
        UsageError: there is no log, or the extra `log` is needed and not installed.
        DataError: a file of it is damaged or missing.
    """
    try:
        with closing(open_log(folder)) as db:
            db.execute("BEGIN")
            require_all(db, folder)
            named = db.execute(f"SELECT {', '.join(_FILE)}, checksum FROM files ORDER BY first, name").fetchall()
            live = _live_rows(db, folder, wanted)
            db.execute("COMMIT")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise DataError("the production log cannot be read", where=folder / LIVE, got=error) from None
    for row in named:
        require_sound(folder, row)
    if named and not can_compact():
        hint = "pip install '.[log]' in the clone of Liftgate"
        raise UsageError("a log with Parquet files needs the extra `log`", where=folder, hint=hint)
    names = _name_set(wanted.images) if named and wanted.images is not None else None
    for name, _, _, first, last, sha256, _ in named:
        if (wanted.since is not None and last < wanted.since) or (wanted.until is not None and first >= wanted.until):
            continue
        for row in _file_rows(folder / HOURS / str(name), sha256, names):
            if wanted.takes(row):
                yield from_row(row)
    for row in live:
        yield from_row(row)


def _live_rows(db: sqlite3.Connection, folder: Path, wanted: LogFilter) -> list[Row]:
    found = []
    for stored in db.execute(f"SELECT {', '.join(COLUMNS)}, checksum FROM images ORDER BY time, id"):
        require_sound(folder, stored)
        if wanted.takes(stored[:-1]):
            found.append(stored[:-1])
    return found


def _name_set(images: Collection[str]) -> Any:
    import pyarrow

    return pyarrow.array(sorted(images), pyarrow.string())


def _file_rows(path: Path, sha256: str | None, images: Any | None) -> Iterator[Row]:
    """Yield rows of a file, at least those of the images; the names alone are unpacked first: most groups have none."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    try:
        content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise DataError("a file of the production log is damaged", where=path, got="not what was written")
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            groups = list(range(file.num_row_groups))
            if images is not None:
                names = file.read(columns=["image"], use_threads=False)["image"]
                found = pyarrow.compute.is_in(names, value_set=images)
                ends = np.cumsum([file.metadata.row_group(group).num_rows for group in groups])
                hits = np.flatnonzero(found.to_numpy(zero_copy_only=False))
                groups = np.unique(np.searchsorted(ends, hits, side="right")).tolist()
            if not groups:
                return
            table = file.read_row_groups(groups, columns=list(COLUMNS), use_threads=False)
    except FileNotFoundError:
        raise DataError("a file of the production log is missing", where=path) from None
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError("a file of the production log is damaged", where=path, got=str(error)[:200]) from None
    if images is not None:
        table = table.filter(pyarrow.compute.is_in(table["image"], value_set=images))
    for batch in table.to_batches(max_chunksize=10_000):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
