"""Probe steps: test in minutes, on the CPU, whether the start weights can overfit a few of the images.

There are two steps for each pair of start weights and dataset: one trains and measures, and is cached whatever the
result; one judges, and fails while there are errors. An `ignore:` then lets a study continue without a new training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from liftgate._version import __version__
from liftgate.backends import sidecar
from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import EpochReport, Event, Json
from liftgate.boxes import iou
from liftgate.checks.probes.learnability import LearnabilityResult, choose_image_size, choose_images, too_small
from liftgate.checks.ultralytics.arguments import DEFAULT_IMGSZ
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco, yolo
from liftgate.diagnosis.live import LiveDiagnosis
from liftgate.errors import FindingsError, Stopped, TrainingError
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.records import Evaluation
from liftgate.files import write_bytes
from liftgate.hashing import content_hash, short
from liftgate.ledger.records import CheckEntry, FindingRow
from liftgate.ledger.results import EpochRow, FindingsResult, ProbeResult, TrainingFacts
from liftgate.ledger.runs import RunFolder, write_report
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import Notice, warning
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.checking import record_ignored
from liftgate.training import launch
from liftgate.training.command import training_command
from liftgate.training.events import read_events
from liftgate.training.start_weights import resolve_weights

if TYPE_CHECKING:
    from liftgate.checks.run import CheckResult

MAX_SECONDS = 300.0
"""Seconds after which a probe ends, whatever its result"""
_MATCH_IOU = 0.5  # IoU
_DEVICE = "cpu"  # where the study names no device

# Recipes that let each backend overfit: no augmentation, no regularisation, no early stopping. A small batch gives many
# steps; Ultralytics warms up for at least 100 steps unless the recipe sets it.
_AUGMENTATIONS = (
    "mosaic mixup cutmix copy_paste hsv_h hsv_s hsv_v degrees translate scale shear perspective flipud fliplr"
)
_OVERFIT_RECIPES: Mapping[str, Json] = {
    "toy": {"epochs": 40, "lr0": 0.2, "patience": 40, "batch": 4},
    "ultralytics": {
        **dict.fromkeys((*_AUGMENTATIONS.split(), "erasing", "bgr"), 0.0),
        **{"epochs": 80, "patience": 80, "batch": 4, "nbs": 4, "optimizer": "AdamW", "lr0": 0.001, "lrf": 0.1},
        **{"warmup_epochs": 0.0, "weight_decay": 0.0, "close_mosaic": 0, "amp": False, "plots": False, "workers": 0},
    },
}


@dataclass(frozen=True, slots=True)
class _ProbeTask:
    """One pair of start weights and dataset to probe."""

    weights: str
    dataset: str
    recipe: Json
    max_imgsz: int
    """Largest image size that its arms train at"""
    arms: tuple[str, ...]
    backend: str

    @property
    def name(self) -> str:
        return f"probe {Path(self.weights).name} on {self.dataset}"


class _ChosenImages(NamedTuple):
    """Images to overfit, and others to measure on afterwards."""

    shown: Dataset
    others: Dataset
    both: Dataset

    @classmethod
    def of(cls, dataset: Dataset) -> _ChosenImages:
        shown = choose_images(dataset)
        others = choose_images(dataset, besides=frozenset(shown.tolist()))
        splits = {**dict.fromkeys(shown.tolist(), "train"), **dict.fromkeys(others.tolist(), "test")}
        index = np.array(sorted(splits), dtype=np.int64)
        both = dataset.take(index)
        both = both.with_images(
            [replace(image, split=splits[i]) for image, i in zip(both.images, index.tolist(), strict=True)]
        )
        return cls(both.split("train"), both.split("test"), both)


def probe_steps(context: Context) -> list[Step[FindingsResult]]:
    """Return one judging step for each pair of start weights and dataset of the arms' first stages."""
    return [JudgeStep(context, ProbeStep(context, task)) for task in _probe_tasks(context)]


def _probe_tasks(context: Context) -> Iterator[_ProbeTask]:
    found: dict[str, _ProbeTask] = {}
    for arm in context.study.arms:
        if not arm.stages or arm.stages[0].weights is None:
            continue
        stage = arm.stages[0]
        own = {**stage.recipe, "epochs": max(80, int(stage.recipe.get("epochs", 0)))}
        # Backends without an entry use the stage's own recipe with enough epochs.
        recipe = _OVERFIT_RECIPES.get(backend := context.study.backend_of(arm), own)
        size = stage.recipe.get("imgsz", DEFAULT_IMGSZ)
        max_imgsz = size if isinstance(size, int) else DEFAULT_IMGSZ
        for source in stage.sources:
            key = content_hash([stage.weights, source, recipe, backend])
            same = found.get(key, _ProbeTask(str(stage.weights), source, recipe, max_imgsz, (), backend))
            arms = tuple(dict.fromkeys((*same.arms, arm.name)))
            found[key] = replace(same, max_imgsz=max(same.max_imgsz, max_imgsz), arms=arms)
    yield from found.values()


class ProbeStep(Step[ProbeResult]):
    """Trains on a few images and measures on the same; cached whatever the result."""

    KIND = "probe"
    RESULT = ProbeResult

    def __init__(self, context: Context, task: _ProbeTask) -> None:
        self._context, self._task = context, task
        study = context.study
        self._weights = resolve_weights(task.weights, study.folder)
        self._chosen = _ChosenImages.of(context.datasets.dataset(task.dataset))
        self._recipe = {**task.recipe, "imgsz": choose_image_size(self._chosen.shown, task.max_imgsz)}
        inputs = {
            "weights": self._weights.identity,
            "data": context.datasets.fingerprint(task.dataset),
            "images": content_hash([(image.id, image.split) for image in self._chosen.both.images]),
            "recipe": self._recipe,
            "seed": study.seeds[0],
            "task": study.task,
            "backend": task.backend,
            "device": study.device or _DEVICE,
            "longest": MAX_SECONDS,
        }
        super().__init__(task.name, inputs)

    def work(self, results: Results) -> ProbeResult:
        """Train on the chosen images, measure on the same, and return a LearnabilityResult."""
        study, folder = self._context.study, self._context.workspace.folder
        runs, label = self._context.runs, f"probe-{self.name.removeprefix('probe ')}"
        run = runs.unfinished(self.key) or runs.create(label, self.key, arm="probe", seed=study.seeds[0])
        job = TrainJob(
            weights=self._weights.path,
            data=self._write_tree(),
            recipe=self._recipe,
            seed=study.seeds[0],
            task=study.task,
            out=run.results,
            device=study.device or _DEVICE,
        )
        run.write_command(training_command(job))
        clock = self._train(run, job)
        events = read_events(run.path / "events.jsonl")
        epochs = [EpochRow(event.to_body()) for event in events if isinstance(event, EpochReport)]
        probe = self._measure(run, job, epochs, clock)
        run.finish(epochs, TrainingFacts({"seconds": clock(), "AP50": probe.ap50}))
        write_report(folder)
        return ProbeResult(run.name, probe.to_dict())

    def _train(self, run: RunFolder, job: TrainJob) -> Callable[[], float]:
        """Train to the end or the time limit; return a clock of the seconds of all attempts together."""
        context = self._context
        before, started = run.read().seconds or 0.0, time.monotonic()

        def seconds() -> float:
            return round(before + time.monotonic() - started, 3)

        def on_event(event: Event) -> None:
            context.notify(Notice("event", self.name, {"kind": event.kind, **event.to_body()}))

        def stop() -> bool:
            return bool(context.stop_reason()) or seconds() > MAX_SECONDS

        try:
            watched = LiveDiagnosis(job.out, on_event)
            launch.train(job, backend=self._task.backend, folder=run.path, on_event=watched, stop=stop)
        except Paused as pause:
            run.update(state="paused", seconds=seconds())
            if reason := context.stop_reason():
                raise Stopped(reason, where=run.path, hint="the same command goes on from the last epoch") from pause
            sidecar.discard(job.out)  # its time is over: it is not resumed
        except Stopped:
            run.update(state="paused", seconds=seconds())
            raise
        except TrainingError as error:
            run.update(seconds=seconds())
            run.fail(error)
            raise
        finally:
            write_report(context.workspace.folder)
        return seconds

    def _measure(
        self, run: RunFolder, job: TrainJob, epochs: Sequence[EpochRow], clock: Callable[[], float]
    ) -> LearnabilityResult:
        chosen, task, imgsz = self._chosen, self._task, int(job.recipe["imgsz"])
        shown = evaluate(chosen.shown, self._predicted(run, job, chosen.shown, "val"))
        others, named = None, {}
        if chosen.others.images:
            predictions = self._predicted(run, job, chosen.others, "test")
            others, named = evaluate(chosen.others, predictions), _predicted_classes(chosen.others, predictions)
        rows = {name: row for name, row in shown.per_class.items() if row["n_objects"]}
        return LearnabilityResult(
            weights=task.weights,
            dataset=task.dataset,
            arms=task.arms,
            n_images=shown.n_images,
            imgsz=imgsz,
            epochs=len(epochs),
            epochs_asked=int(job.recipe["epochs"]),
            seconds=clock(),
            ap50=_ap50(shown),
            n_others=others.n_images if others else 0,
            others_ap50=_ap50(others) if others else None,
            per_class={name: round(float(row["AP50"] or 0.0), 4) for name, row in rows.items()},
            objects={name: int(row["n_objects"] or 0) for name, row in rows.items()},
            too_small=too_small(chosen.shown, imgsz),
            losses=tuple(round(_training_loss(row), 5) for row in epochs),
            scores=tuple(float(row.metrics.get("mAP50") or 0.0) for row in epochs),
            others_named=named,
        )

    def _predicted(self, run: RunFolder, job: TrainJob, truth: Dataset, split: str) -> Predictions:
        """Return the detections of the best weights on one split of the probe's tree."""
        predict = PredictJob(
            weights=str(job.out / "weights" / "best.pt"),
            data=job.data,
            split=split,
            task=job.task,
            out=run.path / f"predictions-{split}.json",
            settings={"imgsz": job.recipe["imgsz"]},
            device=job.device,
        )
        backend, stop = self._task.backend, self._context.must_end
        launch.predict(predict, backend=backend, folder=run.path, on_event=lambda event: None, stop=stop)
        return coco.read_predictions(predict.out, truth)

    def _write_tree(self) -> Path:
        """Write the training tree, in which val equals train and test has the other images; return its data.yaml."""
        folder = self._context.workspace.folder / "trees" / f"probe-{short(self.key)}"

        def let_val_equal_train(part: Path) -> None:
            write_bytes(part / "val.txt", (part / "train.txt").read_bytes())

        return yolo.write(self._chosen.both, folder, finish=let_val_equal_train)


class JudgeStep(Step[FindingsResult]):
    """Judges a probe; it fails, and is not cached, while there are errors."""

    KIND = "check"
    RESULT = FindingsResult

    def __init__(self, context: Context, probed: ProbeStep) -> None:
        self._context, self._probed = context, probed
        inputs = {"study": context.study.content_hash(), "liftgate": __version__}
        super().__init__(f"judge {probed.name}", inputs, (probed,))

    def work(self, results: Results) -> FindingsResult:
        """Judge the result of the probe.

        Raises:
            FindingsError: it did not learn, or does not generalise to the other images.
        """
        # a plan applies no rules
        from liftgate.checks.run import run as run_rules
        from liftgate.checks.subject import Subject

        context, name = self._context, self._probed.name
        probe = LearnabilityResult.from_dict(results.of(self._probed).probe)
        subject = Subject(datasets={}, study=None, probes=(probe,))
        found = run_rules(subject, select=["probe"], ignore=_probe_only(context.study.ignore))
        _record_findings(context, probe, found)
        for finding in found.findings:
            context.notify(warning(name, finding.message))
        if not found.ok:
            first = found.findings[0]
            hint = f"{first.hint}; `liftgate explain {first.id}` has details; to run anyway, `ignore:` it with a reason"
            raise FindingsError(first.message, where=first.where, hint=hint)
        message = f"memorised {probe.n_images} images in {probe.epochs} epochs: AP50 {probe.ap50:.2f}"
        message += "" if probe.others_ap50 is None else f", on {probe.n_others} others {probe.others_ap50:.2f}"
        if not found.findings:
            context.notify(Notice("event", name, {"kind": "note", "message": message}))
        return FindingsResult({"probe": results.of(self._probed).probe, **found.to_dict()})


def _training_loss(epoch: EpochRow) -> float:
    return sum(float(value or 0.0) for name, value in epoch.losses.items() if not name.startswith("val/"))


def _ap50(evaluation: Evaluation) -> float:
    return round(float(evaluation.metrics["mAP50"] or 0.0), 4)


def _predicted_classes(truth: Dataset, predictions: Predictions) -> dict[str, dict[str, int]]:
    """Return true class → class of the most confident detection on an object (IoU 0.5) → number of objects."""
    names = truth.classes
    found: dict[str, dict[str, int]] = {name: dict.fromkeys(names, 0) for name in names}
    place = {image: number for number, image in enumerate(predictions.images)}
    for index, image in enumerate(truth.images):
        rows = np.flatnonzero((truth.labels.image == index) & ~truth.labels.crowd & ~truth.labels.ignore)
        rows_found = np.flatnonzero(predictions.image == place.get(image.id, -1))
        rows_found = rows_found[np.argsort(-predictions.scores[rows_found], kind="stable")]
        matches = iou(truth.labels.boxes[rows], predictions.boxes[rows_found]) >= _MATCH_IOU
        for row, met in zip(rows[matches.any(axis=1)], matches[matches.any(axis=1)], strict=True):
            true, name = names[truth.labels.cls[row]], predictions.classes[predictions.cls[rows_found[met.argmax()]]]
            found[true][name] = found[true].get(name, 0) + 1
    return found


def _record_findings(context: Context, probe: LearnabilityResult, result: CheckResult) -> None:
    """Add the findings of this probe to those of the study's last check, which the report shows."""
    study = context.study.content_hash()
    found = CheckEntry.from_body({"study": study, **result.to_dict()})
    before = [entry for entry in context.ledger.records(CheckEntry) if entry.study == study]
    known = before[-1] if before else replace(found, findings=(), ignored=())

    def others(rows: tuple[FindingRow, ...]) -> tuple[FindingRow, ...]:
        return tuple(row for row in rows if not (row.id.startswith("probe.") and row.where == probe.where))

    findings = (*others(known.findings), *found.findings)
    counts = {word: sum(row.severity == word for row in findings) for word in found.counts}
    entry = replace(
        known,
        findings=findings,
        ignored=(*others(known.ignored), *found.ignored),
        counts=counts,
        rules=tuple(sorted({*known.rules, *found.rules})),
        ok=not counts["error"],
    )
    if not before or before[-1] != entry:
        context.ledger.add(entry)
    record_ignored(context, result)


def _probe_only(ignore: Mapping[str, str]) -> dict[str, str]:
    return {id_: reason for id_, reason in ignore.items() if id_.partition(".")[0] == "probe"}
