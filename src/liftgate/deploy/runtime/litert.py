"""LiteRT (.tflite) models as Ultralytics writes them, on the CPU, without torch.

Such a file gives boxes as shares of the input's sides, where all other formats give pixels; what it was made of is a
small JSON in a ZIP at its end.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.deploy.runtime.sessions import ModelFacts, Port, Session, Tensor
from liftgate.documents import DocumentError, Limits, parse_json
from liftgate.errors import DataError, UsageError

INSTALL = "pip install ai-edge-litert litert-torch in an environment of its own: they ask for another torch"
_METADATA, _MOST = "metadata.json", 1 << 20


def open_litert(path: Path, *, threads: int | None = None) -> Session:
    """Open a LiteRT file on the CPU; see `sessions.open_onnx`."""
    return _LitertSession(path, threads)


class _LitertSession:
    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            from ai_edge_litert import interpreter as litert
        except ImportError as error:
            raise UsageError(f"LiteRT models need ai_edge_litert: {error}", where=path, hint=INSTALL) from None
        if not path.is_file():
            raise DataError("no such model", where=path)
        self._metadata = _metadata(path)
        try:
            self._model = litert.Interpreter(str(path), num_threads=threads)
            self._model.allocate_tensors()
        except Exception as error:  # ValueError, RuntimeError: the runtime names no kinds
            what = "the file is no model, only a part of one, or has operations that the runtime does not have"
            got, hint = " ".join(str(error).split())[:200], "copy or export it again"
            raise DataError(what, where=path, got=got, hint=hint) from None
        entries, results = self._model.get_input_details(), self._model.get_output_details()
        self._entry, self._results = entries[0]["index"], [one["index"] for one in results]
        self.facts = ModelFacts(
            tuple(_port(one) for one in entries),
            tuple(_port(one) for one in results),
            {name: str(value) for name, value in self._metadata.items()},
            f"LiteRT {_version()}",
        )
        self._path = path
        self._scale = pixel_factors(self.facts.inputs[0], self.facts.outputs[0], self._metadata, path)

    def run(self, tensor: Tensor) -> list[Tensor]:
        try:
            self._model.set_tensor(self._entry, tensor)
            self._model.invoke()
            found = [self._model.get_tensor(index) for index in self._results]
        except (ValueError, RuntimeError) as error:
            got = " ".join(str(error).split())[:200]
            raise DataError("the runtime could not run the model", where=self._path, got=got) from None
        return [found[0] * self._scale, *found[1:]]


def pixel_factors(entry: Port, result: Port, metadata: Mapping[str, object], path: Path) -> NDArray[np.float32]:
    """Return factors of the output's rows: those that are shares of a side become pixels of the input.

    Args:
        entry: the input; (1, 3, height, width) of floats, as Ultralytics writes it now. Older files have the channels
            last, and their boxes other units.
        result: the first output, of floats.
        metadata: of the file.
        path: for messages.

    Raises:
        DataError: the file is not as Ultralytics writes detectors, or does not say what made it.
    """
    names, points = metadata.get("names"), metadata.get("kpt_shape")
    height, width = entry.shape[2:] if len(entry.shape) == 4 and entry.shape[1] == 3 else (None, None)
    kinds = {entry.dtype, result.dtype}
    if len(result.shape) != 3 or result.shape[1] is None or height is None or width is None or kinds != {"float32"}:
        got = f"input {entry.dtype} {entry.shape}, output {result.dtype} {result.shape}"
        raise DataError("not a detector as Ultralytics writes it", where=path, expected="float32 (1, 3, H, W)", got=got)
    if metadata.get("author") != "Ultralytics" or not isinstance(names, dict | list):
        hint = "whether its boxes are pixels or shares is not known: export the checkpoint with `liftgate export`"
        raise DataError("the file does not say what made it", where=path, expected=_METADATA, hint=hint)
    factors = np.ones((1, result.shape[1], 1), dtype=np.float32)
    if metadata.get("end2end") is True or result.shape[1] < 4 + len(names):
        return np.ones((1, 1, 1), dtype=np.float32)  # chosen detections, in pixels
    factors[0, [0, 2]], factors[0, [1, 3]] = width, height
    if isinstance(points, list) and len(points) == 2 and points[1] in (2, 3):
        factors[0, 4 + len(names) :: points[1]], factors[0, 5 + len(names) :: points[1]] = width, height
    return factors


def _metadata(path: Path) -> Mapping[str, object]:
    """Return what Ultralytics put at the file's end; nothing where that is missing or cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_METADATA).file_size > _MOST:
                return {}
            document = parse_json(archive.read(_METADATA), Limits(size=_MOST, depth=8, nodes=20_000))
    except (zipfile.BadZipFile, zlib.error, KeyError, OSError, RuntimeError, DocumentError):  # RuntimeError: encrypted
        return {}
    return document if isinstance(document, dict) else {}


def _port(details: Mapping[str, object]) -> Port:
    signature = np.asarray(details["shape_signature"]).tolist()
    shape = tuple(int(side) if side > 0 else None for side in signature)
    return Port(str(details["name"]), shape, np.dtype(details["dtype"]).name)  # type: ignore[call-overload]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ai-edge-litert")
    except PackageNotFoundError:
        return "of an unknown version"
