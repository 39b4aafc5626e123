"""Read what a checkpoint contains without executing it.

A `.pt` file is a zip with a pickle inside (before torch 1.6: pickles one after another, before 0.1.10 a tar archive of
pickles), and a pickle is a program: loading it runs it. Here its instructions are followed on inert
values (pickle_reader.py), and picklescan, which keeps a list of names that attacks use, judges the names too. Time and
memory have limits, whatever the file claims about itself.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from liftgate.checks.ultralytics.allowed_calls import Made
from liftgate.checks.ultralytics.allowed_names import ALLOWED, GlobalName
from liftgate.checks.ultralytics.pickle_reader import PickleReader
from liftgate.checks.ultralytics.zip_directory import demand_one_directory, demand_single_names
from liftgate.errors import DataError

_LARGEST = 64 << 20
"""Bytes of pickle; a detector's structure takes 0.1 to 5 MB, numbers lie outside of it"""
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_TAR_PARTS = ("sys_info", "pickle", "tensors", "storages")

_TASKS = {
    f"ultralytics.nn.tasks.{name}Model": task
    for name, task in {
        **{"Detection": "detect", "Pose": "pose", "Segmentation": "segment", "Classification": "classify"},
        **{"OBB": "obb", "RTDETRDetection": "detect", "World": "detect"},
    }.items()
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The names and facts in a checkpoint file."""

    globals: tuple[str, ...]
    """Every `module.name` that loading it would import, sorted"""
    names: Mapping[int, str] | None = None
    """Class names by number; None: none were found"""
    about: Mapping[str, str] = field(default_factory=dict)
    """version, license, date and docs as Ultralytics writes them, where present"""
    hostile: tuple[str, ...] = ()
    """What runs commands or code when it is loaded, or may: no model needs it; `?` is a name made while running"""
    unknown: tuple[str, ...] = ()
    """Names of other packages, which a detector's checkpoint does not need"""

    image_size: int | None = None
    """Pixels of the longer side that it was trained with; None: it does not say"""

    @property
    def task(self) -> str | None:
        """Return the task of the model, by its class; None: the class is unknown."""
        return next((_TASKS[name] for name in self.globals if name in _TASKS), None)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return what a `.pt` file contains, without loading it.

    Raises:
        DataError: the file is no checkpoint, truncated, or too large; the message has the likely reason.
    """
    try:
        stat = path.stat()
        found = _read_once(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    except OSError as error:
        raise DataError("weights cannot be read", where=path, got=error.strerror or error) from error
    if isinstance(found, DataError):
        raise found
    return found


@lru_cache(maxsize=64)
def _read_once(path: Path, size: int, written: int, inode: int) -> Checkpoint | DataError:
    """Return the checkpoint or the error; cached, because four rules read the same file."""
    try:
        return _read(path, size)
    except DataError as error:
        return error


def _read(path: Path, size: int) -> Checkpoint:
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        if head.startswith(b"PK"):
            return _from_zip(path, file, size)
        reader = PickleReader()
        if (parts := _tar_parts(file)) is not None:
            return _from_tar(path, reader, parts)
        file.seek(0)
        return _from_pickles(path, reader, io.BytesIO(file.read(_LARGEST)), head)


def _from_zip(path: Path, file: IO[bytes], size: int) -> Checkpoint:
    try:
        demand_one_directory(path, file, size)
        with zipfile.ZipFile(file) as archive:
            names = [entry.orig_filename.lower().rsplit("/", 1)[-1] for entry in archive.infolist()]
            demand_single_names(path, archive.infolist())
            inside = [entry for entry, name in zip(archive.infolist(), names, strict=True) if name == "data.pkl"]
            if "constants.pkl" in names:
                hint = "it holds code of its own: take the weights that it was exported from"
                raise DataError("a TorchScript archive, not a checkpoint", where=path, hint=hint)
            if len(inside) != 1:
                raise DataError(
                    "a zip file, but no checkpoint", where=path, expected="one data.pkl inside", got=len(inside)
                )
            if inside[0].file_size > _LARGEST:
                raise DataError(f"its data.pkl would unpack to {inside[0].file_size:,} bytes", where=path)
            if inside[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError("its data.pkl is packed in a way that torch does not read", where=path)
            with archive.open(inside[0]) as stream:
                data = stream.read(_LARGEST)
        return _from_pickles(path, PickleReader(), io.BytesIO(data), b"\x80")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DataError(
            "the checkpoint is cut off or damaged: its zip directory cannot be read",
            where=path,
            got=f"{size:,} bytes ({error})",
            hint="download it again, and compare the size",
        ) from error


def _tar_parts(file: IO[bytes]) -> list[bytes] | None:
    """The beginnings of the parts of a tar archive that torch would unpickle; None: it is no tar archive."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            parts = []
            for _ in range(100):
                if (member := archive.next()) is None:
                    break
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None and member.name.rsplit("/", 1)[-1] in _TAR_PARTS:
                    parts.append(stream.read(_LARGEST // 8))
            return parts
    except (tarfile.TarError, EOFError, OverflowError, ValueError):
        return None


def _from_tar(path: Path, reader: PickleReader, parts: list[bytes]) -> Checkpoint:
    for part in parts:
        stream = io.BytesIO(part)
        try:
            while stream.tell() < len(part):
                reader.follow(stream)
        except Exception:  # numbers lie between the pickles
            continue
    found = _checkpoint(reader)
    if found.hostile:
        return found
    raise DataError(
        "a tar archive, as torch wrote checkpoints before 0.1.10",
        where=path,
        hint="load it where you trust it, and save it again with a torch of today",
    )


def _from_pickles(path: Path, reader: PickleReader, stream: IO[bytes], head: bytes) -> Checkpoint:
    try:
        reader.follow(stream)
        if reader.result == _LEGACY_MAGIC:  # torch before 1.6: magic, protocol, system, model, keys, then the numbers
            _follow(reader, stream, 4)
        elif isinstance(reader.result, Made):  # a call may make that number
            with contextlib.suppress(Exception):
                _follow(reader, stream, 4)
    except Exception as error:  # pickletools and a hostile stack raise ValueError, IndexError, KeyError, …
        if not reader.hostile:
            if not head.startswith(b"\x80"):
                raise DataError(
                    "this is no checkpoint", where=path, expected="a zip or a pickle", got=_looks_like(head)
                ) from error
            raise DataError(
                "the checkpoint is cut off or damaged: its pickle cannot be followed to the end",
                where=path,
                got=str(error)[:200],
            ) from error
    return _checkpoint(reader)


def _follow(reader: PickleReader, stream: IO[bytes], count: int) -> None:
    for _ in range(count):
        reader.follow(stream)


def _checkpoint(reader: PickleReader) -> Checkpoint:
    names = next((found for value in reader.classes if (found := _class_names(value)) is not None), None)
    about = {key: reader.facts[key] for key in sorted(reader.facts)}
    hostile = dict.fromkeys([*reader.hostile, *_listed_by_picklescan(reader.names)])
    unknown = tuple(name for name in reader.unknown if name not in hostile)
    globals_ = tuple(sorted(map(str, reader.names)))
    return Checkpoint(globals_, names, about, tuple(hostile), unknown, _image_size(reader.image_size))


def _image_size(value: object) -> int | None:
    """Return a plausible `imgsz`: one number, or the larger of height and width."""
    numbers = [one for one in (value if isinstance(value, list) else [value]) if type(one) is int]
    return max(numbers) if numbers and all(32 <= one <= 1 << 15 for one in numbers) else None


def _listed_by_picklescan(names: set[GlobalName]) -> list[str]:
    """Return the names that picklescan's list calls dangerous, but for those that are judged by their arguments.

    It is given a pickle of nothing but these names: its own reading of the file would cost as much time again.
    """
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes

    judged = [name for name in sorted(names - ALLOWED)[:1000] if not {"\n", "\r", " "} & set("".join(name))]
    lines = b"".join(b"c" + f"{name.module}\n{name.attribute}\n".encode() + b"0" for name in judged)
    result = scan_pickle_bytes(io.BytesIO(b"\x80\x02" + lines + b"N."), "names")
    return sorted(f"{one.module}.{one.name}" for one in result.globals if one.safety == SafetyLevel.Dangerous)


def _class_names(value: Any) -> dict[int, str] | None:
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    good = pairs and all(isinstance(key, int) and isinstance(name, str) for key, name in pairs)
    return dict(pairs) if good else None


def _looks_like(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer: the weights themselves were never downloaded"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page: the download answered with an error or a login"
    if head.isascii():
        return f"a text file that begins {head[:24].decode('ascii')!r}"
    return f"bytes that begin {head[:8].hex()}"
