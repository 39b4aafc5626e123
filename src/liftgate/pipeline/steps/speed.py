"""Speed step: the time per image of an arm's model on this machine, where a gate makes a claim about it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from liftgate.deploy.bench.energy import EnergyMeter
from liftgate.deploy.bench.ratios import NOISE_LIMIT
from liftgate.deploy.bench.rounds import BenchModel, BenchPlan, measure, this_machine
from liftgate.evaluation.metric_names import LATENCY
from liftgate.evaluation.records import Evaluation
from liftgate.evaluation.spec import DEFAULT_CONF
from liftgate.ledger.results import SpeedResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.predicting import PredictStep, prediction_settings
from liftgate.stats.interval import Interval
from liftgate.study.records import Arm, Gate

_BLOCKS, _SECONDS, _MOST_IMAGES = 10, 0.5, 32
_METHOD = "woodruff-korn-graubard over blocks of time, widened by A/A"


class SpeedStep(Step[SpeedResult]):
    """Times an arm's model alone on the machine, one image after the other, on images of the gate."""

    KIND = "bench"
    RESULT = SpeedResult

    def __init__(self, context: Context, arm: Arm, seed: int, gate: Gate, predicted: PredictStep) -> None:
        self._context, self._arm, self._seed, self._gate, self._predicted = context, arm, seed, gate, predicted
        self._cores = tuple(sorted(os.sched_getaffinity(0)))
        self._conf = DEFAULT_CONF if gate.conf is None else gate.conf
        self._imgsz = int(prediction_settings(context.study, gate, arm)["imgsz"])
        inputs = {
            "weights": predicted.inputs["weights"],
            "imgsz": self._imgsz,
            "conf": self._conf,
            "device": context.study.device,
            "processor": this_machine(len(self._cores), self._cores).processor,
            "threads": len(self._cores),
            "level": gate.level,
            "data": predicted.inputs["data"],
            "split": predicted.inputs["split"],
        }
        super().__init__(predicted.name.replace("predict", "bench", 1), inputs, predicted.needs)

    def work(self, results: Results) -> SpeedResult:
        """Measure in child processes; the model against itself shows how noisy the machine is.

        Raises:
            DataError: the weights were changed.
            TrainingError: a child process failed.
        """
        images = self._context.datasets.truth(self._gate.on).images
        step = -(-len(images) // _MOST_IMAGES)
        plan = BenchPlan(
            batches=(1,),
            blocks=_BLOCKS,
            seconds=_SECONDS,
            threads=len(self._cores),
            cores=self._cores,
            images=tuple(str(image.path.absolute()) for image in images[::step]),
            conf=self._conf,
            imgsz=self._imgsz,
            device=self._context.study.device,
            level=self._gate.level,
        )
        machine = this_machine(len(self._cores), self._cores)
        model = BenchModel(self._arm.name, Path(self._predicted.weights(results)), checkpoint=True)
        with tempfile.TemporaryDirectory(prefix="liftgate-bench-") as scratch:
            (speed,), (same, *_) = measure([model], plan, Path(scratch), EnergyMeter.find())
        value = widened(speed.batches[0].ms_per_image, same.ratio.estimate)
        load = "unknown" if machine.load is None else f"{machine.load:.1f}"
        text = f"{speed.runtime}, {machine.processor}, {machine.threads} threads; load before {load}"
        return SpeedResult(self._arm.name, self._seed, asdict(value), same.ratio.estimate, text)


def widened(value: Interval, same_model: float) -> Interval:
    """Return a time whose interval allows for what differs between two processes of the same model, too.

    Args:
        value: milliseconds per image in one process; groups are blocks.
        same_model: ratio of the model's time in another process to that.

    >>> value = widened(Interval(10.0, 9.0, 11.0, 0.95, "m", 100, 10), 0.5)
    >>> value.low, value.high
    (4.5, 22.0)
    """
    if value.low is None or value.high is None:
        return replace(value, method=_METHOD)
    factor = max(same_model, 1 / same_model)
    return replace(value, low=value.low / factor, high=value.high * factor, method=_METHOD)


def speed_step(context: Context, arm: Arm, seed: int, gate: Gate, predicted: PredictStep) -> SpeedStep | None:
    """Return the step that times an arm's model; None: no claim is about it, or its backend times its predictions."""
    asked = any(claim.metric == LATENCY for claim in gate.claims)
    return (
        SpeedStep(context, arm, seed, gate, predicted)
        if asked and context.study.backend_of(arm) == "ultralytics"
        else None
    )


def with_speed(evaluation: Evaluation, speed: SpeedResult | None) -> Evaluation:
    """Return the evaluation with the time per image and its interval."""
    if speed is None:
        return evaluation
    value = Interval(**speed.value)
    metrics: Mapping[str, float | None] = {**evaluation.metrics, LATENCY: value.estimate}
    return replace(evaluation, metrics=metrics, intervals={**evaluation.intervals, LATENCY: value})


def speed_caveats(speed: SpeedResult | None) -> tuple[str, ...]:
    """Return where a time was measured, and that the machine was noisy where it was."""
    if speed is None:
        return ()
    caveats = [f"{LATENCY} holds for this machine: {speed.machine}; its groups are blocks of time"]
    if abs(speed.same_model - 1) > NOISE_LIMIT:
        ratio = f"{speed.same_model:.2f} times its time when it ran in another process"
        caveats.append(f"the machine was noisy, and the interval of {LATENCY} is wider for it: the model took {ratio}")
    return tuple(caveats)
