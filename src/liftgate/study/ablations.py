"""Expand ablations: an arm and values to try become arms with one changed argument, and gates that compare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from liftgate.study.gate_keys import GateKeys
from liftgate.study.yaml_keys import ModelKeys, StageKeys, TrainedKeys


class Variant(NamedTuple):
    """An arm that differs from its base in one training argument."""

    name: str
    argument: str
    value: Any
    stages: list[StageKeys]


AnyArm = list[StageKeys] | ModelKeys | TrainedKeys


def variants(name: str, arm: AnyArm) -> Iterator[Variant]:
    """Yield the variants of an arm; a value that the arm already has is skipped."""
    if not isinstance(arm, TrainedKeys):
        return
    for argument, values in arm.ablate.items():
        for value in values:
            if any(not _same(stage.recipe.get(argument), value) for stage in arm.stages):
                changed = [
                    stage.model_copy(update={"recipe": {**stage.recipe, argument: value}}) for stage in arm.stages
                ]
                yield Variant(variant_name(name, argument, value), argument, value, changed)


def variant_name(name: str, argument: str, value: object) -> str:
    """Return the name of a variant, or of its gate.

    >>> variant_name("base", "fliplr", 0.5), variant_name("base", "cos_lr", True)
    ('base-fliplr-0.5', 'base-cos_lr-true')
    """
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name}-{argument}-{text}"


def expand_arms(arms: Mapping[str, AnyArm]) -> dict[str, list[StageKeys] | ModelKeys]:
    """Return every arm, followed by its variants, with stages as lists."""
    found: dict[str, list[StageKeys] | ModelKeys] = {}
    for name, arm in arms.items():
        found[name] = arm.stages if isinstance(arm, TrainedKeys) else arm
        found |= {variant.name: variant.stages for variant in variants(name, arm)}
    return found


def expand_gates(gates: Mapping[str, GateKeys], arms: Mapping[str, AnyArm]) -> dict[str, dict[str, GateKeys]]:
    """Return for each gate in the file the gates it expands to: itself, or one per treatment or variant of an arm."""
    found: dict[str, dict[str, GateKeys]] = {}
    for name, gate in gates.items():
        if gate.treatments is not None:
            found[name] = {
                f"{name}-{arm}": gate.model_copy(
                    update={"treatment": arm, "treatments": None, "level": _shared(gate.level, len(gate.treatments))}
                )
                for arm in gate.treatments
            }
        elif gate.ablation is None:
            found[name] = {name: gate}
        elif gate.ablation in arms:
            found[name] = dict(_compared(name, gate, list(variants(gate.ablation, arms[gate.ablation]))))
        else:
            found[name] = {}
    return found


def _compared(name: str, gate: GateKeys, of: list[Variant]) -> Iterator[tuple[str, GateKeys]]:
    level = _shared(gate.level, len(of))
    for one in of:
        update = {"treatment": one.name, "control": gate.ablation, "differ": [f"recipe.{one.argument}"]}
        renamed = variant_name(name, one.argument, one.value)
        yield renamed, gate.model_copy(update={**update, "ablation": None, "level": level})


def _shared(level: float, questions: int) -> float:
    """Return the level of each of several gates of one family (Bonferroni): otherwise one of n would pass by chance."""
    return round(1 - (1 - level) / max(questions, 1), 6)


def _same(stated: object, value: object) -> bool:
    return stated == value and isinstance(stated, bool) == isinstance(value, bool)
