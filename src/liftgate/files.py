"""Write files and folders atomically: neither a reader nor a crash leaves an incomplete one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
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


def require_no_device(path: Path) -> None:
    """Refuse a device, a pipe or a socket: to read one may never end, and to replace one destroys it.

    Raises:
        DataError: it is one; a file, a folder and nothing pass.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # not there; or no name at all
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError("neither a file nor a folder", where=path, got="a device, a pipe or a socket")


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w", *, only_new: bool = False) -> Iterator[IO[Any]]:
    """Open a temporary file that replaces `path` if the block succeeds, and is deleted if it fails.

    What a killed process left of an earlier attempt is written over.

    Args:
        path: the file.
        mode: as of `open`.
        only_new: never replace a file, not even one that came while the block ran.

    Raises:
        DataError: `path` is a folder, a device or a pipe; or, with `only_new`, it is there.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as file:
    ...     _ = file.write("whole")
    >>> target.read_text()
    'whole'
    """
    require_no_device(path)
    if path.is_dir():
        raise DataError("a file is to be written, and this is a folder", where=path, hint="name a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, handle = _locked_part(path)
    try:
        text = "b" not in mode
        with os.fdopen(os.dup(handle), mode, encoding="utf-8" if text else None, newline="" if text else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~current_umask())
        if only_new:
            name_new_file(temporary, path)
        else:
            temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _name_full_disk(error, path)
        raise
    finally:
        os.close(handle)  # last: until the file has its name, no other process may take it
    fsync_folder(path.parent)


def name_new_file(temporary: Path, path: Path) -> None:
    """Rename a file to a name that is not taken.

    Raises:
        DataError: it is.
    """
    taken = DataError("another file of this name is there", where=path, hint="nothing was replaced: move it away")
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise taken from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise taken from None
        temporary.replace(path)
    else:
        temporary.unlink()


@contextlib.contextmanager
def own_part(path: Path) -> Iterator[Path]:
    """Yield an empty file beside `path` that no other process writes, to be renamed; it is deleted if it was not.

    For libraries that write a file by its name; what a killed process left is written over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, handle = _locked_part(path)
    try:
        yield part
    finally:
        with contextlib.suppress(FileNotFoundError):  # once it was renamed, the name is free, and may be another's
            if os.path.samestat(os.fstat(handle), part.stat()):
                part.unlink()
        os.close(handle)


def delete_leftover(path: Path) -> None:
    """Delete what a killed process left of writing a file that is there, which nobody will write again."""
    if path.with_name(f".{path.name[:80]}.0.part").exists():
        part, handle = _locked_part(path)
        part.unlink()
        os.close(handle)


def delete_own_files(folder: Path, own_files: Iterable[str]) -> None:
    """Delete some files below a folder, and the folders that are empty then; what others put there stays."""
    for name in own_files:
        (folder / name).unlink(missing_ok=True)
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(place).rmdir()


def _locked_part(path: Path) -> tuple[Path, int]:
    """Return an empty file beside `path` that no other process writes, and the handle that keeps it so.

    Its name is not random, so that the next writer takes what a killed process left; the lock is gone with the process.
    """
    for number in itertools.count():
        part = path.with_name(f".{path.name[:80]}.{number}.part")
        if part.is_symlink() or part.is_dir():  # not one of ours
            continue
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened = os.fstat(handle)
            if part.exists() and os.path.samestat(opened, part.stat()):  # else it has become another's result
                if opened.st_nlink == 1:
                    os.ftruncate(handle, 0)
                    return part, handle
                part.unlink()  # killed between its link and its unlink: it is a finished file, under a second name
        except BlockingIOError:
            pass  # another process, or thread, is writing the same file
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise AssertionError("itertools.count ended")


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
    _clear_leftovers(folder)
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
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        _name_full_disk(error, folder)
        raise


def _name_full_disk(error: BaseException, place: Path) -> None:
    """Name what was written in the error of a full disk, which has no path where a file was open already."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
        error.filename = str(place)


def _clear_leftovers(folder: Path) -> None:
    """Remove what killed processes left of attempts to write `folder`; give it back where one had moved it away."""
    name = re.compile(re.escape(f".{folder.name}.") + r"(\d+)(\.old)?\.part")
    found = sorted(path.name for path in folder.parent.iterdir()) if folder.parent.is_dir() else []
    for match in filter(None, map(name.fullmatch, found)):
        if _is_running(int(match[1])):
            continue
        path = folder.with_name(match[0])
        part = folder.with_name(f".{folder.name}.{match[1]}.part")
        if match[2] and part.exists():  # it was killed before it knew whether other people's files are in there
            if not folder.exists():
                path.rename(folder)
        elif path.exists():
            shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _replace_own_folder(folder: Path, part: Path, own_files: Callable[[str], bool]) -> None:
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old.part")
    folder.rename(old)  # first: nothing can be added to it any more
    others = [] if old.is_dir() else [folder.name]
    for place, _, names in os.walk(old):
        relative = Path(place).relative_to(old)
        others += [path for name in names if not own_files(path := (relative / name).as_posix())]
    if others:
        back = folder
        try:
            old.rename(folder)
        except OSError:  # the folder was made anew meanwhile; not under the name of a leftover, which is deleted
            free = (folder.with_name(f"{folder.name}.others-{number}") for number in itertools.count(1))
            back = next(place for place in free if not place.exists())
            old.rename(back)
        hint = "nothing was replaced: name a new folder, or move these files away"
        raise DataError("the folder holds other files", where=back, got=", ".join(sorted(others)[:3]), hint=hint)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def require_empty(folder: Path) -> None:
    """Raise an error if `folder` exists and is not an empty folder.

    Raises:
        DataError: it has files, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("the folder is not empty", where=folder, hint="name a new folder: no existing file is replaced")


def names_below(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, relative to it and with `/`; a link to a folder counts as one."""
    found = []
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in (*names, *links)]
    return sorted(found)


def fsync_folder(folder: Path) -> None:
    """Sync `folder` to disk, so that a rename in it survives a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def current_umask() -> int:
    """Return the bits that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
