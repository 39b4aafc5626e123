"""Lock: one process at a time works in a run's folder.

The lock is `flock` on a file that parent and child both hold open: the kernel lets go when the last of them is dead,
so there is no stale lock after a crash or a reboot to be recognised. The file's text is only for people.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from liftgate.errors import UsageError

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class RunLock:
    """Held from `acquire` until `release`, by this process and every child that inherits `fileno`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    @property
    def fileno(self) -> int:
        return self._handle

    def acquire(self, on_wait: Callable[[str], None], stop: Callable[[], bool]) -> bool:
        """Take the lock; False when `stop` said so while it waited.

        A child whose parent was killed still holds it until its epoch ends: that is waited for (`on_wait` is told
        once). A living owner is refused.

        Raises:
            UsageError: somebody else is at work in this folder.
        """
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        told = False
        while not self._try():
            owner = self._owner()
            if owner is not None and _alive(owner):
                self.release()
                raise UsageError(
                    "this run is being worked on by another process",
                    where=self._path.parent,
                    got=f"process {owner[0]}",
                    hint="wait for it, or stop it with Ctrl-C there",
                )
            if not told:
                on_wait("an earlier attempt lost its parent and pauses at the end of its epoch: waiting for it")
                told = True
            if stop():
                self.release()
                return False
            time.sleep(0.1)
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps({"pid": os.getpid(), "started": started(os.getpid())}).encode(), 0)
        return True

    def release(self) -> None:
        """Close this process's end."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _try(self) -> bool:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _owner(self) -> tuple[int, str] | None:
        try:
            raw = json.loads(os.pread(self._handle, 4096, 0))
            return int(raw["pid"]), str(raw["started"])
        except (ValueError, KeyError, TypeError):
            return None


def _alive(owner: tuple[int, str]) -> bool:
    return started(owner[0]) == owner[1] != ""


def started(pid: int) -> str:
    """Boot and start time of a process, so that a number used again is not taken for the old process; "" if gone."""
    try:
        boot = _BOOT.read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot}:{fields[19]}"
