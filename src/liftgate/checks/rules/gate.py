"""Rules about gates: gates that cannot fail, and arms measured at two image sizes."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.image_sizes import measured_sizes
from liftgate.checks.messages import first_few
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.checkpoints import read_checkpoint
from liftgate.errors import DataError
from liftgate.study.records import Arm, Gate, Study


@rule("gate.vacuous", "warning")
def vacuous(subject: Subject) -> Iterator[Finding]:
    """A gate that cannot fail, or that chance alone passes.

    A verdict is only informative if it could have been negative. A control that does not know a single class of the
    data scores 0, and anything beats it. A point comparison without a margin passes where both models are equal. A
    margin of less than one object of the split, or less than the variation between samples of images, is decided by
    chance. And a treatment that is also compared with a fixed number is credited with treatment − control: without a
    margin, no contribution at all is enough.

    Fix: give the gate a margin that would be worth having, use `rule: interval`, and take a control that could win: a
    model fine-tuned without the treatment, not one that was trained for other classes.
    """
    study = subject.study
    if study is None:
        return
    for gate in (gate for gate in study.gates if gate.is_comparison):
        where = study.place("gates", gate.name)
        for message, hint in (*_without_margin(study, gate), *_below_noise(subject, gate), *_blind(subject, gate)):
            yield vacuous.finding(where, f"the gate `{gate.name}` cannot fail: {message}", hint=hint)


@rule("gate.image_sizes", "warning")
def image_sizes(subject: Subject) -> Iterator[Finding]:
    """An arm that would be measured at two image sizes in one study.

    A model that is not trained here is measured by itself at the size that it was trained for, and as a control at that
    of the other arm too, where the better one counts. With two sizes it has two values of the same metric, and two
    gates may speak of different ones.

    Fix: `imgsz: N` beside its `weights`, or `evaluation: {imgsz: N}` for every arm, measures it at one size.
    """
    study = subject.study
    if study is None or "imgsz" in study.evaluation:
        return
    for arm in (arm for arm in study.arms if not arm.stages):
        sizes = {gate.name: measured_sizes(study, gate, arm) for gate in study.gates if arm.name in _arms(gate)}
        if len({frozenset(some) for some in sizes.values()}) > 1:
            named = [f"{' and '.join(map(str, some))} px by `{name}`" for name, some in sizes.items()]
            largest = max((size for some in sizes.values() for size in some if isinstance(size, int)), default=640)
            hint = f"`imgsz: {largest}` beside its weights, or evaluation: {{imgsz: {largest}}}"
            message = f"`{arm.name}` is measured at {first_few(named)}"
            yield image_sizes.finding(study.place("arms", arm.name), message, hint=hint)


def _arms(gate: Gate) -> tuple[str | None, ...]:
    return (gate.arm, gate.treatment, gate.control)


def _without_margin(study: Study, gate: Gate) -> Iterator[tuple[str, str]]:
    if gate.margin > 0 or gate.claim == "equal":
        return
    if gate.rule == "point":
        yield "it passes where both arms are equal", "margin: 0.01, or what a gain would have to be to be worth it"
    elif any((one.arm, one.on) == (gate.treatment, gate.on) for one in study.gates):
        message = f"it is what `{gate.treatment}` is credited with, and has no margin"
        yield message, "margin: 0.01, or what a contribution would have to be to be worth it"


def _below_noise(subject: Subject, gate: Gate) -> Iterator[tuple[str, str]]:
    name, _, split = gate.on.rpartition(".")
    dataset = subject.datasets.get(name)
    if gate.rule != "point" or gate.margin <= 0 or dataset is None or split not in dataset.splits:
        return
    objects = len(dataset.split(split).labels)
    if objects and gate.margin < 1 / objects:
        yield (
            f"its margin of {gate.margin:g} is less than one of the {objects} objects of {gate.on}",
            f"a margin above {1 / objects:.2g}, or `rule: interval`",
        )


def _blind(subject: Subject, gate: Gate) -> Iterator[tuple[str, str]]:
    study, name = subject.study, gate.on.rpartition(".")[0]
    assert study is not None and gate.control is not None
    dataset, control = subject.datasets.get(name), study.arm(gate.control)
    known = _classes_of(study, control)
    if dataset is None or not known or not dataset.classes:
        return
    if not {_plain(one) for one in known} & {_plain(one) for one in dataset.classes}:
        message = f"`{control.name}` has none of the classes of {name} (it has {first_few(sorted(known)[:5])})"
        yield message, "take a control that was trained for these classes"


def _classes_of(study: Study, arm: Arm) -> tuple[str, ...]:
    """Return the classes of an off-the-shelf model; none where they are unknown without running it."""
    if arm.stages or arm.weights is None or not arm.weights.endswith(".pt"):
        return ()
    path = study.folder / arm.weights
    try:
        names = read_checkpoint(path).names if path.is_file() else None
    except DataError:
        return ()
    return tuple(names.values()) if names else ()


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()).rstrip("s")
