"""A disk that is full or loses power, or a kill, at one place where Liftgate writes: how it writes is replaced.

benchmarks/faulty_disk.py makes trials of it; every process of a trial imports this file by its `sitecustomize`.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from liftgate.paths import lexical

PLAN = "plan.json"
POWER_CUT = 97
"""Exit code of a process that lost power"""
TAKEN_AWAY = ("unlink", "rmdir")
"""What a full disk does not refuse; a process may be killed there"""


class FaultyDisk:
    """Replaces the ways in which Python code writes files below a folder."""

    def __init__(self, home: Path, root: str, mode: str, place: str, occurrence: int, *, child: bool) -> None:
        self.home, self.root, self.mode, self.place, self.occurrence = home, root, mode, place, occurrence
        self.child = child
        self.seen = 0
        self.dirty: set[tuple[int, int]] = set()

    def ask(self, what: str, path: object, half: Callable[[], object] = lambda: None) -> None:
        """Record one operation on a path, and fail there if this is the place; a kill does the first half of it."""
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
        if not str(lexical(Path(name))).startswith(self.root) or (what in TAKEN_AWAY and self.mode != "kill"):
            return
        caller = _caller(sys._getframe(1))
        place = f"{what} {caller}"
        if self.mode in ("record", "kill"):
            with _real_open(self.home / f"places-{'child' if self.child else 'main'}-{os.getpid()}.txt", "a") as file:
                file.write(f"{place}\n")
        if place != self.place and (self.place or self.child):
            return
        self.seen += 1
        if self.mode == "kill" and self.seen == self.occurrence and not (self.home / "cut").exists():
            half()
            _touch(self.home / "cut")
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "power" and self.seen == self.occurrence:
            with _real_open(self.home / f"dirty-{os.getpid()}.json", "w") as file:
                json.dump(sorted(self.dirty), file)
            _touch(self.home / "cut")
            os._exit(POWER_CUT)
        if self.mode == "full" and self.seen >= self.occurrence:  # a disk that is full stays so
            _touch(self.home / "cut")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    def mark(self, handle: int, *, synced: bool) -> None:
        """Remember whether the bytes of an open file would survive."""
        with contextlib.suppress(OSError):
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode):
                (self.dirty.discard if synced else self.dirty.add)((found.st_dev, found.st_ino))


_real_open = open


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _caller(frame: FrameType | None) -> str:
    """Return file and function of Liftgate that asked for an operation; not the one that writes for all."""
    found = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if "/liftgate/" in name:
            found = f"{name.rpartition('/liftgate/')[2]}:{frame.f_code.co_name}"
            if not found.startswith(("files.py", "locks.py")):
                return found
        frame = frame.f_back
    return found


def install(disk: FaultyDisk) -> None:
    """Replace open, fsync, rename and the like in this process."""
    _patch_open(disk)
    _patch_os(disk)
    _patch_sqlite(disk)


def _path_of(handle: int) -> str:
    return str(Path(f"/proc/self/fd/{handle}").readlink())


def _patch_open(disk: FaultyDisk) -> None:
    class File(io.FileIO):
        def write(self, data: Any) -> int:
            disk.ask("write", self.shown, lambda: super(File, self).write(bytes(data)[: len(data) // 2]))
            written = super().write(data)
            disk.mark(self.fileno(), synced=False)
            return written or 0

    def opened(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
               newline: Any = None, closefd: bool = True, opener: Any = None) -> Any:  # fmt: skip
        if not set(mode) & set("wax+"):
            return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        shown = _path_of(file) if isinstance(file, int) else file
        disk.ask("open", shown)
        raw = File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        raw.shown = shown  # type: ignore[attr-defined]
        disk.mark(raw.fileno(), synced=False)
        if "b" in mode and buffering == 0:
            return raw
        buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    builtins.open = io.open = opened  # type: ignore[assignment]


def _patch_os(disk: FaultyDisk) -> None:
    names = ("fsync", "rename", "replace", "mkdir", "link", "symlink", "sync", "open", "unlink", "rmdir")
    real = {name: getattr(os, name) for name in names}
    shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]  # a copy is written by `write`, too

    def fsync(handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        disk.ask("fsync", _path_of(number))
        real["fsync"](handle)
        disk.mark(number, synced=True)

    def sync() -> None:
        disk.ask("sync", disk.root)
        disk.dirty.clear()

    def new(path: Any, flags: int, *rest: Any, **how: Any) -> int:
        if flags & os.O_CREAT and how.get("dir_fd") is None:
            disk.ask("create", path)
        return int(real["open"](path, flags, *rest, **how))

    def two(name: str) -> Any:
        def call(source: Any, target: Any, *rest: Any, **how: Any) -> None:
            disk.ask(name, target)
            real[name](source, target, *rest, **how)

        return call

    def one(name: str) -> Any:
        def call(path: Any, *rest: Any, **how: Any) -> None:
            folder = how.get("dir_fd")
            disk.ask(name, path if folder is None else Path(_path_of(folder)) / os.fsdecode(path))
            real[name](path, *rest, **how)

        return call

    os.fsync, os.sync, os.open = fsync, sync, new
    os.mkdir, os.unlink, os.rmdir = one("mkdir"), one("unlink"), one("rmdir")
    os.remove = os.unlink
    os.rename, os.replace, os.link, os.symlink = two("rename"), two("replace"), two("link"), two("symlink")


def _patch_sqlite(disk: FaultyDisk) -> None:
    connect = sqlite3.connect

    class Database(sqlite3.Connection):
        def _ask(self, sql: str) -> None:
            if match := re.match(r"\s*(INSERT|CREATE|UPDATE|DELETE|BEGIN IMMEDIATE|COMMIT)", sql):
                try:
                    disk.ask(f"sqlite {match[1].split()[0]}", str(self.shown))
                except OSError:
                    raise _sqlite_full() from None

        def execute(self, sql: str, *values: Any) -> Any:
            self._ask(sql)
            return super().execute(sql, *values)

        def executemany(self, sql: str, *values: Any) -> Any:
            self._ask(sql)
            return super().executemany(sql, *values)

        def executescript(self, sql: str) -> Any:
            self._ask(sql)
            return super().executescript(sql)

    def connected(path: Any, *rest: Any, **how: Any) -> Any:
        made = connect(path, *rest, **{"factory": Database} | how)
        made.shown = re.sub(r"^file:|\?.*", "", str(path))
        return made

    sqlite3.connect = connected  # type: ignore[assignment]


def _sqlite_full() -> sqlite3.OperationalError:
    """Return SQLite's own error on a full disk."""
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode, full.sqlite_errorname = 13, "SQLITE_FULL"
    return full


def install_from_plan(home: Path, *, child: bool = True) -> None:
    """Install what a plan asks for in this process; called by `sitecustomize` of every process of a trial.

    A plan without a place means the n-th operation of the first process, whatever it is.
    """
    plan = json.loads((home / PLAN).read_text())
    install(FaultyDisk(home, **plan, child=child))
