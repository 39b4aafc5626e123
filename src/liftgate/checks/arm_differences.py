"""What differs between two arms: every recipe argument, data set and start weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.arguments import auto_choice
from liftgate.study.records import Arm, Gate, Stage

# Where output is written and how verbose it is: no cause of a difference in the numbers.
_COSMETIC_TEXT = """
    project name exist_ok verbose plots save save_period show profile save_json save_txt
"""
_COSMETIC = frozenset(_COSMETIC_TEXT.split())


class ArmDifference(NamedTuple):
    """One thing in which two arms differ."""

    what: str
    """`recipe.lr0`, `data`, `weights`, `stages`; with `stage 2: ` in front where an arm has several"""
    control: str
    treatment: str

    def __str__(self) -> str:
        return f"{self.what}: {self.control} → {self.treatment}"

    @property
    def key(self) -> str:
        """Return `what` without the stage: the name that a gate's `differ` uses."""
        return self.what.rpartition(": ")[2]


def arm_differences(subject: Subject, control: Arm, treatment: Arm) -> list[ArmDifference]:
    """Return every difference that can move a number, stage by stage; nothing when one arm does not train at all.

    Stages are compared from the last backwards when one arm has more: the last is what is measured.
    """
    if not control.stages or not treatment.stages:
        return []
    found: list[ArmDifference] = []
    if len(control.stages) != len(treatment.stages):
        found.append(ArmDifference("stages", str(len(control.stages)), str(len(treatment.stages))))
    several = max(len(control.stages), len(treatment.stages)) > 1
    for back in range(1, min(len(control.stages), len(treatment.stages)) + 1):
        label = f"stage {len(treatment.stages) - back + 1}: " if several else ""
        for one in _stage_differences(subject, control.stages[-back], treatment.stages[-back]):
            found.append(one._replace(what=label + one.what))
    return found


def undeclared(gate: Gate, differences: list[ArmDifference]) -> list[ArmDifference]:
    """Return the differences that the gate does not declare.

    Nothing declared means that there should be one difference, whichever it is; `recipe` declares all of a recipe, and
    `stages` all that makes a chain longer: the start weights of its last stage as well.
    """
    if not gate.differ:
        return differences if len({one.key for one in differences}) > 1 else []
    return [one for one in differences if not is_declared(gate, one.key)]


def is_declared(gate: Gate, key: str) -> bool:
    """Whether the gate's `differ` covers a difference: by its own name, its family's, or as part of a longer chain."""
    declared = {*gate.differ, *(("weights",) if "stages" in gate.differ else ())}
    return key in declared or key.split(".")[0] in declared


def _stage_differences(subject: Subject, control: Stage, treatment: Stage) -> list[ArmDifference]:
    found = []
    if control.described_data != treatment.described_data:
        found.append(ArmDifference("data", control.described_data, treatment.described_data))
    if (start := _start(control)) != (other := _start(treatment)):
        found.append(ArmDifference("weights", start, other))
    if control.select != treatment.select:
        found.append(ArmDifference("select", _shown(control.select), _shown(treatment.select)))
    for name in sorted((set(control.recipe) | set(treatment.recipe)) - _COSMETIC):
        a, b = control.recipe.get(name), treatment.recipe.get(name)
        if a != b:
            found.append(ArmDifference(f"recipe.{name}", _shown(a), _shown(b)))
    a_auto, b_auto = _auto(subject, control), _auto(subject, treatment)
    if a_auto and b_auto and a_auto != b_auto:
        # Written down nowhere: other data or epochs made optimizer=auto choose differently.
        found.append(ArmDifference("recipe.optimizer", a_auto, b_auto))
    return found


def _start(stage: Stage) -> str:
    return stage.weights or f"the {stage.weights_from} of the stage before"


def _auto(subject: Subject, stage: Stage) -> str | None:
    dataset, images = subject.datasets.get(stage.data), subject.training_images(stage)
    if dataset is None or not images or not is_auto(stage.recipe):
        return None
    choice = auto_choice(images, len(dataset.classes), stage.recipe)
    return f"auto: {choice.optimizer} at {choice.lr0:g}"


def is_auto(recipe: Mapping[str, Any]) -> bool:
    """Whether the optimiser is left to Ultralytics: `auto`, or not given at all."""
    return str(recipe.get("optimizer", "auto")).lower() == "auto"


def _shown(value: object) -> str:
    return "unset" if value is None else str(value)
