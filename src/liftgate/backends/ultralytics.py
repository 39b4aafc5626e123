"""The Ultralytics backend: the only file that imports ultralytics and torch; it runs in the child process alone.

Training is Ultralytics' own, unchanged. What is added sits at its seams: a side-car after every epoch from which a
killed run goes on exactly (on the CPU: to the same bits), checkpoints that are replaced and not rewritten, and a
record of what silently changes an experiment (a batch halved, a checkpoint reloaded after NaN, an optimizer of its
own choice). Predictions come from its validator, so that they are those behind its own figures.
"""

from __future__ import annotations

import platform
import random
import resource
import shutil
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
from ultralytics.utils import SETTINGS
from ultralytics.utils.torch_utils import unwrap_model

from liftgate.backends import detections, sidecar
from liftgate.backends.arguments import check_recipe
from liftgate.backends.base import Event, Paused, PredictJob, TrainJob
from liftgate.backends.heard import Ear, explain, number, plain_name, warn_of_dropped
from liftgate.backends.heard import report as epoch_report
from liftgate.backends.tree import Tree, read_tree
from liftgate.errors import LiftgateError, TrainingError, UsageError

Emit = Callable[[Event], None]

_FILES = ("results.csv", "weights/best.pt", "weights/last.pt")
_SEAMS = (
    *("setup_model", "resume_training", "preprocess_batch", "optimizer_step", "validate", "save_model", "final_eval"),
    *("_do_train", "_handle_nan_recovery", "_close_dataloader_mosaic", "label_loss_items"),
)
"""Methods of Ultralytics' trainer that Liftgate stands on"""
_NEVER = 1 << 60  # an accumulation that no batch number reaches
_DEFAULTS = {"imgsz": 640, "conf": 0.001, "iou": 0.7, "max_det": 300, "batch": 16}


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
        with Ear(emit) as ear:
            run = _Run(job, emit, should_stop)
            emit(Event("started", {"message": "training", "resumed_after": run.resumed_after, **_versions()}))
            try:
                return run.go() | {"warnings": ear.heard}
            except (Paused, LiftgateError):
                raise
            except Exception as error:
                raise explain(error) from error

    def predict(self, job: PredictJob, emit: Emit) -> Mapping[str, Any]:
        """Write the validator's own predictions; see `Backend.predict`."""
        unknown = job.settings.keys() - _DEFAULTS.keys()
        if unknown:
            raise UsageError("unknown prediction setting", expected=", ".join(_DEFAULTS), got=", ".join(unknown))
        tree = read_tree(job.data)
        asked = _DEFAULTS | dict(job.settings)
        with Ear(emit) as ear, tempfile.TemporaryDirectory() as scratch:
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
        return _write(job, tree, validator, emit)


class _Run:
    """One attempt at one training job: what Liftgate knows beside the trainer."""

    def __init__(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> None:
        self.job, self.emit, self.should_stop = job, emit, should_stop
        self.generation: Any = None
        self.state: Any = None
        if job.resume:
            self.generation, self.state = _newest(job, emit)
        self.resumed_after = self.state["epoch"] if self.state else 0
        self.halved: list[int] = list(self.state["halved"]) if self.state else []
        self.background = sidecar.Background()
        self.reloads: int = self.state["reloads"] if self.state else 0

    def go(self) -> dict[str, Any]:
        device = self.job.device or ("0" if torch.cuda.is_available() else "cpu")
        trainer = _trainer(self, device)
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
        exact = trainer.device.type == "cpu" and trainer.train_loader.num_workers == 0
        return _versions() | {
            "device": _device_name(trainer.device),
            "threads": torch.get_num_threads(),
            "recipe": dict(self.job.recipe),
            "args": dict(vars(trainer.args)),
            "optimizer": used
            | {"name_asked": trainer.asked["optimizer"], "groups": len(trainer.optimizer.param_groups)},
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


class _Resumable:
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
            what = f"the start weights cannot be loaded: {type(error).__name__}: {error}"
            raise UsageError(what, where=path, hint="a truncated download, or no YOLO model?") from error
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
        sidecar.restore_files(self.run.generation, self.run.job.out, _FILES)
        model = unwrap_model(self.model)
        model.load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        vars(self.stopper).update(state["stopper"])
        self.best_fitness, self.fitness, self.metrics = state["best_fitness"], state["fitness"], state["metrics"]
        if state["criterion"] is not None:
            model.criterion = model.init_criterion()
            model.criterion.updates = state["criterion"] - 1
            model.criterion.update()
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
            _restore_stream(self, self.run.state)
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
        named = {plain_name(name): value for name, value in metrics.items() if name.startswith("metrics/")}
        if select not in named:
            raise UsageError("no such metric to select by", expected=", ".join(named), got=select)
        self.best_fitness = named[select] if best is None or best < named[select] else best
        return metrics, named[select]

    def _handle_nan_recovery(self: Any, epoch: int) -> bool:
        reloaded = bool(super()._handle_nan_recovery(epoch))  # type: ignore[misc]
        if reloaded:
            self._step_at = -1
            self.run.reloads += 1
            message = f"NaN in epoch {epoch + 1}: the last checkpoint was reloaded and the epoch is done again"
            self.run.emit(Event("warning", {"message": message, "fact": "nan_reload", "epoch": epoch + 1}))
        return reloaded

    def save_model(self: Any) -> Any:
        """As Ultralytics, but each file takes its place whole."""
        places = self.wdir, self.last, self.best
        part = self.wdir / ".part"
        self.wdir, self.last, self.best = part, part / "last.pt", part / "best.pt"
        try:
            saved = super().save_model()  # type: ignore[misc]
        finally:
            self.wdir, self.last, self.best = places
        for path in part.iterdir():
            path.replace(self.wdir / path.name)
        part.rmdir()
        return saved

    def on_fit_epoch_end(self: Any) -> None:
        if self._final:
            return  # the extra call after the final evaluation is no epoch
        report = epoch_report(self, _peak_memory(self.device))
        out, epoch, state = self.run.job.out, self.epoch + 1, _snapshot(_state(self, report))
        self.run.background.wait()
        part = sidecar.prepare(out, epoch, _FILES)

        def commit() -> None:
            sidecar.finish(out, epoch, part, lambda path: _save(state, path, check=epoch == self.start_epoch + 1))
            self.emit_epoch(report)  # after the commit: a reported epoch is never lost

        self.run.background.start(commit)
        pause = self.run.should_stop() and not self.stop
        if pause or self.stop:
            self.run.background.wait()
        if pause:
            raise Paused(f"paused after epoch {epoch} of {self.epochs}")

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

        def whole(path: Path, *args: Any, **how: Any) -> Any:
            """As Ultralytics, which writes in place: a kill would tear the file, and the side-car's link with it."""
            copy = path.with_name(f".{path.name}")
            shutil.copyfile(path, copy)
            stripped = strip(copy, *args, **how)
            copy.replace(path)
            return stripped

        engine.strip_optimizer = whole
        try:
            super().final_eval()  # type: ignore[misc]
        finally:
            engine.strip_optimizer = strip


class _AllEpochsDone(Exception):
    """The side-car says that every epoch is trained; only the final evaluation is missing."""


class _DetectTrainer(_Resumable, DetectionTrainer):  # type: ignore[misc]
    pass


class _PoseTrainer(_Resumable, PoseTrainer):  # type: ignore[misc]
    pass


def _trainer(run: _Run, device: str) -> Any:
    job = run.job
    if not Path(job.weights).is_file() and not job.weights.endswith((".yaml", ".yml")):
        raise UsageError("no such weights", where=job.weights, hint="a .pt file, or a model YAML to start from scratch")
    if "," in device:
        hint = "several GPUs train faster one arm or seed each: `device: 0`"
        raise UsageError("one run uses one device", got=device, hint=hint)
    cpu = device == "cpu"
    bf16 = not cpu and torch.cuda.is_bf16_supported()
    kind = {"detect": _DetectTrainer, "pose": _PoseTrainer}.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    chosen: dict[str, Any] = {"deterministic": True, "plots": True, "amp": "bf16" if bf16 else False}
    if cpu:
        chosen["workers"] = 0
    fixed = {"model": job.weights, "data": str(job.data), "seed": job.seed, "device": device, "mode": "train"}
    place = {"project": str(job.out.parent), "name": job.out.name, "exist_ok": True}
    batch = {"batch": run.state["batch"]} if run.state else {}
    try:
        trainer = kind(overrides=chosen | dict(job.recipe) | fixed | place | batch)
    except (TypeError, ValueError, SyntaxError) as error:
        raise UsageError(f"the recipe cannot be used: {error}") from error
    trainer.attach(run)
    return trainer


def _state(trainer: Any, report: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the next epoch depends on, in types that a safe load takes."""
    model = unwrap_model(trainer.model)
    numbers: Any = np.random.get_state()
    updates = getattr(getattr(model, "criterion", None), "updates", None)
    return {
        "epoch": trainer.epoch + 1,
        "versions": _versions(),
        "report": dict(report),
        "stop": bool(trainer.stop),
        "batch": int(trainer.batch_size),
        "halved": trainer.run.halved,
        "reloads": trainer.run.reloads,
        "elapsed": time.time() - trainer.train_time_start,
        "model": model.state_dict(),
        "ema": trainer.ema.ema.state_dict(),
        "updates": trainer.ema.updates,
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "stopper": {name: number(value) for name, value in vars(trainer.stopper).items()},
        "best_fitness": number(trainer.best_fitness),
        "fitness": number(trainer.fitness),
        "metrics": {name: number(value) for name, value in trainer.metrics.items()},
        "criterion": updates if hasattr(getattr(model, "criterion", None), "update") else None,
        "step_at": trainer._step_at,
        # Gradients that wait for the next step when an epoch is no multiple of the accumulation.
        "grads": {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
        "buffer": [int(i) for i in getattr(trainer.train_loader.dataset, "buffer", [])],
        "generator": trainer.train_loader.generator.get_state(),
        "random": [random.getstate()[0], list(random.getstate()[1]), random.getstate()[2]],
        "numpy": [numbers[0], torch.from_numpy(numbers[1].astype(np.int64)), *numbers[2:]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
    }


def _save(state: Mapping[str, Any], path: Path, *, check: bool) -> None:
    """Write a state; the first of a process is read back, so that no run rests on states that nobody can load."""
    torch.save(state, path)
    if check:
        _load(path)


def _snapshot(value: Any) -> Any:
    """Return `value` with every tensor copied to the CPU: it is written while the next epoch changes the originals."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _snapshot(item) for key, item in value.items()}
    return type(value)(_snapshot(item) for item in value) if isinstance(value, list | tuple) else value


def _restore_stream(trainer: Any, state: Mapping[str, Any]) -> None:
    """Put back what feeds the epoch: image buffer, image order, waiting gradients, random numbers; in this order."""
    loader, dataset = trainer.train_loader, trainer.train_loader.dataset
    if hasattr(dataset, "buffer"):
        dataset.buffer.clear()
        for i in state["buffer"]:
            dataset.load_image(i)
    if loader.num_workers == 0:
        loader.iterator = loader._get_iterator()
        for _ in range(len(loader)):  # let the sampler stand where an epoch has ended: what it draws next depends on it
            next(loader.iterator._sampler_iter)
    loader.generator.set_state(state["generator"])
    for name, parameter in unwrap_model(trainer.model).named_parameters():
        if name in state["grads"]:
            parameter.grad = state["grads"][name].to(parameter.device)
    version, inner, gauss = state["random"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _newest(job: TrainJob, emit: Emit) -> tuple[Any, Any]:
    """Return the newest generation that can be read, and its state.

    Raises:
        TrainingError: there are generations and none can be read; to begin anew without a word would hide the loss.
    """
    for generation in sidecar.generations(job.out):
        try:
            return generation, _load(generation.state)
        except Exception as error:
            message = f"the state of epoch {generation.epoch} is damaged ({type(error).__name__}): going back one"
            emit(Event("warning", {"message": message}))
    hint = "train.log may say why; delete the run's folder to begin anew"
    raise TrainingError("no saved state of this run can be read", where=job.out / "state", hint=hint)


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


class _Collecting:
    """Mixed into a validator: keeps its predictions, in the pixels of each image, and computes nothing."""

    def init_metrics(self: Any, model: Any) -> None:
        inner = getattr(model, "model", None)
        task = guess_model_task(inner) if isinstance(inner, torch.nn.Module) else getattr(model, "task", None)
        if task and task != self.args.task:
            raise UsageError("weights of another task", where=self.args.model, expected=self.args.task, got=task)
        super().init_metrics(model)  # type: ignore[misc]
        self.rows: dict[str, dict[str, np.ndarray]] = {}

    def update_metrics(self: Any, preds: Any, batch: Any) -> None:
        for i, found in enumerate(preds):
            self.seen += 1
            shape = self._prepare_batch(i, batch)
            scaled = self.scale_preds(self._prepare_pred(found), shape)
            columns = {name: scaled[name].float().cpu().numpy() for name in ("bboxes", "conf", "cls")}
            if "keypoints" in scaled:
                columns["keypoints"] = scaled["keypoints"].float().cpu().numpy()
            self.rows[str(batch["im_file"][i])] = columns

    def get_stats(self: Any) -> dict[str, Any]:
        return {}

    def finalize_metrics(self: Any) -> None: ...

    def print_results(self: Any) -> None: ...


class _DetectCollector(_Collecting, DetectionValidator):  # type: ignore[misc]
    pass


class _PoseCollector(_Collecting, PoseValidator):  # type: ignore[misc]
    pass


def _validator(job: PredictJob, asked: Mapping[str, Any], scratch: Path) -> Any:
    kind = {"detect": _DetectCollector, "pose": _PoseCollector}.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    if not Path(job.weights).exists():  # some exports are folders
        raise UsageError("no such weights", where=job.weights, hint="put the file there, or name another")
    if job.weights.endswith((".yaml", ".yml")):
        raise UsageError("a model YAML has no weights to predict with", where=job.weights, hint="train it first")
    device = job.device or ("0" if torch.cuda.is_available() else "cpu")
    fixed = {"model": job.weights, "data": str(job.data), "split": job.split, "device": device, "rect": True}
    quiet = {"plots": False, "save_json": False, "verbose": False, "workers": 0 if device == "cpu" else 4}
    return kind(save_dir=scratch, args={"task": job.task, "mode": "val", **asked, **fixed, **quiet})


def _write(job: PredictJob, tree: Tree, validator: Any, emit: Emit) -> dict[str, Any]:
    """Write COCO results and their settings; complain about images that the validator never saw."""
    images = [str(path) for path in tree.images(job.split)]
    lost = [name for name in images if name not in validator.rows]
    if lost:
        hint = "unreadable images or bad label rows: `liftgate check` names them"
        some = ", ".join(tree.image_id(Path(name)) for name in lost[:5])
        raise TrainingError(f"the validator left out {len(lost)} of {len(images)} images", got=some, hint=hint)
    mapping, note = detections.match_classes(list(validator.names.values()), tree.classes)
    if note:
        emit(Event("warning", {"message": note, "fact": "classes"}))
    used = {name: getattr(validator.args, name) for name in _DEFAULTS}
    settings = used | {
        "backend": "ultralytics",
        "version": ultralytics.__version__,
        "torch": str(torch.__version__),
        "device": _device_name(validator.device),
        "task": job.task,
        "split": job.split,
        "path": "validator",
        "rect": bool(validator.args.rect),
        "pad": 0.5,
        "weights": detections.weights_hash(Path(job.weights)),
        "classes": {validator.names[i]: tree.classes[j] for i, j in mapping.items()},
        "classes_note": note,
    }
    rows = ((tree.image_id(Path(name)), validator.rows[name]) for name in dict.fromkeys(images))
    return detections.write(job.out, rows, mapping, settings)


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
