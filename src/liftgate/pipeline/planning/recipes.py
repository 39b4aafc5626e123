"""Validation of recipes and start weights before training: refuse what the trainer would refuse later.

`check` reports the same with reasons, but a flow may leave it out, and a later stage would then fail days later.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from liftgate.backends import packages
from liftgate.backends.recipe_arguments import check_recipe, known_arguments
from liftgate.checks.ultralytics.arguments import ARGUMENTS, refusal
from liftgate.checks.ultralytics.checkpoints import read_checkpoint
from liftgate.errors import DataError, UsageError
from liftgate.study.records import Arm, Stage, Study
from liftgate.training.start_weights import resolve_weights

_TRAINERS = {"ultralytics": "Ultralytics", "libreyolo": "LibreYOLO"}
_EXTRAS = {"ultralytics": "train", "libreyolo": "libreyolo"}


def missing_trainer(study: Study) -> str:
    """Return which package `run` will need and this machine lacks, with the way to install it; empty: none."""
    for backend in study.backends:
        lacking = [name for name in packages(backend) if importlib.util.find_spec(name) is None]
        if lacking:
            needed, extra = " and ".join(lacking), _EXTRAS[backend]
            return f"`liftgate run` needs {needed} on the machine that trains: pip install 'liftgate[{extra}]'"
    return ""


def require_known_arguments(study: Study) -> None:
    """Refuse arguments that the trainer of an arm does not know, and values that Ultralytics does not take.

    Raises:
        UsageError: which one, of which stage, and what was probably meant.
    """
    for arm in study.arms:
        backend = study.backend_of(arm)
        if backend not in _TRAINERS:
            continue  # other backends have their own arguments
        known = known_arguments(backend) or (ARGUMENTS if backend == "ultralytics" else ())
        for number, stage in enumerate(arm.stages):
            for name, value in stage.recipe.items():
                where = study.place("arms", arm.name, number, "recipe", name)
                check_recipe({name: value}, known, where, trainer=_TRAINERS[backend])
                if backend != "ultralytics":
                    continue
                if wrong := refusal(name, value) if name in ARGUMENTS else None:
                    raise UsageError(f"{name}: {wrong}", where=where)


def require_weights_of_task(study: Study, arm: Arm, stage: Stage) -> None:
    """Refuse start weights that were made for another task.

    Raises:
        UsageError: the checkpoint is of another task.
    """
    if study.backend_of(arm) != "ultralytics" or stage.weights is None:
        return
    path = Path(resolve_weights(stage.weights, study.folder).path)
    try:
        made_for = read_checkpoint(path).task if path.suffix == ".pt" else None
    except DataError:
        return  # training reports what is wrong with it
    if made_for not in (None, study.task):
        raise UsageError("weights of another task", where=path, expected=study.task, got=made_for)
