"""The probe steps: can the start weights learn a few of the images by heart, in minutes, on the CPU?

Two steps for each pair of start weights and data set: one trains and measures, and is cached whatever came out; one
judges, and stops the run while there are errors. So an `ignore:` lets a study go on without another training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from liftgate import checks
from liftgate._version import __version__
from liftgate.backends import sidecar
from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import EpochReport, Event
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
from liftgate.files import write_text
from liftgate.hashing import content_hash, short
from liftgate.ledger.runs import RunFolder, write_report
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.step import Result, Step
from liftgate.training import launch
from liftgate.training.command import training_command
from liftgate.training.events import read_events
from liftgate.training.start_weights import resolve_weights

LONGEST = 300.0
"""Seconds after which a probe ends, whatever it has learned"""
_MET = 0.5  # IoU
_DEVICE = "cpu"  # where the study names none: a probe comes before the GPU is warm

# What makes each backend learn by heart: no augmentation, no regularisation, no early stop. A small batch takes many
# steps; Ultralytics warms up for at least 100 of them unless told not to.
_AUGMENTS = "mosaic mixup cutmix copy_paste hsv_h hsv_s hsv_v degrees translate scale shear perspective flipud fliplr"
_BY_HEART: Mapping[str, Mapping[str, Any]] = {
    "toy": {"epochs": 40, "lr0": 0.2, "patience": 40, "batch": 4},
    "ultralytics": {
        **dict.fromkeys((*_AUGMENTS.split(), "erasing", "bgr"), 0.0),
        **{"epochs": 80, "patience": 80, "batch": 4, "nbs": 4, "optimizer": "AdamW", "lr0": 0.001, "lrf": 0.1},
        **{"warmup_epochs": 0.0, "weight_decay": 0.0, "close_mosaic": 0, "amp": False, "plots": False, "workers": 0},
    },
}


@dataclass(frozen=True, slots=True)
class _Question:
    """What one probe is to find out."""

    weights: str
    dataset: str
    recipe: Mapping[str, Any]
    most: int
    """The largest image size that its arms train at"""
    arms: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"probe {Path(self.weights).name} on {self.dataset}"


class _Chosen(NamedTuple):
    """Images to learn by heart, and others to be asked about afterwards."""

    shown: Dataset
    others: Dataset
    both: Dataset

    @classmethod
    def of(cls, dataset: Dataset) -> _Chosen:
        shown = choose_images(dataset)
        others = choose_images(dataset, besides=frozenset(shown.tolist()))
        splits = {**dict.fromkeys(shown.tolist(), "train"), **dict.fromkeys(others.tolist(), "test")}
        index = np.array(sorted(splits), dtype=np.int64)
        both = dataset.take(index)
        both = both.with_images(
            [replace(image, split=splits[i]) for image, i in zip(both.images, index.tolist(), strict=True)]
        )
        return cls(both.split("train"), both.split("test"), both)


def probe_steps(context: Context) -> list[Step]:
    """Return for each pair of start weights and data set of the arms' first stages a step that judges its probe."""
    return [_judge_step(context, question, _train_step(context, question)) for question in _questions(context)]


def _questions(context: Context) -> Iterator[_Question]:
    found: dict[str, _Question] = {}
    for arm in context.study.arms:
        if not arm.stages or arm.stages[0].weights is None:
            continue
        stage = arm.stages[0]
        own = {**stage.recipe, "epochs": max(80, int(stage.recipe.get("epochs", 0)))}
        # A backend whose arguments nobody knows here is asked with the stage's own recipe, and enough epochs.
        recipe = _BY_HEART.get(context.study.backend, own)
        size = stage.recipe.get("imgsz", DEFAULT_IMGSZ)
        most = size if isinstance(size, int) else DEFAULT_IMGSZ
        for source in stage.sources:
            key = content_hash([stage.weights, source, recipe])
            same = found.get(key, _Question(str(stage.weights), source, recipe, most, ()))
            arms = tuple(dict.fromkeys((*same.arms, arm.name)))
            found[key] = replace(same, most=max(same.most, most), arms=arms)
    yield from found.values()


def _train_step(context: Context, question: _Question) -> Step:
    study = context.study
    weights = resolve_weights(question.weights, study.folder)
    dataset = context.datasets.dataset(question.dataset)
    chosen = _Chosen.of(dataset)
    recipe = {**question.recipe, "imgsz": choose_image_size(chosen.shown, question.most)}
    inputs = {
        "weights": weights.identity,
        "data": context.datasets.fingerprint(question.dataset),
        "images": content_hash([(image.id, image.split) for image in chosen.both.images]),
        "recipe": recipe,
        "seed": study.seeds[0],
        "task": study.task,
        "backend": study.backend,
        "device": study.device or _DEVICE,
        "longest": LONGEST,
    }

    def work(_: tuple[Result, ...]) -> Result:
        return _learn(
            context,
            step,
            question,
            chosen,
            TrainJob(
                weights=weights.path,
                data=_tree(context, chosen, step),
                recipe=recipe,
                seed=study.seeds[0],
                task=study.task,
                out=Path(),  # the run folder that it gets
                device=study.device or _DEVICE,
            ),
        )

    step = Step(question.name, "probe", inputs, work)
    return step


def _judge_step(context: Context, question: _Question, trained: Step) -> Step:
    study = context.study

    def work(results: tuple[Result, ...]) -> Result:
        probe = LearnabilityResult.from_dict(results[0]["probe"])
        subject = checks.Subject(datasets={}, study=None, probes=(probe,))
        result = checks.run(subject, select=["probe"], ignore=_probe_only(study.ignore))
        _record(context, probe, result)
        for finding in result.findings:
            context.notify(Notice("event", trained.name, {"kind": "warning", "message": finding.message}))
        if not result.ok:
            first = result.findings[0]
            hint = f"{first.hint}; `liftgate explain {first.id}` says more, `ignore:` with a reason lets the study run"
            raise FindingsError(first.message, where=first.where, hint=hint)
        told = f"learned {probe.n_images} images by heart in {probe.epochs} epochs: AP50 {probe.ap50:.2f}"
        told += "" if probe.others_ap50 is None else f", on {probe.n_others} others {probe.others_ap50:.2f}"
        if not result.findings:
            context.notify(Notice("event", trained.name, {"kind": "note", "message": told}))
        return {"probe": results[0]["probe"], **result.to_dict()}

    inputs = {"study": study.content_hash(), "liftgate": __version__}
    return Step(f"judge {question.name}", "check", inputs, work, (trained,))


def _learn(context: Context, step: Step, question: _Question, chosen: _Chosen, job: TrainJob) -> Result:
    """Train on the chosen images, measure on the same, and return what came out as a Probe."""
    run = RunFolder.unfinished(context.workspace.folder, step.key) or RunFolder.create(
        context.workspace.folder, f"probe-{step.name.removeprefix('probe ')}", step.key, arm="probe", seed=job.seed
    )
    job = replace(job, out=run.results)
    run.write_command(training_command(job))
    before, begun = run.read().seconds or 0.0, time.monotonic()

    def seconds() -> float:
        return round(before + time.monotonic() - begun, 3)

    def on_event(event: Event) -> None:
        context.notify(Notice("event", step.name, {"kind": event.kind, **event.to_body()}))

    def stop() -> bool:
        return bool(context.stop_reason()) or seconds() > LONGEST

    try:
        watched = LiveDiagnosis(job.out, on_event)
        launch.train(job, backend=context.study.backend, folder=run.path, on_event=watched, stop=stop)
    except Paused as pause:
        run.update(state="paused", seconds=seconds())
        if reason := context.stop_reason():
            raise Stopped(reason, where=run.path, hint="the same command goes on from the last epoch") from pause
        sidecar.discard(job.out)  # its time is over: nobody goes on from here
    except Stopped:
        run.update(state="paused", seconds=seconds())
        raise
    except TrainingError as error:
        run.update(seconds=seconds())
        run.fail(error)
        raise
    finally:
        write_report(context.workspace.folder)
    epochs = [event.to_body() for event in read_events(run.path / "events.jsonl") if isinstance(event, EpochReport)]
    shown = evaluate(chosen.shown, _predicted(context, run, job, chosen.shown, "val"))
    others, named = None, {}
    if chosen.others.images:
        predictions = _predicted(context, run, job, chosen.others, "test")
        others, named = evaluate(chosen.others, predictions), _named(chosen.others, predictions)
    rows = {name: row for name, row in shown.per_class.items() if row["n_objects"]}
    probe = LearnabilityResult(
        weights=question.weights,
        dataset=question.dataset,
        arms=question.arms,
        n_images=shown.n_images,
        imgsz=int(job.recipe["imgsz"]),
        epochs=len(epochs),
        epochs_asked=int(job.recipe["epochs"]),
        seconds=seconds(),
        ap50=_ap50(shown),
        n_others=others.n_images if others else 0,
        others_ap50=_ap50(others) if others else None,
        per_class={name: round(float(row["AP50"] or 0.0), 4) for name, row in rows.items()},
        objects={name: int(row["n_objects"] or 0) for name, row in rows.items()},
        too_small=too_small(chosen.shown, int(job.recipe["imgsz"])),
        losses=tuple(round(_loss(epoch), 5) for epoch in epochs),
        scores=tuple(float(epoch["metrics"].get("mAP50") or 0.0) for epoch in epochs),
        others_named=named,
    )
    result = {"run": run.name, "arm": "probe", "seed": job.seed, "epochs": len(epochs), "curve": epochs}
    run.finish({**result, "facts": {"seconds": seconds(), "AP50": probe.ap50}})
    write_report(context.workspace.folder)
    return {"run": run.name, "probe": probe.to_dict()}


def _loss(epoch: Mapping[str, Any]) -> float:
    return sum(float(value or 0.0) for name, value in epoch["losses"].items() if not name.startswith("val/"))


def _ap50(evaluation: Evaluation) -> float:
    return round(float(evaluation.metrics["mAP50"] or 0.0), 4)


def _named(truth: Dataset, predictions: Predictions) -> dict[str, dict[str, int]]:
    """Class → class that the surest detection on an object (IoU 0.5) says → objects, of those that were found."""
    names = truth.classes
    found: dict[str, dict[str, int]] = {name: dict.fromkeys(names, 0) for name in names}
    place = {image: number for number, image in enumerate(predictions.images)}
    for index, image in enumerate(truth.images):
        rows = np.flatnonzero((truth.labels.image == index) & ~truth.labels.crowd & ~truth.labels.ignore)
        said = np.flatnonzero(predictions.image == place.get(image.id, -1))
        said = said[np.argsort(-predictions.scores[said], kind="stable")]
        meets = iou(truth.labels.boxes[rows], predictions.boxes[said]) >= _MET
        for row, met in zip(rows[meets.any(axis=1)], meets[meets.any(axis=1)], strict=True):
            true, name = names[truth.labels.cls[row]], predictions.classes[predictions.cls[said[met.argmax()]]]
            found[true][name] = found[true].get(name, 0) + 1
    return found


def _predicted(context: Context, run: RunFolder, job: TrainJob, truth: Dataset, split: str) -> Predictions:
    """What the best weights find on one list of the probe's tree."""
    ask = PredictJob(
        weights=str(job.out / "weights" / "best.pt"),
        data=job.data,
        split=split,
        task=job.task,
        out=run.path / f"predictions-{split}.json",
        settings={"imgsz": job.recipe["imgsz"]},
        device=job.device,
    )
    launch.predict(
        ask, backend=context.study.backend, folder=run.path, on_event=lambda event: None, stop=context.at_once
    )
    return coco.read_predictions(ask.out, truth)


def _tree(context: Context, chosen: _Chosen, step: Step) -> Path:
    """Write the training tree: val are the images of train again, test are the others."""
    folder = context.workspace.folder / "trees" / f"probe-{short(step.key)}"
    data_yaml = folder / "data.yaml"
    if not data_yaml.is_file():
        yolo.write(chosen.both, folder)
    write_text(folder / "val.txt", (folder / "train.txt").read_text(encoding="ascii"))
    return data_yaml


def _record(context: Context, probe: LearnabilityResult, result: checks.CheckResult) -> None:
    """Add to the findings of the study's last check, which the report shows, what this probe found."""
    study = context.study.content_hash()
    entries = [entry.body for entry in context.ledger.entries("check") if entry.body["study"] == study]
    known = dict(entries[-1]) if entries else {**result.to_dict(), "study": study, "findings": [], "ignored": []}

    def others(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [row for row in rows if not (row["id"].startswith("probe.") and row["where"] == probe.where)]

    said = result.to_dict()
    findings = [*others(known["findings"]), *said["findings"]]
    ignored = [*others(known["ignored"]), *said["ignored"]]
    counts = {word: sum(row["severity"] == word for row in findings) for word in said["counts"]}
    rules = sorted({*known["rules"], *said["rules"]})
    ok = not counts["error"]
    body = {**known, "findings": findings, "ignored": ignored, "counts": counts, "rules": rules, "ok": ok}
    if not entries or entries[-1] != body:
        context.ledger.append("check", body)
    for one in result.ignored:
        context.ledger.append("ignore", {"id": one.finding.id, "where": one.finding.where, "reason": one.reason})


def _probe_only(ignore: Mapping[str, str]) -> dict[str, str]:
    return {id_: reason for id_, reason in ignore.items() if id_.partition(".")[0] == "probe"}
