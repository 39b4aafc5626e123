"""Estimate: how long steps will take, by what the ledger remembers. What was never timed is unknown, and said so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from liftgate.hashing import content_hash
from liftgate.ledger import Ledger
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.control.study_lock import study_lock
from liftgate.pipeline.planning.auto_batch import recipe_of, settle, unsettled
from liftgate.pipeline.spending import epoch_seconds, run_seconds
from liftgate.pipeline.step import Step
from liftgate.pipeline.steps.smoke import smoke
from liftgate.pipeline.steps.training import train_steps
from liftgate.progress import duration
from liftgate.study.records import Arm

_LENGTH = frozenset(
    "epochs patience close_mosaic warmup_epochs warmup_momentum warmup_bias_lr lr0 lrf cos_lr optimizer momentum "  # noqa: SIM905
    "weight_decay save_period fliplr flipud hsv_h hsv_s hsv_v degrees translate scale shear box cls dfl dropout".split()
)
"""Parts of a recipe that change how many epochs there are or what they learn, not how long one takes."""


class Estimate(NamedTuple):
    """How long a step will take."""

    seconds: float | None
    """None: nobody can say"""
    basis: str
    """Where it comes from, in a few words"""


UNKNOWN = Estimate(None, "nothing like it was timed yet")


class _Timed(NamedTuple):
    """Seconds of one epoch, and of what comes around all of them."""

    epoch: float
    around: float
    epochs: int
    name: str


class Times:
    """What steps took, by the ledger: a training by its key, or by the pace of one on the same data and model."""

    def __init__(self, ledger: Ledger) -> None:
        self._steps = {entry.body["key"]: entry.body for entry in ledger.entries("step")}
        self._paces: dict[str, _Timed] = {}
        for entry in ledger.entries("note"):
            if "measured" in entry.body:
                measured = entry.body["measured"]
                self._paces[measured["pace"]] = _Timed(measured["epoch"], measured["around"], 0, "a measured epoch")
        for body in self._steps.values():
            if body["kind"] == "train" and body["result"]["curve"]:
                self._remember(body)

    def of(self, step: Step) -> Estimate:
        """Return how long a step will take if it has to run."""
        same = self._steps.get(step.key)
        if same is not None:
            return Estimate(_seconds(same), "it took this before")
        if step.kind == "train":
            return self._training(step)
        alike = [body for body in self._steps.values() if body["kind"] == step.kind and _alike(body, step)]
        return Estimate(_seconds(alike[-1]), f"as {alike[-1]['name']}") if alike else UNKNOWN

    def knows_pace(self, step: Step) -> bool:
        """Whether the pace of a training's epochs is known."""
        return _pace_of(step.inputs, _model(step)) in self._paces

    def _training(self, step: Step) -> Estimate:
        timed = self._paces.get(_pace_of(step.inputs, _model(step)))
        if timed is None:
            return UNKNOWN
        epochs = step.inputs["recipe"].get("epochs", timed.epochs)
        if not isinstance(epochs, int | float) or not epochs:
            return Estimate(None, "the recipe does not say how many epochs")
        basis = f"{epochs} epochs of {duration(timed.epoch) if timed.epoch >= 1 else f'{timed.epoch:.2g} s'}"
        return Estimate(timed.around + epochs * timed.epoch, f"{basis}, by {timed.name}")

    def _remember(self, body: Mapping[str, Any]) -> None:
        result = body["result"]
        epoch = max(epoch_seconds(result["curve"]), run_seconds(result)) / len(result["curve"])
        around = max(body["seconds"] - epoch * len(result["curve"]), 0.0)
        asked = result["facts"].get("args", {}).get("epochs") or 0
        pace = _pace_of(body["inputs"], self._stored_model(body))
        self._paces[pace] = _Timed(epoch, around, int(asked), body["name"])

    def _stored_model(self, body: Mapping[str, Any]) -> str | None:
        while body["inputs"]["weights"] is None and body["needs"]:
            needed = self._steps.get(next(iter(body["needs"].values())))
            if needed is None:
                return None
            body = needed
        weights: str | None = body["inputs"]["weights"]
        return weights


def measure(context: Context) -> None:
    """Train one epoch of every kind of training whose pace is unknown, in a folder that vanishes, and note its time.

    A first epoch is slower than those that follow, so what is measured is rather too long than too short.

    Raises:
        UsageError: the study is running.
        Stopped: somebody asked for it.
        TrainingError: an epoch failed; better now than at night.
    """
    if unsettled(context):
        with study_lock(context.workspace.folder):
            settle(context)
    times = Times(context.ledger)
    trainings = {
        _pace_of(step.inputs, _model(step)): (arm, number, step)
        for arm in context.study.arms
        for number, step in enumerate(train_steps(context, arm, context.study.seeds[0]))
        if not times.knows_pace(step)
    }
    if not trainings:
        return
    with study_lock(context.workspace.folder):
        for pace, (arm, number, step) in trainings.items():
            context.notify(Notice("started", f"measure {step.name}", {"why": "its pace is unknown", "kind": "measure"}))
            epoch, around = _one_epoch(context, arm, number)
            text = f"measured: an epoch of {step.name} takes {epoch:.3g} s"
            measured = {"pace": pace, "epoch": round(epoch, 4), "around": round(around, 4)}
            context.ledger.append("note", {"text": text, "measured": measured})


def _one_epoch(context: Context, arm: Arm, number: int) -> tuple[float, float]:
    """Return the seconds of an epoch of a stage, and of what comes around it."""
    recipe = recipe_of(context.ledger, arm.stages[number])
    context.datasets.training_tree(arm.stages[number])  # written once for all runs, so no part of what one takes
    begun = time.monotonic()
    outcome = smoke(context, arm, number, recipe, stop=context.should_stop)
    epoch = epoch_seconds([report.to_body() for report in outcome.reports])
    return epoch, max(time.monotonic() - begun - epoch, 0.0)


def _model(step: Step) -> str | None:
    """Return what the first stage of a chain of trainings starts from: it says which architecture all have."""
    while step.inputs["weights"] is None and step.needs:
        step = step.needs[0]
    weights: str | None = step.inputs["weights"]
    return weights


def _pace_of(inputs: Mapping[str, Any], model: str | None) -> str:
    """Return as a hash what the length of an epoch depends on: data, model, device, the recipe but for its ends."""
    recipe = {name: value for name, value in inputs["recipe"].items() if name not in _LENGTH}
    kept = {name: inputs[name] for name in ("data", "task", "backend", "device")}
    return content_hash([kept, recipe, model])


def _alike(body: Mapping[str, Any], step: Step) -> bool:
    """Whether a finished step did the same kind of work on as much data."""
    if step.kind != "predict":
        return bool(body["name"] == step.name)
    same = ("data", "split", "settings", "backend", "device")
    return all(body["inputs"].get(name) == step.inputs[name] for name in same)


def _seconds(body: Mapping[str, Any]) -> float:
    """Return how long a step took; of a training that was paused, all attempts together."""
    trained = run_seconds(body["result"]) if body["kind"] == "train" else 0.0
    return max(float(body["seconds"]), trained)
