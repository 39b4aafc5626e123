"""Decode untrusted COCO JSON by type and row by row, so that a bad row loses only itself."""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from liftgate.documents import WITHOUT_REPEATED_KEYS, DocumentError, unique_keys
from liftgate.errors import DataError

T = TypeVar("T")

Id = int | str


class ImageRow(msgspec.Struct):
    """One entry of `images`."""

    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None
    license: int | str | None = None


class AnnotationRow(msgspec.Struct):
    """One entry of `annotations`; its outline is read only where it has no box (`box_of_outline`)."""

    image_id: Id
    category_id: int
    bbox: list[float] | None = None
    id: Id | None = None
    area: float | None = None
    iscrowd: int | bool | None = 0
    ignore: int | bool | None = 0
    keypoints: list[float] | None = None


class CategoryRow(msgspec.Struct):
    """One entry of `categories`."""

    id: int
    name: str
    supercategory: str | None = None
    keypoints: list[str] | None = None
    flip_idx: list[int] | None = None
    sigmas: list[float] | None = None


class ResultRow(msgspec.Struct, gc=False):
    """One detection of a results file."""

    image_id: Id
    category_id: Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
    """Becomes a column of 64-bit integers"""
    score: float
    bbox: tuple[float, float, float, float] | None = None
    keypoints: list[float] | None = None


class CocoDocument(msgspec.Struct):
    """A COCO JSON with its rows still undecoded."""

    images: list[msgspec.Raw]
    categories: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []
    licenses: msgspec.Raw = msgspec.Raw(b"[]")
    """Undecoded as a whole: people write anything here"""


class _Outline(msgspec.Struct):
    """Outline of an annotation: polygons as x, y of each corner."""

    segmentation: list[list[float]]


UNDECODABLE = (msgspec.MsgspecError, RecursionError, UnicodeError)
"""Errors for a row or file that cannot be decoded: msgspec's, and Python's own for bytes that are not UTF-8."""

_MARK = b"\xef\xbb\xbf"
MAP_FROM_BYTES = 64 << 20
_TABLES = (b'"images"', b'"categories"', b'"annotations"')
LARGEST_SLOW = 256 << 20
"""Bytes. The slow reader, which names the line, takes some twenty times as much memory as the file has."""


def row_decoder(kind: type[T]) -> Callable[[msgspec.Raw], T]:
    """Return a decoder of one row that also accepts values in another type: "64" or 64.0 for 64, "0" for 0."""
    strict, lax = msgspec.json.Decoder(kind).decode, msgspec.json.Decoder(kind, strict=False).decode

    def decode(item: msgspec.Raw) -> T:
        try:
            return strict(item)
        except msgspec.ValidationError:
            return lax(item)

    return decode


def box_of_outline(item: msgspec.Raw) -> tuple[list[float], float] | None:
    """Return (left, top, width, height) around an annotation's polygons, and their area; None: no polygon.

    >>> box_of_outline(msgspec.Raw(b'{"segmentation": [[0, 0, 4, 0, 4, 2, 0, 2]]}'))
    ([0.0, 0.0, 4.0, 2.0], 8.0)
    """
    try:
        polygons = msgspec.json.decode(item, type=_Outline, strict=False).segmentation
    except UNDECODABLE:  # a mask, or nothing
        return None
    if not polygons or any(len(corners) < 6 or len(corners) % 2 for corners in polygons):
        return None
    xs, ys = ([number for corners in polygons for number in corners[axis::2]] for axis in (0, 1))
    area = 0.0
    for corners in polygons:
        x, y = corners[0::2], corners[1::2]
        area += abs(sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))) / 2
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)], area


def read_json(path: Path, kind: type[T]) -> T:
    """Decode a JSON file into `kind`; NaN and Infinity, which are no JSON but are written by many, become null.

    Raises:
        DataError: with the line where it breaks off or is malformed, or the place that has another type.
    """
    data = _content(path)
    if kind is CocoDocument:
        _refuse_repeated_tables(path, data)
    try:
        value = msgspec.json.decode(data, type=kind)
        refuse_repeated_keys(path, data, value)
        return value
    except msgspec.ValidationError as error:
        raise _wrong_kind(path, kind, error) from None
    except UNDECODABLE as error:
        if len(data) > LARGEST_SLOW:
            raise DataError(
                "not valid JSON", where=path, got=str(error), hint="cut off, or NaN for a number?"
            ) from None
    try:  # slow, for files that are damaged or hold NaN
        text = bytes(data).decode("utf-8")
        hook = unique_keys if len(data) <= WITHOUT_REPEATED_KEYS else None
        return msgspec.json.decode(msgspec.json.encode(json.loads(text, object_pairs_hook=hook)), type=kind)
    except DocumentError as error:
        raise _twice(path, error) from None
    except json.JSONDecodeError as error:
        part_of_a_word = re.fullmatch(r"[-+.\w]*\s*", text[error.pos :]) is not None  # nothing, `tru`, `0.`, `1e-`
        cut = part_of_a_word or error.msg.startswith("Unterminated")
        raise DataError(
            "the JSON is cut off" if cut else "not valid JSON",
            where=f"{path}:{error.lineno}",
            got=f"{error.msg} at column {error.colno} of {len(data)} bytes",
            hint="was it copied or written to the end?" if cut else None,
        ) from None
    except msgspec.ValidationError as error:
        raise _wrong_kind(path, kind, error) from None
    except (*UNDECODABLE, OverflowError, ValueError) as error:
        raise DataError("not valid JSON", where=path, got=f"{type(error).__name__}: {error}"[:200]) from None


def _refuse_repeated_tables(path: Path, data: bytes | memoryview) -> None:
    """Refuse a data set that has `images`, `categories` or `annotations` twice: a reader takes the last alone.

    Not looked for in a file that is mapped, which no editor and no hand has joined.
    """
    if isinstance(data, memoryview) or max(map(data.count, _TABLES)) < 2:
        return  # two words need not be two keys: a class or a description may hold them
    try:
        pairs = json.loads(data, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError):  # said by whoever reads it
        return
    keys = [key for key, _ in pairs] if isinstance(pairs, list) and all(isinstance(one, tuple) for one in pairs) else []
    if repeated := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise DataError(f"`{repeated[0]}` is there twice", where=path, hint="join the two lists, or remove one")


_EVERY_KEY_UNTIL = 1 << 20  # bytes
_REQUIRED = ("image_id", "category_id", "bbox", "score")


def refuse_repeated_keys(path: Path, data: bytes | memoryview, value: object) -> None:
    """Refuse a file with a row that has a key twice: another reader may take the other value.

    To look at every key doubles the time of reading: up to 4 MiB it is done where a key that every label has is there
    more often than labels are.

    Raises:
        DataError: a key is there twice.
    """
    rows = value.annotations if isinstance(value, CocoDocument) else value
    if isinstance(data, memoryview) or not isinstance(rows, list) or len(data) > WITHOUT_REPEATED_KEYS:
        return
    if len(data) <= _EVERY_KEY_UNTIL or any(data.count(f'"{key}"'.encode()) > len(rows) for key in _REQUIRED):
        try:
            json.loads(data, object_pairs_hook=unique_keys)
        except DocumentError as error:
            raise _twice(path, error) from None
        except (ValueError, RecursionError):  # in one row, which its own reader names
            return


def _twice(path: Path, error: DocumentError) -> DataError:
    return DataError(error.problem, where=path, hint="of two values every reader takes another one: remove one")


def _content(path: Path) -> bytes | memoryview:
    """Return the file's bytes without a byte order mark; a large file is mapped, so that it takes no process memory."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < MAP_FROM_BYTES:
                return file.read().removeprefix(_MARK)
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None
    return content[len(_MARK) :] if content[: len(_MARK)] == _MARK else content


def _wrong_kind(path: Path, kind: object, error: Exception) -> DataError:
    coco = kind is CocoDocument
    return DataError(
        "not a COCO data set" if coco else "not a COCO results file",
        where=path,
        expected="an object with images, annotations, categories" if coco else "a list of detections",
        got=str(error),
        hint="this looks like a list of results" if coco and "got `array`" in str(error) else None,
    )
