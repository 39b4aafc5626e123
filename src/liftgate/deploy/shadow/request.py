"""What a shadow test is: a folder `shadow/ID` below a production log, with its request and its state.

The server looks for requests in the folder of its log; nothing else connects the verbs with it. Whoever owns a file
alone writes it: `start` the request, `stop` the mark to stop, the server the state.
"""

from __future__ import annotations

import itertools
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from liftgate.documents import DocumentError, load_json
from liftgate.errors import DataError, UsageError
from liftgate.files import atomic_folder, write_json
from liftgate.hashing import content_hash
from liftgate.locks import waiting_lock
from liftgate.records import to_record

SHADOW, REQUEST, STATE, STOP, FRAMES = "shadow", "request.json", "state.json", "stop", "frames"

_HASH = "sha256"
_LOCK = ".start.lock"
_Record = TypeVar("_Record", bound=msgspec.Struct)

Status = Literal["waiting", "running", "stopped", "finished", "settled", "crashed", "hung", "too large", "too slow"]
OVER: tuple[Status, ...] = ("stopped", "finished", "settled", "crashed", "hung", "too large", "too slow")


class ShadowRequest(msgspec.Struct, frozen=True):
    """What is to be compared, for how long."""

    challenger: str
    """Version of the registry"""
    registry: str
    """Its folder"""
    started: float
    """Seconds since 1970"""
    hours: float = 24.0
    alpha: float = 0.05
    export: str | None = None
    keep_frames_days: float = 14.0
    """Frames with a disagreement are kept so long; 0: none is"""
    warm_up_minutes: int = 720
    """At the start, to measure how long a scene stays the same; tested too, once it is over"""
    least_block_minutes: int = 15
    most_memory_mb: int = 4096
    """Of the challenger's process"""
    niceness: int = 19
    """Of the challenger's process: 19 is the lowest priority"""


class ShadowState(msgspec.Struct, frozen=True):
    """How far it is."""

    status: Status = "waiting"
    reason: str = ""
    offered: int = 0
    """Requests since the server took it up"""
    shed: int = 0
    """Of these not handed over, as the challenger was busy"""
    updated: float = 0.0
    """Seconds since 1970"""


@dataclass(frozen=True, slots=True)
class ShadowTest:
    """One shadow test."""

    folder: Path
    request: ShadowRequest
    state: ShadowState

    @property
    def is_over(self) -> bool:
        """Whether no more frames come."""
        return self.state.status in OVER or (self.folder / STOP).exists()

    @property
    def has_run_out(self) -> bool:
        """Whether its planned time is over; not of one that was stopped: when it ends must not follow what it shows."""
        return self.state.status == "finished"


def read_test(folder: Path) -> ShadowTest:
    """Return a shadow test.

    Raises:
        DataError: its files cannot be read, or are not as they were written.
    """
    try:
        request = _read(folder / REQUEST, ShadowRequest)
        state = _read(folder / STATE, ShadowState) if (folder / STATE).exists() else ShadowState()
    except (OSError, DocumentError, msgspec.ValidationError) as error:
        raise DataError("the shadow test cannot be read", where=folder, got=error) from None
    return ShadowTest(folder, request, state)


def write_state(folder: Path, state: ShadowState) -> None:
    """Write the state of a test."""
    _write(folder / STATE, state)


def _write(path: Path, record: msgspec.Struct) -> None:
    content = msgspec.to_builtins(record)
    write_json(path, content | {_HASH: content_hash(content)})


def _read(path: Path, kind: type[_Record]) -> _Record:
    """Read a record, and compare it with its hash; older versions wrote none."""
    content = load_json(path)
    declared = content.pop(_HASH, None) if isinstance(content, dict) else None
    if declared is not None and content_hash(content) != declared:
        raise DataError("what a shadow test wrote was changed", where=path, hint="start the test anew")
    return to_record(content, kind)


def tests_of(log: Path) -> list[ShadowTest]:
    """Return the shadow tests of a log, oldest first; one that is not written to its end is none."""
    place = log / SHADOW
    found = sorted(place.iterdir()) if place.is_dir() else []
    folders = [one for one in found if (one / REQUEST).is_file() and not one.name.startswith(".")]
    return sorted((read_test(one) for one in folders), key=lambda test: test.request.started)


def newest_test(log: Path) -> ShadowTest:
    """Return the newest shadow test of a log.

    Raises:
        UsageError: there is none.
    """
    found = tests_of(log)
    if not found:
        hint = "`liftgate shadow start VERSION --log FOLDER` starts one"
        raise UsageError("there is no shadow test", where=log, hint=hint)
    return found[-1]


def create_test(log: Path, request: ShadowRequest) -> ShadowTest:
    """Write a new test, or return the one at work if the same was asked for then, as by a start that was killed.

    Raises:
        UsageError: another one is at work already.
    """
    (log / SHADOW).mkdir(parents=True, exist_ok=True)
    with waiting_lock(log / SHADOW / _LOCK):
        running = [one for one in tests_of(log) if not one.is_over]
        if running and msgspec.structs.replace(running[-1].request, started=request.started) == request:
            return running[-1]
        if running:
            hint = "`liftgate shadow stop` ends it"
            raise UsageError(
                "another shadow test is at work",
                where=running[-1].folder,
                got=running[-1].request.challenger,
                hint=hint,
            )
        for left in (log / SHADOW).glob(".*.part"):  # by a start that was killed
            shutil.rmtree(left, ignore_errors=True)
        folder = _free_name(log / SHADOW, request)
        with atomic_folder(folder) as part:
            part.chmod(0o700)  # it will hold production frames
            _write(part / REQUEST, request)
        return read_test(folder)


def _free_name(place: Path, request: ShadowRequest) -> Path:
    """Return a folder that is not there: more than one test may start within a second."""
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(request.started))
    names = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    folders = (place / f"{stamp}-{request.challenger}{suffix}" for suffix in names)
    return next(folder for folder in folders if not folder.exists())
