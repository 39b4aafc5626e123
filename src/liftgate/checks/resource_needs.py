"""Lower bounds of the disk space and GPU memory, in bytes, that a study needs. Unknown needs are not counted."""

from __future__ import annotations

from typing import NamedTuple

from liftgate.checks.subject import StageInArm, Subject
from liftgate.checks.ultralytics.arguments import DEFAULT_BATCH, DEFAULT_EPOCHS, DEFAULT_IMGSZ, numeric_argument
from liftgate.checks.ultralytics.published_models import ModelSize, model_size
from liftgate.study.records import Study
from liftgate.study.vocabulary import DEFAULT_FOLDS

_MILLION = 1e6
_STRIDE = 32
# Bytes per parameter.
_CHECKPOINTS_KEPT = 4.0  # best.pt and last.pt, two bytes each
_WHILE_TRAINING = 32.0  # two side-cars (weights, moving average, momentum: 4 bytes each), best.pt and last.pt
_PERIODIC_CHECKPOINT = 4.0  # a checkpoint of `save_period`: weights and momentum, two bytes each
_GPU_SGD = 16.0  # weights, gradients, momentum and moving average, four bytes each
_GPU_ADAM = 20.0  # one more for its second moment
# Bytes per image.
_LABEL_FILE = 4096.0  # a block of the disk for its label file in the training tree


class DiskNeed(NamedTuple):
    """The least disk space of a study, in bytes."""

    total: int
    """All that the study keeps, and its largest training while it runs"""
    peak: int
    """The largest training while it runs"""
    runs: int
    """Number of trainings counted"""


def disk_need(subject: Subject) -> DiskNeed | None:
    """Return the least disk space that a study's trainings take; None where the size of no model is known."""
    study = subject.study
    if study is None or "ultralytics" not in study.backends:
        return None
    left, peak, runs = 0.0, 0.0, 0
    places = [place for place in subject.stages if _trainings(study, place) and place.backend == "ultralytics"]
    for place in places:
        size = _stage_model(place)
        if size is None:
            continue
        parameters, recipe = size.parameters * _MILLION, place.stage.recipe
        period = int(numeric_argument(recipe, "save_period", -1))
        epochs = int(numeric_argument(recipe, "epochs", DEFAULT_EPOCHS))
        kept = _CHECKPOINTS_KEPT + (_PERIODIC_CHECKPOINT * (epochs // period) if period > 0 else 0.0)
        left += kept * parameters * _trainings(study, place)
        peak = max(peak, _WHILE_TRAINING * parameters)
        runs += _trainings(study, place)
    if not runs:
        return None
    trees = {place.stage.sources for place in places}
    known = (name for names in trees for name in names if name in subject.datasets)
    left += sum(_LABEL_FILE * len(subject.datasets[name].images) for name in known)
    return DiskNeed(round(left + peak), round(peak), runs)


def _trainings(study: Study, place: StageInArm) -> int:
    """Return how often the study's flow trains the stage: for every seed, and on every part of its data."""
    steps = [step for step in study.flow if step.arms is None or place.arm.name in step.arms]
    folds = sum(step.folds or DEFAULT_FOLDS for step in steps if step.name == "mistakes")
    shares = sum((len(step.worth.shares) - 1) * (2 if step.worth.old_groups else 1) for step in steps if step.worth)
    whole = any(step.name in ("train", "worth") for step in steps)
    return folds + len(study.seeds) * (shares + whole)


def batch_memory(subject: Subject, place: StageInArm, devices: int) -> int | None:
    """Return the least bytes of memory that a stage's training needs on each GPU; None where they are unknown.

    They are unknown for a batch of -1 or a fraction, with which the trainer itself picks a batch that fits.
    """
    batch = place.stage.recipe.get("batch", DEFAULT_BATCH)
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        return None
    return _gpu_memory(subject, place, -(-batch // devices))


def largest_batch(subject: Subject, place: StageInArm, devices: int, memory: int) -> int:
    """Return the largest batch that may fit; 0 where not even one image fits.

    Args:
        subject: the study and its data sets.
        place: the stage to train.
        devices: number of GPUs that share a batch.
        memory: bytes of memory of each GPU.
    """
    one, two = _gpu_memory(subject, place, 1), _gpu_memory(subject, place, 2)
    if one is None or two is None or one > memory:
        return 0
    return (1 + int((memory - one) // max(two - one, 1))) * devices


def _gpu_memory(subject: Subject, place: StageInArm, images: int) -> int | None:
    size, recipe = _stage_model(place), place.stage.recipe
    imgsz = recipe.get("imgsz", DEFAULT_IMGSZ)
    if size is None or place.backend != "ultralytics" or not isinstance(imgsz, int):
        return None
    side = -(-imgsz // _STRIDE) * _STRIDE
    adam = "adam" in str(recipe.get("optimizer", "SGD")).lower()
    half = 1.0 if recipe.get("amp") is False else 0.5
    frozen = recipe.get("freeze") is not None  # no gradients or activations are kept for frozen layers
    if frozen or recipe.get("rect") or recipe.get("multi_scale"):
        return None
    weights = (_GPU_ADAM if adam else _GPU_SGD) * size.parameters * _MILLION
    return round(weights + half * size.kept * side * side * images)


def _stage_model(place: StageInArm) -> ModelSize | None:
    """Return the size of the model that a stage trains; a stage without weights continues with the model before it."""
    stages = place.arm.stages[: place.number + 1]
    named = [stage.weights for stage in stages if stage.weights]
    return model_size(named[-1]) if named else None
