"""Lock a folder, so that one process at a time works in it.

The lock is `flock` on a file, held open by the process and by every child that inherits the handle: the kernel
releases it when the last of them ends, so that a crash or reboot leaves no stale lock. The text in the file only names
which process is the owner, or was.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class LockOwner:
    """The process that holds a lock, or held it last."""

    pid: int
    started: str
    """Boot id and start time of the process, which distinguish it from a later process with the same pid"""
    host: str = ""
    since: str = ""
    """UTC, ISO 8601"""

    @classmethod
    def current(cls) -> LockOwner:
        """Return the current process as an owner since now."""
        pid = os.getpid()
        return cls(pid, process_start(pid), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def is_local(self) -> bool:
        """Return whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Return whether the process still runs on this machine."""
        return process_start(self.pid) == self.started != ""

    def describe_exit(self) -> str:
        """Return, for a message, why the owner no longer holds its lock."""
        if not self.is_local:
            return f"process {self.pid} on {self.host} is gone"
        now = process_start(self.pid)
        if process_start(os.getpid()).partition(":")[0] != self.started.partition(":")[0]:
            return f"the machine was restarted while process {self.pid} was working"
        return f"process {self.pid} is gone" + (" (the number is another process's now)" if now else "")


class FolderLock:
    """A lock on a file; held from `acquire` until `release`, or until every process with the handle has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    @property
    def fileno(self) -> int:
        """Return the open file descriptor, to pass to a child that also holds the lock; -1: not open."""
        return self._handle

    def acquire(self) -> LockOwner | None:
        """Take the lock if it is free; return this process as its owner, or None where another process holds it."""
        if self._handle < 0:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, self._path)
        except BlockingIOError:
            return None
        owner = LockOwner.current()
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps(asdict(owner)).encode(), 0)
        return owner

    def release(self) -> None:
        """Close this process's handle."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def holder(self) -> LockOwner | None:
        """Return the process that holds the lock now, or None where it is free; an unreadable owner has pid 0."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            _flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB, self._path)
        except BlockingIOError:
            return self.last_owner() or LockOwner(0, "")
        finally:
            os.close(handle)
        return None

    def last_owner(self) -> LockOwner | None:
        """Return the process that holds the lock or held it last, dead or alive; None where the file names none."""
        try:
            return LockOwner(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return None


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock on a file while the block runs; wait for it in a first-come, first-served queue.

    `flock` alone wakes all waiting processes, and the fastest takes the lock. So each process takes a queue number,
    locks the byte of its own number and waits for the byte of the number before. The `flock` still decides: where a
    waiting process is killed, two may reach it at once. The kernel releases all these locks when a process ends.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with contextlib.suppress(OSError):  # a file system without byte locks: the order is undefined
            number = _take_queue_number(handle)
            fcntl.lockf(handle, fcntl.LOCK_EX, 1, _FIRST_QUEUE_BYTE + number - 1)
        _flock(handle, fcntl.LOCK_EX, path)
        yield
    finally:
        os.close(handle)


_FIRST_QUEUE_BYTE = 64  # that of number 0; the bytes before it hold the last number, guarded by a lock on byte 0


def _take_queue_number(handle: int) -> int:
    fcntl.lockf(handle, fcntl.LOCK_EX, 1, 0)
    last = os.pread(handle, 20, 0)
    number = int(last) + 1 if last.isdigit() else 1
    os.pwrite(handle, b"%020d" % number, 0)
    fcntl.lockf(handle, fcntl.LOCK_EX, 1, _FIRST_QUEUE_BYTE + number)
    fcntl.lockf(handle, fcntl.LOCK_UN, 1, 0)
    return number


def _flock(handle: int, operation: int, path: Path) -> None:
    """Call `flock`; the error of a file system without locks names the file, which the system's own does not."""
    try:
        fcntl.flock(handle, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        number = errno.ENOLCK if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS) else error.errno
        raise OSError(number, os.strerror(number or errno.EIO), str(path)) from None


def process_start(pid: int) -> str:
    """Return the boot id and start time of a process, unlike those of a later one with its pid; "" if it has ended."""
    try:
        boot = _BOOT.read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot}:{fields[19]}"
