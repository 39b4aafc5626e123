"""A cache of facts about image files, valid until the file changes: one SQLite table in the user's cache folder.

A cache never fails a check: where it cannot be opened, read or written, every file is read again.
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

Record = TypeVar("Record", bound=NamedTuple)
_IN_ONE_QUERY = 500


class FactCache(Generic[Record]):
    """Records of type `kind` by (path, size, mtime_ns). `table` carries a version."""

    # Another way to compute the facts is another table.

    def __init__(self, table: str, kind: type[Record]) -> None:
        self._table = f'"{table}"'
        self._kind = kind
        self._base: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        folder = cache_folder()
        with contextlib.suppress(OSError, sqlite3.Error):
            folder.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(folder / "checks.sqlite", timeout=5)
            # A lost cache costs seconds, a fsync per batch costs more.
            self._base.execute("PRAGMA synchronous=OFF")
            self._base.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (path BLOB PRIMARY KEY, stamp TEXT, record TEXT)"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._base is not None:
            with contextlib.suppress(sqlite3.Error):
                self._base.commit()
            self._base.close()

    def recall(self, paths: Sequence[Path]) -> dict[Path, Record]:
        """Return the records of those paths whose files have not changed since."""
        if self._base is None:
            return {}
        names = {os.fsencode(path): path for path in paths}
        keys, known = list(names), {}
        try:
            for begin in range(0, len(keys), _IN_ONE_QUERY):
                some = keys[begin : begin + _IN_ONE_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT path, stamp, record FROM {self._table} WHERE path IN ({marks})"
                for key, stamp, text in self._base.execute(query, some):
                    if stamp == _stamp(names[key]):
                        known[names[key]] = self._read(text)
        except (sqlite3.Error, ValueError, TypeError):
            return {}
        return known

    def keep(self, records: Mapping[Path, Record]) -> None:
        """Remember `records`; files that are not there are not remembered."""
        if self._base is None or not records:
            return
        rows = [
            (os.fsencode(path), stamp, json.dumps([_plain(value) for value in record]))
            for path, record in records.items()
            if (stamp := _stamp(path)) is not None
        ]
        with contextlib.suppress(sqlite3.Error):
            self._base.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?, ?)", rows)
            self._base.commit()

    def _read(self, text: str) -> Record:
        values: list[Any] = [b64decode(value[1]) if isinstance(value, list) else value for value in json.loads(text)]
        return self._kind(*values)


def _stamp(path: Path) -> str | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{found.st_size}:{found.st_mtime_ns}"


def _plain(value: Any) -> Any:
    return ["b64", b64encode(value).decode()] if isinstance(value, bytes) else value
