"""The log of events that a CVAT server gives out as CSV: how long each frame of a task was worked on.

CVAT counts as work the time between an annotator's events, where it is 100 seconds or less, and how long frames were
flicked through (its documentation, "Working time calculation"). Here that time goes to the frame that was shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from liftgate.data.core.csv_tables import read_table
from liftgate.documents import DocumentError, parse_json
from liftgate.errors import DataError
from liftgate.records import to_record

EVENT_COLUMNS = ("scope", "source", "timestamp", "duration", "task_id", "job_id", "user_id", "payload")
_PAUSE = 100.0
"""Seconds without an event from which nobody worked, as CVAT counts"""
_LONGEST = 86400.0
"""Seconds that no event lasts"""
_CHANGE, _LOAD = "change:frame", "load:job"
_MOST_FRAMES = 100_000


class _FrameChange(msgspec.Struct, frozen=True):
    """Payload of a change of frame."""

    start: int = msgspec.field(name="from")
    to: int = 0
    step: int | None = None


class _Event(NamedTuple):
    time: float
    """Seconds since 1970"""
    scope: str
    duration: float
    """Seconds; of a change of frame, how long frames were flicked through"""
    change: _FrameChange | None


def frame_seconds(path: Path, task: int | None = None) -> Mapping[int, float]:
    """Return frame → seconds of work on it, by all annotators together.

    Args:
        path: the CSV of `/api/events?task_id=…`.
        task: its number; None: there is only one in the file.

    Raises:
        DataError: events of several tasks, none of an annotator, or an event that cannot be read.
    """
    sessions: dict[tuple[str, str], list[_Event]] = defaultdict(list)
    tasks: set[str] = set()
    for line, row in read_table(path, EVENT_COLUMNS):
        number = _whole_text(row["task_id"])
        if row["source"] != "client" or not number or not row["job_id"]:
            continue
        tasks.add(number)
        if task is None or number == str(task):
            sessions[row["user_id"], row["job_id"]].append(_event(row, f"{path}:{line}"))
    if task is None and len(tasks) > 1:
        raise DataError("events of several tasks", where=path, got=", ".join(sorted(tasks)[:5]), hint="--task NUMBER")
    if not sessions:
        raise DataError("no events of an annotator", where=path, expected="source client, of this task")
    found: dict[int, float] = defaultdict(float)
    for events in sessions.values():
        for frame, seconds in _spent(sorted(events, key=lambda one: one.time)):
            found[frame] += seconds
    return {frame: seconds for frame, seconds in found.items() if seconds > 0}


def _spent(events: Sequence[_Event]) -> Iterator[tuple[int, float]]:
    """Yield (frame, seconds) of one annotator in one job."""
    shown: tuple[int, ...] = ()
    waiting = 0.0  # before the first change of frame, which says where it was
    for before, event in zip([events[0], *events], events, strict=False):
        gap = event.time - before.time - (before.duration if before.scope == _CHANGE else 0.0)
        gap = gap if 0 < gap <= _PAUSE else 0.0
        if not shown:
            waiting += gap
        yield from ((frame, gap / len(shown)) for frame in shown)
        shown = shown[-1:]
        if event.scope == _LOAD:
            shown, waiting = (), 0.0
        if event.change is not None:
            if not shown:
                yield event.change.start, waiting
            passed = _passed(event.change)
            yield from ((frame, event.duration / len(passed)) for frame in passed)
            shown, waiting = passed, 0.0


def _passed(change: _FrameChange) -> tuple[int, ...]:
    """Return the frames that were shown: CVAT writes one event for several steps with nothing between them."""
    step = change.step or change.to - change.start
    passed = range(change.start + step, change.to + (1 if step > 0 else -1), step) if step else range(0)
    return tuple(passed) if 0 < len(passed) <= _MOST_FRAMES and passed[-1] == change.to else (change.to,)


def _event(row: Mapping[str, str], where: str) -> _Event:
    try:
        change = to_record(parse_json(row["payload"]), _FrameChange) if row["scope"] == _CHANGE else None
        lasted = float(row["duration"] or 0) / 1000
        if not 0 <= lasted < _LONGEST:
            raise ValueError(f"a duration of {row['duration']} ms")
        return _Event(_seconds(row["timestamp"]), row["scope"], lasted, change)
    except (ValueError, DocumentError, msgspec.ValidationError) as error:
        raise DataError("an event that cannot be read", where=where, got=str(error)[:200]) from None


def _seconds(text: str) -> float:
    """Return a time stamp in seconds; without a zone it is UTC, as ClickHouse writes it."""
    found = datetime.fromisoformat(text.strip())
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _whole_text(text: str) -> str:
    return text.strip().removesuffix(".0")
