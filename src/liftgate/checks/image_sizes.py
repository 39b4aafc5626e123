"""Image sizes that an arm is measured at by a gate, by what the study says and what its weights were trained for."""

from __future__ import annotations

from liftgate.checks.ultralytics.arguments import DEFAULT_IMGSZ
from liftgate.checks.ultralytics.checkpoints import read_checkpoint
from liftgate.errors import DataError
from liftgate.study.records import Arm, Gate, Study
from liftgate.study.weights import find


def usual_size(study: Study, gate: Gate, arm: Arm) -> object:
    """Return the size that an arm is measured at where nothing else is known about its weights.

    Its own `imgsz`, or that of `evaluation`, or of its last stage; without stages that of the other arm of the gate,
    else 640.
    """
    given = arm.imgsz or study.evaluation.get("imgsz")
    if given is not None:
        return given
    others = [study.arm(name) for name in (gate.treatment, gate.control) if name is not None]
    sizes = (_trained_here(one) for one in (arm, *others))
    return next((size for size in sizes if size is not None), DEFAULT_IMGSZ)


def measured_sizes(study: Study, gate: Gate, arm: Arm) -> tuple[object, ...]:
    """Return every size that an arm is measured at by a gate.

    More than one only of the control that is not trained here, where the study names no size: the size of the arm that
    it is compared with, then the size that it was trained for. The better one counts.
    """
    usual = usual_size(study, gate, arm)
    if arm.stages or arm.imgsz is not None or "imgsz" in study.evaluation:
        return (usual,)
    known = trained_size(study, arm)
    alone = not any(study.arm(name).stages for name in (gate.treatment, gate.control) if name is not None)
    if alone:
        return (known or usual,)
    if gate.control != arm.name or known is None:
        return (usual,)
    return tuple(dict.fromkeys((usual, known)))


def trained_size(study: Study, arm: Arm) -> int | None:
    """Return the image size that the weights of an arm without stages were trained for; None: they are not trained."""
    if arm.weights is None or not arm.weights.endswith(".pt"):
        return None
    path = find(arm.weights, study.folder)
    try:
        size = None if path is None else read_checkpoint(path).image_size
    except DataError:
        size = None
    return size or DEFAULT_IMGSZ


def _trained_here(arm: Arm) -> object:
    return arm.stages[-1].recipe.get("imgsz", DEFAULT_IMGSZ) if arm.stages else None
