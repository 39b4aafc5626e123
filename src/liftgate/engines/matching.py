"""A task that matches the detections on some images to their objects: arrays come in and go out, in files of numpy."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.backends.events import Json
from liftgate.errors import DataError
from liftgate.evaluation.cell_matching import Matches, MatchInputs, match_by_row
from liftgate.files import write_bytes

_HINT = "the same command matches this part again"


@dataclass(frozen=True, slots=True)
class MatchJob:
    """Detections and objects of some images, to be matched."""

    data: Path
    """`MatchInputs` as a file"""
    out: Path
    """`Matches`, a file to write"""

    def to_dict(self) -> Json:
        """Return plain JSON values."""
        return {"verb": "match", "data": str(self.data), "out": str(self.out)}

    @classmethod
    def from_dict(cls, raw: Json) -> MatchJob:
        """Return the job that `to_dict` described.

        Raises:
            KeyError, TypeError: it describes none.
        """
        return cls(Path(raw["data"]), Path(raw["out"]))

    def run(self, sha256: str) -> None:
        """Match, and write the matches.

        Args:
            sha256: of the data.

        Raises:
            DataError: the data are others.
        """
        write_arrays(self.out, match_by_row(MatchInputs(**_read_arrays(self.data, sha256, MatchInputs._fields))))


def write_arrays(path: Path, arrays: MatchInputs | Matches) -> None:
    """Write arrays by their names; equal arrays have equal bytes."""
    file = io.BytesIO()
    np.savez(file, **arrays._asdict())
    write_bytes(path, file.getvalue())


def read_matches(path: Path, sha256: str, count: int) -> Matches:
    """Read what a task has written.

    Args:
        path: the file.
        sha256: that the task gave it.
        count: number of detections.

    Raises:
        DataError: it is another file, or not of so many detections.
    """
    found = Matches(**_read_arrays(path, sha256, Matches._fields))
    if {found.hit.shape[-1], found.skip.shape[-1], len(found.found)} != {count}:
        raise DataError("matches of other detections", where=path, expected=count, got=len(found.found), hint=_HINT)
    return found


def _read_arrays(path: Path, sha256: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError("a part of an evaluation is missing", where=path, got=error.strerror, hint=_HINT) from None
    if (got := hashlib.sha256(content).hexdigest()) != sha256:
        what = "a part of an evaluation was changed"
        raise DataError(what, where=path, expected=sha256[:12], got=got[:12], hint=_HINT)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError("a part of an evaluation cannot be read", where=path, got=str(error), hint=_HINT) from None
