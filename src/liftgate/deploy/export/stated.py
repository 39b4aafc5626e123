"""What exporters of others say about a model: Ultralytics' metadata, OpenVINO's model_info, Roboflow's files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from liftgate.documents import DocumentError, Limits, load_json, load_yaml, parse_xml, parse_yaml, read_limited
from liftgate.errors import DataError

_METADATA = Limits(size=1 << 20, depth=8, nodes=20_000)
_XML = Limits(size=64 << 20, depth=60, nodes=2_000_000)
CLASS_NAMES, INFERENCE = "class_names.txt", "inference_config.json"
"""What Roboflow puts beside a model"""


@dataclass(slots=True)
class StatedContract:
    """What a file says about itself; None: nothing."""

    author: str = ""
    task: str | None = None
    classes: tuple[str, ...] | None = None
    keypoints: tuple[int, int] | None = None
    nms: bool | None = None
    nms_conf: float | None = None
    channels: Literal["RGB", "BGR"] | None = None
    scale: float | None = None
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    pad: int | None = None
    letterbox: Literal["centre", "top-left", "stretch"] | None = None
    imgsz: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)
    """What it asks for and Liftgate does not do, in sentences"""


def from_metadata(metadata: Mapping[str, object], where: Path) -> StatedContract:
    """Return what Ultralytics' metadata say; values are text in ONNX, parsed in YAML.

    Raises:
        DataError: the classes are not numbered from 0, or a size or number of keypoints is none.
    """
    names = _value(metadata.get("names"))
    shape, size = _value(metadata.get("kpt_shape")), _value(metadata.get("imgsz"))
    arguments = _value(metadata.get("args"))
    said = StatedContract(author=_text(metadata.get("author")), task=_text(metadata.get("task")) or None)
    if isinstance(names, dict) and names:
        said.classes = _numbered(names, where)
    if isinstance(names, list) and names:
        said.classes = tuple(map(str, names))
    if isinstance(shape, list) and len(shape) == 2:
        said.keypoints = _two_counts("kpt_shape", shape, where)
    if isinstance(size, list) and len(size) == 2:
        said.imgsz = _two_counts("imgsz", size, where)
    if isinstance(arguments, dict):
        said.nms = bool(arguments.get("nms")) or _text(metadata.get("end2end")) == "True"
    if said.author == "Ultralytics":  # what its models are made for
        said.channels, said.scale, said.pad, said.letterbox = "RGB", 1 / 255, 114, "centre"
    return said


def from_openvino(path: Path) -> StatedContract:
    """Return what lies beside an OpenVINO model (Ultralytics), else what its XML says (Geti).

    Args:
        path: the .xml.

    Raises:
        DataError: a file cannot be read.
    """
    beside = path.parent / "metadata.yaml"
    if beside.is_file():
        try:
            document = load_yaml(beside, _METADATA)
        except (DocumentError, OSError) as error:
            raise DataError("the metadata beside the model cannot be read", where=beside, got=str(error)) from None
        if isinstance(document, dict):
            return from_metadata({str(key): value for key, value in document.items()}, beside)
    return _model_info(path)


def _model_info(path: Path) -> StatedContract:
    """Return what OpenVINO's model XML says in `rt_info/model_info`, as Geti and model_api write it."""
    try:
        root = parse_xml(read_limited(path, _XML), _XML)
    except DocumentError as error:
        raise DataError("the model's XML cannot be read", where=error.place(path), got=error.problem) from None
    info = root.find("./rt_info/model_info")
    values = {} if info is None else {item.tag: item.get("value", "") for item in info}
    said = StatedContract(author=f"OpenVINO model_info {values['model_type']}" if values.get("model_type") else "")
    if labels := values.get("labels", "").split():
        said.classes = tuple(labels)
    if "reverse_input_channels" in values:
        said.channels = "RGB" if values["reverse_input_channels"].lower() in ("yes", "true", "1") else "BGR"
    if "pad_value" in values and re.fullmatch(r"\d{1,3}", values["pad_value"]):
        said.pad = int(values["pad_value"])
    means, scales = _numbers(values.get("mean_values", "")), _numbers(values.get("scale_values", ""))
    if scales and len(set(scales)) == 1 and scales[0] > 0 and not any(means):
        said.scale = 1 / scales[0]
    elif len(means) == 3 or len(scales) == 3:  # of pixel values as they are, 0 to 255
        said.scale = 1.0
        said.mean, said.deviation = _three(means, 0.0), _three(scales, 1.0)
    fits = {"standard": "stretch", "fit_to_window": "top-left", "fit_to_window_letterbox": "centre"}
    asked = values.get("resize_type", "")
    if asked in fits:
        said.letterbox = fits[asked]  # type: ignore[assignment]
    elif asked:
        said.notes.append(f"images are fitted by {asked[:40]}: Liftgate letterboxes them")
    return said


def _numbers(text: str) -> list[float]:
    found = re.findall(r"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", text)
    return [float(one) for one in found]


def _three(values: Sequence[float], default: float) -> tuple[float, ...]:
    return tuple(values) if len(values) == 3 and (default == 0.0 or all(values)) else (default,) * 3


# Roboflow


class _Size(msgspec.Struct):
    height: int
    width: int


class _Switch(msgspec.Struct):
    enabled: bool = False


class _NetworkInput(msgspec.Struct):
    training_input_size: _Size | None = None
    dataset_version_resize_dimensions: _Size | None = None
    color_mode: str | None = None
    resize_mode: str | None = None
    padding_value: int | None = None
    scaling_factor: float | None = None
    normalization: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None


class _Suppression(msgspec.Struct):
    confidence_threshold: float | None = None


class _PostProcessing(msgspec.Struct):
    fused: bool | None = None
    nms_parameters: _Suppression | None = None


class _InferenceConfig(msgspec.Struct):
    network_input: _NetworkInput = msgspec.field(default_factory=_NetworkInput)
    image_pre_processing: dict[str, _Switch | None] = msgspec.field(default_factory=dict)
    post_processing: _PostProcessing | None = None
    class_names_operations: list[dict[str, str]] | None = None


def with_package_files(said: StatedContract, folder: Path) -> StatedContract:
    """Return what a model says, completed by the files that Roboflow puts beside it.

    Args:
        said: by the model itself; names of its classes there come first.
        folder: that the model lies in.

    Raises:
        DataError: such a file is there and cannot be read.
    """
    names, config = folder / CLASS_NAMES, folder / INFERENCE
    if said.classes is None and names.is_file():
        try:
            text = read_limited(names, _METADATA).decode("utf-8-sig")
        except (DocumentError, OSError, UnicodeDecodeError) as error:
            raise DataError("the names of the classes cannot be read", where=names, got=str(error)) from None
        said.classes = tuple(line.strip() for line in text.splitlines() if line.strip()) or None
    if config.is_file():
        said.author = said.author or "Roboflow"
        _with_inference_config(said, _inference_config(config))
    return said


def _inference_config(path: Path) -> _InferenceConfig:
    try:
        return msgspec.convert(load_json(path, _METADATA), _InferenceConfig)
    except (DocumentError, OSError, msgspec.ValidationError) as error:
        raise DataError("the configuration beside the model cannot be read", where=path, got=str(error)) from None


def _with_inference_config(said: StatedContract, config: _InferenceConfig) -> None:
    entry, after = config.network_input, config.post_processing
    if entry.training_input_size is not None:
        said.imgsz = (entry.training_input_size.height, entry.training_input_size.width)
    if (mode := (entry.color_mode or "").lower()) in ("rgb", "bgr"):
        said.channels = "RGB" if mode == "rgb" else "BGR"
    fit = (entry.resize_mode or "").lower()
    if fit in ("letterbox", "stretch"):
        said.letterbox = "centre" if fit == "letterbox" else "stretch"
    elif fit:
        said.notes.append(f"images are fitted by {fit}: Liftgate letterboxes them")
    between = entry.dataset_version_resize_dimensions
    if fit == "letterbox" and between is not None and between.height != between.width:
        size = f"{between.width} × {between.height}"
        said.notes.append(f"images are fitted into {size} and then stretched: Liftgate letterboxes them at once")
    if entry.padding_value is not None and 0 <= entry.padding_value <= 255:
        said.pad = entry.padding_value
    if entry.scaling_factor is not None and entry.scaling_factor >= 1:
        said.scale = 1 / entry.scaling_factor
    if entry.normalization is not None:
        said.mean, said.deviation = entry.normalization
        said.deviation = _three(said.deviation, 1.0)
    for name, switch in config.image_pre_processing.items():
        if name != "auto-orient" and switch is not None and switch.enabled:
            said.notes.append(f"images go through {name} first: Liftgate does not do that")
    if config.class_names_operations:
        said.notes.append("names of classes are changed after the model: Liftgate keeps those of the file")
    if after is not None and after.fused:
        said.nms = True
        said.nms_conf = None if after.nms_parameters is None else after.nms_parameters.confidence_threshold


# Values


def _numbered(names: Mapping[object, object], where: Path) -> tuple[str, ...]:
    """Return names in the order of their numbers; as text, 10 would come before 2."""
    found = {int(str(key)): name for key, name in names.items() if re.fullmatch(r"\d{1,6}", str(key))}
    if sorted(found) != list(range(len(names))):
        got = ", ".join(map(str, names))[:80]
        raise DataError("the classes are not numbered from 0", where=where, expected=f"0 to {len(names) - 1}", got=got)
    return tuple(str(found[number]) for number in range(len(found)))


def _two_counts(what: str, values: Sequence[object], where: Path) -> tuple[int, int]:
    found = [value for value in values if type(value) is int and 0 < value <= 1 << 16]
    if len(found) != 2:
        raise DataError(f"{what} of the model cannot be", where=where, expected="two numbers from 1", got=values)
    return found[0], found[1]


def _value(value: object) -> object:
    """Return a value that is text in ONNX metadata as what it says: a list or mapping as Python prints it."""
    if not isinstance(value, str):
        return value
    try:
        return parse_yaml(value, _METADATA)
    except DocumentError:
        return None


def _text(value: object) -> str:
    return "" if value is None else str(value)
