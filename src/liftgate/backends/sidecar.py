"""Save and restore the side-car: the state from which a killed run resumes, in two complete generations.

A generation is a folder `state/epoch-00007` with the backend's own state and hard links to the files of that moment
(results.csv, best.pt, last.pt), which take no extra space because those files are replaced and never modified. It is
written to a temporary folder and renamed, so that a kill, a full disk or a power cut leaves the previous generation.
Hashes of its files lie in it, so that no training goes on from a state that was damaged on the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from liftgate.files import fsync_folder
from liftgate.hashing import file_hash

_NAME = re.compile(r"epoch-(\d{5,})")
_N_GENERATIONS = 2
STATE = "state.bin"
_HASHES = "sha256.json"
UNREADABLE_HINT = (
    "finish it with the version of Liftgate that began it (preflight.json of the run names it), or delete the run's "
    "folder to start over"
)
"""How to go on from states that this version cannot read"""


class Generation(NamedTuple):
    """A state on disk; `epoch` is the last finished epoch, from 1."""

    epoch: int
    folder: Path

    @property
    def state(self) -> Path:
        """Return the path of the backend's own state."""
        return self.folder / STATE

    def damage(self) -> str:
        """Return which file is not as it was written; empty: none. A generation of an older version has no hashes."""
        listed = self.folder / _HASHES
        if not listed.exists():
            return ""
        try:
            written = json.loads(listed.read_bytes())
            return next((name for name, known in written.items() if file_hash(self.folder / name) != known), "")
        except (OSError, ValueError, AttributeError) as error:
            return f"{_HASHES}: {error}"


def commit(out: Path, epoch: int, save: Callable[[Path], None], files: Iterable[str]) -> None:
    """Write the generation of an epoch.

    Args:
        out: results folder.
        epoch: last finished epoch, from 1.
        save: writes the backend's state to a path.
        files: names below `out` to link.

    Raises:
        OSError: the disk is full or read-only; the previous generations are unchanged.
    """
    finish(out, epoch, prepare(out, epoch, files), save)


def prepare(out: Path, epoch: int, files: Iterable[str]) -> Path:
    """Link the files as they are now, which is fast; return the folder that `finish` makes a generation of."""
    part = out / "state" / f".part-{epoch:05d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in files:
        if (out / name).is_file():
            (part / name).parent.mkdir(exist_ok=True)
            _link(out / name, part / name)
    return part


def finish(out: Path, epoch: int, part: Path, save: Callable[[Path], None]) -> None:
    """Write the state, flush all files to disk and rename the folder; this can be slow."""
    try:
        save(part / STATE)
        files = [path for path in sorted(part.rglob("*")) if path.is_file()]
        hashes = {path.relative_to(part).as_posix(): file_hash(path) for path in files}
        (part / _HASHES).write_text(json.dumps(hashes), encoding="utf-8")
        for path in part.rglob("*"):
            if path.is_file():
                _sync(path)
        fsync_folder(part)
        final = part.with_name(f"epoch-{epoch:05d}")
        _remove(final)
        part.rename(final)
        fsync_folder(part.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    for old in list(generations(out))[_N_GENERATIONS:]:
        _remove(old.folder)


class BackgroundWriter:
    """Runs one task at a time in a thread, so that training does not wait for the disk."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="side-car")
        self._pending: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Wait for the previous task, raise its exception if there is one, and start `work`."""
        self.wait()
        self._pending = self._worker.submit(work)

    def wait(self) -> None:
        """Wait for the pending task, and raise its exception if there is one."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


def generations(out: Path) -> Iterator[Generation]:
    """Yield the generations on disk, the newest first."""
    home = out / "state"
    names = (_NAME.fullmatch(path.name) for path in home.iterdir()) if home.is_dir() else ()
    epochs = sorted((int(match[1]) for match in names if match), reverse=True)
    for epoch in epochs:
        yield Generation(epoch, home / f"epoch-{epoch:05d}")


def begins_as_saved(out: Path, name: str) -> bool:
    """Return whether a file that is only appended to begins as the newest undamaged generation has it.

    A run that is paused or killed has no record with hashes yet; its side-car has the rows of every finished epoch.
    """
    for generation in generations(out):
        saved = generation.folder / name
        with contextlib.suppress(OSError):  # a training that goes on has just taken this generation away
            if saved.is_file() and not generation.damage():
                rows = saved.read_bytes()
                return (out / name).read_bytes().startswith(rows)
    return True


def restore_files(generation: Generation, out: Path, files: Iterable[str]) -> None:
    """Restore the files of a generation in `out`; a file that did not exist at that moment is removed."""
    for name in files:
        target, saved = out / name, generation.folder / name
        target.unlink(missing_ok=True)
        if saved.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(saved, target)  # a copy, because training appends to it


def keep_newest(out: Path) -> None:
    """Remove every generation but the newest: the run has stopped, but may be resumed."""
    for old in list(generations(out))[1:]:
        _remove(old.folder)


def discard(out: Path) -> None:
    """Remove every generation: the run is finished and recorded."""
    shutil.rmtree(out / "state", ignore_errors=True)


def _remove(generation: Path) -> None:
    # Renamed first: one that a kill left half deleted, without its hashes, would pass for one of an older version.
    with contextlib.suppress(OSError):  # it is not there, or the disk is read-only
        generation.rename(generation.with_name(f".deleted-{os.getpid()}-{generation.name}"))
    for deleted in generation.parent.glob(".deleted-*"):
        shutil.rmtree(deleted, ignore_errors=True)


def _link(source: Path, link: Path) -> None:
    # A copy, because results.csv is appended to in place and a link would change with it.
    if source.suffix == ".csv":
        shutil.copyfile(source, link)
        return
    try:
        os.link(source, link)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, link)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
