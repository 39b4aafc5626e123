"""LibreYOLO's trainers, with an exact state at the end of every epoch and the way back into it."""

from __future__ import annotations

import platform
import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libreyolo
import numpy as np
import torch
import yaml

from liftgate.backends import sidecar
from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import Emit, EpochReport, Json, StartedEvent, WarningEvent
from liftgate.backends.libreyolo.models import build, describe, trainer_place
from liftgate.backends.training_tree import read_tree
from liftgate.errors import TrainingError, UsageError
from liftgate.files import write_text

_FILES = ("results.csv", "metrics.jsonl", "weights/best.pt", "weights/last.pt")
_METRICS = ("precision", "recall", "mAP50", "mAP50-95")
_DEFAULTS: dict[str, object] = {
    "eval_interval": 1,  # LibreYOLO's own is 10: the best epoch would be one of every tenth
    "save_period": 0,
    "faster_coco_eval": False,  # pycocotools: one evaluator wherever it trains
}


def versions() -> dict[str, str | None]:
    """Return the versions that a training's result depends on."""
    return {
        "backend": "libreyolo",
        "version": libreyolo.__version__,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


class TrainingRun:
    """One attempt at one training job: what Liftgate keeps in addition to the trainer."""

    def __init__(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> None:
        self.job, self.emit, self.should_stop = job, emit, should_stop
        self.described = describe(job.weights)
        self.device = job.device or ("0" if torch.cuda.is_available() else "cpu")
        self.generation: Any = None
        self.state: Any = None
        if job.resume:
            self.generation, self.state = _newest_state(job, emit)
        self.trainer: Any = None
        if job.select is not None and job.select not in _METRICS:
            raise UsageError("no such metric to select by", expected=", ".join(_METRICS), got=job.select)

    def train(self) -> Json:
        """Train to the end and return the facts for the record."""
        job, resumed = self.job, 0 if self.state is None else int(self.state["epoch"])
        self.emit(StartedEvent(resumed_after=resumed, extra=versions()))
        if self.state is not None and self.state["versions"] != versions():
            message = f"resumed under other versions: {self.state['versions']} before, {versions()} now"
            self.emit(WarningEvent(message=message, fact="versions"))
        tree = read_tree(job.data)
        n_classes = len(self.described.classes) or len(tree.classes)
        model = build(self.described, n_classes=n_classes, seed=job.seed, device=self.device)
        cpu = self.device == "cpu"
        recipe: Any = _DEFAULTS | ({"workers": 0, "amp": False} if cpu else {}) | dict(job.recipe)
        place = {"project": str(job.out.parent), "name": job.out.name, "exist_ok": True}
        module, name = trainer_place(self.described.family)
        original = getattr(module, name)
        setattr(module, name, _resumable(original, self))
        try:
            model.train(data=str(job.data), device=self.device, seed=job.seed, **place, **recipe)
        except (TypeError, ValueError) as error:
            if self.trainer is None:
                raise UsageError(f"the recipe cannot be used: {error}") from error
            raise
        finally:
            setattr(module, name, original)
        return self._facts(resumed)

    def _facts(self, resumed: int) -> dict[str, object]:
        trainer = self.trainer
        return versions() | {
            "device": str(trainer.device),
            "model": f"{self.described.family}-{self.described.size}",
            "threads": torch.get_num_threads(),
            "recipe": dict(self.job.recipe),
            "args": trainer.config.to_dict(),
            "optimizer": {"name": type(trainer.optimizer).__name__, "lr0": trainer.config.lr0},
            "batch": trainer.config.batch,
            "images": {"train": len(trainer.train_loader.dataset)},
            "epochs": resumed + len(trainer.epoch_losses),
            "best_epoch": trainer.best_epoch,
            "selected_by": self.job.select or "mAP50-95 (LibreYOLO's own)",
            "best_fitness": trainer.best_mAP50_95,
            "peak_memory_mb": _peak_memory_mb(trainer.device),
            "exact_resume": trainer.device.type == "cpu" and trainer.config.workers == 0,
            "resumed_after": resumed,
        }


def _resumable(trainer: Any, run: TrainingRun) -> Any:
    """Return LibreYOLO's trainer of a family with the seams of one run."""
    attributes = {"run": run, "artifact_model_families": (run.described.family,)}
    if run.job.select is not None:
        attributes["best_metric_key"] = f"metrics/{run.job.select}"
    return type(f"Resumable{trainer.__name__}", (ResumableTrainerMixin, trainer), attributes)


class ResumableTrainerMixin:
    """Mixed into a trainer: exact state at the end of every epoch, and the way back into it."""

    run: TrainingRun
    _entered = False  # whether an epoch of this attempt has begun

    # Overridden methods and the callback, in the order of the trainer's own loop.

    def setup(self: Any) -> None:
        """Set up as LibreYOLO does, record the arguments, and restore what the side-car holds."""
        if self._is_setup:
            return
        self.run.trainer = self
        state = self.run.state
        if state is not None:  # before LibreYOLO opens its own files there
            sidecar.restore_files(self.run.generation, self.run.job.out, _FILES)
        super().setup()  # type: ignore[misc]
        self.callbacks.append(self._after_epoch)
        used = self.config.to_dict() | {"model": f"{self.run.described.family}-{self.config.size}"}
        write_text(self.run.job.out / "args.yaml", yaml.safe_dump(used, sort_keys=False))
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema_model is not None:
            self.ema_model.ema.load_state_dict(state["ema"])
            self.ema_model.updates = state["updates"]
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        for name in ("best_mAP50_95", "best_mAP50", "best_epoch", "patience_counter"):
            setattr(self, name, state[name])
        self.start_epoch = self.config.epochs if state["stop"] else state["epoch"]
        report = EpochReport.from_body(state["report"])
        if report.epoch > self.run.job.reported:  # killed between the side-car and the report
            self.run.emit(report)
            if not state["stop"] and report.epoch < self.config.epochs and self.run.should_stop():
                raise Paused(f"paused after epoch {report.epoch} of {self.config.epochs}")

    def _train_epoch(self: Any, epoch: int) -> Any:
        if self.run.state is not None and not self._entered:
            _restore_random(self.run.state)
        self._entered = True
        return super()._train_epoch(epoch)  # type: ignore[misc]

    def _run_validation(self: Any, epoch: int, **options: Any) -> Any:
        metrics = super()._run_validation(epoch, **options)  # type: ignore[misc]
        if metrics is None:  # LibreYOLO logs the error and goes on without a best epoch
            raise TrainingError(f"the validation of epoch {epoch + 1} failed", hint="the log names the reason")
        return metrics

    def _save_checkpoint(self: Any, *args: Any, **options: Any) -> None:
        """Save last.pt and best.pt as LibreYOLO does, each written aside and then renamed into its place."""
        home, part = self.save_dir, self.save_dir / ".part"
        (part / "weights").mkdir(parents=True, exist_ok=True)
        (home / "weights").mkdir(exist_ok=True)
        self.save_dir = part
        try:
            super()._save_checkpoint(*args, **options)  # type: ignore[misc]
        finally:
            self.save_dir = home
        for path in (part / "weights").iterdir():
            path.replace(home / "weights" / path.name)

    def _after_epoch(self: Any, event: Any) -> None:
        """Write the epoch's side-car, report the epoch, and pause on request."""
        report = _report(event, self.device)
        waited = event.epoch - self.best_epoch if self.best_epoch else 0
        stop = bool(self.config.patience > 0 and self.best_epoch and waited >= self.config.patience)
        state = _capture(self, report, stop)
        sidecar.commit(self.run.job.out, event.epoch, lambda path: torch.save(state, path), _FILES)
        if event.epoch > self.run.job.reported:
            self.run.emit(report)
        if self.run.should_stop() and not stop and event.epoch < self.config.epochs:
            raise Paused(f"paused after epoch {event.epoch} of {self.config.epochs}")


def _report(event: Any, device: torch.device) -> EpochReport:
    """Return the report of an epoch; a value that LibreYOLO could not compute (-1) is None."""
    metrics = {name: event.val_metrics.get(f"metrics/{name}") for name in _METRICS}
    losses = {"train/loss": event.train_loss}
    losses |= {f"train/{name}": value for name, value in event.train_loss_items.items()}
    return EpochReport(
        epoch=event.epoch,
        epochs=event.total_epochs,
        losses={name: _number(value) for name, value in losses.items()},
        metrics={name: None if value is None or value < 0 else _number(value) for name, value in metrics.items()},
        fitness=_number(event.current_metric),
        lr={f"lr/{name}": float(value) for name, value in event.lr.items()},
        seconds=round(event.epoch_seconds, 3),
        peak_memory_mb=_peak_memory_mb(device),
    )


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)


def _capture(trainer: Any, report: EpochReport, stop: bool) -> Json:
    """Return the state at the end of an epoch, in types that a safe load takes."""
    numbers: Any = np.random.get_state()
    ema = trainer.ema_model
    return {
        "epoch": report.epoch,
        "versions": versions(),
        "report": report.to_body(),
        "stop": stop,
        "model": trainer.model.state_dict(),
        "ema": {} if ema is None else ema.ema.state_dict(),
        "updates": 0 if ema is None else ema.updates,
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": {} if trainer.scaler is None else trainer.scaler.state_dict(),
        **{name: getattr(trainer, name) for name in ("best_mAP50_95", "best_mAP50", "best_epoch", "patience_counter")},
        "random": [random.getstate()[0], list(random.getstate()[1]), random.getstate()[2]],
        "numpy": [numbers[0], torch.from_numpy(numbers[1].astype(np.int64)), *numbers[2:]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
    }


def _restore_random(state: Json) -> None:
    version, inner, gauss = state["random"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _newest_state(job: TrainJob, emit: Emit) -> tuple[sidecar.Generation, Any]:
    """Return the newest generation that can be read, and its state.

    Raises:
        TrainingError: none can be read; a silent new start would hide the loss.
    """
    for generation in sidecar.generations(job.out):
        found = generation.damage()
        if not found:
            try:
                return generation, torch.load(generation.state, map_location="cpu", weights_only=True)
            except Exception as error:
                found = type(error).__name__
        emit(WarningEvent(message=f"the state of epoch {generation.epoch} is damaged ({found}): going back one"))
    hint = f"train.log may have the reason; {sidecar.UNREADABLE_HINT}"
    raise TrainingError("no saved state of this run can be read", where=Path(job.out) / "state", hint=hint)


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return round(float(torch.cuda.max_memory_allocated(device)) / 2**20, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1)
