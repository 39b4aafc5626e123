"""stop.json: a request that a running study stop.

A file was chosen over a signal: it records who asked and when, can be taken back, works from a container or a machine
that shares the disk, and reaches a study that runs inside another program.
"""

from __future__ import annotations

import getpass
import json
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from liftgate.errors import UsageError
from liftgate.files import write_json
from liftgate.locks import LockOwner
from liftgate.pipeline.control.study_lock import holder

When = Literal["epoch", "now"]
_NAME = "stop.json"


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Who asked a run to stop, and how soon."""

    when: When
    by: str
    time: str
    """UTC, ISO 8601"""
    pid: int
    """The run that is meant; a later run of the study ignores it."""

    def __str__(self) -> str:
        how = "at once" if self.when == "now" else "after this epoch"
        return f"stopped {how}, as {self.by} asked at {self.time}"


def request_stop(folder: Path, when: When) -> LockOwner:
    """Ask the run of the study in `folder` to stop, and return who runs it.

    Raises:
        UsageError: it is not running.
    """
    owner = _runner(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / _NAME, asdict(StopRequest(when, f"{_person()}@{socket.gethostname()}", now, owner.pid)))
    return owner


def withdraw(folder: Path) -> bool:
    """Withdraw a request; False: there was none.

    Raises:
        UsageError: the study is not running (any more).
    """
    _runner(folder)
    had = (folder / _NAME).exists()
    clear(folder)
    return had


def read(folder: Path, pid: int) -> StopRequest | None:
    """Return the request that is meant for process `pid`; None: there is none."""
    try:
        request = StopRequest(**json.loads((folder / _NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return request if request.pid == pid else None


def clear(folder: Path) -> None:
    """Delete any request."""
    (folder / _NAME).unlink(missing_ok=True)


def _runner(folder: Path) -> LockOwner:
    owner = holder(folder)
    if owner is None:
        raise UsageError("this study is not running", where=folder, hint="`liftgate status` shows how it ended")
    return owner


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return "unknown user"
