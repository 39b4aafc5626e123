"""A toy backend that waits at a gate after every epoch, so that a test decides how far a training gets.

The backend lives in the child process and talks to the test through files in $LIFTGATE_TEST_GATE.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from liftgate.backends.base import PredictJob, TrainJob
from liftgate.backends.events import Emit, EpochReport, Event, Json
from liftgate.backends.toy import Toy

PATIENCE = 180.0


def wait_until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Return what `holds` returns when it is true; fail after three minutes."""
    end = time.monotonic() + patience
    while not (value := holds()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
    return value


class Gate:
    """The test's end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def wait_for_epoch(self, number: int) -> None:
        """Wait until a training stands at the gate after epoch `number`."""
        wait_until((self._folder / f"at-{number}").exists, f"epoch {number}")

    def wait_until_told(self, to_pause: bool) -> None:
        """Wait until the training was told to pause, or to go on."""
        wait_until(lambda: (self._folder / "told").exists() is to_pause, f"told to pause: {to_pause}")

    def let_pass(self, epoch: int) -> None:
        """Open the gate up to and including an epoch."""
        for number in range(1, epoch + 1):
            (self._folder / f"pass-{number}").touch()

    def open(self) -> None:
        """Open the gate for good."""
        (self._folder / "open").touch()


class Gated(Toy):
    """The child's end."""

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        folder, parent = Path(os.environ["LIFTGATE_TEST_GATE"]), os.getppid()
        told, epoch = folder / "told", job.reported

        def ask() -> bool:
            nonlocal epoch
            epoch += 1
            (folder / f"at-{epoch}").touch()
            while not (folder / "open").exists() and not (folder / f"pass-{epoch}").exists():
                told.touch() if should_stop() else told.unlink(missing_ok=True)
                if os.getppid() != parent:
                    break
                time.sleep(0.005)
            return should_stop()

        return super().train(job, emit, ask)


class Costly(Gated):
    """Reports that every epoch took an hour."""

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        def emit_longer(event: Event) -> None:
            emit(replace(event, seconds=3600.0) if isinstance(event, EpochReport) else event)

        return super().train(job, emit_longer, should_stop)


class Lost(Toy):
    """Kills its worker, and itself, at the first attempt at the second part of a prediction."""

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        begun = Path(os.environ["LIFTGATE_TEST_GATE"]) / "lost"
        if job.part == 1 and not begun.exists():
            begun.touch()
            os.kill(os.getppid(), signal.SIGKILL)
            os._exit(1)
        return super().predict(job, emit)


class Seedless(Toy):
    """A toy backend that hears no seed."""

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        return super().train(replace(job, seed=0), emit, should_stop)


class Wordy(Toy):
    """Reports its arguments with the paths that it was given, as Ultralytics does."""

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        args = {"model": job.weights, "data": str(job.data), "save_dir": str(job.out), "epochs": 1}
        return {**super().train(job, emit, should_stop), "args": args}
