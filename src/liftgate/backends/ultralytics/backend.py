"""The Ultralytics backend: the only file that imports ultralytics; it runs in the child process alone.

Training is Ultralytics' own, unchanged. What is added sits at its seams: a side-car after every epoch from which a
killed run goes on exactly (on the CPU: to the same bits), checkpoints that are replaced and not rewritten, and a
record of what silently changes an experiment (a batch halved, a checkpoint reloaded after NaN, an optimizer of its
own choice). Predictions come from its validator, so that they are those behind its own figures.
"""

from __future__ import annotations

import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics
from ultralytics.engine import trainer as engine
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator
from ultralytics.models.yolo.pose import PoseTrainer, PoseValidator
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import RANK, SETTINGS
from ultralytics.utils.torch_utils import unwrap_model

from liftgate.backends import sidecar
from liftgate.backends.base import Event, Paused, PredictJob, TrainJob
from liftgate.backends.recipe_arguments import check_recipe
from liftgate.backends.training_tree import read_tree
from liftgate.backends.ultralytics import training_state as states
from liftgate.backends.ultralytics import validator as collecting
from liftgate.backends.ultralytics.atomic_checkpoint import AtomicCheckpointMixin, whole
from liftgate.backends.ultralytics.log import Emit, LogListener, chosen_optimizer, explain, number, warn_of_dropped
from liftgate.backends.ultralytics.log import report as epoch_report
from liftgate.backends.ultralytics.validator import PredictionCollector
from liftgate.errors import LiftgateError, TrainingError, UsageError

_FILES = ("results.csv", "weights/best.pt", "weights/last.pt")
_SEAMS = (
    *("setup_model", "resume_training", "preprocess_batch", "optimizer_step", "validate", "save_model", "final_eval"),
    *("_do_train", "_handle_nan_recovery", "_close_dataloader_mosaic", "label_loss_items"),
)
"""Methods of Ultralytics' trainer that Liftgate stands on"""
_NEVER = 1 << 60  # an accumulation that no batch number reaches


class Ultralytics:
    """Trains and predicts with Ultralytics YOLO, tasks detect and pose."""

    name = "ultralytics"

    def __init__(self) -> None:
        missing = [name for name in _SEAMS if not hasattr(engine.BaseTrainer, name)]
        if missing:
            what = f"Ultralytics {ultralytics.__version__} has no {', '.join(missing)}: its trainer was rebuilt"
            raise UsageError(what, hint="install a version between 8.4.100 and 8.4.190")
        for name, value in dict(SETTINGS).items():
            if value is True:  # an integration that our settings file does not know yet
                SETTINGS[name] = False

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Mapping[str, Any]:
        """Run the stage; see `Backend.train`."""
        check_recipe(job.recipe)
        with LogListener(emit) as ear:
            run = _Run(job, emit, should_stop)
            began = {"message": "training", "resumed_after": run.resumed_after, "devices": len(run.device.split(","))}
            emit(Event("started", began | _versions()))
            try:
                return run.go() | {"warnings": ear.heard}
            except (Paused, LiftgateError):
                raise
            except Exception as error:
                raise explain(error) from error

    def predict(self, job: PredictJob, emit: Emit) -> Mapping[str, Any]:
        """Write the validator's own predictions; see `Backend.predict`."""
        tree, asked = read_tree(job.data), collecting.asked(job)
        with LogListener(emit) as ear, tempfile.TemporaryDirectory() as scratch:
            validator = _validator(job, asked, Path(scratch))
            try:
                validator()
            except LiftgateError:
                raise
            except Exception as error:
                raise explain(error) from error
            if ear.lost_boxes:
                hint = "a smaller `batch`, or a faster device; the images after it would count as empty"
                raise TrainingError("non-maximum suppression gave up on a batch", where=job.out, hint=hint)
        machine = {
            "backend": self.name,
            "version": ultralytics.__version__,
            "torch": str(torch.__version__),
            "device": _device_name(validator.device),
        }
        return collecting.write(job, tree, validator, machine, emit)


class _Run:
    """One attempt at one training job: what Liftgate knows beside the trainer."""

    def __init__(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> None:
        self.job, self.emit, self.should_stop = job, emit, should_stop
        self.device = job.device or _any_device()
        self.generation: Any = None
        self.state: Any = None
        if job.resume:
            self.generation, self.state = states.newest(job, emit)
        self.resumed_after = self.state["epoch"] if self.state else 0
        self.halved: list[int] = list(self.state["halved"]) if self.state else []
        self.background = sidecar.Background()
        self.reloads: int = self.state["reloads"] if self.state else 0

    def go(self) -> dict[str, Any]:
        trainer = _trainer(self)
        if trainer.args.amp is True and trainer.device.type == "cuda":
            engine.check_amp = lambda model: True  # its check would download a model; asked for is asked for
        try:
            trainer.train()
        finally:
            self.background.wait()
        return self._facts(trainer)

    def _facts(self, trainer: Any) -> dict[str, Any]:
        first = trainer.optimizer.param_groups[0]
        used = {"name": type(trainer.optimizer).__name__, "lr0": first["initial_lr"], "lr0_asked": trainer.asked["lr0"]}
        used |= {"name_asked": trainer.asked["optimizer"], "groups": len(trainer.optimizer.param_groups)}
        exact = trainer.device.type == "cpu" and trainer.train_loader.num_workers == 0 and trainer.world_size < 2
        return _versions() | {
            "device": _device_name(trainer.device),
            "devices": max(trainer.world_size, 1),
            "threads": torch.get_num_threads(),
            "recipe": dict(self.job.recipe),
            "args": dict(vars(trainer.args)),
            "optimizer": used,
            "batch": trainer.batch_size,
            "batch_halved": self.halved,
            "nan_reloads": self.reloads,
            "images": {"train": len(trainer.train_loader.dataset), "val": len(trainer.test_loader.dataset)},
            "epochs": trainer.epoch + 1,
            "best_epoch": trainer.stopper.best_epoch,
            "selected_by": self.job.select or "mAP50-95 (Ultralytics' fitness)",
            "best_fitness": number(trainer.stopper.best_fitness),
            "seconds": round(time.time() - trainer.train_time_start, 3),
            "peak_memory_mb": _peak_memory(trainer.device),
            "exact_resume": exact,
            "resumed_after": self.resumed_after,
        }


class ResumableTrainerMixin(AtomicCheckpointMixin):
    """Mixed into a trainer: exact state at the end of every epoch, and the way back into it."""

    run: _Run
    asked: dict[str, Any]
    _final = False
    _step_at = -1  # number of the batch after which the optimizer last stepped; the loop keeps it in a local
    _batch_number = -1
    _hidden: int | None = None
    _realign = False

    def attach(self: Any, run: _Run) -> None:
        self.run, self.asked = run, {"optimizer": self.args.optimizer, "lr0": self.args.lr0}
        for name in ("on_train_start", "on_train_epoch_start", "on_train_batch_end", "on_fit_epoch_end"):
            self.add_callback(name, getattr(type(self), name))

    # Where the trainer hands over, in the order of its own loop.

    def setup_model(self: Any) -> Any:
        path = self.args.model
        try:
            loaded = super().setup_model()  # type: ignore[misc]
        except LiftgateError:
            raise
        except Exception as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__  # advice follows, not for here
            hint = "a truncated download, or no YOLO model?"
            raise UsageError("the start weights cannot be loaded", where=path, got=said, hint=hint) from error
        task = guess_model_task(self.model)
        if task != self.args.task:
            raise UsageError("weights of another task", where=path, expected=self.args.task, got=task)
        return loaded

    def resume_training(self: Any, ckpt: Any) -> None:
        """Called when model, optimizer and loaders stand: put back what the side-car holds."""
        warn_of_dropped(self, read_tree(self.run.job.data), self.run.emit)
        state = self.run.state
        if state is None:
            return
        if state["versions"] != _versions():
            message = f"resumed under other versions: {state['versions']} before, {_versions()} now"
            self.run.emit(Event("warning", {"message": message, "fact": "versions"}))
        if RANK < 1:
            sidecar.restore_files(self.run.generation, self.run.job.out, _FILES)
        states.put_back(self, unwrap_model(self.model), state)
        self.start_epoch, self._step_at = state["epoch"], state["step_at"]
        self._realign = True

    def on_train_start(self: Any) -> None:
        state = self.run.state
        if state is None:
            return
        if self.start_epoch != state["epoch"]:
            raise TrainingError(
                "the trainer did not take the saved state", expected=state["epoch"], got=self.start_epoch
            )
        self.train_time_start -= state["elapsed"]  # the time column goes on
        self.emit_epoch(state["report"])
        if state["stop"]:
            self.epoch = state["epoch"] - 1
            raise _AllEpochsDone
        if RANK <= 0 and self.is_judged(state["epoch"]) and self.run.should_stop():  # killed before it was reported
            raise Paused(f"paused after epoch {state['epoch']} of {self.epochs}")
        if self.args.close_mosaic and self.start_epoch > self.epochs - self.args.close_mosaic:
            self._close_dataloader_mosaic()  # it was closed before; the loop must not make a new iterator for it
            self._close_mosaic, self.args.close_mosaic = self.args.close_mosaic, 0

    def on_train_epoch_start(self: Any) -> None:
        if self.batch_size != self.asked.setdefault("batch", self.batch_size):
            self.run.halved.append(self.batch_size)
            self.asked["batch"] = self.batch_size
            self._step_at = -1
            message = f"out of memory: the batch was halved to {self.batch_size}"
            self.run.emit(Event("warning", {"message": message, "fact": "batch_halved", "batch": self.batch_size}))
        if self._realign and self.epoch == self.start_epoch:
            if hasattr(self, "_close_mosaic"):
                self.args.close_mosaic = self._close_mosaic
            states.put_back_stream(self, unwrap_model(self.model), self.run.state, rank=max(RANK, 0))
        self._batch_number = len(self.train_loader) * self.epoch - 1

    def preprocess_batch(self: Any, batch: Any) -> Any:
        self._batch_number += 1
        if self._realign:  # the loop believes that no step was ever taken: hold it back until the step is due
            if self._batch_number - self._step_at < self.accumulate:
                self._hidden, self.accumulate = self.accumulate, _NEVER
            else:
                self._realign = False
        return super().preprocess_batch(batch)  # type: ignore[misc]

    def optimizer_step(self: Any) -> None:
        super().optimizer_step()  # type: ignore[misc]
        self._step_at = self._batch_number

    def on_train_batch_end(self: Any) -> None:
        if self._hidden is not None:
            self.accumulate, self._hidden = self._hidden, None

    def validate(self: Any) -> Any:
        """As Ultralytics, but the best epoch is chosen by the metric that the job names."""
        best, select = self.best_fitness, self.run.job.select
        metrics, fitness = super().validate()  # type: ignore[misc]
        if select is None or metrics is None:
            return metrics, fitness
        value = chosen_optimizer(metrics, select)
        self.best_fitness = value if best is None or best < value else best
        return metrics, value

    def _handle_nan_recovery(self: Any, epoch: int) -> bool:
        reloaded = bool(super()._handle_nan_recovery(epoch))  # type: ignore[misc]
        if reloaded:
            self._step_at = -1
            self.run.reloads += 1
            message = f"NaN in epoch {epoch + 1}: the last checkpoint was reloaded and the epoch is done again"
            self.run.emit(Event("warning", {"message": message, "fact": "nan_reload", "epoch": epoch + 1}))
        return reloaded

    def on_fit_epoch_end(self: Any) -> None:
        if self._final or RANK > 0:
            return  # the extra call after the final evaluation is no epoch; of several ranks the first reports
        report = epoch_report(self, _peak_memory(self.device))
        out, epoch = self.run.job.out, self.epoch + 1
        state = states.take(self, unwrap_model(self.model), report, _versions())
        self.run.background.wait()
        part = sidecar.prepare(out, epoch, _FILES)

        def commit() -> None:
            sidecar.finish(
                out, epoch, part, lambda path: states.write(state, path, check=epoch == self.start_epoch + 1)
            )
            self.emit_epoch(report)  # after the commit: a reported epoch is never lost

        self.run.background.start(commit)
        if self.is_judged(epoch):
            self.run.background.wait()  # it is judged by its report: without this, one epoch too late
        pause = self.run.should_stop() and not self.stop
        if pause or self.stop:
            self.run.background.wait()
        if pause:
            raise Paused(f"paused after epoch {epoch} of {self.epochs}")

    def is_judged(self: Any, epoch: int) -> bool:
        """Whether somebody decides by this epoch's report."""
        return any(point["at"] == epoch for point in self.run.job.decide)

    def emit_epoch(self: Any, report: Mapping[str, Any]) -> None:
        if report["epoch"] > self.run.job.reported:
            self.run.emit(Event("epoch", report))

    def _do_train(self: Any) -> None:
        try:
            super()._do_train()  # type: ignore[misc]
        except _AllEpochsDone:  # it was killed during the final evaluation
            self.final_eval()
            if self.args.plots:
                self.plot_metrics()

    def final_eval(self: Any) -> None:
        self._final = True
        strip = engine.strip_optimizer
        engine.strip_optimizer = whole(strip)
        try:
            super().final_eval()  # type: ignore[misc]
        finally:
            engine.strip_optimizer = strip


class _AllEpochsDone(Exception):
    """The side-car says that every epoch is trained; only the final evaluation is missing."""


class DetectTrainer(ResumableTrainerMixin, DetectionTrainer):  # type: ignore[misc]
    pass


class _PoseTrainer(ResumableTrainerMixin, PoseTrainer):  # type: ignore[misc]
    pass


def _any_device() -> str:
    return "0" if torch.cuda.is_available() else "cpu"


def _trainer(run: _Run) -> Any:
    job, device = run.job, run.device
    if not Path(job.weights).is_file() and not job.weights.endswith((".yaml", ".yml")):
        raise UsageError("no such weights", where=job.weights, hint="a .pt file, or a model YAML to start from scratch")
    cpu = device == "cpu"
    bf16 = not cpu and torch.cuda.is_bf16_supported()
    kind = {"detect": DetectTrainer, "pose": _PoseTrainer}.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    chosen_optimizer: dict[str, Any] = {"deterministic": True, "plots": True, "amp": "bf16" if bf16 else False}
    chosen_optimizer |= {"workers": 0} if cpu else {}
    fixed = {"model": job.weights, "data": str(job.data), "seed": job.seed, "device": device, "mode": "train"}
    place = {"project": str(job.out.parent), "name": job.out.name, "exist_ok": True}
    batch = {"batch": run.state["batch"]} if run.state else {}
    try:
        trainer = kind(overrides=chosen_optimizer | dict(job.recipe) | fixed | place | batch)
    except (TypeError, ValueError, SyntaxError) as error:
        raise UsageError(f"the recipe cannot be used: {error}") from error
    trainer.attach(run)
    return trainer


def _task_of(model: Any) -> str | None:
    """Return the task of a model or an export; None: it does not say."""
    inner = getattr(model, "model", None)
    task = guess_model_task(inner) if isinstance(inner, torch.nn.Module) else getattr(model, "task", None)
    return None if task is None else str(task)


class _DetectCollector(PredictionCollector, DetectionValidator):  # type: ignore[misc]
    task_of = staticmethod(_task_of)


class _PoseCollector(PredictionCollector, PoseValidator):  # type: ignore[misc]
    task_of = staticmethod(_task_of)


def _validator(job: PredictJob, asked: Mapping[str, Any], scratch: Path) -> Any:
    kind = {"detect": _DetectCollector, "pose": _PoseCollector}.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    device = (job.device or _any_device()).split(",")[0]  # of several, one predicts
    fixed = {"model": job.weights, "data": str(job.data), "split": job.split, "device": device, "rect": True}
    quiet = {"plots": False, "save_json": False, "verbose": False, "workers": 0 if device == "cpu" else 4}
    return kind(save_dir=scratch, args={"task": job.task, "mode": "val", **asked, **fixed, **quiet})


def _versions() -> dict[str, Any]:
    return {
        "backend": "ultralytics",
        "version": ultralytics.__version__,
        "torch": str(torch.__version__),  # a class of its own, which a safe load refuses
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _device_name(device: torch.device) -> str:
    return str(torch.cuda.get_device_name(device) if device.type == "cuda" else device.type)


def _peak_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return round(float(torch.cuda.max_memory_allocated(device)) / 2**20, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
