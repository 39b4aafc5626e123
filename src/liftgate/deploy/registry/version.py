"""Versions of a model: their names, the names of their files, and a version as the registry has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from liftgate.errors import UsageError
from liftgate.ledger.model_records import VersionEntry

_VERSION = re.compile(r"v(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){0,3}")


def parse_version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version's name, by which versions are ordered.

    >>> parse_version("v0.10") > parse_version("v0.2")
    True

    Raises:
        UsageError: it is no name of a version.
    """
    if not _VERSION.fullmatch(text):
        raise UsageError("not the name of a version", expected="v0, v0.1, v1 …", got=text)
    return tuple(int(part) for part in text[1:].split("."))


def is_version(text: str) -> bool:
    """Return whether text is the name of a version.

    >>> is_version("v0.1"), is_version("v0.onnx")
    (True, False)
    """
    return _VERSION.fullmatch(text) is not None


def next_version(known: Iterable[str]) -> str:
    """Return the name of the version after the newest one, by counting its second number up.

    >>> next_version([]), next_version(["v0"]), next_version(["v0", "v0.1", "v1"])
    ('v0', 'v0.1', 'v1.1')
    """
    numbers = sorted(map(parse_version, known))
    if not numbers:
        return "v0"
    major, minor = (*numbers[-1], 0)[:2]
    return f"v{major}.{minor + 1}"


def safe_name(text: str) -> str:
    """Return text as part of a file name: letters, digits, `.`, `_` and `-`.

    >>> safe_name("front camera/2")
    'front-camera-2'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:80] or "model"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered version, with the exports that were added to it."""

    entry: VersionEntry
    folder: Path
    """Folder of its files"""
    registered: str
    """UTC, ISO 8601"""
    files: Mapping[str, str]
    """File, relative to the folder → SHA-256; those of exports too"""
    exports: tuple[str, ...] = ()
    """Folders of exports, relative to its folder"""
    is_champion: bool = False
    changed: bool = False
    """Whether the call that returns it registered it, or an export of it"""

    @property
    def version(self) -> str:
        """Name of the version, such as v0.1."""
        return self.entry.version

    @property
    def weights(self) -> Path:
        """The weights file."""
        return self.folder / self.entry.weights

    @property
    def weights_hash(self) -> str:
        """SHA-256 of the weights file, as recorded."""
        return self.entry.files[self.entry.weights]

    def product(self, stem: str, suffix: str) -> Path:
        """Return the path of one of its files, such as `eval_v0.json`."""
        return self.folder / product_name(stem, self.version, suffix)


def product_name(stem: str, version: str, suffix: str) -> str:
    """Return the name of a file of a version.

    >>> product_name("eval", "v0.1", ".json"), product_name("yolov8n_lbzf", "v0", ".pt")
    ('eval_v0.1.json', 'yolov8n_lbzf_v0.pt')
    """
    return f"{stem}_{version}{suffix}"
