"""Logs: run.log of a detached run, and train.log of its current training."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from liftgate.ledger.runs import run_folders
from liftgate.pipeline.control.study_lock import holder

RUN_LOG = "run.log"
_LOOK = 0.3  # seconds between two looks
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of one log."""

    path: Path
    lines: tuple[str, ...]


def tail(folder: Path, lines: int) -> list[Passage]:
    """Return the last lines of run.log and of the newest training's log, where they exist."""
    return [Passage(path, _last(path, lines)[1]) for path in _logs(folder)]


def follow(folder: Path, lines: int) -> Iterator[Passage]:
    """Yield the last lines, then new ones as they come, across trainings, until the run ends."""
    positions: dict[Path, int] = {}
    for path in _logs(folder):
        positions[path], last = _last(path, lines)
        yield Passage(path, last)
    while True:
        runs = holder(folder) is not None  # before the logs: what was written before the end is still read
        for path in _logs(folder):
            positions[path], fresh = _since(path, positions.get(path, 0))
            if fresh:
                yield Passage(path, fresh)
        if not runs:
            return
        time.sleep(_LOOK)


def _logs(folder: Path) -> list[Path]:
    trainings = [run.log for run in run_folders(folder) if run.log.is_file()]
    return [path for path in (folder / RUN_LOG, *trainings[-1:]) if path.is_file()]


def _last(path: Path, lines: int) -> tuple[int, tuple[str, ...]]:
    """Return where to read on, and the last whole lines, without reading a log of gigabytes."""
    blocks: deque[bytes] = deque()
    with path.open("rb") as file:
        end = position = file.seek(0, 2)
        while position > 0 and sum(block.count(b"\n") for block in blocks) <= lines:
            start = max(position - _BLOCK, 0)
            file.seek(start)
            blocks.appendleft(file.read(position - start))
            position = start
    data = b"".join(blocks)
    whole = data[: data.rfind(b"\n") + 1]
    return end - len(data) + len(whole), _lines(whole)[-lines:] if lines else ()


def _since(path: Path, position: int) -> tuple[int, tuple[str, ...]]:
    """Return where to read on, and the whole lines written since `position`."""
    with path.open("rb") as file:
        if file.seek(0, 2) < position:
            position = 0  # the log was emptied
        file.seek(position)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return position + len(whole), _lines(whole)


def _lines(data: bytes) -> tuple[str, ...]:
    # A progress bar draws over its own line with \r: only what it showed last is a line.
    return tuple(line.rstrip("\r").rpartition("\r")[2] for line in data.decode("utf-8", "replace").split("\n")[:-1])
