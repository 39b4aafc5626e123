"""Write and follow events.jsonl: the child process appends events, one JSON line each, and the parent reads them.

Each line has a checksum: what an unfinished training reported is known from this file alone, and goes into the ledger.
"""

from __future__ import annotations

import json
import math
import os
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from liftgate import errors
from liftgate.backends.events import Event, FailedEvent, read_event
from liftgate.errors import DataError, LiftgateError, TrainingError, os_error_hint


class EventFile:
    """The child's writer: appends events from any thread; each is on disk when `emit` returns."""

    def __init__(self, path: Path) -> None:
        _truncate_incomplete_line(path)
        self._path = path
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Append one event."""
        content = {"kind": event.kind, "body": to_json_value(event.to_body())}
        line = json.dumps(content | {"crc": _checksum(content)}, allow_nan=False, ensure_ascii=False)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


class EventTail:
    """The parent's reader: yields the events appended since the last reading."""

    def __init__(self, path: Path, position: int | None = None) -> None:
        """Begin at `position` in bytes; None: after what the file has now."""
        self._path = path
        # Not the file's end: the next writer truncates an incomplete line.
        self._position = complete_bytes(path) if position is None else position

    def read_new(self) -> Iterator[Event]:
        """Yield the events in the complete lines of the file as it is now.

        Lines written while the caller handles these are left for the next call: otherwise a fast child would keep a
        slow listener in this loop until its end, and the parent could not request a pause.
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
            yield _parse(line, self._path)


def read_events(path: Path) -> list[Event]:
    """Return every complete event of a file; an empty list where there is no file.

    Raises:
        DataError: an event was changed since it was written.
    """
    if not path.exists():
        return []
    return [_parse(line, path) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def to_json_value(value: Any) -> Any:
    """Return a value converted to JSON types: NaN and infinity become None, a path becomes a string.

    >>> to_json_value({"a": float("nan"), "b": (1, Path("x"))})
    {'a': None, 'b': [1, 'x']}
    """
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json_value(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def failed_event(error: Exception) -> FailedEvent:
    """Return the event that says that a job ended with `error`."""
    if isinstance(error, LiftgateError):
        parts = {name: getattr(error, name) for name in ("where", "expected", "got", "hint")}
        return FailedEvent(type=type(error).__name__, what=error.what, **parts)
    hint = os_error_hint(error) if isinstance(error, OSError) and error.errno else None
    return FailedEvent(type=type(error).__name__, what=f"{type(error).__name__}: {error}", hint=hint)


def error_of(event: FailedEvent, hint: str) -> LiftgateError:
    """Return the error that an event says a job ended with.

    Args:
        event: the end of the job.
        hint: what to do where the event has no hint of its own.
    """
    kind = getattr(errors, event.type, TrainingError)
    kind = kind if isinstance(kind, type) and issubclass(kind, LiftgateError) else TrainingError
    return kind(event.what, where=event.where, expected=event.expected, got=event.got, hint=event.hint or hint)


def _parse(line: bytes, path: Path) -> Event:
    try:
        raw = json.loads(line)
        written = raw.pop("crc", None)  # absent: version 0.1.0 wrote none
        if written is None or written == _checksum(raw):
            return read_event(raw["kind"], raw["body"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    hint = f"restore it from a copy, or move {path.parent.name} away: the training starts over"
    raise DataError("what the training reported was changed since", where=path, got=repr(line[:80]), hint=hint)


def _checksum(content: Mapping[str, object]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _truncate_incomplete_line(path: Path) -> None:
    """Truncate an incomplete last line, left by a kill or a full disk."""
    if not path.exists():
        return
    whole = complete_bytes(path)
    if whole < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(whole)


def complete_bytes(path: Path) -> int:
    """Return the number of bytes in the complete lines of a file; 0 where there is none."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
