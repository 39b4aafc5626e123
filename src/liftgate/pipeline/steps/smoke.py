"""Smoke run: train one epoch of a stage on the real machine, in a temporary folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import Json
from liftgate.errors import Stopped
from liftgate.pipeline.context import Context
from liftgate.study.records import Arm
from liftgate.training import launch
from liftgate.training.start_weights import StartWeights, resolve_weights


def first_weights(context: Context, arm: Arm, number: int) -> StartWeights:
    """Return the weights that the chain of a stage starts from, as those of the previous stage do not exist yet."""
    name = next(stage.weights for stage in reversed(arm.stages[: number + 1]) if stage.weights is not None)
    return resolve_weights(name, context.study.folder)


def smoke(context: Context, arm: Arm, number: int, recipe: Json, *, stop: Callable[[], bool]) -> launch.TrainOutcome:
    """Train one epoch of a stage and return the outcome; its files are deleted.

    Args:
        context: the study.
        arm: the arm of the stage.
        number: of the stage, from 0.
        recipe: of the training; its number of epochs is ignored.
        stop: returns whether to stop.

    Raises:
        Stopped: `stop` returned True.
        TrainingError: the epoch failed.
    """
    study, stage = context.study, arm.stages[number]
    folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=context.workspace.folder))
    try:
        job = TrainJob(
            weights=first_weights(context, arm, number).path,
            data=context.datasets.training_tree(stage),
            recipe={**recipe, "epochs": 1},
            seed=study.seeds[0],
            task=study.task,
            out=folder / "results",
            device=study.device,
            select=stage.select,
        )
        return launch.train(job, backend=study.backend_of(arm), folder=folder, on_event=lambda event: None, stop=stop)
    except Paused:
        raise Stopped("stopped in a measured epoch", hint="the same command measures again") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
