"""The card of an export: what a program must know to run it, and what it was made from.

`card.json` lies beside the model, with a README.md for people that says the same (`card_file`, `card_readme`). Every
verb that loads an export reads the card, compares the files with their hashes, and refuses one that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from liftgate.hashing import content_hash

CARD = "card.json"
README = "README.md"
VERSION = 1

Format: TypeAlias = Literal["pt", "onnx", "openvino", "torchscript", "ncnn", "tensorrt", "litert", "executorch"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
Task: TypeAlias = Literal["detect", "pose"]
FORMATS: tuple[Format, ...] = get_args(Format)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MODELS_OF_A_FOLDER: dict[str, Format] = {"*.xml": "openvino", "*_openvino_model/*.xml": "openvino", "*.onnx": "onnx"}
"""Where the model of a folder without a card lies"""


@dataclass(frozen=True, slots=True)
class CardFile:
    """One file of the export."""

    path: str
    """Below the card's folder, with `/`"""
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class InputContract:
    """How an image becomes the model's input."""

    height: int
    """Pixels"""
    width: int
    """Pixels"""
    batch: int | None = 1
    """None: any"""
    channels: Literal["RGB", "BGR"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    scale: float = 1 / 255
    """Factor from pixel values 0–255 to the input"""
    letterbox: Literal["centre", "top-left", "stretch"] = "centre"
    """Where the image lies on the input: its shape is kept except by `stretch`"""
    pad: int = 114
    """Value of the pixels around the image, 0–255"""
    mean: tuple[float, ...] = ()
    """Of each channel of the input, subtracted after `scale`; empty: none"""
    deviation: tuple[float, ...] = ()
    """Of each channel of the input, divided by after that; empty: none"""


@dataclass(frozen=True, slots=True)
class OutputContract:
    """What the model's output holds."""

    layout: Literal["anchors", "detections"]
    """anchors: (batch, 4 + classes + keypoints, anchors), raw; detections: (batch, n, 6 + keypoints), chosen ones"""
    shape: tuple[int | None, ...]
    """None: any"""
    classes: tuple[str, ...]
    """Names in the order of the output"""
    boxes: Literal["cxcywh", "xyxy"] = "cxcywh"
    """In pixels of the input"""
    nms: bool = False
    """Whether non-maximum suppression is inside the file"""
    nms_conf: float | None = None
    """Confidence below which the file gives no detection; None: no such limit"""
    score_scale: float = 1.0
    """Largest possible score"""
    keypoints: tuple[int, int] | None = None
    """Number of keypoints and of values of each (2, or 3 with a confidence)"""


@dataclass(frozen=True, slots=True)
class UseSettings:
    """Settings that predictions are made with unless others are asked for."""

    conf: float = 0.001
    iou: float = 0.7
    max_det: int = 300


@dataclass(frozen=True, slots=True)
class Source:
    """What the export was made from: weights, or data."""

    name: str
    """File or data set, without a path"""
    sha256: str
    """Of the weights file, or of the data set's labels"""
    licence: str | None = None
    """None: unknown"""


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """The images that the ranges of an INT8 export were measured on."""

    dataset: Source
    split: str
    n_images: int
    n_groups: int
    seed: int
    sha256: str
    """Of the list of images with their content"""
    method: str
    """How the values were quantised, in words"""


@dataclass(frozen=True, slots=True)
class TargetDevice:
    """The device that an engine was built on, which alone may run it."""

    name: str
    driver: str
    runtime: str
    """Name and version, such as `TensorRT 10.9.0`"""


@dataclass(frozen=True, slots=True)
class ExportCard:
    """Contract and origin of one export."""

    format: Format
    precision: Precision
    task: Task
    model: str
    """The file, or the folder of files, that a runtime opens; below the card's folder"""
    files: tuple[CardFile, ...]
    input: InputContract
    output: OutputContract
    weights: Source
    use: UseSettings = UseSettings()
    data: Source | None = None
    """What the weights were trained on; None: not known"""
    calibration: CalibrationRecord | None = None
    device: TargetDevice | None = None
    opset: int | None = None
    versions: tuple[tuple[str, str], ...] = ()
    """(package, version) of what wrote the file"""
    notes: tuple[str, ...] = ()
    """What a user must know, in sentences"""
    card_version: int = VERSION

    @property
    def sha256(self) -> str:
        """Hash of the model's files: the file's own where there is one, of names and hashes where there are several."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return content_hash([(one.path, one.sha256) for one in sorted(self.files, key=lambda file: file.path)])

    @property
    def n_bytes(self) -> int:
        """Size of the model's files on disk."""
        return sum(one.bytes for one in self.files)
