"""Study lock: only one run of a study at a time. The file `lock` also names the process that ran it last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from liftgate.errors import UsageError
from liftgate.locks import FolderLock, LockOwner

_NAME = "lock"
_TRIES, _PAUSE = 20, 0.05  # a process that reads the status holds the lock for a moment


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
    """Return the process that runs the study now, without keeping the lock; None: none does."""
    return FolderLock(folder / _NAME).holder()


def last_owner(folder: Path) -> LockOwner | None:
    """Return the process that held the lock last, even if it has ended; None: unknown."""
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
