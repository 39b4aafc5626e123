"""Ultralytics' trainers, with an exact state at the end of every epoch and the way back into it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine import trainer as engine
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.pose import PoseTrainer as UltralyticsPoseTrainer
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from liftgate.backends import sidecar
from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import Emit, EpochReport, WarningEvent
from liftgate.backends.training_tree import read_tree
from liftgate.backends.ultralytics import training_state
from liftgate.backends.ultralytics.atomic_checkpoint import AtomicCheckpointMixin, atomic_strip
from liftgate.backends.ultralytics.epoch import epoch_report, selected_metric, to_number
from liftgate.backends.ultralytics.log import warn_of_dropped_images
from liftgate.backends.ultralytics.machine import default_device, device_name, peak_memory_mb, versions
from liftgate.backends.ultralytics.validator import share_label_caches, suppress_to_the_end
from liftgate.errors import LiftgateError, TrainingError, UsageError

SEAMS = (
    *("setup_model", "resume_training", "preprocess_batch", "optimizer_step", "validate", "save_model", "final_eval"),
    *("_do_train", "_handle_nan_recovery", "_close_dataloader_mosaic", "label_loss_items"),
)
"""Methods of Ultralytics' trainer that this file rests on"""
_FILES = ("results.csv", "weights/best.pt", "weights/last.pt")
_NEVER = 1 << 60  # an accumulation that no batch number reaches


class TrainingRun:
    """One attempt at one training job: what Liftgate keeps in addition to the trainer."""

    def __init__(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> None:
        self.job, self.emit, self.should_stop = job, emit, should_stop
        self.device = job.device or default_device()
        self.generation: Any = None
        self.state: Any = None
        if job.resume:
            self.generation, self.state = training_state.newest_state(job, emit)
        self.resumed_after = self.state["epoch"] if self.state else 0
        self.halved: list[int] = list(self.state["halved"]) if self.state else []
        self.background = sidecar.BackgroundWriter()
        self.reloads: int = self.state["reloads"] if self.state else 0

    def train(self) -> dict[str, object]:
        """Train to the end and return the facts for the record."""
        trainer = _build_trainer(self)
        suppress_to_the_end()
        share_label_caches()
        if trainer.args.amp is True and trainer.device.type == "cuda":
            engine.check_amp = lambda model: True  # its check would download a model
        try:
            trainer.train()
        finally:
            self.background.wait()
        return self._facts(trainer)

    def _facts(self, trainer: Any) -> dict[str, object]:
        first = trainer.optimizer.param_groups[0]
        used = {
            "name": type(trainer.optimizer).__name__,
            "lr0": first["initial_lr"],
            "lr0_asked": trainer.requested["lr0"],
        }
        used |= {"name_asked": trainer.requested["optimizer"], "groups": len(trainer.optimizer.param_groups)}
        exact = trainer.device.type == "cpu" and trainer.train_loader.num_workers == 0 and trainer.world_size < 2
        return versions() | {
            "device": device_name(trainer.device),
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
            "best_fitness": to_number(trainer.stopper.best_fitness),
            "seconds": round(time.time() - trainer.train_time_start, 3),
            "peak_memory_mb": peak_memory_mb(trainer.device),
            "exact_resume": exact,
            "resumed_after": self.resumed_after,
        }


class ResumableTrainerMixin(AtomicCheckpointMixin):
    """Mixed into a trainer: exact state at the end of every epoch, and the way back into it."""

    run: TrainingRun
    requested: dict[str, object]
    """optimizer, lr0 and batch as the recipe has them: the trainer writes over its arguments"""
    _final = False
    step_at = -1
    """Number of the batch after which the optimizer last stepped; the loop keeps it in a local variable"""
    _batch_number = -1
    _accumulate: int | None = None  # the trainer's own value, while a step is held back
    _held_back = False  # after a resume: until the step at which the uninterrupted run would step

    def attach(self: Any, run: TrainingRun) -> None:
        """Tie the trainer to its run; to be called before `train`."""
        self.run, self.requested = run, {"optimizer": self.args.optimizer, "lr0": self.args.lr0}
        for name in ("on_train_start", "on_train_epoch_start", "on_train_batch_end", "on_fit_epoch_end"):
            self.add_callback(name, getattr(type(self), name))

    # Overridden methods and callbacks, in the order of the trainer's own loop.

    def setup_model(self: Any) -> Any:
        """Load the start weights; what cannot be loaded, or is of another task, is refused."""
        path = self.args.model
        try:
            loaded = super().setup_model()  # type: ignore[misc]
        except LiftgateError:
            raise
        except Exception as error:
            got = str(error).splitlines()[0] if str(error) else type(error).__name__  # further lines are advice
            hint = "a truncated download, or no YOLO model?"
            raise UsageError("the start weights cannot be loaded", where=path, got=got, hint=hint) from error
        task = guess_model_task(self.model)
        if task != self.args.task:
            raise UsageError("weights of another task", where=path, expected=self.args.task, got=task)
        return loaded

    def resume_training(self: Any, ckpt: Any) -> None:
        """Restore what the side-car holds; model, optimizer and loaders are set up by now."""
        warn_of_dropped_images(self, read_tree(self.run.job.data), self.run.emit)
        state = self.run.state
        if state is None:
            return
        if state["versions"] != versions():
            message = f"resumed under other versions: {state['versions']} before, {versions()} now"
            self.run.emit(WarningEvent(message=message, fact="versions"))
        if RANK < 1:
            sidecar.restore_files(self.run.generation, self.run.job.out, _FILES)
        training_state.restore_training(self, unwrap_model(self.model), state)
        self.start_epoch, self.step_at = state["epoch"], state["step_at"]
        self._held_back = True

    def on_train_start(self: Any) -> None:
        """Report the epoch that was trained and not reported, and end or pause where that is due."""
        state = self.run.state
        if state is None:
            return
        if self.start_epoch != state["epoch"]:
            raise TrainingError(
                "the trainer did not take the saved state", expected=state["epoch"], got=self.start_epoch
            )
        self.train_time_start -= state["elapsed"]  # the time column goes on
        self.emit_epoch(EpochReport.from_body(state["report"]))
        if state["stop"]:
            self.epoch = state["epoch"] - 1
            raise _AllEpochsDone
        if RANK <= 0 and self.is_judged(state["epoch"]) and self.run.should_stop():  # killed before it was reported
            raise Paused(f"paused after epoch {state['epoch']} of {self.epochs}")
        if self.args.close_mosaic and self.start_epoch > self.epochs - self.args.close_mosaic:
            self._close_dataloader_mosaic()  # it was closed before; the loop must not make a new iterator for it
            self._close_mosaic, self.args.close_mosaic = self.args.close_mosaic, 0

    def on_train_epoch_start(self: Any) -> None:
        """Record a batch that was halved; after a resume, restore what feeds the epoch."""
        if self.batch_size != self.requested.setdefault("batch", self.batch_size):
            self.run.halved.append(self.batch_size)
            self.requested["batch"] = self.batch_size
            self.step_at = -1
            message = f"out of memory: the batch was halved to {self.batch_size}"
            self.run.emit(WarningEvent(message=message, fact="batch_halved", extra={"batch": self.batch_size}))
        if self._held_back and self.epoch == self.start_epoch:
            if hasattr(self, "_close_mosaic"):
                self.args.close_mosaic = self._close_mosaic
            training_state.restore_data_stream(self, unwrap_model(self.model), self.run.state, rank=max(RANK, 0))
        self._batch_number = len(self.train_loader) * self.epoch - 1

    def preprocess_batch(self: Any, batch: Any) -> Any:
        """Count the batches; after a resume, hold the first optimizer step back until it is due."""
        self._batch_number += 1
        if self._held_back:  # the loop believes that no step was ever taken
            if self._batch_number - self.step_at < self.accumulate:
                self._accumulate, self.accumulate = self.accumulate, _NEVER
            else:
                self._held_back = False
        return super().preprocess_batch(batch)  # type: ignore[misc]

    def optimizer_step(self: Any) -> None:
        """Step, and note at which batch."""
        super().optimizer_step()  # type: ignore[misc]
        self.step_at = self._batch_number

    def on_train_batch_end(self: Any) -> None:
        """Give the trainer its own accumulation back."""
        if self._accumulate is not None:
            self.accumulate, self._accumulate = self._accumulate, None

    def validate(self: Any) -> Any:
        """Validate as Ultralytics does, but choose the best epoch by the metric that the job names."""
        best, select = self.best_fitness, self.run.job.select
        metrics, fitness = super().validate()  # type: ignore[misc]
        if select is None or metrics is None:
            return metrics, fitness
        value = selected_metric(metrics, select)
        self.best_fitness = value if best is None or best < value else best
        return metrics, value

    def _handle_nan_recovery(self: Any, epoch: int) -> bool:
        reloaded = bool(super()._handle_nan_recovery(epoch))  # type: ignore[misc]
        if reloaded:
            self.step_at = -1
            self.run.reloads += 1
            message = f"NaN in epoch {epoch + 1}: the last checkpoint was reloaded and the epoch is done again"
            self.run.emit(WarningEvent(message=message, fact="nan_reload", extra={"epoch": epoch + 1}))
        return reloaded

    def on_fit_epoch_end(self: Any) -> None:
        """Write the epoch's side-car during the next epoch, report the epoch, and pause on request."""
        if self._final or RANK > 0:
            return  # after the final evaluation it is called once more; of several ranks the first reports
        report = epoch_report(self, peak_memory_mb(self.device))
        out, epoch = self.run.job.out, self.epoch + 1
        state = training_state.capture_state(self, unwrap_model(self.model), report, versions())
        self.run.background.wait()
        part = sidecar.prepare(out, epoch, _FILES)

        def save(path: Path) -> None:
            training_state.write_state(state, path, check=epoch == self.start_epoch + 1)

        def commit() -> None:
            sidecar.finish(out, epoch, part, save)
            self.emit_epoch(report)  # after the commit: a reported epoch is never lost

        self.run.background.start(commit)
        if self.is_judged(epoch):
            self.run.background.wait()  # it is judged by its report, which comes after the side-car
        pause = self.run.should_stop() and not self.stop
        if pause or self.stop:
            self.run.background.wait()
        if pause:
            raise Paused(f"paused after epoch {epoch} of {self.epochs}")

    def is_judged(self: Any, epoch: int) -> bool:
        """Whether a decision point is at this epoch."""
        return any(point.at == epoch for point in self.run.job.decide)

    def emit_epoch(self: Any, report: EpochReport) -> None:
        """Report an epoch, unless that was done before the pause."""
        if report.epoch > self.run.job.reported:
            self.run.emit(report)

    def _do_train(self: Any) -> None:
        try:
            super()._do_train()  # type: ignore[misc]
        except _AllEpochsDone:  # it was killed during the final evaluation
            self.final_eval()
            if self.args.plots:
                self.plot_metrics()

    def final_eval(self: Any) -> None:
        """Evaluate best.pt as the trainer does, with both checkpoints stripped atomically."""
        self._final = True
        strip = engine.strip_optimizer
        engine.strip_optimizer = atomic_strip(strip)
        try:
            super().final_eval()  # type: ignore[misc]
        finally:
            engine.strip_optimizer = strip


class _AllEpochsDone(Exception):
    """By the side-car every epoch is trained; only the final evaluation is missing."""


class DetectTrainer(ResumableTrainerMixin, DetectionTrainer):  # type: ignore[misc]
    """Trains boxes."""


class PoseTrainer(ResumableTrainerMixin, UltralyticsPoseTrainer):  # type: ignore[misc]
    """Trains boxes with keypoints."""


TRAINERS: dict[str, type[Any]] = {"detect": DetectTrainer, "pose": PoseTrainer}


def _build_trainer(run: TrainingRun) -> Any:
    job, device = run.job, run.device
    if not Path(job.weights).is_file() and not job.weights.endswith((".yaml", ".yml")):
        raise UsageError("no such weights", where=job.weights, hint="a .pt file, or a model YAML to start from scratch")
    cpu = device == "cpu"
    bf16 = not cpu and torch.cuda.is_bf16_supported()
    kind = TRAINERS.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    defaults: dict[str, object] = {"deterministic": True, "plots": True, "amp": "bf16" if bf16 else False}
    defaults |= {"workers": 0} if cpu else {}
    fixed = {"model": job.weights, "data": str(job.data), "seed": job.seed, "device": device, "mode": "train"}
    place = {"project": str(job.out.parent), "name": job.out.name, "exist_ok": True}
    batch = {"batch": run.state["batch"]} if run.state else {}
    try:
        trainer = kind(overrides=defaults | dict(job.recipe) | fixed | place | batch)
    except (TypeError, ValueError, SyntaxError) as error:
        raise UsageError(f"the recipe cannot be used: {error}") from error
    trainer.attach(run)
    return trainer
