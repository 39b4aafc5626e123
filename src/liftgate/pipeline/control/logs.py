"""Logs: run.log of a detached run, and of its current training, or of all tasks that run on its engine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from liftgate.engines.base import RunningTask
from liftgate.ledger.runs import run_folders
from liftgate.pipeline.control.status_file import read_overview
from liftgate.pipeline.control.study_lock import holder

RUN_LOG = "run.log"
_POLL_INTERVAL = 0.3  # seconds
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of one log."""

    path: Path
    lines: tuple[str, ...]


def tail(folder: Path, lines: int) -> list[Passage]:
    """Return the last lines of run.log, and of the newest training or of all tasks that run on an engine."""
    return [Passage(path, _last_lines(path, lines)[1]) for path in _logs(folder)]


def follow(folder: Path, lines: int) -> Iterator[Passage]:
    """Yield the last lines, then new ones as they come, across trainings, until the run ends."""
    positions: dict[Path, int] = {}
    for path in _logs(folder):
        positions[path], last = _last_lines(path, lines)
        yield Passage(path, last)
    while True:
        runs = holder(folder) is not None  # checked before reading, so that lines written until the end are read
        for path in _logs(folder):
            positions[path], fresh = _lines_since(path, positions.get(path, 0))
            if fresh:
                yield Passage(path, fresh)
        if not runs:
            return
        time.sleep(_POLL_INTERVAL)


def _logs(folder: Path) -> list[Path]:
    overview = read_overview(folder) if holder(folder) is not None else None
    if overview is not None and overview.running:  # several tasks at once, each with its engine's log
        logs = [path for task in overview.running for path in _task_logs(task)]
    else:
        logs = [run.log for run in run_folders(folder) if run.log.is_file()][-1:]
    return [path for path in (folder / RUN_LOG, *logs) if path.is_file()]


def _task_logs(task: RunningTask) -> list[Path]:
    return [*(Path(task.folder) / f"{verb}.log" for verb in ("train", "predict")), *map(Path, task.logs)]


def _last_lines(path: Path, lines: int) -> tuple[int, tuple[str, ...]]:
    """Return the position after the last complete line, and the last lines, without reading the whole log."""
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


def _lines_since(path: Path, position: int) -> tuple[int, tuple[str, ...]]:
    """Return the position after the last complete line, and the complete lines since `position`."""
    with path.open("rb") as file:
        if file.seek(0, 2) < position:
            position = 0  # the log was emptied
        file.seek(position)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return position + len(whole), _lines(whole)


def _lines(data: bytes) -> tuple[str, ...]:
    # A progress bar overwrites its line with \r: keep only its last state.
    return tuple(line.rstrip("\r").rpartition("\r")[2] for line in data.decode("utf-8", "replace").split("\n")[:-1])
