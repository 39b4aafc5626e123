"""Rules about gates: gates that cannot fail, and arms measured at two image sizes."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.gate_weaknesses import weaknesses
from liftgate.checks.image_sizes import measured_sizes
from liftgate.checks.messages import first_few
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject


@rule("gate.vacuous", "warning", "error")
def vacuous(subject: Subject) -> Iterator[Finding]:
    """A gate that cannot fail, that chance alone passes, or that cannot pass at all.

    A verdict is only informative if it could have been negative. A control that does not know a single class of the
    data scores 0, and anything beats it. A point comparison without a margin passes where both models are equal. A
    margin of less than one object of the split, or less than the variation between samples of images, is decided by
    chance. And a treatment that is also compared with a fixed number is credited with treatment − control: without a
    margin, no contribution at all is enough. A target that a baseline reaches already asks nothing of the training, and
    a loss of more than ten points is no equality.

    Certain before any number exists are: a target of 0 or less, a rate of at most 1, a margin wider than any difference
    can be, two arms that are the same model, a target that no model can reach. A published precision or recall belongs
    to an operating point: without its confidence threshold it is another number. A split without the objects that the
    metric counts cannot decide anything: that is an error.

    Fix: give the gate a margin that would be worth having, use `rule: interval`, and take a control that could win: a
    model fine-tuned without the treatment, not one that was trained for other classes.
    """
    study = subject.study
    if study is None:
        return
    for gate in study.gates:
        for weakness in weaknesses(subject, gate):
            message = f"the gate `{gate.name}` {weakness.message}"
            where = study.place("gates", gate.name)
            yield vacuous.finding(where, message, hint=weakness.hint, severity=weakness.severity)


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
        sizes = {gate.name: measured_sizes(study, gate, arm) for gate in study.gates if arm.name in gate.arm_names}
        if len({frozenset(some) for some in sizes.values()}) > 1:
            named = [f"{' and '.join(map(str, some))} px by `{name}`" for name, some in sizes.items()]
            largest = max((size for some in sizes.values() for size in some if isinstance(size, int)), default=640)
            hint = f"`imgsz: {largest}` beside its weights, or evaluation: {{imgsz: {largest}}}"
            message = f"`{arm.name}` is measured at {first_few(named)}"
            yield image_sizes.finding(study.place("arms", arm.name), message, hint=hint)
