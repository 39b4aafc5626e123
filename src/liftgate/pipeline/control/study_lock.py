"""Lock: one run of a study at a time.

Whether the lock is held is the kernel's to say (`flock`): it lets go when the process dies, however it dies, so a stale
lock can neither block a run nor look alive. What stands in the file only explains: who it was, and what became of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from liftgate.errors import UsageError
from liftgate.locks import started

_NAME = "lock"
_TRIES, _PAUSE = 20, 0.05  # whoever asks for the status holds the lock for a moment


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that ran, or runs, a study."""

    pid: int
    started: str
    """Boot and start time, so that a number used again is not taken for the old process"""
    host: str
    since: str
    """UTC, ISO 8601"""

    @property
    def here(self) -> bool:
        """Whether it is (or was) a process of this machine."""
        return self.host == socket.gethostname()

    def describe_exit(self) -> str:
        """Say what became of an owner that holds the lock no more."""
        if not self.here:
            return f"process {self.pid} on {self.host} is gone"
        now = started(self.pid)
        if started(os.getpid()).partition(":")[0] != self.started.partition(":")[0]:
            return f"the machine was restarted while process {self.pid} was at work"
        return f"process {self.pid} is gone" + (" (the number is another process's now)" if now else "")


@contextmanager
def study_lock(folder: Path) -> Iterator[Owner]:
    """Hold the lock of a study's folder.

    Raises:
        UsageError: another process runs the study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _NAME).open("a+") as file:
        _acquire(file.fileno(), folder)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner = Owner(os.getpid(), started(os.getpid()), socket.gethostname(), since)
        file.truncate(0)
        file.write(json.dumps(asdict(owner)))
        file.flush()
        yield owner


def holder(folder: Path) -> Owner | None:
    """Return who runs the study at the moment; None: nobody. The lock is only touched, never kept."""
    try:
        handle = os.open(folder / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return last_owner(folder) or Owner(0, "", "", "")
    finally:
        os.close(handle)
    return None


def last_owner(folder: Path) -> Owner | None:
    """Return who held the lock last, dead or alive; None: it cannot be told."""
    try:
        return Owner(**json.loads((folder / _NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _acquire(handle: int, folder: Path) -> None:
    for attempt in range(_TRIES):
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt < _TRIES - 1:
                time.sleep(_PAUSE)
    owner = last_owner(folder)
    raise UsageError(
        "this study is running already",
        where=folder,
        got=f"process {owner.pid} on {owner.host}" if owner else "a process that cannot be told",
        hint="`liftgate status` shows it, `liftgate stop` pauses it: the same command goes on later",
    )
