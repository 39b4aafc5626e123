"""Smoke run: one epoch of a stage on the real machine, in a folder that vanishes."""

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
    """Return what the chain of a stage starts from: what the stage before leaves is not there yet, and as large."""
    name = next(stage.weights for stage in reversed(arm.stages[: number + 1]) if stage.weights is not None)
    return resolve_weights(name, context.study.folder)


def smoke(context: Context, arm: Arm, number: int, recipe: Json, *, stop: Callable[[], bool]) -> launch.TrainOutcome:
    """Train one epoch of a stage; only the numbers of what it left can be read, its files are gone.

    Args:
        context: the study.
        arm: the arm of the stage.
        number: the stage, from 0.
        recipe: what to train by; its number of epochs does not count.
        stop: whether to stop.

    Raises:
        Stopped: `stop` asked for it.
        TrainingError: the epoch failed; better now than at night.
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
        return launch.train(job, backend=study.backend, folder=folder, on_event=lambda event: None, stop=stop)
    except Paused:
        raise Stopped("stopped in a measured epoch", hint="the same command measures again") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
