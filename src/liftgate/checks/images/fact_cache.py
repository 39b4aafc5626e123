"""Cache facts about image files in SQLite, in the user's cache folder, valid until a file changes.

An error of the cache never fails a check: where it cannot be opened, read or written, every file is read again. Each
row has a hash of its own, so that a damaged cache costs time and changes no finding.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from liftgate.files import cache_folder
from liftgate.hashing import row_hash

Record = TypeVar("Record", bound=NamedTuple)
_PATHS_PER_QUERY = 500


class FactCache(Generic[Record]):
    """Records of type `record_type` by (path, size, mtime_ns).

    The name of `table` has a version, which changes when the facts are computed differently.
    """

    def __init__(self, table: str, record_type: type[Record]) -> None:
        self._table = f'"{table} sealed"'
        self._record_type = record_type
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError, RuntimeError, sqlite3.Error):  # RuntimeError: there is no home folder
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(folder / "checks.sqlite", timeout=5)
            # Losing the cache in a crash costs seconds; an fsync per batch costs more.
            self._connection.execute("PRAGMA synchronous=OFF")
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (path BLOB PRIMARY KEY, stamp TEXT, record TEXT, seal TEXT)"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.commit()
            self._connection.close()

    def get(self, paths: Sequence[Path]) -> dict[Path, Record]:
        """Return path → record of the cached files that have not changed since."""
        if self._connection is None:
            return {}
        names = {os.fsencode(path): path for path in paths}
        keys, known = list(names), {}
        try:
            for begin in range(0, len(keys), _PATHS_PER_QUERY):
                some = keys[begin : begin + _PATHS_PER_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT path, stamp, record, seal FROM {self._table} WHERE path IN ({marks})"
                for key, stamp, text, seal in self._connection.execute(query, some):
                    if seal == row_hash(key, stamp, text) and stamp == _size_and_mtime(names[key]):
                        known[names[key]] = self._decode(text)
        except (sqlite3.Error, ValueError, TypeError, KeyError):  # a damaged file; or one of another version
            return {}
        return known

    def put(self, records: Mapping[Path, Record]) -> None:
        """Store records by path; files that no longer exist are skipped."""
        if self._connection is None or not records:
            return
        rows = [
            (os.fsencode(path), stamp, json.dumps([_to_json(value) for value in record]))
            for path, record in records.items()
            if (stamp := _size_and_mtime(path)) is not None
        ]
        with contextlib.suppress(sqlite3.Error):
            sealed = [(*row, row_hash(*row)) for row in rows]
            self._connection.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?, ?, ?)", sealed)
            self._connection.commit()

    def _decode(self, text: str) -> Record:
        values: list[Any] = [b64decode(value[1]) if isinstance(value, list) else value for value in json.loads(text)]
        return self._record_type(*values)


def _size_and_mtime(path: Path) -> str | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_size}:{found.st_mtime_ns}"


def _to_json(value: Any) -> Any:
    return ["b64", b64encode(value).decode()] if isinstance(value, bytes) else value
