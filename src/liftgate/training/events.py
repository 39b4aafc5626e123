"""events.jsonl: the events of a job's child process, one JSON line each; the parent reads the file as it grows."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from liftgate.backends.events import Event, read_event


class EventFile:
    """The child's end: appends events from any thread; each is on disk when `emit` returns."""

    def __init__(self, path: Path) -> None:
        _drop_torn_line(path)
        self._path = path
        self._turn = threading.Lock()

    def emit(self, event: Event) -> None:
        """Append one event."""
        line = json.dumps({"kind": event.kind, "body": plain(event.to_body())}, allow_nan=False, ensure_ascii=False)
        with self._turn, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


class EventTail:
    """The parent's end: yields the events that were appended since it was last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = _complete(path)  # not the file's end: half a line there will be cut off by the next writer

    def new(self) -> Iterator[Event]:
        """Yield the complete lines of the file as it is now; a line that is still being written comes next time.

        What is written while the caller handles these comes next time too: a fast child would otherwise hold a slow
        listener here until its own end, and no request to pause would reach it.
        """
        try:
            if self._path.stat().st_size <= self._position:
                return
        except FileNotFoundError:
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            content = file.read()
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                return
            self._position += len(line)
            yield _parse(line)


def read_events(path: Path) -> list[Event]:
    """Return every complete event of a file; an empty list where there is no file."""
    if not path.exists():
        return []
    return [_parse(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: a NaN or infinite number becomes None, a path a string.

    >>> plain({"a": float("nan"), "b": (1, Path("x"))})
    {'a': None, 'b': [1, 'x']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _parse(line: bytes) -> Event:
    raw = json.loads(line)
    return read_event(raw["kind"], raw["body"])


def _drop_torn_line(path: Path) -> None:
    """Cut off an incomplete last line, left by a kill or a full disk."""
    if not path.exists():
        return
    whole = _complete(path)
    if whole < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(whole)


def _complete(path: Path) -> int:
    """Return how many bytes of the file are complete lines."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
