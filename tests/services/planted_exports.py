"""Exports with cards, of the detector of coloured squares, sound or with a fault."""

from __future__ import annotations

from pathlib import Path

from deploy.colours import CLASSES, SIZE, write_detector
from liftgate.deploy.export.card import Source
from liftgate.deploy.export.finish import Origin, WrittenModel, finish_export

ORIGIN = Origin(Source("best.pt", "ab" * 32))
WRITTEN = WrittenModel("model.onnx", "detect", CLASSES, (SIZE, SIZE))


def write_export(folder: Path, origin: Origin = ORIGIN, **plant: object) -> Path:
    write_detector(folder / "model.onnx", **plant)  # type: ignore[arg-type]
    finish_export(folder, WRITTEN, "onnx", "fp32", origin)
    return folder
