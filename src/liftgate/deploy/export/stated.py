"""What exporters of others say about a model: Ultralytics' metadata and Roboflow's files; `model_info` has Geti's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from liftgate.documents import DocumentError, Limits, load_json, parse_json, parse_yaml, read_limited
from liftgate.errors import DataError
from liftgate.records import to_record

_METADATA = Limits(size=1 << 20, depth=8, nodes=20_000)
CLASS_NAMES, ENVIRONMENT, INFERENCE = "class_names.txt", "environment.json", "inference_config.json"
MODEL_TYPES = ("model_config.json", "model_type.json")
"""What Roboflow puts beside a model: today, and before"""


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
    unsure: list[str] = field(default_factory=list)
    """What it says and that may be meant otherwise, in words that follow `it does not say`"""
    limits: list[str] = field(default_factory=list)
    """What its maker does with its detections, in sentences"""


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


class _Step(msgspec.Struct):
    enabled: bool = True
    format: str = "Stretch to"
    """Of `resize`"""


class _Environment(msgspec.Struct):
    PREPROCESSING: str | dict[str, _Step | bool | None] = msgspec.field(default_factory=dict)
    CLASS_MAP: dict[str, str] = msgspec.field(default_factory=dict)


class _ModelType(msgspec.Struct):
    task_type: str | None = None
    project_task_type: str | None = None


_Steps = dict[str, _Step | bool | None]
_RESIZES: dict[str, tuple[Literal["centre", "stretch"], int | None]] = {
    "Stretch to": ("stretch", None),
    "Fit (black edges) in": ("centre", 0),
    "Fit (white edges) in": ("centre", 255),
    "Fit (grey edges) in": ("centre", 114),
}
_TASKS = {"object-detection": "detect", "keypoint-detection": "pose"}


class _InferenceConfig(msgspec.Struct):
    network_input: _NetworkInput = msgspec.field(default_factory=_NetworkInput)
    image_pre_processing: dict[str, _Switch | None] = msgspec.field(default_factory=dict)
    post_processing: _PostProcessing | None = None
    class_names_operations: list[dict[str, str]] | None = None


def with_package_files(said: StatedContract, folder: Path) -> StatedContract:
    """Return what a model says, completed by the files that Roboflow puts beside it.

    Their names are common: a file without Roboflow's keys is somebody else's and changes nothing. Where Roboflow's say
    something else than the model, that is said too.

    Args:
        said: by the model itself; its classes and task come first.
        folder: that the model lies in.

    Raises:
        DataError: such a file is there and cannot be read, and the model says nothing itself.
    """
    says_something = said != StatedContract()
    names_from = ENVIRONMENT if said.classes is None else "the model"

    def add(reader: Callable[[StatedContract, Path], bool], name: str) -> bool:
        path = folder / name
        try:
            return path.is_file() and reader(said, path)
        except DataError:
            if not says_something:
                raise
            said.unsure.append(f"what {name} beside it means: it cannot be read, and nothing of it is taken")
            return False

    of_roboflow = add(_with_environment, ENVIRONMENT)
    add(partial(_with_names, names_from=names_from), CLASS_NAMES)
    of_roboflow |= add(_with_inference_config, INFERENCE)
    if of_roboflow:
        said.author = said.author or "Roboflow"
        for name in MODEL_TYPES:
            add(_with_task, name)
    return said


_File = TypeVar("_File", bound=msgspec.Struct)


def _package_file(path: Path, kind: type[_File], *keys: str) -> _File | None:
    """Return a file of Roboflow; None: it has none of the keys, and is somebody else's."""
    try:
        document = load_json(path, _METADATA)
        if not isinstance(document, dict) or not document.keys() & set(keys):
            return None
        return to_record(document, kind)
    except (DocumentError, OSError, msgspec.ValidationError) as error:
        raise DataError("the configuration beside the model cannot be read", where=path, got=str(error)) from None


def _with_names(said: StatedContract, path: Path, names_from: str) -> bool:
    try:
        text = read_limited(path, _METADATA).decode("utf-8-sig")
    except (DocumentError, OSError, UnicodeDecodeError) as error:
        raise DataError("the names of the classes cannot be read", where=path, got=str(error)) from None
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    _keep_classes(said, names, path.name, names_from)
    return True


def _keep_classes(said: StatedContract, names: tuple[str, ...], source: str, names_from: str) -> None:
    """Take names where there are none yet; others than those that are known are said."""
    if said.classes is not None and names and names != said.classes:
        said.unsure.append(f"which classes it has: {source} has others than {names_from}, whose names are taken")
    said.classes = said.classes or names or None


def _with_task(said: StatedContract, path: Path) -> bool:
    kind = _package_file(path, _ModelType, "task_type", "project_task_type")
    if kind is None or not (named := kind.task_type or kind.project_task_type):
        return False
    task = _TASKS.get(named, named)
    if said.task not in (None, task):
        said.unsure.append(
            f"its task for certain: {path.name} says {task[:40]}, elsewhere it is {said.task}; that is taken"
        )
    said.task = said.task or task
    return True


_FIELDS = {
    "imgsz": "the size of an input that its file leaves open",
    "channels": "the order of channels",
    "letterbox": "how an image is fitted",
    "pad": "the padding's value",
    "scale": "the scale of pixels",
    "mean": "the mean of pixels",
    "deviation": "the deviation of pixels",
    "nms": "whether suppression is inside",
}


def _take(said: StatedContract, source: Path, **values: object) -> None:
    """Take values that a file beside the model says, by their fields, and say where they differ; None: it says none."""
    for name, value in values.items():
        before = getattr(said, name)
        if value is not None and before not in (None, value):
            shown = [
                f"{one:.4g}" if isinstance(one, float) else str("none" if one == () else one)
                for one in (value, before, value)
            ]
            text = "{} for certain: {} says {}, elsewhere it is {}; {} is taken"
            said.unsure.append(text.format(_FIELDS[name], source.name, *shown))
        if value is not None:
            setattr(said, name, value)


def _with_environment(said: StatedContract, path: Path) -> bool:
    """Add what an older download says: how images were prepared, and its classes."""
    environment = _package_file(path, _Environment, "PREPROCESSING", "CLASS_MAP")
    if environment is None:
        return False
    names = _numbered(environment.CLASS_MAP, path) if environment.CLASS_MAP else ()
    steps = environment.PREPROCESSING
    if isinstance(steps, str):
        try:
            steps = to_record(parse_json(steps, _METADATA), _Steps)
        except (DocumentError, msgspec.ValidationError) as error:
            what = "the configuration beside the model cannot be read"
            raise DataError(what, where=path, expected="JSON in PREPROCESSING", got=str(error)) from None
    _keep_classes(said, names, path.name, "the model")
    resize = steps.get("resize")
    if isinstance(resize, _Step) and resize.enabled:
        fit, pad = _RESIZES.get(resize.format, ("stretch", None))
        _take(said, path, letterbox=fit, pad=pad)
        if resize.format not in _RESIZES:
            asked = resize.format[:40]
            said.notes.append(f"images were fitted by {asked}: Liftgate stretches them, as Roboflow's own runtime does")
    for name, step in steps.items():
        if name not in ("auto-orient", "resize") and (step is True or (isinstance(step, _Step) and step.enabled)):
            said.notes.append(f"images go through {name[:40]} first: Liftgate does not do that")
    return True


def _with_inference_config(said: StatedContract, path: Path) -> bool:
    config = _package_file(path, _InferenceConfig, "network_input")
    if config is None:
        return False
    entry, after = config.network_input, config.post_processing
    size, fit = entry.training_input_size, (entry.resize_mode or "").lower()
    _take(
        said,
        path,
        imgsz=None if size is None else (size.height, size.width),
        channels={"rgb": "RGB", "bgr": "BGR"}.get((entry.color_mode or "").lower()),
        letterbox={"letterbox": "centre", "stretch": "stretch"}.get(fit),
        pad=entry.padding_value if entry.padding_value in range(256) else None,
    )
    if fit not in ("letterbox", "stretch", ""):
        said.notes.append(f"images are fitted by {fit}: Liftgate letterboxes them")
    between = entry.dataset_version_resize_dimensions
    if fit == "letterbox" and between is not None and between.height != between.width:
        shape = f"{between.width} × {between.height}"
        said.notes.append(f"images are fitted into {shape} and then stretched: Liftgate letterboxes them at once")
    _take_pixel_values(said, path, entry)
    for name, switch in config.image_pre_processing.items():
        if name != "auto-orient" and switch is not None and switch.enabled:
            said.notes.append(f"images go through {name} first: Liftgate does not do that")
    if config.class_names_operations:
        said.notes.append("names of classes are changed after the model: Liftgate keeps those of the file")
    if after is not None and after.fused:
        _take(said, path, nms=True)
        said.nms_conf = None if after.nms_parameters is None else after.nms_parameters.confidence_threshold
    return True


_NO_MEAN, _NO_DEVIATION = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def _take_pixel_values(said: StatedContract, path: Path, entry: _NetworkInput) -> None:
    says_scale, factor = said.scale is not None, entry.scaling_factor
    _take(said, path, scale=1 / factor if factor is not None and factor >= 1 else None)
    mean, deviation = entry.normalization or (_NO_MEAN, _NO_DEVIATION)
    deviation = deviation if all(one > 0 for one in deviation) else _NO_DEVIATION
    if entry.normalization is None or (not said.mean and (mean, deviation) == (_NO_MEAN, _NO_DEVIATION)):
        return
    if says_scale or said.mean:  # without means of its own, a model that says its scale has none
        _take(said, path, mean=mean, deviation=deviation)
    said.mean, said.deviation = mean, deviation


# Values


def _numbered(names: Mapping[Any, object], where: Path) -> tuple[str, ...]:
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
