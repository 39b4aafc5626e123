"""What OpenVINO's ModelAPI wants to know of a model, as Geti and Ultralytics write it into the file.

In OpenVINO's XML it is `rt_info/model_info`; Geti's ONNX files have the same as metadata named `model_info labels`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from liftgate.deploy.export.stated import StatedContract, from_metadata
from liftgate.documents import DocumentError, Limits, load_yaml, parse_json, parse_xml, read_limited
from liftgate.errors import DataError

_METADATA = Limits(size=1 << 20, depth=8, nodes=20_000)
_XML = Limits(size=64 << 20, depth=60, nodes=2_000_000)
_PREFIX = "model_info "
_FITS = {"standard": "stretch", "fit_to_window": "top-left", "fit_to_window_letterbox": "centre"}
_OF_ULTRALYTICS = re.compile(r"YOLO(v5|v8|11|26)?", re.IGNORECASE)
"""Types of models that are trained in RGB"""
_TASKS = {"detection": "detect", "keypoint_detection": "pose"}
_RED_IS_BRIGHTER = 5.0
"""Means of ImageNet are 124, 116, 104 in red, green, blue"""


def from_openvino(path: Path) -> StatedContract:
    """Return what lies beside an OpenVINO model of Ultralytics, else what its XML says (Geti).

    `metadata.yaml` is a common name: one that is not Ultralytics' changes no model whose XML names its classes, nor
    does theirs beside the model of another maker.

    Args:
        path: the .xml.

    Raises:
        DataError: the XML cannot be read, or it names no classes and the file beside it cannot be read.
    """
    try:
        root = parse_xml(read_limited(path, _XML), _XML)
    except DocumentError as error:
        raise DataError("the model's XML cannot be read", where=error.place(path), got=error.problem) from None
    info = root.find("./rt_info/model_info")
    values = {} if info is None else {item.tag: item.get("value", "") for item in info}
    said, beside = from_model_info(values), path.parent / "metadata.yaml"
    try:
        stated = _from_file(beside, said) if beside.is_file() else None
    except DataError:
        if said.classes is None:
            raise
        said.unsure.append("what metadata.yaml beside it means: it cannot be read, and nothing of it is taken")
        return said
    if stated is None or said.classes is None:
        return stated or said
    if not _OF_ULTRALYTICS.fullmatch(values.get("model_type", "")):
        said.unsure.append("whether metadata.yaml beside it is its own: its XML is not Ultralytics', and is taken")
        return said
    if stated.classes is not None and [name.replace(" ", "_") for name in stated.classes] != list(said.classes):
        stated.unsure.append("which classes it has: metadata.yaml has others than its XML; those beside it are taken")
    return stated


def _from_file(beside: Path, said: StatedContract) -> StatedContract | None:
    """Return what Ultralytics' metadata beside a model say, or a file with names where nothing else has any."""
    try:
        document = load_yaml(beside, _METADATA)
    except (DocumentError, OSError) as error:
        raise DataError("the metadata beside the model cannot be read", where=beside, got=str(error)) from None
    if not isinstance(document, dict):
        return None
    if document.get("author") != "Ultralytics" and (said.classes is not None or "names" not in document):
        return None
    return from_metadata({str(key): value for key, value in document.items()}, beside)


def from_onnx(metadata: Mapping[str, object], path: Path) -> StatedContract:
    """Return what the metadata of an ONNX file say: those of Ultralytics, else those of Geti.

    Raises:
        DataError: they cannot be.
    """
    values = {key.removeprefix(_PREFIX): str(value) for key, value in metadata.items() if key.startswith(_PREFIX)}
    if values and "names" not in metadata:
        return from_model_info(values)
    return from_metadata(metadata, path)


def from_model_info(values: Mapping[str, str]) -> StatedContract:
    """Return what ModelAPI's values say: labels, fit, padding, means and scales, order of channels, thresholds."""
    said = StatedContract(author=f"OpenVINO model_info {values['model_type']}" if values.get("model_type") else "")
    if task := values.get("task_type", ""):
        said.task = _TASKS.get(task, task)
    _with_labels(said, values)
    if re.fullmatch(r"\d{1,3}", values.get("pad_value", "")):
        said.pad = int(values["pad_value"])
    asked = values.get("resize_type", "")
    if asked in _FITS:
        said.letterbox = _FITS[asked]  # type: ignore[assignment]
    elif asked:
        said.notes.append(f"images are fitted by {asked[:40]}: Liftgate letterboxes them")
    if values.get("embedded_processing", "").lower() in ("true", "yes", "1"):
        said.scale = 1.0
        said.unsure.append("which of its preparation is inside the file: pixels are given as they are, 0 to 255")
    else:
        _with_pixel_values(said, values)
    _with_channels(said, values)
    if tile := values.get("tile_size"):
        said.notes.append(f"it was made for tiles of {tile[:10]} pixels: Liftgate gives it the whole image")
    if (kind := values.get("input_dtype", "u8")) not in ("", "u8", "f32"):
        said.notes.append(f"it was made for images of {kind[:10]}: Liftgate gives it 8 bits")
    used = [("confidence", values.get("confidence_threshold")), ("IoU", values.get("iou_threshold"))]
    if shown := " and ".join(f"{name} {value[:10]}" for name, value in used if value):
        said.limits.append(f"its maker uses {shown}; here --conf and --iou decide")
    return said


def _with_labels(said: StatedContract, values: Mapping[str, str]) -> None:
    """Take names from `label_info`; in `labels` their blanks are underscores."""
    labels = tuple(values.get("labels", "").split())
    names: object = None
    try:
        document = parse_json(values.get("label_info", ""), _METADATA)
        names = document.get("label_names") if isinstance(document, dict) else None
    except DocumentError:
        pass
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        said.classes = tuple(names)
    elif labels:
        said.classes = labels
        if any("_" in label for label in labels):
            said.unsure.append("whether `_` in the names of its classes was a blank: they are taken as they are")


def _with_pixel_values(said: StatedContract, values: Mapping[str, str]) -> None:
    means, scales = _numbers(values.get("mean_values", "")), _numbers(values.get("scale_values", ""))
    if scales and len(set(scales)) == 1 and scales[0] >= 1 and not any(means):
        said.scale = 1 / scales[0]
    elif len(means) == 3 or len(scales) == 3:  # of pixel values as they are, 0 to 255
        said.scale = 1.0
        said.mean, said.deviation = _three(means, 0.0), _three(scales, 1.0)


def _with_channels(said: StatedContract, values: Mapping[str, str]) -> None:
    """Take the order from the means or the type where they tell it; `reverse_input_channels` alone does not.

    It is relative to how the caller reads images. With OpenCV (BGR) True means a model of RGB, as Ultralytics writes
    it; Geti reads images as RGB, so that most of its RGB models say False, and its YOLOX of BGR says True.
    """
    difference = said.mean[0] - said.mean[2] if said.mean else 0.0
    if abs(difference) >= _RED_IS_BRIGHTER:
        said.channels = "RGB" if difference > 0 else "BGR"
    elif _OF_ULTRALYTICS.fullmatch(values.get("model_type", "")):
        said.channels = "RGB"
    elif "reverse_input_channels" in values:
        said.channels = "RGB"
        word = values["reverse_input_channels"][:10]
        said.unsure.append(
            f"the order of channels for certain: `reverse_input_channels` is {word}, of images that are read in an "
            "order of which nothing is said; RGB is taken"
        )


def _numbers(text: str) -> list[float]:
    found = re.findall(r"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", text)
    return [float(one) for one in found]


def _three(values: Sequence[float], default: float) -> tuple[float, ...]:
    return tuple(values) if len(values) == 3 and (default == 0.0 or all(values)) else (default,) * 3
