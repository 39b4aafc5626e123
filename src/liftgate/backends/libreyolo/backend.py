"""The LibreYOLO backend: trains and predicts with LibreYOLO (MIT), in the child process alone.

Training is LibreYOLO's own. Added at its seams (trainer.py): a side-car after every epoch from which a killed run goes
on exactly (on the CPU: to the same bits), checkpoints that are replaced as a whole, and errors where it would go on
without a word: a validation that failed, a metric that it does not have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import Emit, Json, WarningEvent
from liftgate.backends.libreyolo import predictor
from liftgate.backends.libreyolo.trainer import TrainingRun
from liftgate.backends.recipe_arguments import check_recipe, known_arguments
from liftgate.errors import LiftgateError, OutOfMemory, TrainingError, UsageError


class LibreYOLO:
    """Trains and predicts boxes with LibreYOLO's YOLOX and D-FINE."""

    name = "libreyolo"

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        """Run the stage; see `Backend.train`."""
        check_recipe(job.recipe, known_arguments(self.name) or None, trainer="LibreYOLO")
        _require_detect(job.task)
        if "," in (job.device or ""):
            raise UsageError("LibreYOLO trains on one device here", got=job.device, hint="name one, such as `0`")
        return self._explained(emit, lambda: TrainingRun(job, emit, should_stop).train())

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        """Write the predictor's own detections; see `Backend.predict`."""
        _require_detect(job.task)
        return self._explained(emit, lambda: predictor.predict(job, emit))

    def _explained(self, emit: Emit, work: Callable[[], Json]) -> Json:
        """Do the work, with the log's warnings as events and errors of LibreYOLO as errors of Liftgate."""
        with _LogListener(emit):
            try:
                return work()
            except (Paused, LiftgateError):
                raise
            except Exception as error:
                text = f"{type(error).__name__}: {error}".splitlines()[0]
                if "out of memory" in str(error).lower():
                    hint = "a smaller `batch` or `imgsz`"
                    raise OutOfMemory("the device ran out of memory", got=text, hint=hint) from error
                raise TrainingError(text) from error


def _require_detect(task: str) -> None:
    if task != "detect":
        raise UsageError("LibreYOLO trains boxes only here", expected="detect", got=task)


class _LogListener(logging.Handler):
    """Turns warnings of LibreYOLO's log into events while its `with` block is open, each text once."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(logging.WARNING)
        self._emit = emit
        self._seen: set[str] = set()

    def __enter__(self) -> _LogListener:
        logging.getLogger("libreyolo").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("libreyolo").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record of the log."""
        text = record.getMessage()
        if text not in self._seen:
            self._seen.add(text)
            self._emit(WarningEvent(message=text, extra={"from": "libreyolo"}))
