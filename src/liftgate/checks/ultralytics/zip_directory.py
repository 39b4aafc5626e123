"""Refuse a zip file that two programs read differently: what one of them finds harmless, another loads.

torch finds the directory where the end record says, whatever lies there, and compares names without their case;
Python's zipfile takes what lies before the end record, and ends a name at a NUL. A zip that torch, or any packer,
wrote reads the same in both.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from liftgate.errors import DataError

_MOST_ENTRIES = 50_000
_LARGEST_DIRECTORY = 8 << 20
_END, _LOCATOR, _WIDE_END = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_END_SIZE, _LOCATOR_SIZE, _WIDE_END_SIZE = 22, 20, 56


def demand_one_directory(path: Path, file: IO[bytes], size: int) -> None:
    """Refuse a directory that is not where both programs look, or has millions of entries, before it is read.

    Raises:
        DataError: so it is.
        ValueError: there is no directory.
    """
    length = min(size, _END_SIZE + _LOCATOR_SIZE + _WIDE_END_SIZE)
    file.seek(size - length)
    tail = file.read(length)
    file.seek(0)
    end, begin = tail[-_END_SIZE:], size - _END_SIZE
    if not end.startswith(_END):
        raise ValueError("it does not end with a directory")
    entries, bytes_, offset = _number(end, 10, 2), _number(end, 12, 4), _number(end, 16, 4)
    locator = tail[-_END_SIZE - _LOCATOR_SIZE : -_END_SIZE]
    if locator.startswith(_LOCATOR):  # of a file of more than 4 GB
        begin -= _LOCATOR_SIZE + _WIDE_END_SIZE
        wide = tail[:_WIDE_END_SIZE]
        if not wide.startswith(_WIDE_END) or _number(locator, 8, 8) != begin:
            raise _ambiguous(path, "its end record")
        entries, bytes_, offset = _number(wide, 32, 8), _number(wide, 40, 8), _number(wide, 48, 8)
    if entries > _MOST_ENTRIES or bytes_ > _LARGEST_DIRECTORY:
        raise DataError(f"a zip file of {entries:,} entries: no checkpoint has as many", where=path)
    if offset + bytes_ != begin:
        raise _ambiguous(path, "its directory")


def demand_single_names(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse names that are there twice for a program that ignores their case, or that end at a NUL.

    Raises:
        DataError: so it is.
    """
    names = [entry.orig_filename.lower() for entry in entries]
    if len(set(names)) < len(names) or any("\0" in name for name in names):
        raise _ambiguous(path, "a name in it")


def _ambiguous(path: Path, what: str) -> DataError:
    hint = "take the weights from their author's own page: no program writes such a file by accident"
    return DataError(f"a zip file that two programs read differently: {what} has two meanings", where=path, hint=hint)


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")
