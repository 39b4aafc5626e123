"""The Ultralytics backend, which also writes down the images of each batch: for the test of what arms see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, Json


class Watched:
    """Trains as Ultralytics does; `order.txt` in its results has a line for each batch."""

    name = "watched"

    def __init__(self) -> None:
        from liftgate.backends.ultralytics.backend import Ultralytics

        self._inner = Ultralytics()

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        from liftgate.backends.ultralytics.trainer import ResumableTrainerMixin

        through = ResumableTrainerMixin.preprocess_batch

        def preprocess_batch(trainer: Any, batch: Any) -> Any:
            with (job.out / "order.txt").open("a") as file:
                file.write(" ".join(Path(image).name for image in batch["im_file"]) + "\n")
            return through(trainer, batch)

        ResumableTrainerMixin.preprocess_batch = preprocess_batch  # type: ignore[method-assign]
        return self._inner.train(job, emit, should_stop)
