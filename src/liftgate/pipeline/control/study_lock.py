"""Lock of a study: one run at a time. The file `lock` also says who ran it last, and what became of that process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liftgate.errors import UsageError
from liftgate.locks import FolderLock, LockOwner

_NAME = "lock"
_TRIES, _PAUSE = 20, 0.05  # a process that asks for the status holds the lock for a moment


@contextmanager
def study_lock(folder: Path) -> Iterator[LockOwner]:
    """Hold the lock of a study's folder.

    Raises:
        UsageError: another process runs the study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder / _NAME)
    try:
        yield _acquire(lock, folder)
    finally:
        lock.release()


def holder(folder: Path) -> LockOwner | None:
    """Return the process that runs the study now; None where none does. The lock is only probed, never kept."""
    return FolderLock(folder / _NAME).holder()


def last_owner(folder: Path) -> LockOwner | None:
    """Return the process that held the lock last, dead or alive; None where the file names none."""
    return FolderLock(folder / _NAME).last_owner()


def _acquire(lock: FolderLock, folder: Path) -> LockOwner:
    for attempt in range(_TRIES):
        if (mine := lock.acquire()) is not None:
            return mine
        if attempt < _TRIES - 1:
            time.sleep(_PAUSE)
    owner = lock.last_owner()
    raise UsageError(
        "this study is running already",
        where=folder,
        got=f"process {owner.pid} on {owner.host}" if owner else "a process that cannot be identified",
        hint="`liftgate status` shows it, `liftgate stop` pauses it: the same command goes on later",
    )
