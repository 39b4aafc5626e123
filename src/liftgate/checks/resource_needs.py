"""Lower bounds of what a plan needs: bytes of disk, bytes of GPU memory. What is not known is not counted."""

from __future__ import annotations

from typing import NamedTuple

from liftgate.checks.subject import StageInArm, Subject
from liftgate.checks.ultralytics.arguments import DEFAULT_BATCH, DEFAULT_EPOCHS, DEFAULT_IMGSZ, numeric_argument
from liftgate.checks.ultralytics.published_models import ModelSize, model_size
from liftgate.study.records import Study

_MILLION = 1e6
_STRIDE = 32
# Bytes for each parameter.
_LEFT = 4.0  # best.pt and last.pt, two bytes each
_WHILE = 32.0  # two generations of the side-car (weights, average, momentum: 4 bytes each) beside best and last
_EPOCH = 4.0  # a checkpoint of `save_period`: weights and momentum, two bytes each
_TRAINED = 16.0  # in the GPU: weights, gradients, momentum and moving average, four bytes each
_ADAM = 20.0  # one more for its second moment
# Bytes for each image.
_LABEL = 4096.0  # a block of the disk for its label file in the training tree


class DiskNeed(NamedTuple):
    """Bytes."""

    total: int
    """What the whole plan leaves, and its largest training beside it"""
    peak: int
    """What the largest training takes while it runs"""
    runs: int


def disk_need(subject: Subject) -> DiskNeed | None:
    """Return the least that the trainings of a study write; None where no model of them is known."""
    study = subject.study
    if study is None or study.backend != "ultralytics":
        return None
    left, peak, runs = 0.0, 0.0, 0
    places = [place for place in subject.stages if _is_trained(study, place)]
    for place in places:
        size = _model(place)
        if size is None:
            continue
        parameters, recipe = size.parameters * _MILLION, place.stage.recipe
        period = int(numeric_argument(recipe, "save_period", -1))
        epochs = int(numeric_argument(recipe, "epochs", DEFAULT_EPOCHS))
        kept = _LEFT + (_EPOCH * (epochs // period) if period > 0 else 0.0)
        left += kept * parameters * len(study.seeds)
        peak = max(peak, _WHILE * parameters)
        runs += len(study.seeds)
    if not runs:
        return None
    trees = {place.stage.sources for place in places}
    known = (name for names in trees for name in names if name in subject.datasets)
    left += sum(_LABEL * len(subject.datasets[name].images) for name in known)
    return DiskNeed(round(left + peak), round(peak), runs)


def _is_trained(study: Study, place: StageInArm) -> bool:
    """Whether a step of the flow trains the arm."""
    steps = [step for step in study.flow if step.name == "train"]
    return any(step.arms is None or place.arm.name in step.arms for step in steps)


def batch_memory(subject: Subject, place: StageInArm, devices: int) -> int | None:
    """Return the least bytes that a stage's training keeps on each of its GPUs; None where it is not known.

    A batch of -1, or a share of the memory, is the trainer's own choice and always fits.
    """
    batch = place.stage.recipe.get("batch", DEFAULT_BATCH)
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        return None
    return _memory(subject, place, -(-batch // devices))


def largest_batch(subject: Subject, place: StageInArm, devices: int, memory: int) -> int:
    """Return the largest batch that may fit; 0: not even one image fits."""
    one, two = _memory(subject, place, 1), _memory(subject, place, 2)
    if one is None or two is None or one > memory:
        return 0
    return (1 + int((memory - one) // max(two - one, 1))) * devices


def _memory(subject: Subject, place: StageInArm, images: int) -> int | None:
    size, recipe = _model(place), place.stage.recipe
    imgsz = recipe.get("imgsz", DEFAULT_IMGSZ)
    if size is None or subject.study is None or subject.study.backend != "ultralytics" or not isinstance(imgsz, int):
        return None
    side = -(-imgsz // _STRIDE) * _STRIDE
    adam = "adam" in str(recipe.get("optimizer", "SGD")).lower()
    half = 1.0 if recipe.get("amp") is False else 0.5
    frozen = recipe.get("freeze") is not None  # nothing is kept for layers that do not learn
    if frozen or recipe.get("rect") or recipe.get("multi_scale"):
        return None
    weights = (_ADAM if adam else _TRAINED) * size.parameters * _MILLION
    return round(weights + half * size.kept * side * side * images)


def _model(place: StageInArm) -> ModelSize | None:
    """The model of a stage: a later one goes on with that of the stage before."""
    stages = place.arm.stages[: place.number + 1]
    named = [stage.weights for stage in stages if stage.weights]
    return model_size(named[-1]) if named else None
