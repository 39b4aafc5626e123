"""Run one attempt at a task in its folder: `python -m liftgate.engines.agent FOLDER ATTEMPT [PARENT [STORE KEY]]`.

It compares versions and inputs with the task's, trains or predicts in a child process as the driver would on its own
machine, and writes result.json. It pauses at the next epoch boundary when its attempt is no longer granted, on SIGTERM
and SIGUSR1, and when PARENT has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import Event, FailedEvent, Json
from liftgate.engines.mirror import TaskMirror
from liftgate.engines.store import Store
from liftgate.engines.task import Ending, Fence, Task, TaskResult, installed_version, require_inputs
from liftgate.errors import LiftgateError, UsageError, os_error_hint
from liftgate.hashing import file_hash
from liftgate.training import launch
from liftgate.training.events import failed_event, read_events
from liftgate.training.job import JobFile

_FENCE_SECONDS = 0.5  # seconds between two readings of `attempt`
_LAG_SECONDS = 60.0  # for which the driver's files may be invisible on this machine


def run_attempt(
    folder: Path, attempt: str, parent: int | None = None, mirror: tuple[str, str] | None = None
) -> TaskResult:
    """Run an attempt to its end and write its result.

    Args:
        folder: of the task.
        attempt: the attempt that this is.
        parent: process whose end pauses it; None: it goes on without one.
        mirror: URL of an object store and the task's key there; None: the driver shares the folder.
    """
    begun = time.monotonic()
    stop = _StopCheck(folder, attempt, parent)
    ending: Ending
    facts: Json = {}
    failure: FailedEvent | None = None
    task: Task | None = None
    store = None if mirror is None else TaskMirror(Store(mirror[0]), folder, mirror[1])
    try:
        if store is not None and not store.receive(attempt):
            raise Paused("its attempt is over")
        task = _read_task(folder, attempt)
        if stop():
            raise Paused("its attempt is over")
        _require_versions(task)
        require_inputs(task)
        with contextlib.nullcontext() if store is None else store.followed(task):
            facts = _work(task, stop)
        ending = "done"
    except Paused:
        ending = "paused"
    except Exception as error:  # what a driver on another machine has to be told
        failure = failed_event(error)
        ending = "failed" if task is not None and _trainer_spoke(task, failure) else "lost"
    result = TaskResult(
        attempt=attempt,
        ending=ending,
        seconds=round(time.monotonic() - begun, 3),
        host=socket.gethostname(),
        outputs={str(path): file_hash(path) for path in task.output_paths()} if task and ending == "done" else {},
        facts=facts,
        failure=None if failure is None else failure.to_body(),
    )
    if Fence(folder).granted() in (attempt, "", None):  # a successor's result is not overwritten
        result.write(folder)
        if store is not None and task is not None:
            store.deliver(task, result)
    return result


def _read_task(folder: Path, attempt: str) -> Task:
    """Read the task, once the driver's files can be seen here."""
    end = time.monotonic() + _LAG_SECONDS
    while (granted := Fence(folder).granted()) is None and time.monotonic() < end:
        time.sleep(_FENCE_SECONDS)
    if granted != attempt:
        raise Paused("its attempt is over")
    return Task.read(folder)


def _work(task: Task, stop: _StopCheck) -> Json:
    if not isinstance(task.work, JobFile):
        task.work.run(task.inputs[str(task.work.data)])
        return {}
    job, backend = task.work.job, task.work.backend
    if isinstance(job, TrainJob):
        launch.train(job, backend=backend, folder=task.folder, on_event=_ignore, stop=stop)
        return {}
    if not isinstance(job, PredictJob):
        raise UsageError("a task trains or predicts", where=task.folder, got=task.work.verb)
    return launch.predict(job, backend=backend, folder=task.folder, on_event=_ignore, stop=stop.or_end)


def _ignore(event: Event) -> None:
    """The driver reads the events from their file."""


def _trainer_spoke(task: Task, failure: FailedEvent) -> bool:
    """Return whether an error is the task's own, so that another attempt would end like it."""
    if failure.type != "TrainingError":
        return True
    name = "events.jsonl" if isinstance(task.job, TrainJob) else "predict-events.jsonl"
    events = read_events(task.folder / name)
    return bool(events) and isinstance(events[-1], FailedEvent)


def _require_versions(task: Task) -> None:
    """Refuse to work with other versions than the driver's: the results would not be comparable."""
    for name, expected in task.versions.items():
        if (got := installed_version(name)) != expected:
            hint = "install the driver's versions on every machine of the engine"
            raise UsageError(
                f"the worker has another {name}",
                where=socket.gethostname(),
                expected=expected,
                got=got or "none",
                hint=hint,
            )


class _StopCheck:
    """Whether the attempt has to end; asked ten times a second."""

    def __init__(self, folder: Path, attempt: str, parent: int | None) -> None:
        self._fence, self._attempt, self._parent = Fence(folder), attempt, parent
        self._next_reading = 0.0
        self._stopped = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        self._stopped = True

    def __call__(self) -> bool:
        """Return whether to pause at the next epoch boundary."""
        if self._parent is not None and os.getppid() != self._parent:
            self._stopped = True
        if not self._stopped and time.monotonic() >= self._next_reading:
            self._next_reading = time.monotonic() + _FENCE_SECONDS
            self._stopped = self._fence.granted() not in (self._attempt, None)
        return self._stopped

    def or_end(self) -> bool:
        """End work that has no epochs: raise Paused where the attempt is over."""
        if self():
            raise Paused("its attempt is over")
        return False


def run_logged(
    folder: Path, attempt: str, parent: int | None = None, mirror: tuple[str, str] | None = None
) -> TaskResult | None:
    """Run an attempt as `run_attempt`; where its result cannot be written, say why in a line of its log: None."""
    try:
        return run_attempt(folder, attempt, parent, mirror)
    except OSError as error:  # the driver shows this line
        why = f"{error}: {os_error_hint(error)}"
    except LiftgateError as error:  # of a store
        why = "; ".join(str(error).splitlines())
    sys.stderr.write(f"error: {why}\n")
    return None


def main(argv: list[str]) -> int:
    """Run the attempt; return 0 however it ended, as result.json says how, or 1 where that cannot be written."""
    mirror = (argv[3], argv[4]) if len(argv) > 4 else None
    result = run_logged(Path(argv[0]), argv[1], int(argv[2]) if len(argv) > 2 else None, mirror)
    return 1 if result is None else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
