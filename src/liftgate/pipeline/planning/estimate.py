"""Estimate: expected duration of steps, from those of the same or similar steps in the ledger."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from liftgate.hashing import content_hash
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import Body, MeasuredPace, NoteEntry, StepEntry
from liftgate.ledger.results import EpochRow, TrainResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.study_lock import study_lock
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.planning.auto_batch import open_batches, settle_batch
from liftgate.pipeline.spending import epoch_seconds
from liftgate.pipeline.step import Step
from liftgate.pipeline.steps.recipe import recipe_of
from liftgate.pipeline.steps.smoke import smoke
from liftgate.pipeline.steps.training import train_steps
from liftgate.progress import duration
from liftgate.study.records import Arm

_NO_EFFECT_ON_PACE = frozenset(
    "epochs patience close_mosaic warmup_epochs warmup_momentum warmup_bias_lr lr0 lrf cos_lr optimizer momentum "  # noqa: SIM905
    "weight_decay save_period fliplr flipud hsv_h hsv_s hsv_v degrees translate scale shear box cls dfl dropout".split()
)
"""Arguments that do not change how long an epoch takes, only the number of epochs or what they learn"""


class Estimate(NamedTuple):
    """Expected duration of a step."""

    seconds: float | None
    """None: unknown"""
    basis: str
    """What it is based on, in a few words"""


UNKNOWN = Estimate(None, "nothing like it was timed yet")


class _Pace(NamedTuple):
    """Measured pace of a training: seconds per epoch, and seconds before the first and after the last."""

    epoch: float
    around: float
    epochs: int
    name: str


class _Part(NamedTuple):
    """Of a training on a part of the data."""

    whole: str
    """Hash of all the data"""
    share: float
    """Of the training images"""


class Times:
    """Durations of steps in the ledger, and paces of trainings by data, model and recipe."""

    def __init__(self, ledger: Ledger) -> None:
        self._steps = {entry.key: entry for entry in ledger.records(StepEntry)}
        self._similar = {_work_key(one.kind, one.name, one.inputs): one for one in self._steps.values()}
        self._paces: dict[str, _Pace] = {}
        for note in ledger.records(NoteEntry):
            if note.measured is not None:
                one = note.measured
                self._paces[one.pace] = _Pace(one.epoch, one.around, 0, "a measured epoch")
        for entry in self._steps.values():
            if entry.kind == "train":
                self._add_pace(entry, TrainResult.from_body(entry.result))

    def of(self, step: Step[Any]) -> Estimate:
        """Return the expected duration of a step if it has to run."""
        same = self._steps.get(step.key)
        if same is not None:
            return Estimate(_seconds(same), "it took this before")
        if step.KIND == "train":
            return self._training(step)
        similar = self._similar.get(_work_key(step.KIND, step.name, step.inputs))
        return Estimate(_seconds(similar), f"as {similar.name}") if similar else UNKNOWN

    def knows_pace(self, step: Step[Any]) -> bool:
        """Return whether the pace of a training's epochs is known."""
        return _pace_key(step.inputs, _start_weights(step)) in self._paces

    def _training(self, step: Step[Any]) -> Estimate:
        model = _start_weights(step)
        pace = self._paces.get(_pace_key(step.inputs, model)) or self._pace_of_part(step.inputs, model)
        if pace is None:
            return UNKNOWN
        epochs = step.inputs["recipe"].get("epochs", pace.epochs)
        if not isinstance(epochs, int | float) or not epochs:
            return Estimate(None, "the recipe does not set the number of epochs")
        basis = f"{epochs} epochs of {duration(pace.epoch) if pace.epoch >= 1 else f'{pace.epoch:.2g} s'}"
        return Estimate(pace.around + epochs * pace.epoch, f"{basis}, by {pace.name}")

    def _add_pace(self, entry: StepEntry, result: TrainResult) -> None:
        rows = result.epoch_rows
        if not rows:
            return
        epoch = max(epoch_seconds(rows), result.trained_seconds) / len(rows)
        around = max(entry.seconds - epoch * len(rows), 0.0)
        planned = result.training_facts.arguments.get("epochs") or 0
        model, pace = self._stored_model(entry), _Pace(epoch, around, int(planned), entry.name)
        self._paces[_pace_key(entry.inputs, model)] = pace
        if (part := _part_of(entry.inputs)) is not None:  # it tells of the whole, until that is timed
            whole = _pace_key({**entry.inputs, "data": part.whole}, model)
            self._paces.setdefault(whole, pace._replace(epoch=epoch / part.share))

    def _pace_of_part(self, inputs: Body, model: str | None) -> _Pace | None:
        """Return the pace of a training on a part, as its share of the whole; None: unknown, or it sees all."""
        part = _part_of(inputs)
        pace = None if part is None else self._paces.get(_pace_key({**inputs, "data": part.whole}, model))
        return None if part is None or pace is None else pace._replace(epoch=pace.epoch * part.share)

    def _stored_model(self, entry: StepEntry) -> str | None:
        while entry.inputs["weights"] is None and entry.needs:
            needed = self._steps.get(next(iter(entry.needs.values())))
            if needed is None:
                return None
            entry = needed
        weights: str | None = entry.inputs["weights"]
        return weights


def measure(context: Context) -> None:
    """Train one epoch, in a temporary folder, of each training whose pace is unknown, and record its duration.

    A first epoch is slower than later ones, so the estimate is too long rather than too short.

    Raises:
        UsageError: the study is running.
        Stopped: a stop was requested.
        TrainingError: an epoch failed.
    """
    if open_batches(context):
        with study_lock(context.workspace.folder):
            settle_batch(context)
    times = Times(context.ledger)
    trainings = {
        _pace_key(step.inputs, _start_weights(step)): (arm, number, step)
        for arm in context.study.arms
        for number, step in enumerate(train_steps(context, arm, context.study.seeds[0]))
        if not times.knows_pace(step)
    }
    if not trainings:
        return
    with study_lock(context.workspace.folder):
        for pace, (arm, number, step) in trainings.items():
            context.notify(Notice("started", f"measure {step.name}", {"why": "its pace is unknown", "kind": "measure"}))
            epoch, around = _time_one_epoch(context, arm, number)
            text = f"measured: an epoch of {step.name} takes {epoch:.3g} s"
            measured = MeasuredPace(pace, round(epoch, 4), round(around, 4))
            context.ledger.add(NoteEntry(text, measured=measured))


def _time_one_epoch(context: Context, arm: Arm, number: int) -> tuple[float, float]:
    """Return the seconds of one epoch of a stage, and of what comes before and after it."""
    recipe = recipe_of(context.ledger, arm.stages[number])
    context.datasets.training_tree(arm.stages[number])  # written once for all runs, so not part of the measured time
    started = time.monotonic()
    outcome = smoke(context, arm, number, recipe, stop=context.should_stop)
    epoch = epoch_seconds(EpochRow(report.to_body()) for report in outcome.reports)
    return epoch, max(time.monotonic() - started - epoch, 0.0)


def _start_weights(step: Step[Any]) -> str | None:
    """Return the weights that the first stage of a chain starts from, which determine its architecture."""
    while step.inputs["weights"] is None and step.needs:
        step = step.needs[0]
    weights: str | None = step.inputs["weights"]
    return weights


def _pace_key(inputs: Body, model: str | None) -> str:
    """Return the hash of what the pace depends on: data, task, device, weights and the arguments that change it."""
    recipe = {name: value for name, value in inputs["recipe"].items() if name not in _NO_EFFECT_ON_PACE}
    kept = {name: inputs[name] for name in ("data", "task", "backend", "device")}
    return content_hash([kept, recipe, model])


def _part_of(inputs: Body) -> _Part | None:
    """Return what part of the data a training sees; None: it sees all, or the share is unknown."""
    part = inputs.get("part")
    return _Part(part["whole"], part["share"]) if part and part["share"] else None


def _work_key(kind: str, name: str, inputs: Body) -> str:
    """Return what steps share that do the same kind of work on as much data."""
    if kind != "predict":
        return f"{kind} {name}"
    return content_hash([kind, *(inputs.get(part) for part in ("data", "split", "settings", "backend", "device"))])


def _seconds(entry: StepEntry) -> float:
    """Return how long a step took; for a training that was paused, all attempts together."""
    trained = TrainResult.from_body(entry.result).trained_seconds if entry.kind == "train" else 0.0
    return max(entry.seconds, trained)
