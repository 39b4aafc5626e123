"""stop.json: a request to stop a running study.

A file was chosen over a signal: it records who requested it and when, can be withdrawn, works from a container or
another machine that shares the disk, and reaches a study that runs inside another program.
"""

from __future__ import annotations

import getpass
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from liftgate.documents import load_json
from liftgate.errors import UsageError
from liftgate.files import write_json
from liftgate.locks import LockOwner
from liftgate.pipeline.control.study_lock import holder

When = Literal["epoch", "now"]
_NAME = "stop.json"


@dataclass(frozen=True, slots=True)
class StopRequest:
    """A request to stop: by whom, and how soon."""

    when: When
    by: str
    time: str
    """UTC, ISO 8601"""
    pid: int
    """The process that is to stop; a later run of the study ignores the request."""

    def __str__(self) -> str:
        how = "at once" if self.when == "now" else "after this epoch"
        return f"stopped {how}, requested by {self.by} at {self.time}"


def request_stop(folder: Path, when: When) -> LockOwner:
    """Request that the run of the study in `folder` stop, and return its process.

    Raises:
        UsageError: it is not running.
    """
    owner = _running_process(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / _NAME, asdict(StopRequest(when, f"{_user_name()}@{socket.gethostname()}", now, owner.pid)))
    return owner


def withdraw(folder: Path) -> bool:
    """Withdraw a request; False: there was none.

    Raises:
        UsageError: the study is not running.
    """
    _running_process(folder)
    had = (folder / _NAME).exists()
    clear(folder)
    return had


def read(folder: Path, pid: int) -> StopRequest | None:
    """Return the request to process `pid`; None: there is none."""
    try:
        request = StopRequest(**load_json(folder / _NAME))
    except (OSError, ValueError, TypeError):
        return None
    return request if request.pid == pid else None


def clear(folder: Path) -> None:
    """Delete any request."""
    (folder / _NAME).unlink(missing_ok=True)


def _running_process(folder: Path) -> LockOwner:
    owner = holder(folder)
    if owner is None:
        raise UsageError("this study is not running", where=folder, hint="`liftgate status` shows how it ended")
    return owner


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return "unknown user"
