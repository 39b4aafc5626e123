"""Find the ledgers that may lock some images: around the data, and in the user's index.

Most measurements have no ledger near them. Nothing that reads one is imported here, as that takes 0.1 s.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.files import state_folder

INDEX = "ledgers.txt"
LINE_BREAK = b"\0"  # for one in a path, which has no NUL: a line for each ledger
SWITCH = "LIFTGATE_LEDGER_INDEX"
_MAX_STUDY_BYTES = 1 << 20


def nearby_folders(dataset: Dataset) -> Iterable[Path]:
    """Return the folders whose studies are searched: the current one, and those around the data."""
    home = dataset.source.resolve().parent
    return dict.fromkeys((Path.cwd(), home, home.parent))


def may_be_locked(folders: Iterable[Path]) -> bool:
    """Return whether there is a ledger, or a study file that names a lock, that `search_locks` would look into."""
    places = list(folders)
    return bool(
        any(ledgers_in(folder, "runs/*") for folder in places)
        or indexed_ledgers()
        or any(names_a_lock(path) for folder in places for path in folder.glob("*.y*ml"))
    )


def ledgers_in(folder: Path, studies: str) -> list[Path]:
    """Return the ledgers of some studies' folders, sorted; one that is gone is known by the head file it has left."""
    heads = folder.glob(f"{studies}/ledger.sqlite.head")
    return sorted({*folder.glob(f"{studies}/ledger.sqlite"), *(path.with_suffix("") for path in heads)})


def indexed_ledgers(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the ledgers of the user's index that are still there."""
    if environment.get(SWITCH, "").lower() == "off":
        return []
    try:
        lines = (state_folder(environment) / INDEX).read_bytes().split(b"\n")
    except (OSError, RuntimeError):
        return []
    paths = [Path(os.fsdecode(line.replace(LINE_BREAK, b"\n"))) for line in dict.fromkeys(filter(None, lines))]
    return [path for path in paths if _is_file(path)]


def names_a_lock(path: Path) -> bool:
    """Return whether a YAML file has the word `lock` somewhere, as a study that locks a split has."""
    try:
        return path.is_file() and path.stat().st_size < _MAX_STUDY_BYTES and b"lock" in path.read_bytes()
    except OSError:
        return False


def is_of_a_study(predictions: Path) -> bool:
    """Return whether predictions lie in the folder of a study that has a ledger."""
    path = predictions.absolute()
    return path.parent.name == "predictions" and (path.parent.parent / "ledger.sqlite").is_file()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a damaged line: too long, or a NUL in it
        return False
