"""Compute content hashes: equal values have equal hashes on every machine, different values have different ones.

Every value is written with a tag for its type before it is hashed, so that `1`, `1.0`, `"1"` and `True` differ and
`["ab"]` is not `["a", "b"]`. (A hash of `repr` or of JSON fails at one of these: JSON does not keep key
types and NaN, `repr` changes between Python versions.) Paths, times and unknown objects are refused: they make a
hash depend on the machine. Frozen dataclasses are hashed by class name and fields, so a renamed field is a new value;
a field with `compare=False` is left out of the hash,
and so is one with the metadata OMITTED_AT_DEFAULT that has its default value.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

OMITTED_AT_DEFAULT: Mapping[str, bool] = {"omitted_at_default": True}
"""Metadata of a field that was added later: a record that does not use it keeps the hash that it had before"""
_CHUNK = 1 << 20
_ITEMS = 1 << 16
"""Items of an array that are copied to be hashed at once"""


def content_hash(value: object) -> str:
    """Return the SHA-256 of `value` as 64 hex digits.

    Takes None, bool, int, float, str, bytes, Enum, list, tuple, set of hashable leaves, mapping with string keys,
    numpy array and dataclass, nested at will; a list and a tuple of the same items are the same value.

    Raises:
        TypeError: for anything else (a Path, a datetime, an open file).

    >>> content_hash({"b": 1, "a": 2}) == content_hash({"a": 2, "b": 1})
    True
    >>> content_hash(1) == content_hash(1.0)
    False
    """
    digest = hashlib.sha256()
    _feed(value, digest.update)
    return digest.hexdigest()


def row_hash(*cells: str | bytes | int) -> str:
    """Return the SHA-256 of the cells of one row of a cache, in a microsecond.

    >>> row_hash("a", 1) == row_hash("a", "1")
    False
    """
    return hashlib.sha256(repr(cells).encode()).hexdigest()


def row_checksum(*cells: str | int | float) -> int:
    """Return 60 bits of the SHA-256 of the cells of one row of a database, as an integer that SQLite takes.

    The same for what was written and for what SQLite returns for it, so a column's values are all of its own type.

    >>> row_checksum("a", 1.5) == row_checksum("a", 1.25)
    False
    """
    return int(hashlib.sha256(repr(cells).encode("utf-8", "surrogatepass")).hexdigest()[:15], 16)


def is_sound_row(row: Sequence[Any]) -> bool:
    """Return whether a row whose last cell is its `row_checksum` is what was written; rows of older versions have None.

    >>> is_sound_row(("a", 1.5, row_checksum("a", 1.5))), is_sound_row(("b", 1.5, row_checksum("a", 1.5)))
    (True, False)
    """
    return row[-1] is None or row_checksum(*row[:-1]) == row[-1]


def short(hash_: str) -> str:
    """Return the first 12 digits of a hash, for messages and pages; records keep all 64."""
    return hash_[:12]


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hex digits."""
    digest = hashlib.sha256()
    if path.is_fifo():  # to open it would wait for ever
        raise OSError(errno.EINVAL, "a pipe, and no file", str(path))
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _feed(value: Any, out: Callable[[bytes], None]) -> None:
    kind = type(value)
    if kind is str:  # nearly all values are one of these three
        _feed_text(value, out)
    elif kind is int:
        _tagged(b"i", b"%d" % value, out)
    elif kind is tuple or kind is list:
        _feed_items(value, out)
    else:
        _feed_other(value, out)


def _feed_other(value: Any, out: Callable[[bytes], None]) -> None:
    # bool before int, because True is an int in Python.
    if value is None:
        out(b"n")
    elif isinstance(value, bool):
        out(b"b1" if value else b"b0")
    elif isinstance(value, Enum):
        _tagged(b"e", f"{type(value).__name__}.{value.name}".encode(), out)
    elif isinstance(value, int):
        _tagged(b"i", str(value).encode(), out)
    elif isinstance(value, float):
        out(b"f" + struct.pack(">d", value))
    elif isinstance(value, str):
        _feed_text(value, out)
    elif isinstance(value, bytes):
        _tagged(b"y", value, out)
    elif isinstance(value, Mapping):
        _feed_mapping(value, out)
    elif isinstance(value, list | tuple):
        _feed_items(value, out)
    elif isinstance(value, set | frozenset):
        _feed_set(value, out)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _tagged(b"d", type(value).__name__.encode(), out)
        _feed({f.name: getattr(value, f.name) for f in dataclasses.fields(value) if _is_hashed(value, f)}, out)
    elif hasattr(value, "dtype") and hasattr(value, "tobytes"):
        _feed_array(value, out)
    else:
        raise TypeError(f"no content hash for {type(value).__name__}: it would depend on the machine")


def _feed_set(value: Iterable[Any], out: Callable[[bytes], None]) -> None:
    # Each part of the list of its items' hashes, tag and payload, has a u before it: written down in ledgers so.
    hashes = [content_hash(item).encode() for item in value]
    count = b"%d" % len(hashes)
    out(b"ul%d:u%b" % (len(count), count))
    for one in sorted(hashes):
        out(b"us64:u" + one)


def _is_hashed(record: Any, field: dataclasses.Field[Any]) -> bool:
    if not field.metadata.get("omitted_at_default"):
        return field.compare
    made = field.default_factory
    default = field.default if made is dataclasses.MISSING else made()
    return field.compare and getattr(record, field.name) != default


def _feed_text(value: str, out: Callable[[bytes], None]) -> None:
    try:
        _tagged(b"s", value.encode("utf-8", "surrogateescape"), out)
    except UnicodeEncodeError:  # half of a surrogate pair, as from "\\ud800" in JSON: no name on a disk has it
        _tagged(b"S", value.encode("utf-8", "surrogatepass"), out)


def _tagged(tag: bytes, payload: bytes, out: Callable[[bytes], None]) -> None:
    out(b"%b%d:%b" % (tag, len(payload), payload))


def _feed_items(value: Sequence[Any], out: Callable[[bytes], None]) -> None:
    _tagged(b"l", b"%d" % len(value), out)
    for item in value:
        _feed(item, out)


def _feed_mapping(value: Mapping[Any, Any], out: Callable[[bytes], None]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"no content hash for a mapping with the key {key!r}: keys are strings")
    _tagged(b"m", str(len(value)).encode(), out)
    for key in sorted(value):
        _feed(key, out)
        _feed(value[key], out)


def _feed_array(value: Any, out: Callable[[bytes], None]) -> None:
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    if value.dtype.hasobject:
        raise TypeError("no content hash for an array of objects")
    _tagged(b"a", f"{little.dtype.str}{value.shape}".encode(), out)
    flat = little.reshape(-1)  # a view, where the rows lie one after the other
    for begin in range(0, flat.size, _ITEMS):
        out(flat[begin : begin + _ITEMS].tobytes())
