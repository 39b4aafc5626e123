"""The Ultralytics backend with validation figures by a script: for tests of what follows from them on any machine.

How a training really goes differs from one processor to the next; a script is the same on all of them, and for a run
that was killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, Json

SCRIPT = "LIFTGATE_TEST_SCRIPT"
"""Variable with the script as JSON: a metric of Ultralytics, or `fitness` → its value in each epoch"""


class Scripted:
    """Trains as Ultralytics does; what is validated is replaced by the script."""

    name = "scripted"

    def __init__(self) -> None:
        from liftgate.backends.ultralytics.backend import Ultralytics

        self._inner = Ultralytics()

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        from ultralytics.engine.trainer import BaseTrainer

        script: dict[str, list[float]] = json.loads(os.environ[SCRIPT])
        validate = BaseTrainer.validate

        def scripted(trainer: Any) -> Any:
            best = trainer.best_fitness
            metrics, fitness = validate(trainer)
            figures = {name: values[min(trainer.epoch, len(values) - 1)] for name, values in script.items()}
            fitness = figures.pop("fitness", fitness)
            trainer.best_fitness = fitness if best is None or best < fitness else best
            return {**metrics, **figures}, fitness

        BaseTrainer.validate = scripted  # type: ignore[method-assign]
        return self._inner.train(job, emit, should_stop)
