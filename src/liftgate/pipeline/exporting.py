"""Write exports of a checkpoint: the backend's exporter in the sealed child, quantisation, cards; all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from liftgate.backends.base import ExportJob
from liftgate.backends.events import Event, WarningEvent
from liftgate.deploy.export.calibration import USUAL, CalibrationSet
from liftgate.deploy.export.card import ExportCard, Source
from liftgate.deploy.export.finish import Origin, WrittenModel, finish_export, written_model
from liftgate.deploy.export.formats import ExportTarget
from liftgate.deploy.export.quantise import METHODS, NOTES, Kind, QuantiseJob, quantise
from liftgate.deploy.export.trusted import weights_source
from liftgate.deploy.runtime.sessions import open_onnx
from liftgate.files import atomic_folder
from liftgate.progress import Progress, silent
from liftgate.training.launch import export as export_in_child


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """How a model is exported."""

    imgsz: int | tuple[int, int] | None = None
    """Side of a square, or (height, width); None: that of the training"""
    opset: int | None = None
    """Of ONNX; None: the exporter's choice"""
    nms: bool = False
    n_calibration: int = USUAL
    seed: int = 0


class WrittenExports(NamedTuple):
    """Cards in the order of the targets, and warnings of the exporter."""

    cards: tuple[ExportCard, ...]
    warnings: tuple[str, ...]


def write_exports(
    weights: Path,
    out: Path,
    targets: Sequence[ExportTarget],
    settings: ExportSettings,
    *,
    data: Source | None = None,
    calibration: CalibrationSet | None = None,
    replace_own: bool = False,
    progress: Progress = silent,
) -> WrittenExports:
    """Write a folder for each target below `out`, which appears whole or not at all.

    Args:
        weights: a checkpoint that was judged by `trusted_task`.
        out: missing or empty; with `replace_own` it may hold earlier exports of these targets.
        targets: formats and precisions; for int8 `calibration` is needed.
        settings: size, opset and suppression.
        data: what the weights were trained on.
        calibration: images to measure ranges on.
        replace_own: whether earlier exports are replaced.
        progress: called after each export.

    Raises:
        TrainingError: the exporter failed.
        DataError: what it wrote cannot be opened, or `out` has files.
    """
    origin = Origin(weights_source(weights), data)
    names = {target.name for target in targets}

    def is_own(path: str) -> bool:
        return replace_own and path.partition("/")[0] in names

    with atomic_folder(out, is_own) as part, tempfile.TemporaryDirectory(prefix="liftgate-export-") as scratch:
        maker = _Maker(weights, origin, settings, calibration, Path(scratch))
        cards = []
        for index, target in enumerate(targets):
            cards.append(maker.make(target, part / target.name))
            progress("exporting", index + 1, len(targets))
    return WrittenExports(tuple(cards), tuple(dict.fromkeys(maker.warnings)))


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
        origin, notes = self._origin, NOTES[kind]
        return finish_export(folder, written, target.format, "int8", origin, calibration=record, notes=notes)

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
        for pattern in (f"{name}.*", f"{Path(name).stem}.data"):  # weights of a large ONNX model
            for beside in source.glob(pattern):
                shutil.copyfile(beside, folder / beside.name)
