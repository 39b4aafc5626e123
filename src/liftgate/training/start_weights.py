"""Resolve start weights: from their name in a study to a file on disk, without any download.

A model YAML that is in no folder of `study.weights` may be one that ships with Ultralytics.
"""

from __future__ import annotations

import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from liftgate.checks.ultralytics.published_models import OFFICIAL
from liftgate.errors import UsageError
from liftgate.hashing import content_hash, file_hash
from liftgate.study.weights import fetch_command, find, nearest, places


class StartWeights(NamedTuple):
    """Weights that a job starts from."""

    path: str
    """A file, absolute; or the name of a model YAML that ships with Ultralytics."""
    identity: str
    """SHA-256 of the content; of a YAML also the model scale in its name."""


def resolve_weights(name: str, folder: Path, place: str = "") -> StartWeights:
    """Find start weights: a file, an official name (`yolov8n.pt`) or a model YAML (`yolov8n.yaml`).

    Args:
        name: as in the study.
        folder: the study's folder, which relative names are tried against.
        place: file and line in the study, for the message.

    Raises:
        UsageError: there is no such file; the hint names where to put it.
    """
    if found := find(name, folder):
        path = found.resolve()
        return StartWeights(str(path), _identity(path))
    if name.endswith((".yaml", ".yml")):
        shipped = _shipped_yaml(name)
        if shipped is not None:
            return StartWeights(name, content_hash([name, _identity(shipped)]))
    close = nearest(name, folder)
    fetch = f". To fetch it: {fetch_command(name)}" if name in OFFICIAL else ""
    here = " or at ".join(str(place) for place in places(name, folder))
    hint = f"did you mean {close}?" if close else f"put the file at {here}; Liftgate downloads nothing{fetch}"
    raise UsageError("no such weights", where=place or folder, got=name, hint=hint)


def _identity(path: Path) -> str:
    # A YAML's file name may carry the model's scale (yolov8n.yaml), so it is part of what is built.
    scaled = re.search(r"yolo(e-)?v?\d+([nslmx])", path.stem) if path.suffix in (".yaml", ".yml") else None
    stat = path.stat()
    content = _content(path, stat.st_mtime_ns, stat.st_size)
    return content_hash([content, scaled[2]]) if scaled else content


@lru_cache(maxsize=256)
def _content(path: Path, written: int, size: int) -> str:
    """Return the hash of a file, cached: every arm, seed and gate uses the same weights of a hundred megabytes."""
    return file_hash(path)


def _shipped_yaml(name: str) -> Path | None:
    found = importlib.util.find_spec("ultralytics")
    if found is None or not found.submodule_search_locations:
        return None
    models = Path(found.submodule_search_locations[0]) / "cfg" / "models"
    plain = re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", name)  # yolov8n.yaml is yolov8.yaml at scale n
    return next((path for path in sorted(models.rglob("*.y*ml")) if path.name in (name, plain)), None)
