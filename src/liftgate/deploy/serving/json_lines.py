"""The log of a server: one JSON object a line on stderr; never an image, a header or a query."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

import msgspec

Value = str | int | float | None


class JsonLines:
    """Writes lines to a stream, one at a time."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    def write(self, event: str, fields: Mapping[str, Value]) -> None:
        """Write one line: time, event, and the fields; a stream that is gone does not end the server."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        text = msgspec.json.encode(line).decode("utf-8")
        try:
            with self._lock:
                self._stream.write(text + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            return


class LibraryMessages(logging.Handler):
    """Passes warnings of the HTTP library on as lines."""

    def __init__(self, lines: JsonLines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message, without its traceback's text."""
        found = record.exc_info[1] if record.exc_info else None
        kind = None if found is None else f"{type(found).__name__}: {found}"
        self._lines.write("message", {"level": record.levelname.lower(), "text": record.getMessage(), "error": kind})
