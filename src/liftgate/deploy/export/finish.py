"""From a written model to an export with its card: contract read from the file itself, hashes, versions, licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from liftgate.deploy.export.card import (
    CalibrationRecord,
    CardFile,
    ExportCard,
    Format,
    InputContract,
    OutputContract,
    Precision,
    Source,
    Task,
)
from liftgate.deploy.export.card_file import card_files, write_card
from liftgate.deploy.runtime.predict import RUNS_HERE, load_model, open_model
from liftgate.deploy.runtime.sessions import ModelFacts
from liftgate.errors import DataError, LiftgateError
from liftgate.records import to_record


@dataclass(frozen=True, slots=True)
class WrittenModel:
    """What the backend says of a model that it wrote."""

    model: str
    """Path below the folder"""
    task: Task
    classes: tuple[str, ...]
    imgsz: tuple[int, int]
    """Height and width"""
    keypoints: tuple[int, int] | None = None
    end2end: bool = False
    """Whether the model gives chosen detections by itself, without suppression"""
    stride: int = 32
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """What an export is made from."""

    weights: Source
    data: Source | None = None


def written_model(facts: Mapping[str, object]) -> WrittenModel:
    """Return the facts of a backend as a record.

    Raises:
        LiftgateError: they do not have the form that they should have.
    """
    try:
        return to_record(facts, WrittenModel)
    except msgspec.ValidationError as error:
        raise LiftgateError("the backend's facts about the model are not complete", got=str(error)) from None


def finish_export(
    folder: Path,
    written: WrittenModel,
    format_: Format,
    precision: Precision,
    origin: Origin,
    *,
    nms: bool = False,
    calibration: CalibrationRecord | None = None,
    notes: tuple[str, ...] = (),
) -> ExportCard:
    """Write the card of a model and load the model by it; return the card.

    Args:
        folder: with the model.
        written: what the backend says of it.
        format_: of the model.
        precision: of the model.
        origin: weights and data.
        nms: whether suppression was made part of the model.
        calibration: of an INT8 model.
        notes: for the user.

    Raises:
        DataError: the model cannot be opened, or does not fit what the backend says.
    """
    facts = model_facts(folder / written.model, format_)
    values = 0 if written.keypoints is None else written.keypoints[0] * written.keypoints[1]
    inside = nms or written.end2end
    shape: tuple[int | None, ...] = (1, None, 6 + values) if inside else (1, 4 + len(written.classes) + values, None)
    dtype = "float32"
    if facts is not None:
        dtype = facts.inputs[0].dtype
        if any(side is not None for side in facts.outputs[0].shape[1:]):  # ncnn's files say none
            shape = facts.outputs[0].shape
    card = ExportCard(
        format=format_,
        precision=precision,
        task=written.task,
        model=written.model,
        files=_files(folder, written.model),
        input=to_record({"height": written.imgsz[0], "width": written.imgsz[1], "dtype": dtype}, InputContract),
        output=OutputContract(
            layout="detections" if inside else "anchors",
            shape=shape,
            classes=written.classes,
            boxes="xyxy" if inside else "cxcywh",
            nms=inside,
            nms_conf=0.25 if nms else None,
            keypoints=written.keypoints,
        ),
        weights=origin.weights,
        data=origin.data,
        calibration=calibration,
        opset=_opset(folder / written.model) if format_ == "onnx" else None,
        versions=tuple(sorted(written.versions.items())),
        notes=notes,
    )
    write_card(card, folder)
    if format_ in RUNS_HERE:
        load_model(card, folder, threads=1)
    return card


def model_facts(path: Path, format_: Format) -> ModelFacts | None:
    """Return what a model file says of itself; None: a format that does not run here."""
    return open_model(format_, path, threads=1).facts if format_ in RUNS_HERE else None


def _files(folder: Path, model: str) -> tuple[CardFile, ...]:
    """Return the model's files, with those of its weights that lie beside it (a large ONNX model keeps them apart)."""
    files = card_files(folder, model)
    path = folder / model
    if path.is_file():
        beside = (one for pattern in (f"{path.name}.*", f"{path.stem}.data") for one in sorted(folder.glob(pattern)))
        files += tuple(one for found in beside for one in card_files(folder, found.name))
    return files


def _opset(path: Path) -> int | None:
    try:
        import onnx
    except ImportError:
        return None
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf has exceptions of its own
        raise DataError("the file is no ONNX model", where=path, got=str(error)[:200]) from None
    return next((int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")), None)
