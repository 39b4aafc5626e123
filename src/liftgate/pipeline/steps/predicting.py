"""Predict step: run an arm's model on a split and store the detections as COCO results."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.backends import SPLITTING
from liftgate.backends.base import PredictJob
from liftgate.backends.events import Event, Json
from liftgate.backends.prediction_output import join_predictions
from liftgate.backends.training_tree import read_tree
from liftgate.checks.image_sizes import measured_sizes, usual_size
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.errors import DataError, TrainingError
from liftgate.hashing import content_hash, file_hash, short
from liftgate.ledger.results import PredictResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.training import TrainStep, train_steps
from liftgate.study.records import Arm, Gate, Study
from liftgate.training import launch
from liftgate.training.start_weights import resolve_weights

if TYPE_CHECKING:
    from liftgate.engines.task import Task


_USUAL_BATCH = 16  # the largest that a backend takes where the settings name none


class PredictStep(Step[PredictResult]):
    """Runs an arm's model on the split of a gate."""

    KIND = "predict"
    RESULT = PredictResult

    def __init__(self, context: Context, arm: Arm, seed: int, gate: Gate, *, settings: Json | None = None) -> None:
        """Plan the predictions of one arm and seed.

        Args:
            context: the study.
            arm: the arm; without stages its own weights are used.
            seed: of its training.
            gate: the gate whose images are predicted on.
            settings: imgsz, conf, iou …; None: those of the arm. Pass them to measure two models with the same
                settings.
        """
        self._context, self._arm, self._seed, self._on = context, arm, seed, gate.on
        study = context.study
        self._dataset, _, self._split = gate.on.rpartition(".")
        place = study.place("arms", arm.name, "weights")
        self._own_weights = None if arm.weights is None else resolve_weights(arm.weights, study.folder, place)
        usual = all_settings(study, gate, arm)[0]
        self._settings = dict(usual if settings is None else settings)
        self._trained: TrainStep | None = train_steps(context, arm, seed)[-1] if arm.stages else None
        inputs = {
            "weights": None if self._own_weights is None else self._own_weights.identity,
            "data": context.datasets.fingerprint(self._dataset),
            "split": self._split,
            "settings": self._settings,
            "backend": study.backend_of(arm),
            "device": study.device,
        }
        label = f"predict {arm.name}" + (f" seed {seed}" if arm.stages else "") + f" on {gate.on}"
        if not arm.stages and self._settings["imgsz"] != usual["imgsz"]:
            label += f" at {self._settings['imgsz']} px"
        super().__init__(label, inputs, () if self._trained is None else (self._trained,))

    def work(self, results: Results) -> PredictResult:
        """Predict in a child process.

        Raises:
            DataError: images were removed or changed meanwhile.
        """
        context, workspace = self._context, self._context.workspace
        job = self._job(results)
        used = self._predict(job)
        context.datasets.require_unchanged_images(self._dataset)
        predictions = coco.read_predictions(job.out, context.datasets.truth(self._on))
        return PredictResult(
            arm=self._arm.name,
            seed=self._seed,
            on=self._on,
            file=job.out.relative_to(workspace.folder).as_posix(),
            sha256=predictions.content_hash(),
            settings=dict(used),
            n_detections=len(predictions),
            file_sha256=file_hash(job.out),
            settings_sha256=file_hash(coco.settings_path(job.out)),
        )

    def is_ready(self, results: Results) -> bool:
        """Return whether its task can begin: the weights are recorded."""
        return self._trained is None or results.find(self._trained) is not None

    def tasks(self, results: Results) -> list[Task]:
        """Return the tasks that predict, each a part of the images."""
        return self._tasks(self._job(results))

    def _tasks(self, job: PredictJob) -> list[Task]:
        from liftgate.pipeline.engine import make_task

        backend, parts = self._context.study.backend_of(self._arm), self._parts()
        if parts == 1:
            return [make_task(self._context, self.key, self.name, self._work_folder, job, backend)]
        found = []
        for part in range(parts):
            folder = self._work_folder / f"{part + 1}-of-{parts}"
            one = replace(job, out=folder / "part.json", part=part, parts=parts)
            name, key = f"{self.name}, part {part + 1} of {parts}", content_hash([self.key, part, parts])
            found.append(make_task(self._context, key, name, folder, one, backend))
        return found

    def _parts(self) -> int:
        """Return the number of tasks: several on an engine with several workers, each with a batch at least."""
        context = self._context
        spec, split = context.study.engine, context.study.backend_of(self._arm) in SPLITTING
        if context.tasks is None or spec is None or not split or context.tasks.slots == 1:
            return 1
        count = len(context.datasets.truth(self._on).images)
        return max(1, min(-(-count // spec.images_per_task), count // int(self._settings.get("batch") or _USUAL_BATCH)))

    @property
    def _work_folder(self) -> Path:
        return self._context.workspace.folder / "work" / short(self.key)

    def _job(self, results: Results) -> PredictJob:
        study = self._context.study
        return PredictJob(
            weights=self.weights(results),
            data=self._context.datasets.tree(self._dataset),
            split=self._split,
            task=study.task,
            out=self._context.workspace.predictions / f"{self._arm.name}-{self._split}-{short(self.key)}.json",
            settings=self._settings,
            device=study.device,
        )

    def _predict(self, job: PredictJob) -> Json:
        """Predict in a child process or on the study's engine, and return the settings that were used."""
        context = self._context
        if context.tasks is None:
            return launch.predict(
                job,
                backend=context.study.backend_of(self._arm),
                folder=context.workspace.folder / "work",
                on_event=self._forward_event,
                stop=context.must_end,
            )
        tasks = self._tasks(job)
        context.tasks.submit(tasks)
        for task in tasks:
            used = context.tasks.wait(task.key, on_event=self._forward_event, stop=context.must_end).facts
        if len(tasks) > 1:
            used = self._join(job, tasks)
        shutil.rmtree(self._work_folder, ignore_errors=True)
        return used

    def _join(self, job: PredictJob, tasks: Sequence[Task]) -> Json:
        """Write the parts' predictions as those of one task, and return their settings.

        Raises:
            TrainingError: they do not fit together; they are made again.
        """
        tree = read_tree(job.data)
        images = [tree.image_id(path) for path in dict.fromkeys(tree.images(job.split))]
        try:
            return join_predictions(job.out, [task.job.out for task in tasks], images)
        except TrainingError:
            shutil.rmtree(self._work_folder, ignore_errors=True)
            raise

    def files(self, result: PredictResult) -> Mapping[Path, str | None]:
        """Return the predictions file; its content is checked when it is read."""
        return {self._context.workspace.folder / result.file: None}

    def predictions(self, results: Results) -> Predictions:
        """Return the detections that this step has stored.

        Raises:
            DataError: the file or its settings differ from those in the ledger.
        """
        result = results.of(self)
        truth = self._context.datasets.truth(self._on)
        return coco.read_recorded(self._context.workspace.folder / result.file, truth, result.sha256)

    def weights(self, results: Results) -> str:
        """Return the path of the weights, which were compared with the ledger.

        Raises:
            DataError: a trained file was changed.
        """
        if self._own_weights is not None:
            return self._own_weights.path
        assert self._trained is not None
        trained = results.of(self._trained)
        path = self._context.workspace.folder / trained.best
        if file_hash(path) != trained.sha256:  # hashed again: cached hashes rely on size and time
            hint = "delete it: the next run trains again"
            raise DataError("the weights are not those in the ledger: the file was changed", where=path, hint=hint)
        return str(path)

    def _forward_event(self, event: Event) -> None:
        self._context.notify(Notice("event", self.name, {"kind": event.kind, **event.to_body()}))


def prediction_settings(study: Study, gate: Gate, arm: Arm) -> Json:
    """Return the settings of an arm's predictions: the study's `evaluation:`, with the image size of its training.

    An arm without stages takes the size of the other arm. Two arms trained at different sizes are each measured at
    their own, and the comparison lists the difference.
    """
    return {**study.evaluation, "imgsz": usual_size(study, gate, arm)}


def all_settings(study: Study, gate: Gate, arm: Arm) -> tuple[Json, ...]:
    """Return the settings of every prediction that an arm is measured by; several only of an untrained control."""
    usual = prediction_settings(study, gate, arm)
    return tuple({**usual, "imgsz": size} for size in measured_sizes(study, gate, arm))
