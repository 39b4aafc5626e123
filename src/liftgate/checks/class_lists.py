"""Class lists of what an arm learns from and what it is measured on, compared before anything is trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from liftgate.checks.class_maps import matches_exactly, rename_hint, spelled_alike
from liftgate.checks.finding import Severity
from liftgate.checks.messages import first_few, plural
from liftgate.checks.subject import StageInArm, Subject
from liftgate.study.records import DatasetSpec, Gate, Stage


class ClassListConflict(NamedTuple):
    """Two class lists that should have the same names."""

    where: str
    message: str
    hint: str
    severity: Severity
    names: tuple[str, ...]
    """The names that the other list does not have"""
    rename: dict[str, str]
    """The map that would make them the same; empty: none is obvious"""


def class_list_conflicts(subject: Subject) -> Iterator[ClassListConflict]:
    """Yield the conflicts between the parts of a mix, between successive stages, and between arms and gates."""
    for place in subject.stages:
        yield from _in_a_mix(subject, place)
        yield from _between_stages(subject, place)
    for gate in subject.study.gates if subject.study else ():
        yield from _of_gate(subject, gate)


def _in_a_mix(subject: Subject, place: StageInArm) -> Iterator[ClassListConflict]:
    known = [name for name in place.stage.sources if name in subject.datasets]
    for first, second in itertools.combinations(known, 2):
        one, other = (subject.datasets[name].classes for name in (first, second))
        pairs = spelled_alike(one, other)
        only_first, only_second = _missing(one, other), _missing(other, one)
        if pairs:
            message = f"{first} and {second} are mixed and spell {_shown(pairs)} differently: each would be two classes"
            yield ClassListConflict(
                place.at("data"), message, _renamed(subject, first, pairs), "error", only_first, pairs
            )
        elif only_first and only_second:
            message = (
                f"{first} and {second} are mixed, and each labels classes that the other does not "
                f"({first_few(only_first)}; {first_few(only_second)}): where such an object is on an image of the "
                "other, training takes it for background"
            )
            hint = "label them in both, or `keep:` the classes that both have; `rename:` if they are the same things"
            yield ClassListConflict(place.at("data"), message, hint, "warning", only_first, {})


def _between_stages(subject: Subject, place: StageInArm) -> Iterator[ClassListConflict]:
    if place.number == 0 or place.stage.weights is not None:
        return
    before = place.arm.stages[place.number - 1]
    earlier, later = _learned(subject, before), _learned(subject, place.stage)
    if not earlier or not later or set(earlier) == set(later):
        return
    pairs = spelled_alike(earlier, later)
    gone, new = _missing(earlier, later), _missing(later, earlier)
    shared = len(set(earlier) & set(later))
    number = place.number
    names = f"stage {number} of arm {place.arm.name} learns {first_few(gone)}, stage {number + 1} {first_few(new)}"
    if pairs and (shared or len(pairs) == min(len(earlier), len(later))):
        message = f"{names}: {_shown(pairs)} seem to be the same"
        # What a stage forgets is measured by names, and would be all of these.
        lost = [name for name in pairs if not matches_exactly(name, later)]
        message += ", and would count as forgotten" if lost else ""
        hint, severity = _renamed(subject, before.data, pairs), _severity(lost)
        yield ClassListConflict(place.at("data"), message, hint, severity, gone, pairs)
    elif not shared:
        message = f"{names}: no class in common, so what the first stage learns to tell apart is thrown away"
        hint = _renamed(subject, before.data, pairs) if pairs else _SAME_THINGS.format(name=before.data)
        yield ClassListConflict(place.at("data"), message, hint, "error", gone, pairs)
    elif gone and new:
        message = f"{names}: {plural(shared, 'class', 'classes')} in common"
        hint = _SAME_THINGS.format(name=before.data)
        yield ClassListConflict(place.at("data"), message, hint, "warning", gone, {})


_SAME_THINGS = (
    "if they are the same things by other names: datasets: {{{name}: {{rename: {{OLD: NEW}}}}}}; "
    "if they are meant to differ, `ignore:` this with the reason"
)


def _of_gate(subject: Subject, gate: Gate) -> Iterator[ClassListConflict]:
    study, measured = subject.study, gate.on.rpartition(".")[0]
    truth = subject.datasets.get(measured)
    if study is None or truth is None:
        return
    where = f"gate {gate.name}"
    strangers = tuple(name for name in gate.threats if name not in truth.classes)
    if strangers:
        pairs = spelled_alike(strangers, truth.classes)
        message = f"{where} names threats that are no classes of {measured}: {first_few(strangers)}"
        hint = f"threats: {list(pairs.values())}" if pairs else f"classes: {first_few(truth.classes)}"
        yield ClassListConflict(where, message, hint, "error", strangers, pairs)
    for arm in (one for one in study.arms if one.stages and one.name in gate.arm_names):
        learned = _learned(subject, arm.stages[-1])
        unseen = _missing(truth.classes, learned)
        if not learned or not unseen:
            continue
        source = arm.stages[-1].data
        pairs = spelled_alike(learned, truth.classes)
        message = (
            f"{where} measures {plural(len(unseen), 'class', 'classes')} on {measured} that {source}, which arm "
            f"{arm.name} ends on, does not have: {first_few(unseen)}"
        )
        if lost := [name for name in unseen if not matches_exactly(name, learned)]:
            message += "; nothing can be measured" if len(lost) == len(truth.classes) else ""
        hint = "keep only the classes that both have (`keep:`), or end the arm on the data that has them"
        hint = _renamed(subject, source, pairs) if pairs else hint
        yield ClassListConflict(where, message, hint, _severity(lost), unseen, pairs)


def _severity(lost: Sequence[str]) -> Severity:
    """Return `error` where names are not matched; a spelling in other case does no harm."""
    return "error" if lost else "warning"


def _learned(subject: Subject, stage: Stage) -> tuple[str, ...]:
    """Return the classes of all data that a stage trains on; none where one of them is not loaded."""
    if any(name not in subject.datasets for name in stage.sources):
        return ()
    return tuple(dict.fromkeys(name for source in stage.sources for name in subject.datasets[source].classes))


def _missing(names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in others)


def _renamed(subject: Subject, dataset: str, pairs: dict[str, str]) -> str:
    return rename_hint(_spec(subject, dataset), dataset, pairs)


def _spec(subject: Subject, dataset: str) -> DatasetSpec | None:
    specs = subject.study.datasets if subject.study else ()
    return next((spec for spec in specs if spec.name == dataset), None)


def _shown(pairs: dict[str, str]) -> str:
    return first_few(f"{old!r} and {new!r}" for old, new in pairs.items())
