"""The flow of a study: which steps a `flow:` word stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Step
from liftgate.pipeline.steps.checking import CheckStep
from liftgate.pipeline.steps.measuring import EvaluateStep, gate_step
from liftgate.pipeline.steps.probing import probe_steps
from liftgate.pipeline.steps.training import train_steps
from liftgate.study.records import Arm, FlowStep, Gate, Study


def steps_of(context: Context, word: FlowStep) -> Sequence[Step[Any]]:
    """Return the steps that one word of the flow stands for, in order; `report` stands for none."""
    study = context.study
    if word.name == "check":
        return [CheckStep(context)]
    if word.name == "probe":
        return probe_steps(context)
    if word.name == "train":
        arms = trained_by(study, word)
        return [step for seed in study.seeds for arm in arms for step in train_steps(context, arm, seed)]
    if word.name == "baseline":
        return [
            EvaluateStep(context, arm, study.seeds[0], gate) for gate in study.gates for arm in _untrained(study, gate)
        ]
    gate = next((gate for gate in study.gates if gate.name == word.name), None)
    return [] if gate is None else [gate_step(context, gate)]


def trained_by(study: Study, word: FlowStep) -> list[Arm]:
    """Return the arms that a word of the flow trains; none, if it is another than `train`."""
    if word.name != "train":
        return []
    return [arm for arm in study.arms if arm.stages and (word.arms is None or arm.name in word.arms)]


def _untrained(study: Study, gate: Gate) -> list[Arm]:
    names = [name for name in (gate.arm, gate.control, gate.treatment) if name is not None]
    return [arm for arm in (study.arm(name) for name in names) if not arm.stages]
