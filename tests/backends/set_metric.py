"""The Ultralytics backend with a metric that the test sets: how a training ends does not depend on the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, Json

RISING = 3
"""The metric rises until this epoch and stays there, however well the model learns."""


class SetMetric:
    """Trains as Ultralytics does; the metric that early stopping goes by is min(epoch, RISING) / 10."""

    name = "set-metric"

    def __init__(self) -> None:
        from liftgate.backends.ultralytics.backend import Ultralytics

        self._inner = Ultralytics()

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        from ultralytics.models.yolo.detect import DetectionTrainer

        through = DetectionTrainer.validate

        def validate(trainer: Any) -> Any:
            best, (metrics, _) = trainer.best_fitness, through(trainer)
            fitness = min(trainer.epoch + 1, RISING) / 10
            trainer.best_fitness = fitness if best is None else max(best, fitness)
            return metrics, fitness

        DetectionTrainer.validate = validate
        return self._inner.train(job, emit, should_stop)
