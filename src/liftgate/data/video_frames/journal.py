"""Journal of finished work, one line for each unit, so that an interrupted run continues."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from liftgate.data.core.dataset import Fault
from liftgate.data.video_frames.records import FrameRow, Request
from liftgate.errors import UsageError
from liftgate.hashing import content_hash, file_hash
from liftgate.records import to_record

NAME = ".frames.jsonl"


@dataclass(frozen=True, slots=True)
class FinishedUnit:
    """The result of one unit of work."""

    key: str
    """Hash of the file's name, size and time of change, the request and the unit's times."""
    rows: tuple[FrameRow, ...] = ()
    faults: tuple[Fault, ...] = ()
    n_repeated: int = 0
    """Requested times whose nearest frame was already taken."""
    n_missing: int = 0
    """Requested times without a frame."""
    n_damaged: int = 0
    """Packets that could not be decoded."""
    ends: float = 0.0
    """Time of the last decoded frame."""
    keep: bool = False
    """Keep its frames in the manifest when its source no longer exists (rolling buffers and cameras)."""


class Journal:
    """The finished units of work in a folder; new ones are appended.

    Raises (on construction):
        UsageError: the folder has frames of another request or other files, or another process is writing into it.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        self._folder = folder
        self._path = folder / NAME
        self.pieces: dict[str, FinishedUnit] = {}
        if not self._path.exists():
            _refuse_others(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8")
        try:
            self._lock_and_load(content_hash(request))
        except BaseException:
            self._file.close()
            raise

    def _lock_and_load(self, mark: str) -> None:
        """Lock the folder as long as the file is open, and read the finished units."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                "another program writes frames into this folder",
                where=self._folder,
                hint="wait for it, or another --out",
            ) from None
        for part in self._folder.glob(".*.part"):  # of a run that was killed
            part.unlink()
        lines = list(_lines(self._path))
        if not lines:
            self._file.truncate(0)  # an incomplete first line after a kill
            self._append({"request": mark, "format": 1})
            return
        if lines[0].get("request") != mark:
            raise UsageError(
                "this folder holds frames of another request",
                where=self._folder,
                hint="another --out, or the same --every, window, --quality and --group as before",
            )
        for line in lines[1:]:
            piece = _piece(line)
            if piece is not None:
                self.pieces[piece.key] = piece
        self._file.write("\n")  # a kill may have truncated the last line; an empty line does no harm

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, piece: FinishedUnit) -> None:
        """Record a finished unit of work."""
        self.pieces[piece.key] = piece
        self._append(asdict(piece))

    def holds(self, key: str) -> bool:
        """Return whether the unit is done and its images still have the bytes that were written."""
        piece = self.pieces.get(key)
        return piece is not None and all(_intact(self._folder / row.image, row.sha256) for row in piece.rows)

    def discard(self, keys: Iterable[str]) -> None:
        """Delete images that were recorded for these units and were changed since: they are written again."""
        for piece in (self.pieces[key] for key in keys if key in self.pieces):
            for path, sha256 in ((self._folder / row.image, row.sha256) for row in piece.rows):
                if path.is_file() and not _intact(path, sha256):
                    path.unlink()

    def _append(self, line: Mapping[str, object]) -> None:
        self._file.write(json.dumps(line, sort_keys=True) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _refuse_others(folder: Path) -> None:
    if (folder / "frames.csv").exists():
        raise UsageError(
            "this folder holds a frames.csv that Liftgate did not write", where=folder, hint="another --out"
        )
    if folder.is_dir() and (found := sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))):
        raise UsageError(
            "the folder is not empty", where=folder, got=", ".join(found[:3]), hint="a new --out: nothing is mixed up"
        )


def _lines(path: Path) -> Iterable[dict[str, object]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                yield line


def _piece(line: Mapping[str, object]) -> FinishedUnit | None:
    try:
        return to_record(line, FinishedUnit)
    except msgspec.ValidationError:
        return None


def _intact(path: Path, sha256: str) -> bool:
    try:
        return file_hash(path) == sha256
    except OSError:
        return False
