"""Weights: from what a study calls them to a file, without asking any server.

Looked for in this order: the path itself, the study's folder, the weights cache ($XDG_CACHE_HOME/liftgate/weights),
and for a model YAML the architectures that ship with Ultralytics.
"""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import NamedTuple

from liftgate.backends.sealed import cache_folder
from liftgate.errors import UsageError
from liftgate.hashing import content_hash, file_hash


class Weights(NamedTuple):
    """What a job starts from."""

    path: str
    """A file, absolute; or the name of a model YAML that ships with Ultralytics."""
    identity: str
    """SHA-256 of the content, whatever the file is called."""


def weights_cache() -> Path:
    """Return the folder where official weights are looked for; put them there by hand."""
    return cache_folder(os.environ) / "weights"


def resolve_weights(name: str, folder: Path) -> Weights:
    """Find start weights: a file, an official name (`yolov8n.pt`) or a model YAML (`yolov8n.yaml`).

    Args:
        name: as the study says it.
        folder: the study's folder, which relative names are tried against.

    Raises:
        UsageError: there is no such file; the hint says where to put it.
    """
    for place in (folder / name, weights_cache() / name):
        if place.is_file():
            path = place.resolve()
            return Weights(str(path), _identity(path))
    if name.endswith((".yaml", ".yml")):
        shipped = _shipped_yaml(name)
        if shipped is not None:
            return Weights(name, content_hash([name, _identity(shipped)]))
    hint = f"put the file at {folder / name} or at {weights_cache() / Path(name).name}; Liftgate downloads nothing"
    raise UsageError("no such weights", where=folder, got=name, hint=hint)


def _identity(path: Path) -> str:
    # A YAML's file name may carry the model's scale (yolov8n.yaml), so it is part of what is built.
    scaled = re.search(r"yolo(e-)?v?\d+([nslmx])", path.stem) if path.suffix in (".yaml", ".yml") else None
    return content_hash([file_hash(path), scaled[2]]) if scaled else file_hash(path)


def _shipped_yaml(name: str) -> Path | None:
    found = importlib.util.find_spec("ultralytics")
    if found is None or not found.submodule_search_locations:
        return None
    models = Path(found.submodule_search_locations[0]) / "cfg" / "models"
    plain = re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", name)  # yolov8n.yaml is yolov8.yaml at scale n
    return next((path for path in sorted(models.rglob("*.y*ml")) if path.name in (name, plain)), None)
