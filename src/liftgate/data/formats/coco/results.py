"""Read a results JSON as columns.

msgspec decodes small files; compiled code scans larger ones in chunks, so that memory holds the numbers and one chunk,
never the whole file.

msgspec decodes the rows that the scanner does not understand, so that a row is read the same either way and one that is
not a detection is reported with its index.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes
from liftgate.data.formats.coco.document import (
    LARGEST_SLOW,
    UNDECODABLE,
    Id,
    ResultRow,
    read_json,
    refuse_repeated_keys,
)
from liftgate.errors import DataError
from liftgate.kernels import coco_scan
from liftgate.kernels.compiler import kernels_on

SCAN_FROM = 8 << 20
"""Least size in bytes of a file that is scanned: below, msgspec takes less time than loading the compiled scanner
(docs/benchmarks.md)"""

CHUNK_BYTES = 4 << 20
_LEAST_ROW = 32  # bytes; `{"image_id":1,"category_id":1,"score":1}` has more


@dataclass(frozen=True, slots=True, eq=False)
class CocoResults:
    """Rows of a results file; every column has the same length n."""

    ids: tuple[Id, ...]
    """The distinct image_ids, in order of occurrence"""
    image: NDArray[np.int64]
    """(n,) index into ids"""
    category: NDArray[np.int64]
    """(n,) category_id"""
    score: NDArray[np.float64]
    boxes: Boxes
    """(n, 4) left, top, width, height; NaN where a row has none"""
    point_count: NDArray[np.int64]
    """(n,) how many numbers `keypoints` has; −1: the row has no keypoints"""
    points: NDArray[np.float64]
    """The numbers of all rows' keypoints, one after the other"""

    def __len__(self) -> int:
        return len(self.score)


def read_results(path: Path, *, scan_from: int = SCAN_FROM, piece: int = CHUNK_BYTES) -> CocoResults:
    """Read the rows of a results file.

    Args:
        path: a JSON list of detections.
        scan_from: least size in bytes of a file that is scanned; never without compiled kernels.
        piece: bytes per chunk.

    Raises:
        DataError: not JSON (with the line, in a file of moderate size), or an invalid row, with its index.
    """
    try:
        if path.stat().st_size < scan_from or not kernels_on():
            with contextlib.suppress(*UNDECODABLE):  # the scanner names the row
                return _decoded(path)
        with path.open("rb") as file:
            return _Reader(path, piece).read(file)
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None


def _decoded(path: Path) -> CocoResults:
    """Decode a whole file with msgspec and return its columns.

    Raises:
        MsgspecError, UnicodeError, RecursionError: not a JSON list of detections.
        DataError: a row has a key twice.
    """
    data = path.read_bytes()
    rows = msgspec.json.decode(data, type=list[ResultRow])
    refuse_repeated_keys(path, data, rows)
    ids: dict[Id, int] = {}
    nothing = (math.nan,) * 4
    points: list[float] = []
    for row in rows:
        if row.keypoints:
            points += row.keypoints
    return CocoResults(
        image=np.array([ids.setdefault(row.image_id, len(ids)) for row in rows], dtype=np.int64),
        ids=tuple(ids),
        category=np.array([row.category_id for row in rows], dtype=np.int64),
        score=np.array([row.score for row in rows], dtype=np.float64),
        boxes=np.array([row.bbox or nothing for row in rows], dtype=np.float64).reshape(-1, 4),
        point_count=np.array([-1 if row.keypoints is None else len(row.keypoints) for row in rows], dtype=np.int64),
        points=np.array(points, dtype=np.float64),
    )


class _Piece:
    """Arrays that the scanner fills from one chunk of the file."""

    def __init__(self, size: int) -> None:
        rows = size // _LEAST_ROW + 1
        self.text = np.empty(size, dtype=np.uint8)
        self.slots = np.empty(1 << (2 * rows).bit_length(), dtype=np.int32)
        self.id_at, self.id_length, self.ids, self.categories, self.point_counts = np.empty((5, rows), dtype=np.int64)
        self.scores, self.boxes, self.points = np.empty(rows), np.empty((rows, 4)), np.empty(size // 2)


class _Reader:
    """Reads a file chunk by chunk, and keeps the image ids of earlier chunks."""

    def __init__(self, path: Path, piece: int) -> None:
        self._path, self._piece = path, piece
        self._decode = msgspec.json.Decoder(ResultRow).decode
        self._ids: dict[Id, int] = {}
        self._rows = 0
        self._columns: list[list[NDArray[np.generic]]] = [[] for _ in range(6)]
        self._state = np.zeros(coco_scan.STATE_SIZE, dtype=np.int64)

    def read(self, file: BufferedReader) -> CocoResults:
        size = max(4096, min(self._piece, self._path.stat().st_size + 1))
        piece, kept = _Piece(size), 0
        while True:
            got = file.readinto(piece.text.data[kept:])
            filled = kept + got
            begin = 3 if not self._rows and piece.text[:3].tobytes() == b"\xef\xbb\xbf" and not kept else 0
            left = self._scan(piece, begin, filled)
            kept = filled - left
            if not got and not kept and self._state[coco_scan.EXPECT] == coco_scan.CLOSED:
                return self._results()
            if not got:
                self._refuse(f"it ends within or after row {self._rows}", "was it copied or written to the end?")
            if kept == len(piece.text):  # one row is larger than all that
                larger = _Piece(2 * kept)
                larger.text[:kept] = piece.text
                piece = larger
            else:
                piece.text[:kept] = piece.text[left:filled].copy()

    def _scan(self, piece: _Piece, begin: int, end: int) -> int:
        """Scan the complete rows of a chunk and return the offset of the first incomplete one."""
        state = self._state
        piece.slots.fill(-1)
        state[coco_scan.AT], state[[coco_scan.ROWS, coco_scan.IDS, coco_scan.POINTS]] = begin, 0
        odd: dict[int, int] = {}  # row → place of its id
        while True:
            status = coco_scan.scan(
                piece.text, end, state, coco_scan.POWERS, piece.slots, piece.id_at, piece.id_length, piece.ids,
                piece.categories, piece.scores, piece.boxes, piece.point_counts, piece.points,
            )  # fmt: skip
            if status == coco_scan.BROKEN:
                self._refuse(
                    f"a comma, a bracket or an object is missing after row {self._rows + state[coco_scan.ROWS]}"
                )
            if status == coco_scan.INCOMPLETE:
                break
            place_of_id = self._decode_row(piece)
            odd[int(state[coco_scan.ROWS]) - 1] = place_of_id
        count, distinct, points = (int(state[i]) for i in (coco_scan.ROWS, coco_scan.IDS, coco_scan.POINTS))
        texts = zip(piece.id_at[:distinct].tolist(), piece.id_length[:distinct].tolist(), strict=True)
        text = piece.text.data
        listed = b"[" + b",".join(text[at : at + length] for at, length in texts) + b"]"
        place = [self._index_of_id(id_) for id_ in msgspec.json.decode(listed)]
        piece.ids[list(odd)] = 0
        image = np.array(place or [0], dtype=np.int64)[piece.ids[:count]]
        image[list(odd)] = list(odd.values())
        taken = (image, piece.categories, piece.scores, piece.boxes, piece.point_counts)
        for column, values in zip(self._columns, taken, strict=False):
            column.append(values[:count].copy())
        self._columns[5].append(piece.points[:points].copy())
        self._rows += count
        return int(state[coco_scan.AT])

    def _decode_row(self, piece: _Piece) -> int:
        """Decode the current row with msgspec and return the index of its image id."""
        state = self._state
        row, first, last = (int(state[i]) for i in (coco_scan.ROWS, coco_scan.AT, coco_scan.END))
        try:
            row_found = self._decode(piece.text[first:last].tobytes())
        except UNDECODABLE as error:
            self._refuse_row(self._rows + row, str(error))
            raise
        piece.categories[row], piece.scores[row] = row_found.category_id, row_found.score
        piece.boxes[row] = np.nan if row_found.bbox is None else row_found.bbox
        points = row_found.keypoints
        piece.point_counts[row] = -1 if points is None else len(points)
        if points:
            at = state[coco_scan.POINTS]
            piece.points[at : at + len(points)] = points
            state[coco_scan.POINTS] += len(points)
        state[coco_scan.ROWS] += 1
        state[coco_scan.AT], state[coco_scan.EXPECT] = last, coco_scan.COMMA
        return self._index_of_id(row_found.image_id)

    def _index_of_id(self, id_: Id) -> int:
        return self._ids.setdefault(id_, len(self._ids))

    def _results(self) -> CocoResults:
        joined = []
        while self._columns:
            joined.append(np.concatenate(self._columns.pop(0)))  # one after the other: no second copy of all of them
        return CocoResults(tuple(self._ids), *joined)

    def _refuse_row(self, index: int, why: str) -> None:
        self._raise_first_error()
        hint = "NaN is no score: leave such detections out" if "got `null`" in why or "malformed" in why else None
        raise DataError("not a detection", where=f"{self._path}: [{index}]", got=why, hint=hint)

    def _refuse(self, why: str, hint: str | None = None) -> None:
        self._raise_first_error()
        raise DataError("not a valid JSON list of detections", where=self._path, got=why, hint=hint)

    def _raise_first_error(self) -> None:
        """Raise the first error with its line: the slow reader takes about twenty times the file's size in memory."""
        if self._path.stat().st_size > LARGEST_SLOW:
            return
        decode = msgspec.json.Decoder(ResultRow).decode
        for index, item in enumerate(read_json(self._path, list[msgspec.Raw])):
            try:
                decode(item)
            except UNDECODABLE as error:
                hint = "NaN is no score: leave such detections out" if "got `null`" in str(error) else None
                where = f"{self._path}: [{index}]"
                raise DataError("not a detection", where=where, got=str(error), hint=hint) from None


def spread(results: CocoResults, rows: Iterable[int]) -> list[NDArray[np.float64]]:
    """Return the keypoint numbers of each of `rows`; empty for a row without keypoints."""
    end = np.cumsum(np.maximum(results.point_count, 0))
    return [results.points[end[row] - max(0, int(results.point_count[row])) : end[row]] for row in rows]
