"""Write files and folders atomically: neither a reader nor a crash leaves an incomplete one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from liftgate.errors import DataError
from liftgate.paths import lexical


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of data that Liftgate can make again: $XDG_CACHE_HOME/liftgate.

    Raises:
        RuntimeError: there is no home folder.
    """
    given = environment.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "liftgate"


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of data that Liftgate must keep: $XDG_STATE_HOME/liftgate.

    Raises:
        RuntimeError: there is no home folder.
    """
    given = environment.get("XDG_STATE_HOME")
    return (Path(given) if given else Path.home() / ".local" / "state") / "liftgate"


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that replaces `path` if the block succeeds, and is deleted if it fails.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as file:
    ...     _ = file.write("whole")
    >>> target.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".part")
    temporary = Path(name)
    try:
        text = "b" not in mode
        with os.fdopen(handle, mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 in one atomic step.

    File names that are not UTF-8 are written with their original bytes, so that lists of them remain valid.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, as from "\ud800" in JSON: it has no bytes
        data = text.encode("utf-8", "backslashreplace")
    write_bytes(path, data)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` in one atomic step."""
    with replacing(path, "wb") as file:
        file.write(data)


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON with sorted keys, in one atomic step: the same value gives the same bytes.

    NaN and infinity are refused (ValueError): they are not JSON, and a metric that is NaN must be null. Bytes of a
    file name that are not UTF-8 become escapes, which readers decode.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def atomic_folder(folder: Path, own_files: Callable[[str], bool] | None = None) -> Iterator[Path]:
    """Yield an empty folder that is renamed to `folder` if the block succeeds, and is deleted if it fails.

    A file that was added to `folder` meanwhile is never deleted: the system replaces a missing or empty folder in one
    step, which fails if it is not empty.

    Args:
        folder: missing, empty, or with only files that may be replaced.
        own_files: returns, for a file's path relative to `folder`, whether it may be replaced; None: no file may.

    Raises:
        DataError: `folder` has other files.
    """
    folder = lexical(folder)
    folder = folder.resolve() if folder.is_symlink() else folder
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        try:
            part.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            _replace_own_folder(folder, part, own_files or (lambda _: False))
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _replace_own_folder(folder: Path, part: Path, own_files: Callable[[str], bool]) -> None:
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old.part")
    folder.rename(old)  # first: nothing can be added to it any more
    others = [] if old.is_dir() else [folder.name]
    for place, _, names in os.walk(old):
        relative = Path(place).relative_to(old)
        others += [path for name in names if not own_files(path := (relative / name).as_posix())]
    if others:
        old.rename(folder)
        hint = "nothing was replaced: name a new folder, or move these files away"
        raise DataError("the folder holds other files", where=folder, got=", ".join(sorted(others)[:3]), hint=hint)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def require_empty(folder: Path) -> None:
    """Raise an error if `folder` exists and is not an empty folder.

    Raises:
        DataError: it has files, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("the folder is not empty", where=folder, hint="name a new folder: no existing file is replaced")


def fsync_folder(folder: Path) -> None:
    """Sync `folder` to disk, so that a rename in it survives a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
