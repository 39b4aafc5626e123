"""State of a training: all that its next epoch depends on, captured, written, read and restored.

The trainer is handed in, and its model without the wrapper of several devices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from liftgate.backends import sidecar
from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, EpochReport, WarningEvent
from liftgate.backends.ultralytics.epoch import to_number
from liftgate.errors import TrainingError

_NAMES = """epoch versions report stop batch halved reloads elapsed model ema updates optimizer scaler stopper
best_fitness fitness metrics criterion step_at grads buffer generator random numpy torch cuda"""
_KEYS = frozenset(_NAMES.split())
"""What `capture_state` saves"""


def capture_state(trainer: Any, model: Any, report: EpochReport, versions: Mapping[str, str | None]) -> Any:
    """Return the state at the end of an epoch, in types that a safe load takes, every tensor copied to the CPU."""
    numbers: Any = np.random.get_state()
    criterion = getattr(model, "criterion", None)
    state = {
        "epoch": trainer.epoch + 1,
        "versions": dict(versions),
        "report": report.to_body(),
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
        "stopper": {name: to_number(value) for name, value in vars(trainer.stopper).items()},
        "best_fitness": to_number(trainer.best_fitness),
        "fitness": to_number(trainer.fitness),
        "metrics": {name: to_number(value) for name, value in trainer.metrics.items()},
        "criterion": getattr(criterion, "updates", None) if hasattr(criterion, "update") else None,
        "step_at": trainer.step_at,
        # Gradients that wait for the next step when an epoch is no multiple of the accumulation.
        "grads": {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
        "buffer": [int(i) for i in getattr(trainer.train_loader.dataset, "buffer", [])],
        "generator": trainer.train_loader.generator.get_state(),
        "random": [random.getstate()[0], list(random.getstate()[1]), random.getstate()[2]],
        "numpy": [numbers[0], torch.from_numpy(numbers[1].astype(np.int64)), *numbers[2:]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
    }
    return _copied(state)


def _copied(value: Any) -> Any:
    """Return a copy of a state: it is written while the next epoch changes the originals."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(_copied(item) for item in value) if isinstance(value, list | tuple) else value


def write_state(state: Any, path: Path, *, check: bool) -> None:
    """Write a state; with `check` it is read back, so that no run rests on states that cannot be loaded."""
    torch.save(state, path)
    if check:
        read_state(path)


def read_state(path: Path) -> Any:
    """Return a state of a file, without executing anything that is in the file."""
    return torch.load(path, map_location="cpu", weights_only=True)


def newest_state(job: TrainJob, emit: Emit) -> tuple[sidecar.Generation, Any]:
    """Return the newest generation that can be read, and its state.

    Raises:
        TrainingError: generations exist and none can be read, or the newest is of another version of Liftgate; a
            silent new start would hide the loss.
    """
    for generation in sidecar.generations(job.out):
        found = generation.damage()
        state = None
        try:
            state = None if found else read_state(generation.state)
        except Exception as error:
            found = type(error).__name__
        if not found:
            return generation, _require_known(state, generation.state)
        emit(WarningEvent(message=f"the state of epoch {generation.epoch} is damaged ({found}): going back one"))
    hint = f"train.log may have the reason; {sidecar.UNREADABLE_HINT}"
    raise TrainingError("no saved state of this run can be read", where=job.out / "state", hint=hint)


def _require_known(state: Any, path: Path) -> Any:
    """Return a state with everything that `capture_state` saves.

    Raises:
        TrainingError: another version of Liftgate saved it.
    """
    missing = sorted(_KEYS - set(state if isinstance(state, Mapping) else ()))
    if missing:
        message = "the saved state is of another version of Liftgate"
        raise TrainingError(message, where=path, got=f"no {', '.join(missing)}", hint=sidecar.UNREADABLE_HINT)
    return state


def restore_training(trainer: Any, model: Any, state: Any) -> None:
    """Restore what the trainer has when it is set up: weights, optimizer, early stopping, metrics."""
    model.load_state_dict(state["model"])
    trainer.ema.ema.load_state_dict(state["ema"])
    trainer.ema.updates = state["updates"]
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"])
    vars(trainer.stopper).update(state["stopper"])
    trainer.best_fitness, trainer.fitness, trainer.metrics = state["best_fitness"], state["fitness"], state["metrics"]
    if state["criterion"] is not None:
        model.criterion = model.init_criterion()
        model.criterion.updates = state["criterion"] - 1
        model.criterion.update()


def restore_data_stream(trainer: Any, model: Any, state: Any, rank: int = 0) -> None:
    """Restore what feeds the epoch, in this order: waiting gradients, image buffer, image order, random numbers.

    Args:
        trainer: the trainer, at the start of an epoch.
        model: its model without the wrapper of several devices.
        state: as `capture_state` returned it.
        rank: of several processes only the stream of rank 0 is in the state; the others begin one of their own.
    """
    for name, parameter in model.named_parameters():
        if name in state["grads"]:
            parameter.grad = state["grads"][name].to(parameter.device)
    if rank:
        seed = (trainer.args.seed + 1 + rank + 1_000_003 * state["epoch"]) % 2**32
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        return
    loader, dataset = trainer.train_loader, trainer.train_loader.dataset
    if hasattr(dataset, "buffer"):
        dataset.buffer.clear()
        for i in state["buffer"]:
            dataset.load_image(i)
    if loader.num_workers == 0:
        loader.iterator = loader._get_iterator()
        for _ in range(len(loader)):  # leave the sampler as it is at the end of an epoch: its next draws depend on it
            next(loader.iterator._sampler_iter)
    loader.generator.set_state(state["generator"])
    version, inner, gauss = state["random"]
    random.setstate((version, tuple(inner), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
