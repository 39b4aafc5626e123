"""The contract of an export that others made, from what its file says; what it does not say is named.

Ultralytics writes classes, task and size into ONNX metadata and beside OpenVINO models; Geti writes labels, padding and
scale into OpenVINO's model XML (`model_info`); Roboflow puts files beside the model; a bare file says nothing. The rest
is taken as Ultralytics' models have it, and listed as missing, because a wrong guess (channels, scale, order of
classes) gives plausible wrong detections.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from liftgate.deploy.export.card import (
    MODELS_OF_A_FOLDER,
    ExportCard,
    Format,
    InputContract,
    OutputContract,
    Precision,
    Source,
    Task,
)
from liftgate.deploy.export.card_file import card_files, find_card, read_card
from liftgate.deploy.export.card_rules import require_consistent
from liftgate.deploy.export.model_info import from_onnx, from_openvino
from liftgate.deploy.export.stated import StatedContract, with_package_files
from liftgate.deploy.runtime.predict import has_two_outputs, open_model
from liftgate.deploy.runtime.sessions import ModelFacts, Port
from liftgate.errors import DataError

_UNKNOWN_HASH = "0" * 64
_QUANTISED = {".onnx": (b"DequantizeLinear", b"QLinearConv"), ".xml": (b'type="FakeQuantize"',)}
"""Names of operations that INT8 files have"""


@dataclass(frozen=True, slots=True)
class DescribedExport:
    """An export with its contract, wherever that comes from."""

    card: ExportCard
    folder: Path
    """That the card's paths are relative to"""
    missing: tuple[str, ...] = ()
    """What the file does not say and was assumed, in sentences; empty for an export with a card"""
    limits: tuple[str, ...] = ()
    """What its maker does with its detections, in sentences"""

    @property
    def path(self) -> Path:
        """The model's file or folder."""
        return self.folder / self.card.model

    @property
    def has_card(self) -> bool:
        """Whether it has a card."""
        return not self.missing


def describe_export(path: Path, classes: tuple[str, ...] | None = None) -> DescribedExport:
    """Return an export with its contract: from its card, else from what the file says.

    Args:
        path: a folder with a card, a card, an .onnx, a .tflite, an .xml or a folder with one.
        classes: names for a file that has none; None: `class 0`, `class 1` …

    Raises:
        DataError: the card or the file cannot be read, or its output is none that Liftgate knows.
        UsageError: the runtime is not installed.
    """
    if (card_path := find_card(path)) is not None:
        return DescribedExport(read_card(card_path), card_path.parent)
    format_, model = _format_of(path)
    session = open_model(format_, model, threads=1)
    said = from_openvino(model) if format_ == "openvino" else from_onnx(session.facts.metadata, model)
    said = with_package_files(said, model.parent)
    return _described(model, format_, session.facts, said, classes)


def _format_of(path: Path) -> tuple[Format, Path]:
    if not path.exists():
        raise DataError("no such model", where=path)
    if path.suffix == ".onnx":
        return "onnx", path
    if path.suffix == ".xml":
        return "openvino", path
    if path.suffix == ".tflite":
        return "litert", path
    if path.is_dir():
        for pattern, kind in MODELS_OF_A_FOLDER.items():
            found = sorted(path.glob(pattern))
            if len(found) == 1:
                return kind, found[0]
            if found:
                raise DataError(
                    "several models in one folder", where=path, got=", ".join(one.name for one in found[:4])
                )
    known = "a folder with card.json, an .onnx, an OpenVINO .xml, a .tflite, or a .pt"
    raise DataError("not a model that Liftgate can run", where=path, expected=known, got=path.suffix or "a folder")


def _described(
    path: Path, format_: Format, facts: ModelFacts, said: StatedContract, classes: tuple[str, ...] | None
) -> DescribedExport:
    missing: list[str] = []
    entry = _input(path, facts, said, missing)
    output = _output(path, facts, said, classes, missing)
    task: Task = "pose" if output.keypoints is not None else "detect"
    if said.task not in (None, task):
        raise DataError("a model of another task", where=path, expected="detect or pose", got=said.task)
    files = card_files(path.parent, path.name)
    if format_ == "openvino":
        files += card_files(path.parent, path.with_suffix(".bin").name)
    missing += [*said.unsure, "the weights that it was made from, the data, and their licences"]
    precision = _precision(path, entry.dtype)
    card = ExportCard(
        format=format_,
        precision=precision,
        task=task,
        model=path.name,
        files=files,
        input=entry,
        output=output,
        weights=Source(said.author or "unknown", _UNKNOWN_HASH),
        notes=tuple(said.notes),
    )
    require_consistent(card, path, written=False)
    return DescribedExport(card, path.parent, tuple(missing), tuple(said.limits))


def _precision(path: Path, dtype: str) -> Precision:
    """Return what a file's operations and weights say: those of quantisation, or 16 bits."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if any(content.find(word) >= 0 for word in _QUANTISED.get(path.suffix, ())):
            return "int8"
        half = path.suffix == ".xml" and content.find(b'element_type="f16"') >= 0
    return "fp16" if half or dtype == "float16" else "fp32"


def _input(path: Path, facts: ModelFacts, said: StatedContract, missing: list[str]) -> InputContract:
    port = facts.inputs[0]
    if len(facts.inputs) != 1 or len(port.shape) != 4:
        got = ", ".join(f"{one.name} {one.shape}" for one in facts.inputs)
        raise DataError("not the input of a detector", where=path, expected="one image, four sides", got=got)
    layout: Literal["NCHW", "NHWC"] = "NHWC" if port.shape[3] == 3 and port.shape[1] != 3 else "NCHW"
    batch, height, width = port.shape[0], *(port.shape[2:] if layout == "NCHW" else port.shape[1:3])
    if height is None or width is None:
        if said.imgsz is None:
            missing.append("the size of the input: 640 is taken")
        height, width = said.imgsz or (640, 640)
    for name, value, taken in (
        ("the order of channels", said.channels, "RGB"),
        ("the scale of pixels", said.scale, "1/255" if port.dtype != "uint8" else "none: the input is of bytes"),
        ("how an image is fitted", said.letterbox, "centred letterbox"),
        ("the padding's value", said.pad, "114"),
    ):
        if value is None:
            missing.append(f"{name}: {taken} is taken")
    if port.dtype not in ("float32", "float16", "uint8"):
        raise DataError("an input of a type that Liftgate does not give", where=path, got=port.dtype)
    return InputContract(
        height=height,
        width=width,
        batch=batch,
        channels=said.channels or "RGB",
        layout=layout,
        dtype=port.dtype,  # type: ignore[arg-type]
        scale=1 / 255 if said.scale is None else said.scale,
        letterbox=said.letterbox or "centre",
        pad=114 if said.pad is None else said.pad,
        mean=said.mean,
        deviation=said.deviation,
    )


def _output(
    path: Path, facts: ModelFacts, said: StatedContract, classes: tuple[str, ...] | None, missing: list[str]
) -> OutputContract:
    if said.task not in (None, "detect", "pose"):
        raise DataError("a model of another task", where=path, expected="detect or pose", got=said.task)
    port = facts.outputs[0]
    unknown = DataError("an output that Liftgate does not know", where=path, got=_ports(facts.outputs), hint=_OUTPUTS)
    if has_two_outputs(facts):
        port = Port(port.name, (port.shape[0], port.shape[1], 6), port.dtype)
    points = 0 if said.keypoints is None else said.keypoints[0] * said.keypoints[1]
    inside = len(port.shape) == 3 and port.shape[2] == 6 + points and (said.nms is not False or port.shape[1] == 300)
    if len(port.shape) != 3:
        raise unknown
    names = said.classes or classes
    if inside:
        if names is None:
            raise DataError("the file has no class names", where=path, hint="--classes a,b,c, in the model's order")
        if said.nms_conf is None:
            missing.append("the confidence below which the file gives no detection: curves and mAP may be cut there")
        return OutputContract(
            "detections", port.shape, names, "xyxy", nms=True, nms_conf=said.nms_conf, keypoints=said.keypoints
        )
    channels, several = port.shape[1], len(facts.outputs) > 1
    if names is None:
        transposed = channels is not None and port.shape[2] is not None and channels > port.shape[2]
        if channels is None or channels <= 4 + points or transposed or several:  # or masks, or scores apart
            raise unknown
        names = tuple(f"class {number}" for number in range(channels - 4 - points))
        missing.append("the names of the classes: numbers are taken")
    elif classes is not None and said.classes is None:
        missing.append("the names of the classes: those that were given are taken")
    if None not in (classes, said.classes) and classes != said.classes:
        missing.append("the names that were given: it has others, and they are taken")
    if channels is not None and channels != 4 + len(names) + points:
        if several:
            raise unknown
        what = "the output does not fit the classes that the file names"
        raise DataError(what, where=path, expected=4 + len(names) + points, got=channels)
    return OutputContract("anchors", port.shape, names, keypoints=said.keypoints)


_OUTPUTS = "known are (batch, 4 + classes, anchors) and (batch, n, 6) with NMS inside"


def _ports(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{port.name} {port.shape}" for port in ports)
