"""Lineage: the steps of a run as the ledger has them, the way back from a verdict, and in what two arms differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from liftgate.checks.arm_differences import is_declared
from liftgate.hashing import content_hash
from liftgate.reporting.content import LineageNode, SettingDifference
from liftgate.study.records import Gate

_NAMES = {"gate": "verdict", "evaluate": "evaluation", "predict": "predictions", "train": "run"}
"""Kind of a step → what it leaves."""
# Of the arguments that a trainer says it used: where it wrote, and what other rows of the table say already.
_PLACES = frozenset("data model name project save_dir resume exist_ok mode seed task device pretrained".split())  # noqa: SIM905


class StepRecord(NamedTuple):
    """A finished step as the ledger has it."""

    name: str
    kind: str
    key: str
    needs: Mapping[str, str]
    inputs: Mapping[str, Any]
    seconds: float
    result: Mapping[str, Any]


def verdict_lineage(verdict: StepRecord, gate_hash: str, steps: Mapping[str, StepRecord]) -> LineageNode:
    """Return the way back: verdict → gate, evaluations → predictions → data and run → recipe, weights, data, split."""
    evaluations = [one for one in _needs(verdict, steps) if one.kind == "evaluate"]
    back = (LineageNode("gate", verdict.name, gate_hash), *(_node(one, steps) for one in evaluations))
    word = verdict.result["word"]
    return LineageNode("verdict", f"{verdict.name}: {word}", verdict.key, _with_comparison(verdict, back))


def setting_differences(
    gate: Gate, control: Sequence[StepRecord], treatment: Sequence[StepRecord]
) -> tuple[SettingDifference, ...]:
    """Return what the last stages of two arms were trained with differently, as the trainer itself says it.

    Empty where an arm was not trained: then the arms' own descriptions say all that there is.
    """
    if not control or not treatment:
        return ()
    old, new = _settings(control), _settings(treatment)
    return tuple(
        SettingDifference(
            name,
            format_setting(old.get(name)),
            format_setting(new.get(name)),
            is_declared(gate, name) if gate.differ else None,
        )
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    )


def format_setting(value: object) -> str:
    """A setting in words."""
    if value is None:
        return "not set"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _settings(stages: Sequence[StepRecord]) -> dict[str, object]:
    last = stages[-1]
    used = last.result["facts"].get("args") or last.inputs["recipe"]
    recipe = {f"recipe.{name}": value for name, value in sorted(used.items()) if name not in _PLACES}
    return {"stages": len(stages), "data": last.inputs["data"], "weights": stages[0].inputs["weights"], **recipe}


def _with_comparison(verdict: StepRecord, back: tuple[LineageNode, ...]) -> tuple[LineageNode, ...]:
    compared = verdict.result.get("comparison")
    if compared is None:
        return back
    gate, *evaluations = back
    return gate, LineageNode("comparison", "treatment − control", content_hash(compared), tuple(evaluations))


def _node(step: StepRecord, steps: Mapping[str, StepRecord]) -> LineageNode:
    below = [_node(need, steps) for need in _needs(step, steps)]
    name = step.name.partition(" ")[2] or step.name
    if step.kind == "predict":
        below += _given(step, ("weights", "data"))
        return LineageNode("predictions", name, step.result["sha256"], tuple(below))
    if step.kind == "train":
        recipe = LineageNode("recipe", _recipe(step.inputs["recipe"]), content_hash(step.inputs["recipe"]))
        return LineageNode("run", step.result["run"], step.key, (*below, recipe, *_given(step, ("weights", "data"))))
    return LineageNode(_NAMES.get(step.kind, step.kind), name, step.key, tuple(below))


def _needs(step: StepRecord, steps: Mapping[str, StepRecord]) -> list[StepRecord]:
    return [steps[key] for key in step.needs.values() if key in steps]


def _given(step: StepRecord, names: Sequence[str]) -> list[LineageNode]:
    words = {"weights": "as given", "data": "images, labels, groups, split"}
    values = {name: step.inputs.get(name) for name in names}
    return [LineageNode(name, words[name], value) for name, value in values.items() if isinstance(value, str)]


def _recipe(recipe: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {format_setting(value)}" for name, value in recipe.items()) or "the trainer's defaults"
