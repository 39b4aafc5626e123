"""The card of an export: what a program must know to run it, and what it was made from.

`card.json` lies beside the model, with a README.md for people that says the same. Every verb that loads an export reads
the card, compares the files with their hashes, and refuses one that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias, get_args

import msgspec

from liftgate.documents import DocumentError, load_json
from liftgate.errors import DataError
from liftgate.files import write_json, write_text
from liftgate.hashing import content_hash, file_hash, short
from liftgate.suggestions import did_you_mean

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


def card_files(folder: Path, model: str) -> tuple[CardFile, ...]:
    """Return the files of a model below `folder` with their hashes; all files of it if it is a folder.

    Raises:
        DataError: there is no such file, or the folder is empty.
    """
    path = folder / model
    found = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    if not found:
        raise DataError("the export has no file", where=path)
    return tuple(CardFile(one.relative_to(folder).as_posix(), file_hash(one), one.stat().st_size) for one in found)


def write_card(card: ExportCard, folder: Path) -> Path:
    """Write card.json and README.md into `folder` and return the path of the card.

    Raises:
        DataError: the card contradicts itself, so that it could not be read again.
    """
    path = folder / CARD
    require_consistent(card, path)
    write_text(folder / README, readme_text(card))
    write_json(path, msgspec.to_builtins(card))
    return path


def read_card(place: Path, *, check_files: bool = True) -> ExportCard:
    """Read the card of an export.

    Args:
        place: the export's folder, its card.json, or its model file.
        check_files: compare every file with its size and hash.

    Raises:
        DataError: there is no card, it cannot be read, contradicts itself, or a file is missing or was changed.
    """
    path = find_card(place)
    if path is None:
        hint = "`liftgate export` writes one; a file of another tool has none"
        raise DataError("the export has no card", where=place, expected=CARD, hint=hint)
    try:
        document = load_json(path)
    except DocumentError as error:
        raise DataError("the card is no JSON", where=error.place(path), got=error.problem) from None
    except OSError as error:
        raise DataError("cannot read the card", where=path, got=error.strerror) from None
    _require_known_version(document, path)
    try:
        card = msgspec.convert(document, ExportCard)
    except msgspec.ValidationError as error:
        raise DataError("the card is not valid", where=path, got=str(error)) from None
    _require_known_keys(document, msgspec.to_builtins(card), path, "")
    require_consistent(card, path)
    if check_files:
        require_files(card, path.parent)
    return card


def find_card(place: Path) -> Path | None:
    """Return the card of a folder, of a card or of a model file; None: there is none."""
    candidates = [place] if place.name == CARD else [place / CARD] if place.is_dir() else []
    candidates.append(place.parent / CARD)  # a model that is a folder, such as OpenVINO's, has its card beside it
    return next((path for path in candidates if path.is_file()), None)


def require_files(card: ExportCard, folder: Path) -> None:
    """Compare the export's files with sizes and hashes of the card.

    Raises:
        DataError: a file is missing or is another one, or the model's folder has a file that the card does not name.
    """
    for one in card.files:
        path = folder / one.path
        if not path.is_file():
            raise DataError(
                "a file of the export is missing", where=path, hint="export again, or copy the whole folder"
            )
        size = path.stat().st_size
        if size < one.bytes:
            expected, got = f"{one.bytes:,} bytes", f"{size:,}"
            raise DataError("a file of the export is cut short", where=path, expected=expected, got=got)
        if size != one.bytes or file_hash(path) != one.sha256:
            hint = "it was replaced after the card was written: export again, so that the card says what it is"
            got = short(file_hash(path))
            raise DataError("not the file of the card", where=path, expected=short(one.sha256), got=got, hint=hint)
    model = folder / card.model
    named = {one.path for one in card.files}
    inside = [one.relative_to(folder).as_posix() for one in model.rglob("*") if one.is_file()]
    if others := sorted(set(inside) - named):
        raise DataError("the export has a file that its card does not name", where=model, got=", ".join(others[:3]))


def readme_text(card: ExportCard) -> str:
    """Return the text of README.md: the card for people."""
    entry, result = card.input, card.output
    size = f"{card.n_bytes / 1e6:.1f} MB"
    shape = " × ".join("any" if side is None else str(side) for side in result.shape)
    suppression = "outside the file: run it after the model"
    if result.nms:
        suppression = "inside the file"
        if result.nms_conf:
            suppression += f"; nothing below confidence {result.nms_conf:g} comes out, so curves and mAP are cut there"
    keypoints = "none" if result.keypoints is None else f"{result.keypoints[0]}, of {result.keypoints[1]} values each"
    rows = [
        ("format", f"{card.format}, {card.precision}, {size}" + (f", opset {card.opset}" if card.opset else "")),
        ("task", card.task),
        ("input", f"{entry.width} × {entry.height} px, batch {entry.batch or 'any'}, {entry.layout}, {entry.dtype}"),
        ("pixels", f"{entry.channels}, {_values_text(entry)}; letterbox {entry.letterbox}, padded with {entry.pad}"),
        ("output", f"{result.layout}, {shape}; boxes {result.boxes} in pixels of the input"),
        ("scores", f"0 to {result.score_scale:g}"),
        ("NMS", suppression),
        ("keypoints", keypoints),
        ("used with", f"conf {card.use.conf:g}, iou {card.use.iou:g}, at most {card.use.max_det} detections"),
        ("weights", _source_text(card.weights)),
        ("trained on", "not known" if card.data is None else _source_text(card.data)),
    ]
    if card.calibration is not None:
        one = card.calibration
        amount = f"{one.n_images} images of {one.n_groups} groups of {_plain(one.dataset.name)}, {one.split}"
        rows.append(("calibrated on", f"{amount}, seed {one.seed}, `{short(one.sha256)}`; {_plain(one.method)}"))
    if card.device is not None:
        device = f"{_plain(card.device.name)}, driver {_plain(card.device.driver)}, {_plain(card.device.runtime)}"
        rows.append(("runs on", f"{device}: on no other"))
    rows += [(f"version of {_plain(name)}", _plain(version)) for name, version in card.versions]
    lines = [f"# {_plain(card.model)}", "", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""]
    lines += [f"- {_plain(note)}" for note in card.notes] + ([""] if card.notes else [])
    lines += ["Classes, in the order of the output:", ""]
    lines += [f"{index}. {_plain(name)}" for index, name in enumerate(result.classes)]
    lines += ["", *(f"- `{one.path}`: SHA-256 `{one.sha256}`" for one in card.files), ""]
    return "\n".join([*lines, f"`{CARD}` says the same for programs.", ""])


def _values_text(entry: InputContract) -> str:
    text = f"times {entry.scale:.6g}"
    if entry.mean:
        text += f", less {', '.join(f'{one:g}' for one in entry.mean)}"
    return text + (f", over {', '.join(f'{one:g}' for one in entry.deviation)}" if entry.deviation else "")


def _source_text(source: Source) -> str:
    return f"{_plain(source.name)}, `{short(source.sha256)}`, licence {_plain(source.licence or 'unknown')}"


def _require_known_version(document: object, path: Path) -> None:
    if not isinstance(document, dict):
        raise DataError("the card is no object", where=path, expected="a JSON object", got=type(document).__name__)
    version = document.get("card_version")
    if version != VERSION:
        hint = "a newer Liftgate wrote it: update" if isinstance(version, int) and version > VERSION else None
        raise DataError("a card of another version", where=path, expected=VERSION, got=repr(version), hint=hint)


def _require_known_keys(document: object, known: object, path: Path, place: str) -> None:
    """Refuse keys that no field has: a misspelt one would be ignored in silence."""
    if isinstance(document, list) and isinstance(known, list | tuple):
        for index, (given, read) in enumerate(zip(document, known, strict=True)):
            _require_known_keys(given, read, path, f"{place}[{index}]")
    if not isinstance(document, dict) or not isinstance(known, dict):
        return
    for key, value in document.items():
        if key not in known:
            got, hint = f"{place}.{key}".lstrip("."), did_you_mean(key, known)
            raise DataError("the card has an unknown key", where=path, got=got, hint=hint)
        _require_known_keys(value, known[key], path, f"{place}.{key}".lstrip("."))


def require_consistent(card: ExportCard, path: Path, *, written: bool = True) -> None:
    """Refuse a card that contradicts itself or has values that cannot be.

    Args:
        card: of the export.
        path: for the message.
        written: whether it is a card's file; one made for somebody's model takes its file's name as it is.

    Raises:
        DataError: names the first of them.
    """
    for what, expected, got in [*_contradictions(card), *(_wrong_files(card) if written else ())]:
        raise DataError(f"the card contradicts itself: {what}", where=path, expected=expected, got=got)


def _contradictions(card: ExportCard) -> list[tuple[str, object, object]]:
    """Return (what, expected, got) of every rule that the card breaks."""
    result, use = card.output, card.use
    found = _wrong_input(card.input)
    if not result.classes or len(set(result.classes)) < len(result.classes):
        found.append(("class names", "at least one, each once", ", ".join(result.classes)))
    if not result.score_scale > 0:
        found.append(("the score scale", "above 0", result.score_scale))
    if (card.task == "pose") != (result.keypoints is not None):
        found.append(("keypoints", f"{'some' if card.task == 'pose' else 'none'} for {card.task}", result.keypoints))
    if result.keypoints is not None and (result.keypoints[0] < 1 or result.keypoints[1] not in (2, 3)):
        found.append(("keypoints", "(number, 2 or 3)", result.keypoints))
    if (result.layout == "detections") != result.nms:
        found.append(("detections come after NMS, raw anchors before it", result.layout, f"nms {result.nms}"))
    if result.nms_conf is not None and not (result.nms and 0 <= result.nms_conf <= 1):
        found.append(("the confidence where suppression cuts", "0 to 1, and null without it", result.nms_conf))
    if len(result.shape) != 3 or min((side for side in result.shape if side is not None), default=1) < 1:
        found.append(("the output's shape", "three sides, or null for any", result.shape))
    else:
        found += _wrong_channels(result)
    if not (0 <= use.conf <= 1 and 0 < use.iou <= 1 and use.max_det >= 1):
        found.append(("settings of use are not possible", "conf 0–1, iou above 0 to 1, max_det from 1", use))
    hashes = [one.sha256 for one in card.files] + [card.weights.sha256]
    if bad := [one for one in hashes if len(one) != 64 or set(one) - set("0123456789abcdef")]:
        found.append(("a SHA-256", "64 hex digits", bad[0]))
    if card.precision == "int8" and card.format == "pt":
        found.append(("the precision of a checkpoint", "fp32 or fp16", card.precision))
    return found


def _wrong_files(card: ExportCard) -> list[tuple[str, object, object]]:
    names = [one.path for one in card.files]
    if not names or len(set(names)) < len(names) or not all(map(_is_below, [*names, card.model])):
        return [("its files", "at least one, each once, below the card's folder", ", ".join(names) or "none")]
    if not any(name == card.model or name.startswith(f"{card.model}/") for name in names):
        return [("the model is not among its files", card.model, ", ".join(names))]
    return []


def _wrong_input(entry: InputContract) -> list[tuple[str, object, object]]:
    found: list[tuple[str, object, object]] = []
    sizes = [entry.height, entry.width, *([] if entry.batch is None else [entry.batch])]
    if min(sizes) < 1 or max(sizes) > 1 << 16:
        found.append(("the input's size is not possible", "1 to 65,536", sizes))
    if not 0 < entry.scale <= 1 or not 0 <= entry.pad <= 255:
        found.append(("pixel values are not possible", "scale 0–1 and pad 0–255", (entry.scale, entry.pad)))
    if {len(entry.mean), len(entry.deviation)} - {0, 3} or not all(one > 0 for one in entry.deviation):
        found.append(("mean and deviation", "three each, deviations above 0", (entry.mean, entry.deviation)))
    return found


def _wrong_channels(result: OutputContract) -> list[tuple[str, object, object]]:
    points = 0 if result.keypoints is None else result.keypoints[0] * result.keypoints[1]
    expected, side = 4 + len(result.classes) + points, result.shape[1]
    if result.layout == "detections":
        expected, side = 6 + points, result.shape[2]
    if side is None or side == expected:
        return []
    return [("the output has another number of values than its classes and keypoints", expected, side)]


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name


def _plain(text: str) -> str:
    """Return untrusted text for a Markdown table: one line, without active Markdown or HTML."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>|#!" else letter for letter in " ".join(text.split()))
