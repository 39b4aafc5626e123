"""List what differs between two arms: recipe arguments, data sets, start weights and number of stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.arguments import auto_choice
from liftgate.study.records import Arm, Gate, Stage

_COSMETIC_ARGUMENTS = frozenset(
    (
        *("project", "name", "exist_ok", "verbose", "plots", "save"),
        *("save_period", "show", "profile", "save_json", "save_txt"),
    )
)
"""Where output is written and how verbose it is: these cannot change a metric"""


class ArmDifference(NamedTuple):
    """One thing in which two arms differ."""

    what: str
    """`recipe.lr0`, `data`, `weights`, `stages`; prefixed with `stage 2: ` where an arm has several stages"""
    control: str
    treatment: str

    def __str__(self) -> str:
        return f"{self.what}: {self.control} → {self.treatment}"

    @property
    def key(self) -> str:
        """Return `what` without the stage: the name that a gate's `differ` uses."""
        return self.what.rpartition(": ")[2]


def arm_differences(subject: Subject, control: Arm, treatment: Arm) -> list[ArmDifference]:
    """Return every difference that can change a metric, stage by stage; none when one of the arms does not train.

    Stages are paired from the last backwards where one arm has more of them: the last stage is the one evaluated.

    Args:
        subject: the study and its data sets, which `optimizer=auto` depends on.
        control: one arm.
        treatment: the arm that is compared with it.
    """
    if not control.stages or not treatment.stages:
        return []
    found: list[ArmDifference] = []
    if subject.study is not None:
        used, other = subject.study.backend_of(control), subject.study.backend_of(treatment)
        if used != other:
            found.append(ArmDifference("backend", used, other))
    if len(control.stages) != len(treatment.stages):
        found.append(ArmDifference("stages", str(len(control.stages)), str(len(treatment.stages))))
    many_stages = max(len(control.stages), len(treatment.stages)) > 1
    for back in range(1, min(len(control.stages), len(treatment.stages)) + 1):
        label = f"stage {len(treatment.stages) - back + 1}: " if many_stages else ""
        for difference in _stage_differences(subject, control.stages[-back], treatment.stages[-back]):
            found.append(difference._replace(what=label + difference.what))
    return found


def undeclared(gate: Gate, differences: list[ArmDifference]) -> list[ArmDifference]:
    """Return the differences that the gate does not declare.

    A gate without `differ` allows exactly one difference of any kind. `recipe` declares every recipe argument;
    `stages` declares a different number of stages and, with it, the start weights of the last stage; `backend` declares
    another trainer and, with it, start weights and recipe, as one trainer's mean nothing to another.
    """
    if not gate.differ:
        return differences if len({difference.key for difference in differences}) > 1 else []
    return [difference for difference in differences if not is_declared(gate, difference.key)]


def is_declared(gate: Gate, key: str) -> bool:
    """Return whether the gate's `differ` declares a difference: by its key, the key's first part, or by `stages`."""
    declared = {*gate.differ, *(("weights",) if "stages" in gate.differ else ())}
    declared |= {"weights", "recipe"} if "backend" in gate.differ else set()
    return key in declared or key.split(".")[0] in declared


def _stage_differences(subject: Subject, control: Stage, treatment: Stage) -> list[ArmDifference]:
    found = []
    if control.described_data != treatment.described_data:
        found.append(ArmDifference("data", control.described_data, treatment.described_data))
    if (start := _start_weights(control)) != (other := _start_weights(treatment)):
        found.append(ArmDifference("weights", start, other))
    if control.select != treatment.select:
        found.append(ArmDifference("select", _value_or_unset(control.select), _value_or_unset(treatment.select)))
    for name in sorted((set(control.recipe) | set(treatment.recipe)) - _COSMETIC_ARGUMENTS):
        a, b = control.recipe.get(name), treatment.recipe.get(name)
        if a != b:
            found.append(ArmDifference(f"recipe.{name}", _value_or_unset(a), _value_or_unset(b)))
    a_auto, b_auto = _auto_optimizer(subject, control), _auto_optimizer(subject, treatment)
    if a_auto and b_auto and a_auto != b_auto:
        # Not in either recipe: different data or epochs made optimizer=auto choose differently.
        found.append(ArmDifference("recipe.optimizer", a_auto, b_auto))
    return found


def _start_weights(stage: Stage) -> str:
    return stage.weights or f"the {stage.weights_from} of the stage before"


def _auto_optimizer(subject: Subject, stage: Stage) -> str | None:
    dataset, images = subject.datasets.get(stage.data), subject.training_images(stage)
    if dataset is None or not images or not is_auto(stage.recipe):
        return None
    choice = auto_choice(images, len(dataset.classes), stage.recipe)
    return f"auto: {choice.optimizer} at {choice.lr0:g}"


def is_auto(recipe: Mapping[str, Any]) -> bool:
    """Return whether Ultralytics chooses the optimiser: `optimizer` is `auto` or not given."""
    return str(recipe.get("optimizer", "auto")).lower() == "auto"


def _value_or_unset(value: object) -> str:
    return "unset" if value is None else str(value)
