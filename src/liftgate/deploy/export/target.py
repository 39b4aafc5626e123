"""Build on the device that runs it: a bundle that goes there, and the result that comes home.

An engine runs only on the device that built it. The bundle holds the ONNX file, the calibration set and 50 images as
they enter the model, and a script that needs no Liftgate (files/run_on_target.py.txt). What these images give here is
kept in the bundle too, and compared when the result comes home.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import Agreement, compare_detections
from liftgate.deploy.export.calibration import CalibrationSet
from liftgate.deploy.export.card import CARD, ExportCard, Format, Precision, TargetDevice, UseSettings
from liftgate.deploy.export.card_file import card_files, read_card, write_card
from liftgate.deploy.export.symptoms import Symptom, symptoms_of
from liftgate.deploy.runtime.images import read_pixels
from liftgate.deploy.runtime.letterbox import Placement, input_tensor, letterbox
from liftgate.deploy.runtime.predict import collect_predictions, load_model
from liftgate.deploy.runtime.suppression import Detections, choose_detections
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError, UsageError
from liftgate.files import atomic_folder, write_json
from liftgate.hashing import content_hash, file_hash
from liftgate.records import to_record

SCRIPT, BUNDLE, RESULT, EXPECTED = "run_on_target.py", "bundle.json", "result.json", "expected.json"
_SCRIPT_SOURCE = Path(__file__).with_name("files") / f"{SCRIPT}.txt"
N_IMAGES = 50
_CONF = 0.25

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """What the script reads: bundle.json."""

    id: str
    precision: Precision
    height: int
    width: int
    n_values: int
    """Rows of the output"""
    n_classes: int
    conf: float
    iou: float
    images: tuple[str, ...]
    n_expected: int
    """Detections on these images here"""
    files: Mapping[str, str]
    """File of the bundle → SHA-256"""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What the script writes: result.json."""

    result: int
    bundle: str
    format: Format
    precision: Precision
    device: str
    driver: str
    runtime: str
    python: str
    model: str
    sha256: str
    milliseconds: tuple[float, ...]
    images: tuple[str, ...]
    detections: tuple[tuple[tuple[float, float, float, float, float, float], ...], ...]
    """Of each image: class, score, left, top, right, bottom in pixels of the input"""


@dataclass(frozen=True, slots=True)
class TakenResult:
    """A result that came home."""

    folder: Path
    card: ExportCard
    agreement: Agreement
    symptoms: tuple[Symptom, ...]
    milliseconds: tuple[float, float]
    """Median and 95% of one inference on the device"""


def write_bundle(
    export: Path,
    images: Dataset,
    out: Path,
    *,
    precision: Precision = "fp16",
    calibration: CalibrationSet | None = None,
) -> BundleRecord:
    """Write the folder that goes to the device.

    Args:
        export: folder of an ONNX export in fp32, with its card.
        images: at least 50 to compare the results on.
        out: missing or empty.
        precision: of the engine.
        calibration: for int8.

    Raises:
        UsageError: another format, too few images, or no calibration images for int8.
        DataError: the export or an image cannot be read.
    """
    card = read_card(export)
    _require_possible(card, precision, images, calibration, export)
    folder = export if export.is_dir() else export.parent
    model = load_model(card, folder, threads=1)
    chosen = [images.images[i] for i in np.linspace(0, len(images.images) - 1, N_IMAGES).astype(int).tolist()]
    use = UseSettings(conf=_CONF, iou=card.use.iou)
    whole = Placement(card.input.width, card.input.height, 1.0, 1.0, 0, 0)
    with atomic_folder(out) as part:
        expected = []
        with (part / "images.raw").open("wb") as file:
            for image in chosen:
                pixels = letterbox(read_pixels(image.path), card.input).pixels
                file.write(pixels.transpose(2, 0, 1).tobytes())
                output = model.session.run(input_tensor(pixels, card.input))[0][0]
                expected.append(choose_detections(output, card.output, whole, use))
        if calibration is not None:
            with (part / "calibration.raw").open("wb") as file:
                for path in calibration.paths:
                    file.write(letterbox(read_pixels(path), card.input).pixels.transpose(2, 0, 1).tobytes())
            calibration.write(part)
        shutil.copyfile(folder / card.model, part / "model.onnx")
        shutil.copyfile(_SCRIPT_SOURCE, part / SCRIPT)
        source = replace(card, model="model.onnx", files=card_files(part, "model.onnx"))
        if calibration is not None:
            source = replace(source, calibration=replace(calibration.record, method="TensorRT: ranges by min and max"))
        write_card(source, part)
        write_json(part / EXPECTED, [_rows(one) for one in expected])
        record = _record(
            card, part, precision, [image.id for image in chosen], sum(len(one.scores) for one in expected)
        )
        write_json(part / BUNDLE, msgspec.to_builtins(record))
    return record


def take_result(result: Path, bundle: Path, out: Path) -> TakenResult:
    """Check a result against its bundle and write the export that was built, with a card that names its device.

    Args:
        result: the folder `result` of the device.
        bundle: the bundle that it was made with.
        out: missing or empty.

    Raises:
        DataError: the result is damaged, of another bundle, or its model is missing or another one.
    """
    record = _read(bundle / BUNDLE, BundleRecord)
    found = _read(result / RESULT, TargetResult)
    _require_same_bundle(found, record, result, bundle)
    card = read_card(bundle / CARD)
    expected = _read(bundle / EXPECTED, tuple[tuple[tuple[float, float, float, float, float, float], ...], ...])
    here, there = (_predictions(rows, record, card) for rows in (expected, found.detections))
    agreement = compare_detections(here, there, record.conf)
    symptoms = tuple(symptoms_of(agreement, record.conf))
    times = np.quantile(found.milliseconds, [0.5, 0.95])
    speed = f"{found.runtime} on {found.device}: median {times[0]:.2f} ms, 95% within {times[1]:.2f} ms, batch 1"
    with atomic_folder(out) as part:
        shutil.copyfile(result / found.model, part / found.model)
        built = replace(
            card,
            format=found.format,
            precision=found.precision,
            model=found.model,
            files=card_files(part, found.model),
            calibration=card.calibration if found.precision == "int8" else None,
            device=TargetDevice(found.device, found.driver, found.runtime) if found.format == "tensorrt" else None,
            notes=(*card.notes, speed),
        )
        write_card(built, part)
    return TakenResult(out, built, agreement, symptoms, (float(times[0]), float(times[1])))


def _require_possible(
    card: ExportCard, precision: Precision, images: Dataset, calibration: CalibrationSet | None, where: Path
) -> None:
    if (card.format, card.precision, card.output.layout) != ("onnx", "fp32", "anchors"):
        got = f"{card.format} {card.precision}, {card.output.layout}"
        raise UsageError("a bundle is made from an ONNX export", where=where, expected="onnx fp32, raw output", got=got)
    if (
        card.input.mean
        or card.input.deviation
        or card.input.channels != "RGB"
        or card.input.dtype != "float32"
        or abs(card.input.scale * 255 - 1) > 1e-9
    ):
        raise UsageError("the script on the device knows RGB in 32-bit floats of 0 to 1", where=where)
    if len(images.images) < N_IMAGES:
        raise UsageError("too few images to compare", expected=f"{N_IMAGES} or more", got=len(images.images))
    if precision == "int8" and calibration is None:
        raise UsageError("int8 needs calibration images", hint="--data data.yaml: its train split is calibrated on")


def _record(card: ExportCard, part: Path, precision: Precision, images: list[str], n_expected: int) -> BundleRecord:
    files = {path.name: file_hash(path) for path in sorted(part.iterdir()) if path.name not in (BUNDLE, EXPECTED)}
    points = 0 if card.output.keypoints is None else card.output.keypoints[0] * card.output.keypoints[1]
    return BundleRecord(
        id=content_hash([sorted(files.items()), precision]),
        precision=precision,
        height=card.input.height,
        width=card.input.width,
        n_values=4 + len(card.output.classes) + points,
        n_classes=len(card.output.classes),
        conf=_CONF,
        iou=card.use.iou,
        images=tuple(images),
        n_expected=n_expected,
        files=files,
    )


def _require_same_bundle(found: TargetResult, record: BundleRecord, result: Path, bundle: Path) -> None:
    if found.result != 1:
        raise DataError("a result of another version", where=result / RESULT, expected=1, got=found.result)
    if found.bundle != record.id or found.images != record.images or len(found.detections) != len(record.images):
        got = found.bundle[:12]
        raise DataError("a result of another bundle", where=result / RESULT, expected=record.id[:12], got=got)
    if not found.milliseconds:
        raise DataError("the result has no times", where=result / RESULT)
    path = result / found.model
    if Path(found.model).name != found.model or not path.is_file():
        raise DataError("the model of the result is missing", where=path, hint="copy the whole folder")
    if file_hash(path) != found.sha256:
        raise DataError("the model is not the one that was measured", where=path, expected=found.sha256[:12])
    if found.precision not in ("fp32", record.precision):
        raise DataError("a result of another precision", where=result, expected=record.precision, got=found.precision)


def _rows(found: Detections) -> list[list[float]]:
    columns = [found.cls[:, None].astype(np.float64), found.scores[:, None], found.boxes]
    rows: list[list[float]] = np.concatenate(columns, axis=1).tolist()
    return rows


def _predictions(images: Sequence[Sequence[Sequence[float]]], record: BundleRecord, card: ExportCard) -> Predictions:
    found = []
    for rows in images:
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        cls = table[:, 0].astype(np.int64)
        if len(cls) and not (cls.min() >= 0 and cls.max() < record.n_classes and np.isfinite(table).all()):
            raise DataError("the result has detections that are not possible", where=RESULT)
        found.append(Detections(table[:, 2:], table[:, 1], cls))
    return collect_predictions(record.images, card.output.classes, iter(found), {})


def _read(path: Path, kind: type[T]) -> T:
    try:
        return to_record(load_json(path, LARGE), kind)
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None
    except DocumentError as error:
        raise DataError("the file is no JSON", where=error.place(path), got=error.problem) from None
    except msgspec.ValidationError as error:
        raise DataError("the file is not valid", where=path, got=str(error)) from None
