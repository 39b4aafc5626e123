"""The model in use: loaded and warmed beside the old one, then exchanged in one assignment.

Every run of the model reads `current` once, so an answer is of one model as a whole. What still runs on the old model
keeps it until it is done; nothing waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.deploy.registry.kept_exports import require_own_export
from liftgate.deploy.registry.registered import require_registered_content
from liftgate.deploy.registry.store import CHAMPION, EXPORTS, Registry
from liftgate.deploy.registry.version import ModelVersion
from liftgate.deploy.runtime.predict import RUNS_HERE, LoadedModel, load_model, with_thresholds
from liftgate.errors import LiftgateError, UsageError
from liftgate.hashing import short

_PRECISIONS = ("fp32", "fp16", "int8")
_MODEL_SUFFIXES = (".onnx", ".xml", ".tflite")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds that are asked for; None: the card's."""

    conf: float | None = 0.25
    iou: float | None = None
    max_det: int | None = None

    def on(self, use: UseSettings) -> UseSettings:
        """Return settings of a card with these in their place."""
        return with_thresholds(use, self.conf, self.iou, self.max_det)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that is loaded and warmed."""

    version: str
    model: LoadedModel
    use: UseSettings
    source: str
    model_hash: str
    loaded: str
    """UTC, ISO 8601"""


class ModelSource(Protocol):
    """Where a server takes its model from."""

    def load(self) -> ServedModel:
        """Return the model that is to be used now."""

    def token(self) -> object:
        """Return a value that changes whenever `load` may return another model."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """One export, for as long as the server runs."""

    path: Path
    thresholds: Thresholds
    threads: int | None = None

    def load(self) -> ServedModel:
        """Return the export, loaded; a registered one is compared with its recorded hashes first.

        Raises:
            UsageError: no such model, or one that does not run here.
            DataError: its files are not what its card says, or are not as they were registered.
        """
        if not self.path.exists():
            hint = "a folder that `liftgate export` wrote, an .onnx, or an OpenVINO .xml"
            raise UsageError("no such model", where=self.path, hint=hint)
        registered = require_registered_content(self.path.resolve())
        export = describe_export(self.path.resolve())
        version = f"{self.path.stem}@{short(export.card.sha256)}" if registered is None else registered.version
        return _loaded(version, export, self.path.name, self.thresholds, self.threads)

    def token(self) -> object:
        """Return always the same: a file is not looked at again."""
        return 0


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """The champion of a registry, or one of its versions."""

    registry: Registry
    thresholds: Thresholds
    name: str = CHAMPION
    export: str | None = None
    """Name of the export; None: the one in ONNX or OpenVINO with the highest precision"""
    threads: int | None = None

    def load(self) -> ServedModel:
        """Return the version, loaded, after all its files were compared with their recorded hashes.

        Raises:
            UsageError: there is no such version, or no export of it that runs here.
            DataError: one of its files is missing, was changed or was added, or the export is of other weights.
            LedgerError: the registry's ledger was changed.
        """
        version = self.registry.open(self.name)
        export = self._export_of(version)
        source = export.path.relative_to(self.registry.folder).as_posix()
        return _loaded(version.version, export, source, self.thresholds, self.threads)

    def token(self) -> object:
        """Return what changes with every entry of the registry's ledger, without opening it."""
        try:
            found = self.registry.ledger.path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_size, found.st_mtime_ns)

    def _export_of(self, version: ModelVersion) -> DescribedExport:
        names = {Path(one).name: version.folder / one for one in version.exports}
        if self.export is not None and self.export not in names:
            expected = ", ".join(sorted(names)) or "no export"
            raise UsageError(f"{version.version} has no such export", expected=expected, got=self.export)
        places = [names[self.export]] if self.export is not None else [names[one] for one in sorted(names)]
        found = [describe_export(place) for place in places if self.export is not None or _may_run(place)]
        if not found and version.weights.suffix in _MODEL_SUFFIXES:
            found = [describe_export(version.weights)]
        usable = [one for one in found if one.card.format in RUNS_HERE]
        if not usable:
            hint = f"`liftgate export` writes one, `liftgate models attach {version.version} FOLDER` adds it"
            raise UsageError(
                f"{version.version} has no export that runs without torch", where=version.folder,
                expected=" or ".join(RUNS_HERE), got=", ".join(sorted(names)) or "no export", hint=hint,
            )  # fmt: skip
        best = min(usable, key=lambda one: (_PRECISIONS.index(one.card.precision), RUNS_HERE.index(one.card.format)))
        inside = best.path.relative_to(version.folder).parts
        if inside[0] == EXPORTS:
            require_own_export(version, "/".join(inside[:2]))
        return best


class ModelInUse:
    """Holds the model that requests run on, and exchanges it."""

    def __init__(self, source: ModelSource, on_swap: Callable[[ServedModel | None, str], None]) -> None:
        """Load and warm the first model.

        Args:
            source: where models come from.
            on_swap: called after an exchange with the new model, or with None and the reason why there was none.
        """
        self._source, self._on_swap = source, on_swap
        self._seen = source.token()
        self.current = source.load()
        self.swaps = 0
        self.problem: str | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, seconds: float) -> None:
        """Look every so many seconds whether another model is to be used."""

        def look() -> None:
            while not self._stop.wait(seconds):
                self.refresh()

        self._thread = threading.Thread(target=look, name="champion", daemon=True)
        self._thread.start()

    def refresh(self) -> None:
        """Exchange the model if another one is to be used; if that one cannot be, the present one answers on."""
        token = self._source.token()
        if token == self._seen:
            return
        try:
            found = self._source.load()
        except LiftgateError as error:
            self._note_problem(str(error))
            return
        except Exception as error:  # a runtime that fails on a file in its own way must not end the watch
            self._note_problem(f"{type(error).__name__}: {error}")
            return
        self._seen, self.problem = token, None
        if (found.version, found.model_hash) == (self.current.version, self.current.model_hash):
            return
        self.current = found
        self.swaps += 1
        self._on_swap(found, "")

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _note_problem(self, text: str) -> None:
        if text != self.problem:  # it is tried again every time, and told once
            self.problem = text
            self._on_swap(None, text)


def _may_run(place: Path) -> bool:
    """Return whether a folder of an export looks like a format that runs here, so that others are not opened."""
    return any(one.suffix in _MODEL_SUFFIXES for one in place.rglob("*"))


def _loaded(
    version: str, export: DescribedExport, source: str, thresholds: Thresholds, threads: int | None
) -> ServedModel:
    model = load_model(export.card, export.folder, threads=threads)
    use = thresholds.on(export.card.use)
    _warm(model)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return ServedModel(version, model, use, source, export.card.sha256, now)


def _warm(model: LoadedModel) -> None:
    """Run the model twice, so that its memory and the compiled suppression are there before the first request."""
    entry = model.card.input
    noise = np.random.default_rng(0).integers(0, 256, (entry.height, entry.width, 3), dtype=np.uint8)
    for _ in range(2):
        model.detect(noise, UseSettings())
