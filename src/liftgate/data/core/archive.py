"""Unpack untrusted zips safely, and write zips with reproducible bytes."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

from liftgate.data.core.safe_names import safe_path
from liftgate.errors import DataError, full_disk_hint
from liftgate.files import replacing

UNCHECKED_BYTES = 1 << 27
_RATIO = 100
_MOST_FILES = 5_000_000


def unpack(path: Path, folder: Path, *, suffixes: Collection[str] | None = None) -> None:
    """Unpack a zip into the new folder `folder`; with `suffixes` (lower case) only files that end in one of them.

    Every name is checked before anything is written, and the folder is removed if unpacking fails.

    Raises:
        DataError: no zip, damaged, with a password; a name that leads out of the folder, a link, one name twice; or a
            bomb: more than 128 MiB that was 100 times smaller before.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            _check_members(path, members)
            folder.mkdir(parents=True)
            try:
                for member in members:
                    if suffixes is None or Path(member.filename).suffix.lower() in suffixes:
                        _write_member(archive, member, folder / member.filename)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError("the zip cannot be read", where=path, got=str(error)) from None
    except OSError as error:
        got = error.strerror or str(error)
        raise DataError("the zip cannot be unpacked", where=path, got=got, hint=full_disk_hint(error)) from None


def names_in(path: Path) -> list[str]:
    """Return the names of the files in a zip.

    Raises:
        DataError: no zip.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [item.filename for item in archive.infolist() if not item.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise DataError("the zip cannot be read", where=path, got=str(error)) from None


def pack(path: Path, files: Iterable[tuple[str, Path | bytes]]) -> Path:
    """Write a zip of (name, file or content) and return `path`; no times in it. Files are stored, text is deflated."""
    with replacing(path, "wb") as out, zipfile.ZipFile(out, "w") as archive:
        for name, content in files:
            item = zipfile.ZipInfo(name)
            if isinstance(content, bytes):
                item.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(item, content)
            else:  # images are compressed already
                item.file_size = content.stat().st_size  # so that one beyond 2 GiB gets its zip64 head
                with content.open("rb") as source, archive.open(item, "w") as target:
                    shutil.copyfileobj(source, target)
    return path


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MOST_FILES:
        raise DataError("too many files in the zip", where=path, expected=f"at most {_MOST_FILES:,}", got=len(members))
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if not name or safe_path(name) != name:
            raise DataError("a name in the zip leads out of its folder", where=path, got=repr(name)[:120])
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError("a link in the zip", where=path, got=repr(name)[:120])
        if name in seen:
            raise DataError("one name twice in the zip", where=path, got=repr(name)[:120])
        seen.add(name)
    total, packed = sum(member.file_size for member in members), path.stat().st_size
    if total > UNCHECKED_BYTES and total > _RATIO * packed:
        raise DataError(
            "the zip is a bomb", where=path, expected=f"under {_RATIO} times its {packed:,} bytes", got=f"{total:,}"
        )


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # ZipExtFile stops at the declared size, so a member with a false size is cut off and fails its checksum.
    with archive.open(member) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
