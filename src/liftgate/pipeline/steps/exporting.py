"""Export step: write the model of an arm in other formats and precisions, with a card beside each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from liftgate.errors import DataError, UsageError
from liftgate.hashing import file_hash, short
from liftgate.ledger.results import ExportedFile, ExportResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import warning
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.training import TrainStep, train_steps
from liftgate.study.records import Arm, FlowStep, Gate, Study
from liftgate.training.start_weights import resolve_weights


class ExportStep(Step[ExportResult]):
    """Exports the best weights of an arm's first seed."""

    KIND = "export"
    RESULT = ExportResult

    def __init__(self, context: Context, arm: Arm, flow_step: FlowStep) -> None:
        self._context, self._arm, self._flow_step = context, arm, flow_step
        study = context.study
        self._seed = study.seeds[0]
        place = study.place("arms", arm.name, "weights")
        self._own_weights = None if arm.weights is None else resolve_weights(arm.weights, study.folder, place)
        self._trained: TrainStep | None = train_steps(context, arm, self._seed)[-1] if arm.stages else None
        self._dataset = arm.stages[-1].data if arm.stages else None
        inputs = {
            "weights": None if self._own_weights is None else self._own_weights.identity,
            "data": None if self._dataset is None else context.datasets.fingerprint(self._dataset),
            "formats": list(_formats(flow_step)),
            "precisions": list(_precisions(flow_step)),
            "backend": study.backend_of(arm),
        }
        label = f"export {arm.name}" + (f" seed {self._seed}" if arm.stages else "")
        super().__init__(label, inputs, () if self._trained is None else (self._trained,))

    def work(self, results: Results) -> ExportResult:
        """Write the exports into the study's folder.

        Raises:
            UsageError: a package is missing, or there is nothing to calibrate on.
            Refused: loading the weights could run code.
            TrainingError: the exporter failed.
        """
        from liftgate.deploy.export.calibration import draw_calibration
        from liftgate.deploy.export.card import CARD, README, Source
        from liftgate.deploy.export.formats import plan_targets
        from liftgate.deploy.export.trusted import trusted_task
        from liftgate.pipeline.exporting import ExportSettings, write_exports

        context = self._context
        require_exportable(context.study, self._flow_step)
        targets = plan_targets(_formats(self._flow_step), _precisions(self._flow_step))
        weights = self.weights(results)
        trusted_task(weights)
        dataset = None if self._dataset is None else context.datasets.dataset(self._dataset)
        source = calibration = None
        if dataset is not None:
            source = Source(dataset.name, dataset.truth_hash(), dataset.licence)
        if "int8" in _precisions(self._flow_step):
            if dataset is None:
                raise UsageError("int8 needs data to calibrate on", where=self.name, hint="an arm that is trained")
            calibration = draw_calibration(dataset)
        out = context.workspace.exports / f"{self._arm.name}-{short(self.key)}"
        cards, warnings = write_exports(
            weights,
            out,
            targets,
            ExportSettings(),
            data=source,
            calibration=calibration,
            replace_own=True,
            progress=context.progress,
        )
        for message in warnings:
            context.notify(warning(self.name, message))
        folder = context.workspace.folder
        names = [(target.name, one.path) for target, card in zip(targets, cards, strict=True) for one in card.files]
        names += [(target.name, beside) for target in targets for beside in (CARD, README)]
        paths = [out / name / one for name, one in names]
        return ExportResult(
            arm=self._arm.name,
            seed=self._seed,
            folder=out.relative_to(folder).as_posix(),
            weights_sha256=cards[0].weights.sha256,
            exports=tuple(target.name for target in targets),
            files=tuple(ExportedFile(path.relative_to(folder).as_posix(), file_hash(path)) for path in paths),
        )

    def files(self, result: ExportResult) -> Mapping[Path, str | None]:
        """Return every file of the exports."""
        return {self._context.workspace.folder / one.path: one.sha256 for one in result.files}

    def weights(self, results: Results) -> Path:
        """Return the path of the weights, which were compared with the ledger.

        Raises:
            DataError: a trained file was changed.
        """
        if self._own_weights is not None:
            return Path(self._own_weights.path)
        assert self._trained is not None
        trained = results.of(self._trained)
        path = self._context.workspace.folder / trained.best
        if file_hash(path) != trained.sha256:
            hint = "delete it: the next run trains again"
            raise DataError("the weights are not those in the ledger: the file was changed", where=path, hint=hint)
        return path


def export_step(context: Context, gate: Gate) -> ExportStep:
    """Return the step that makes the exports that a gate is about; the same as the flow's where it makes these."""
    assert gate.arm is not None
    step = ExportStep(
        context, context.study.arm(gate.arm), FlowStep("export", formats=gate.formats, precisions=gate.precisions)
    )
    asked = [one for one in context.study.flow if one.name == "export"]
    if (gate.formats, gate.precisions) not in [(_formats(one), _precisions(one)) for one in asked]:
        step.name += f" for {gate.name}"  # two steps of a study have two names
    return step


def require_exportable(study: Study, wanted: FlowStep | Gate) -> None:
    """Refuse an export that could not be made, before anything is trained; of the flow, or that a gate is about.

    Raises:
        UsageError: the backend has no exporter, a package is missing, or a format lacks a precision.
    """
    from liftgate.deploy.export.formats import plan_targets

    names = (wanted.arms or tuple(arm.name for arm in study.arms)) if isinstance(wanted, FlowStep) else wanted.arm_names
    for arm in map(study.arm, names):
        if (backend := study.backend_of(arm)) != "ultralytics":
            hint = "take `export` out of the flow, or name its `arms`; weights of Ultralytics can be exported"
            what = f"the backend {backend!r} of arm {arm.name} cannot export"
            raise UsageError(what, where=study.source, hint=hint)
    plan_targets(_formats(wanted), _precisions(wanted))


def _formats(wanted: FlowStep | Gate) -> tuple[str, ...]:
    return wanted.formats or ("onnx",)


def _precisions(wanted: FlowStep | Gate) -> tuple[str, ...]:
    return wanted.precisions or ("fp32",)
