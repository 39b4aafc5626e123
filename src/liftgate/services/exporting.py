"""Export a model in several formats and precisions: in the sealed child process, from a copy, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.deploy.export.calibration import USUAL, draw_calibration
from liftgate.deploy.export.card import ExportCard, Source
from liftgate.deploy.export.formats import ExportTarget, plan_targets
from liftgate.deploy.export.trusted import CHECKPOINTS, trusted_task
from liftgate.deploy.registry.contents import chosen_arm, study_model
from liftgate.errors import UsageError
from liftgate.files import require_empty
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.exporting import ExportSettings, write_exports
from liftgate.progress import Progress, silent
from liftgate.services.prediction import resolve_model
from liftgate.study.study_file import load, study_path


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


def export(
    model: Path | str,
    out: Path | str,
    *,
    arm: str | None = None,
    formats: Sequence[str] = ("onnx",),
    precisions: Sequence[str] = ("fp32",),
    data: Dataset | Path | str | None = None,
    groups: str | None = None,
    imgsz: int | tuple[int, int] | None = None,
    opset: int | None = None,
    nms: bool = False,
    n_calibration: int = USUAL,
    seed: int = 0,
    progress: Progress = silent,
) -> ExportResult:
    """Export a checkpoint: a folder with card, README and model for every format and precision.

    Args:
        model: a .pt, an official name whose file is on this machine, or a study.yaml that has run.
        out: the folder to write; missing or empty.
        arm: of a study; None: the arm that its answer is about. Its first seed is exported.
        formats: of onnx, openvino, torchscript, ncnn, tensorrt, litert, executorch.
        precisions: of fp32, fp16, int8.
        data: what the weights were trained on: named in the card, and calibrated on (its train) for int8; of a study
            the arm's last data set unless another is named.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`; None: the data set's own.
        imgsz: size of the input: side of a square, or (height, width), rounded up to the model's stride; None: that of
            the training.
        opset: of ONNX; None: the exporter's choice.
        nms: make non-maximum suppression part of the model, which cuts confidences below 0.25.
        n_calibration: images to calibrate on.
        seed: of the draw of calibration images.
        progress: called after each export.

    Raises:
        UsageError: an unknown word, a package that is not installed, no data for int8, or `out` is not empty.
        Refused: loading the checkpoint could run code.
        DataError: the weights are not those in the study's ledger.
        TrainingError: the exporter failed. Nothing is written then.
    """
    targets = plan_targets(formats, precisions)
    path, out = study_path(resolve_model(model)), Path(out)
    if path.suffix.lower() in (".yaml", ".yml"):
        path, trained_on = _model_of_study(path, arm, progress)
        data = trained_on if data is None else data
    elif arm is not None:
        raise UsageError("an arm is of a study", where=path, expected="study.yaml", got=arm)
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
    data_source = None if dataset is None else Source(dataset.name, dataset.truth_hash(), dataset.licence)
    cards, warnings = write_exports(
        path, out, targets, settings, data=data_source, calibration=calibration, progress=progress
    )
    made = tuple(MadeExport(out / target.name, card) for target, card in zip(targets, cards, strict=True))
    return ExportResult(out, made, (*notes, *warnings))


def _model_of_study(path: Path, arm: str | None, progress: Progress) -> tuple[Path, Dataset | None]:
    """Return the weights of an arm as the study's ledger has them, and the data set of its last stage."""
    study = load(path)
    chosen = chosen_arm(study, arm)
    found = study_model(study, chosen, study.seeds[0])
    if not chosen.stages:
        return found.weights, None
    return found.weights, StudyDatasets(study, found.workspace, progress).dataset(chosen.stages[-1].data)


def _require_possible(settings: ExportSettings, targets: Sequence[ExportTarget]) -> None:
    sides = (settings.imgsz,) if isinstance(settings.imgsz, int) else settings.imgsz or (32,)
    if len(sides) > 2 or not all(32 <= side <= 8192 for side in sides):
        what, got = "imgsz is out of range", ", ".join(map(str, sides))
        raise UsageError(what, expected="32 to 8,192: one side, or height and width", got=got)
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
