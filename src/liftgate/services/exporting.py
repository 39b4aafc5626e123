"""Export a model in several formats and precisions: in the sealed child process, from a copy, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate.backends.base import ExportJob
from liftgate.backends.events import Event, WarningEvent
from liftgate.checks.ultralytics.checkpoints import read_checkpoint
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.deploy.export.calibration import USUAL, CalibrationSet, draw_calibration
from liftgate.deploy.export.card import ExportCard, Source
from liftgate.deploy.export.finish import Origin, WrittenModel, finish_export, written_model
from liftgate.deploy.export.formats import ExportTarget, plan_targets
from liftgate.deploy.export.quantise import METHODS, Kind, QuantiseJob, quantise
from liftgate.deploy.runtime.sessions import open_onnx
from liftgate.errors import UsageError
from liftgate.files import atomic_folder, require_empty
from liftgate.hashing import file_hash
from liftgate.progress import Progress, silent
from liftgate.services.prediction import CHECKPOINTS, resolve_model, trusted_task
from liftgate.training.launch import export as export_in_child


@dataclass(frozen=True, slots=True)
class MadeExport:
    """One export that was written."""

    folder: Path
    card: ExportCard


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Exports of one model."""

    folder: Path
    exports: tuple[MadeExport, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How a model is exported."""

    imgsz: int | None = None
    """None: that of the training"""
    opset: int | None = None
    """Of ONNX; None: the exporter's choice"""
    nms: bool = False
    n_calibration: int = USUAL
    seed: int = 0


def export(
    model: Path | str,
    out: Path | str,
    *,
    formats: Sequence[str] = ("onnx",),
    precisions: Sequence[str] = ("fp32",),
    data: Dataset | Path | str | None = None,
    groups: str | None = None,
    imgsz: int | None = None,
    opset: int | None = None,
    nms: bool = False,
    n_calibration: int = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> ExportResult:
    """Export a checkpoint: a folder with card, README and model for every format and precision.

    Args:
        model: a .pt, or an official name whose file is on this machine.
        out: the folder to write; missing or empty.
        formats: of onnx, openvino, torchscript, ncnn, tensorrt, litert, executorch.
        precisions: of fp32, fp16, int8.
        data: what the weights were trained on: named in the card, and calibrated on (its train) for int8.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`; None: the data set's own.
        imgsz: size of the input; None: that of the training.
        opset: of ONNX; None: the exporter's choice.
        nms: make non-maximum suppression part of the model, which cuts confidences below 0.25.
        n_calibration: images to calibrate on.
        seed: of the draw of calibration images.
        progress: called after each export.

    Raises:
        UsageError: an unknown word, a package that is not installed, no data for int8, or `out` is not empty.
        Refused: loading the checkpoint could run code.
        TrainingError: the exporter failed. Nothing is written then.
    """
    targets = plan_targets(formats, precisions)
    path, out = resolve_model(model), Path(out)
    if path.suffix.lower() not in CHECKPOINTS:
        raise UsageError("only a checkpoint can be exported", where=path, expected="a .pt", got=path.suffix)
    require_empty(out)
    settings = ExportSettings(imgsz, opset, nms, n_calibration, seed)
    _require_possible(settings, targets)
    _, notes = trusted_task(path)
    dataset = _read_data(data, groups, progress)
    calibration = None
    if any(target.precision == "int8" for target in targets):
        if dataset is None:
            hint = "--data data.yaml: its train split is calibrated on"
            raise UsageError("int8 needs the data that the model was trained on", hint=hint)
        calibration = draw_calibration(dataset, n_images=n_calibration, seed=seed)
    origin = Origin(_weights_source(path), None if dataset is None else _data_source(dataset))
    with atomic_folder(out) as part, tempfile.TemporaryDirectory(prefix="liftgate-export-") as scratch:
        maker = _Maker(path, origin, settings, calibration, Path(scratch))
        cards = []
        for index, target in enumerate(targets):
            cards.append(maker.make(target, part / target.name))
            progress("exporting", index + 1, len(targets))
    made = tuple(MadeExport(out / target.name, card) for target, card in zip(targets, cards, strict=True))
    return ExportResult(out, made, (*notes, *dict.fromkeys(maker.warnings)))


class _Maker:
    """Makes the exports of one checkpoint; each float model once, also where only its INT8 form is asked for."""

    def __init__(
        self, weights: Path, origin: Origin, settings: ExportSettings, calibration: CalibrationSet | None, scratch: Path
    ) -> None:
        self._weights = weights
        self._origin = origin
        self._settings = settings
        self._calibration = calibration
        self._scratch = scratch
        self._written: dict[ExportTarget, tuple[Path, WrittenModel]] = {}
        self.warnings: list[str] = []

    def make(self, target: ExportTarget, folder: Path) -> ExportCard:
        """Write one export into `folder` and return its card."""
        folder.mkdir()
        if target.precision == "int8":
            return self._make_int8(target, folder)
        source, written = self._float_model(target)
        _copy(source, folder, written.model)
        nms = self._settings.nms
        return finish_export(folder, written, target.format, target.precision, self._origin, nms=nms)

    def _make_int8(self, target: ExportTarget, folder: Path) -> ExportCard:
        assert self._calibration is not None
        kind: Kind = "onnx" if target.format == "onnx" else "openvino"
        source, written = self._float_model(ExportTarget(target.format, "fp32"))
        base = finish_export(source, written, target.format, "fp32", self._origin)
        model = source / written.model
        xml = sorted(model.glob("*.xml"))
        job = QuantiseJob(
            kind=kind,
            source=str(model if kind == "onnx" else xml[0]),
            out=str(folder / written.model if kind == "onnx" else folder / written.model / xml[0].name),
            images=tuple(map(str, self._calibration.paths)),
            input=base.input,
            input_name=open_onnx(model, threads=1).facts.inputs[0].name if kind == "onnx" else "",
        )
        Path(job.out).parent.mkdir(parents=True, exist_ok=True)
        quantise(job)
        self._calibration.write(folder)
        record = replace(self._calibration.record, method=METHODS[kind])
        return finish_export(folder, written, target.format, "int8", self._origin, calibration=record)

    def _float_model(self, target: ExportTarget) -> tuple[Path, WrittenModel]:
        if target not in self._written:
            folder = self._scratch / target.name
            folder.mkdir()
            asked = self._settings
            job = ExportJob(
                weights=str(self._weights),
                format=target.format,
                precision=target.precision,
                out=folder,
                imgsz=asked.imgsz,
                opset=asked.opset,
                nms=asked.nms,
            )
            work = self._scratch / f"{target.name}-job"
            facts = export_in_child(job, backend="ultralytics", folder=work, on_event=self._note)
            self._written[target] = (folder, written_model(facts))
        return self._written[target]

    def _note(self, event: Event) -> None:
        if isinstance(event, WarningEvent):
            self.warnings.append(event.message)


def _copy(source: Path, folder: Path, name: str) -> None:
    if (source / name).is_dir():
        shutil.copytree(source / name, folder / name)
    else:
        shutil.copyfile(source / name, folder / name)
        for beside in source.glob(f"{Path(name).stem}.*"):  # weights of a large ONNX model
            if beside.name != name and beside.is_file():
                shutil.copyfile(beside, folder / beside.name)


def _require_possible(settings: ExportSettings, targets: Sequence[ExportTarget]) -> None:
    if settings.imgsz is not None and settings.imgsz < 32:
        raise UsageError("imgsz is out of range", expected="32 or more", got=settings.imgsz)
    if settings.opset is not None and not 11 <= settings.opset <= 30:
        raise UsageError("opset is out of range", expected="11 to 30", got=settings.opset)
    if settings.nms and any(target.precision == "int8" for target in targets):
        hint = "suppression inside an INT8 model cannot be measured apart: leave --nms out"
        raise UsageError("--nms and int8 do not go together", hint=hint)


def _read_data(data: Dataset | Path | str | None, groups: str | None, progress: Progress) -> Dataset | None:
    if data is None:
        return None
    dataset = data if isinstance(data, Dataset) else read(Path(data), progress=progress)
    return dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())


def _weights_source(path: Path) -> Source:
    licence = read_checkpoint(path).about.get("license", "")
    return Source(path.name, file_hash(path), licence.partition(" ")[0] or None)


def _data_source(dataset: Dataset) -> Source:
    return Source(dataset.name, dataset.truth_hash(), dataset.licence)
