"""Weaknesses of gates: what makes a verdict certain, or a matter of chance, before any number exists."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from liftgate.checks.class_maps import spelled_alike
from liftgate.checks.finding import Severity
from liftgate.checks.messages import first_few
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.checkpoints import read_checkpoint
from liftgate.data.core.dataset import Dataset
from liftgate.errors import DataError
from liftgate.stats.distributions import normal_quantile
from liftgate.study.records import Arm, Claim, Gate, Study
from liftgate.study.vocabulary import LOWER_IS_BETTER, SCREENING
from liftgate.study.weights import find

_UNBOUNDED = ("false_positives_per_image", "ms_per_image")
"""Metrics that may be above 1"""
_TOLERABLE = 0.1
"""A loss of more than ten points is no equality, and no price that a gate should pass without a word"""
_DISAGREEMENT, _CORRELATION, _CHANCE = 0.1, 0.1, 0.95
"""For the difference that chance gives: share of objects that one of two models finds and the other does not,
correlation of objects of one group, and probability with which chance stays below it"""


class Weakness(NamedTuple):
    """One reason why a gate says little."""

    message: str
    """Goes on after the gate's name"""
    hint: str
    severity: Severity = "warning"


def weaknesses(subject: Subject, gate: Gate) -> Iterator[Weakness]:
    """Yield the reasons why a gate cannot fail, cannot pass, or is passed by chance."""
    study = subject.study
    assert study is not None
    yield from _nothing_to_measure(subject, gate)
    if gate.is_comparison:
        yield from _same_model(study, gate)
        yield from _impossible_margin(gate)
        yield from _without_margin(study, gate)
        yield from _below_noise(subject, gate)
        yield from _blind(subject, gate)
        return
    if gate.formats:
        yield from _impossible_margin(gate)
        yield from _calibrated_where_judged(study, gate)
        return
    for claim in gate.claims:
        yield from _certain_claim(claim, gate)
    yield from _other_operating_point(gate)
    yield from _met_already(subject, gate)


def _nothing_to_measure(subject: Subject, gate: Gate) -> Iterator[Weakness]:
    part = _split(subject, gate)
    if part is None:
        return
    counted = ~part.labels.crowd & ~part.labels.ignore
    metrics = [gate.metric] if gate.metric else [claim.metric for claim in gate.claims]
    of_objects = [one for one in metrics if one not in (*_UNBOUNDED, *SCREENING)]
    if of_objects and not counted.any():
        yield Weakness(
            f"cannot be decided: {gate.on} has no object, so {of_objects[0]} is undefined", _OBJECTS, "error"
        )
    if not gate.threats:
        return
    numbers = [part.classes.index(name) for name in gate.threats if name in part.classes]
    with_threat = {int(image) for image, cls in zip(part.labels.image, part.labels.cls, strict=True) if cls in numbers}
    kinds = (("no image", not with_threat), ("every image", len(with_threat) == len(part.images)))
    for which, holds in kinds:
        if holds and part.images:
            threats = first_few(gate.threats)
            yield Weakness(f"cannot be decided: {which} of {gate.on} has {threats}", _OBJECTS, "error")


_OBJECTS = "measure on a split that has what the gate counts, and what it must not be taken for"


def _same_model(study: Study, gate: Gate) -> Iterator[Weakness]:
    control, treatment = (study.arm(str(name)) for name in (gate.control, gate.treatment))
    if replace(control, name="") == replace(treatment, name=""):
        outcome = "can only say equal" if gate.claim == "equal" else "compares a model with itself"
        yield Weakness(f"{outcome}: `{control.name}` and `{treatment.name}` are the same", "let them differ")


def _impossible_margin(gate: Gate) -> Iterator[Weakness]:
    if gate.metric in _UNBOUNDED:
        return
    hint = "margin: 0.01, or what a difference would have to be to matter"
    if gate.claim == "equal" and gate.margin >= 1:
        yield Weakness(f"cannot fail: no two values of {gate.metric} differ by more than 1", hint)
    elif gate.claim == "better" and gate.margin <= -1:
        yield Weakness(f"cannot fail: no value of {gate.metric} is lower by more than 1", hint)
    elif gate.claim == "better" and gate.margin >= 1:
        yield Weakness(f"cannot pass: no value of {gate.metric} is higher by {gate.margin:g}", hint)
    elif gate.claim == "equal" and gate.margin > _TOLERABLE:
        yield Weakness(f"calls models equal of which one has {gate.margin:g} less {gate.metric}", hint)
    elif gate.claim == "better" and gate.rule == "interval" and gate.margin < -_TOLERABLE:
        yield Weakness(f"passes a treatment that has {-gate.margin:g} less {gate.metric} than its control", hint)


def _calibrated_where_judged(study: Study, gate: Gate) -> Iterator[Weakness]:
    dataset, _, split = gate.on.rpartition(".")
    arms = [study.arm(name) for name in gate.arm_names]
    calibrated = any(arm.stages and arm.stages[-1].data == dataset for arm in arms)
    if "int8" in gate.precisions and split == "train" and calibrated:
        yield Weakness(
            f"cannot pass: int8 is calibrated on {gate.on}, where it judges", "judge on val or test", "error"
        )


def _without_margin(study: Study, gate: Gate) -> Iterator[Weakness]:
    if gate.margin > 0 or gate.claim == "equal":
        return
    if gate.rule == "point":
        hint = "margin: 0.01, or what a gain would have to be to be worth it"
        yield Weakness("cannot fail: it passes where both arms are equal", hint)
    elif any((one.arm, one.on) == (gate.treatment, gate.on) for one in study.gates):
        message = f"cannot fail: it is what `{gate.treatment}` is credited with, and has no margin"
        yield Weakness(message, "margin: 0.01, or what a contribution would have to be to be worth it")


def _below_noise(subject: Subject, gate: Gate) -> Iterator[Weakness]:
    part = _split(subject, gate)
    if gate.rule != "point" or gate.margin <= 0 or part is None or gate.metric in _UNBOUNDED:
        return
    unit = "images" if gate.metric in SCREENING else "objects"
    count, groups = len(part.images if unit == "images" else part.labels), len(set(part.groups))
    if not count:
        return
    if gate.margin < 1 / count:
        message = f"cannot fail: its margin of {gate.margin:g} is less than one of the {count} {unit} of {gate.on}"
        yield Weakness(message, f"a margin above {1 / count:.2g}, or `rule: interval`")
    elif gate.published is None and gate.margin < (noise := difference_by_chance(count, groups)):
        message = (
            f"is passed by chance: point values of equally good models differ by up to {noise:.2g} on {count} "
            f"{unit} in {groups} groups ({_CHANCE:.0%}, if they disagree on {_DISAGREEMENT:.0%} of the {unit}), and "
            f"its margin is {gate.margin:g}"
        )
        yield Weakness(
            message, f"`rule: interval`, a margin above {noise:.2g}, or `published:` if the rule is replayed"
        )


def difference_by_chance(count: int, groups: int) -> float:
    """Return the gain that a model which is no better stays below with 95% chance, by drawing other groups.

    >>> round(difference_by_chance(400, 20), 3), round(difference_by_chance(400, 400), 3)
    (0.044, 0.026)
    """
    design_effect = 1 + (count / groups - 1) * _CORRELATION
    return normal_quantile(2 * _CHANCE - 1) * math.sqrt(_DISAGREEMENT * max(design_effect, 1.0) / count)


def _blind(subject: Subject, gate: Gate) -> Iterator[Weakness]:
    study, name = subject.study, gate.on.rpartition(".")[0]
    assert study is not None and gate.control is not None
    dataset, control = subject.datasets.get(name), study.arm(gate.control)
    known = _classes_of(study, control)
    if dataset is None or not known or not dataset.classes:
        return
    plain = {one.strip().casefold() for one in known}
    shared = any(one.strip().casefold() in plain for one in dataset.classes)
    if not shared and not spelled_alike(dataset.classes, known):
        has = first_few(sorted(known)[:5])
        message = f"cannot fail: `{control.name}` has none of the classes of {name} (it has {has})"
        yield Weakness(message, "take a control that was trained for these classes")


def _certain_claim(claim: Claim, gate: Gate) -> Iterator[Weakness]:
    metric, bounded = claim.metric, claim.metric not in _UNBOUNDED
    if claim.at_least is not None:
        if claim.at_least <= 0:
            yield Weakness(f"cannot fail: every model has {metric} of at least {claim.at_least:g}", _TARGET)
        elif bounded and claim.at_least > 1:
            yield Weakness(f"cannot pass: {metric} is at most 1, not {claim.at_least:g}", _PERCENT)
        elif bounded and claim.at_least == 1 and gate.rule == "interval":
            yield Weakness(f"cannot pass: no interval shows that {metric} is 1", "a target below 1")
    elif claim.at_most is not None:
        if claim.at_most < 0:
            yield Weakness(f"cannot pass: {metric} is never below 0", _TARGET)
        elif bounded and claim.at_most >= 1:
            yield Weakness(f"cannot fail: every model has {metric} of at most {claim.at_most:g}", _TARGET)


def _other_operating_point(gate: Gate) -> Iterator[Weakness]:
    """Yield a published precision or recall whose confidence threshold the gate does not state."""
    rates = [claim.metric for claim in gate.claims if claim.metric in ("precision", "recall")]
    if gate.published is not None and rates and gate.conf is None:
        named = " and ".join(rates)
        message = f"replays {named} as published, at confidence 0.25: at another one they are not comparable"
        hint = "conf: the published threshold; where it is not known (Ultralytics' is at the best F1), leave them out"
        yield Weakness(message, hint)


_TARGET = "a target that a bad model would miss"
_PERCENT = "95% is written 0.95"


def _met_already(subject: Subject, gate: Gate) -> Iterator[Weakness]:
    """Yield the baselines, as far as they were measured, that reach the targets of a trained arm."""
    study = subject.study
    assert study is not None
    arms = [one for one in study.arms if one.name in gate.arm_names and one.stages]
    if not arms or not gate.claims:
        return
    baselines = [one.name for one in study.arms if not one.stages]
    baselines += [str(one.control) for one in study.gates if one.is_comparison and one.treatment in gate.arm_names]
    for name in dict.fromkeys(baselines):
        values = subject.measured.get((name, gate.on), {})
        met = [(claim, value) for claim in gate.claims if _meets(claim, value := values.get(claim.metric))]
        if len(met) == len(gate.claims):
            shown = first_few(f"{claim.metric} {value:.4g}" for claim, value in met if value is not None)
            message = f"asks for nothing new: `{name}` reaches it without the training ({shown} on {gate.on})"
            yield Weakness(message, "a target above the baseline, or a comparison with it and a margin")


def _meets(claim: Claim, value: float | None) -> bool:
    if value is None:
        return False
    if claim.metric in LOWER_IS_BETTER:
        return claim.at_most is not None and value <= claim.at_most
    return claim.at_least is not None and value >= claim.at_least


def _split(subject: Subject, gate: Gate) -> Dataset | None:
    name, _, split = gate.on.rpartition(".")
    dataset = subject.datasets.get(name)
    return None if dataset is None or split not in dataset.splits else dataset.split(split)


def _classes_of(study: Study, arm: Arm) -> tuple[str, ...]:
    """Return the classes of an off-the-shelf model; none where they are unknown without running it."""
    if arm.stages or arm.weights is None or not arm.weights.endswith(".pt"):
        return ()
    path = find(arm.weights, study.folder)
    try:
        names = None if path is None else read_checkpoint(path).names
    except DataError:
        return ()
    return tuple(names.values()) if names else ()
