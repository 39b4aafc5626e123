"""Rows of a production log for tests."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from liftgate.data.production_log.live import INSERT, LogWriter, open_log
from liftgate.data.production_log.records import LoggedBox, LoggedImage, to_row

HOUR = 3600.0
START = 1_790_000_000.0 // HOUR * HOUR


def logged(number: int, *, time: float = START, camera: str = "gate", boxes: int = 1) -> LoggedImage:
    found = tuple(LoggedBox("cone", 0.5 + n / 100, (1.0, 2.0, 3.5, 4.25)) for n in range(boxes))
    return LoggedImage(time, camera, f"{camera}/{number:06d}.jpg", "v0", 640, 480, 100.5, "green", (), found)


def write(folder: Path, images: Sequence[LoggedImage]) -> None:
    """Write rows by the writer, and wait until they are acknowledged."""
    problems: list[str] = []
    writer = LogWriter(folder, problems.append)
    left = threading.Semaphore(0)
    for image in images:
        writer.add(image, lambda committed: left.release() if committed else None)
    for _ in images:
        assert left.acquire(timeout=120), problems
    writer.close()
    assert problems == []


def write_many(folder: Path, images: Sequence[LoggedImage]) -> None:
    """Write rows at once, for large logs."""
    db = open_log(folder, create=True)
    db.execute("BEGIN")
    db.executemany(INSERT, map(to_row, images))
    db.execute("COMMIT")
    db.close()
