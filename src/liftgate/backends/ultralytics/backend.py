"""The Ultralytics backend: trains and predicts with Ultralytics YOLO, in the child process alone.

Training is Ultralytics' own, unchanged. Added at its seams (trainer.py): a side-car after every epoch from which a
killed run goes on exactly (on the CPU: to the same bits), checkpoints that are replaced as a whole, and a record of
what silently changes an experiment (a batch halved, a checkpoint reloaded after NaN, an optimizer of its own choice).
Predictions of a split come from its validator (predictor.py), so they are the ones behind its own figures; detections
on any images from its predictor (detector.py), as a program would get them; exports from its exporter (exporter.py).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable

import ultralytics
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import SETTINGS

from liftgate.backends.base import DetectJob, ExportJob, Paused, PredictJob, TrainJob
from liftgate.backends.events import Emit, Json, StartedEvent
from liftgate.backends.recipe_arguments import check_recipe
from liftgate.backends.ultralytics import detector, exporter, predictor
from liftgate.backends.ultralytics.compiler import import_compiler_late
from liftgate.backends.ultralytics.log import LogListener, explain_error
from liftgate.backends.ultralytics.machine import versions
from liftgate.backends.ultralytics.safe_loading import demand_safe_loading
from liftgate.backends.ultralytics.trainer import SEAMS, TrainingRun
from liftgate.errors import LiftgateError, UsageError


class Ultralytics:
    """Trains and predicts with Ultralytics YOLO, tasks detect and pose."""

    name = "ultralytics"

    def __init__(self) -> None:
        missing = [name for name in SEAMS if not hasattr(BaseTrainer, name)]
        if missing:
            what = f"Ultralytics {ultralytics.__version__} has no {', '.join(missing)}: its trainer was rebuilt"
            raise UsageError(what, hint=f"install {_supported()}")
        for name, value in dict(SETTINGS).items():
            if value is True:  # an integration that our settings file does not know yet
                SETTINGS[name] = False

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        """Run the stage; see `Backend.train`."""
        check_recipe(job.recipe)
        if not job.recipe.get("compile"):
            import_compiler_late()
        demand_safe_loading()
        with LogListener(emit) as listener:
            run = TrainingRun(job, emit, should_stop)
            devices = len(run.device.split(","))
            emit(StartedEvent(resumed_after=run.resumed_after, devices=devices, extra=versions()))
            try:
                return run.train() | {"warnings": listener.messages}
            except (Paused, LiftgateError):
                raise
            except Exception as error:
                raise explain_error(error) from error

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        """Write the validator's own predictions; see `Backend.predict`."""
        import_compiler_late()
        demand_safe_loading()
        return predictor.predict(job, emit)

    def detect(self, job: DetectJob, emit: Emit) -> Json:
        """Write the predictor's own detections; see `Exporter.detect`."""
        import_compiler_late()
        demand_safe_loading()
        return detector.detect(job, emit)

    def export(self, job: ExportJob, emit: Emit) -> Json:
        """Write the model with Ultralytics' own exporter; see `Exporter.export`."""
        import_compiler_late()
        demand_safe_loading()
        return exporter.export(job, emit)


def _supported() -> str:
    """Return the versions of Ultralytics that this package asks for, as its metadata has them."""
    required = importlib.metadata.requires("liftgate") or []
    return next((one.partition(";")[0].strip() for one in required if one.startswith("ultralytics")), "ultralytics")
