"""Launch of a job in a child process: start it, pass its events on, and return or raise what it ended with.

Files in the job's folder: train.json, events.jsonl and train.log (for predictions predict.json, …), run.lock, and
`.home` while the child lives. The same call again goes on from the last finished epoch, or returns at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate import errors
from liftgate.backends import sidecar
from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import (
    DoneEvent,
    Emit,
    EpochReport,
    Event,
    FailedEvent,
    Json,
    LogEvent,
    PausedEvent,
    StartedEvent,
)
from liftgate.backends.sandbox import sandbox_environment
from liftgate.errors import LiftgateError, TrainingError, UsageError
from liftgate.locks import FolderLock
from liftgate.training.events import EventTail, read_events
from liftgate.training.job import JobFile
from liftgate.training.pause_request import PauseRequest

_EVERY = 0.1  # seconds between two readings of the events file


@dataclass(frozen=True, slots=True)
class TrainOutcome:
    """A finished run."""

    folder: Path
    out: Path
    """results.csv, args.yaml, plots, weights/"""
    best: Path
    last: Path
    epochs: int
    """Epochs that were trained; early stopping may have ended it before the recipe's number."""
    facts: Json
    """Versions, device, resolved arguments, optimizer, batch, best epoch, wall seconds, peak memory."""
    reports: tuple[EpochReport, ...]
    """Of every epoch, in order, those before a pause too."""
    cached: bool = False
    """Whether it was finished before, so that nothing ran."""


def never() -> bool:
    """Do not stop."""
    return False


def train(
    job: TrainJob,
    *,
    backend: str,
    folder: Path,
    on_event: Emit,
    stop: Callable[[], bool] = never,
) -> TrainOutcome:
    """Run a stage to its end in a child process and return what it left.

    Called again with the same job and folder after a pause, a crash or a kill, it goes on from the last finished
    epoch; after the end it returns at once.

    Args:
        job: the stage.
        backend: name of a backend, or `package.module:Class`.
        folder: of the job.
        on_event: called with every event of the child.
        stop: called ten times a second. While it returns True, or after Ctrl-C, the run pauses at the next epoch
            boundary. A second Ctrl-C, or an exception out of `stop`, ends the child at once, and only the unfinished
            epoch is lost.

    Raises:
        Paused: it was stopped and can go on.
        TrainingError: the stage cannot go on; the log has the details.
        UsageError: another process works in this folder, or the folder holds another job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = JobFile("train", backend, job)
    with _Session(folder, "train", on_event, stop) as session:
        session.refuse_another_job(work)
        before = read_events(session.events)
        if before and isinstance(before[-1], DoneEvent):
            sidecar.discard(job.out)
            return _outcome(job, folder, before, cached=True)
        resume = next(sidecar.generations(job.out), None) is not None
        if not resume:
            session.events.unlink(missing_ok=True)
        reported = max((event.epoch for event in before if isinstance(event, EpochReport)), default=0)
        job = replace(job, resume=resume, reported=reported if resume else 0)
        job.out.mkdir(parents=True, exist_ok=True)
        session.run(replace(work, job=job))
        sidecar.discard(job.out)  # only now: the end is on record
        return _outcome(job, folder, read_events(session.events), cached=False)


def predict(
    job: PredictJob,
    *,
    backend: str,
    folder: Path,
    on_event: Emit,
    stop: Callable[[], bool] = never,
) -> Json:
    """Write predictions to `job.out` in a child process and return the settings that were used.

    Args:
        job: what to predict.
        backend: name of a backend, or `package.module:Class`.
        folder: of the job.
        on_event: called with every event of the child.
        stop: called ten times a second; only an exception out of it ends the child, which has no boundary to pause at.

    Raises:
        TrainingError: images were left out, or the model cannot be loaded or run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _Session(folder, "predict", on_event, stop) as session:
        session.events.unlink(missing_ok=True)
        job.out.parent.mkdir(parents=True, exist_ok=True)
        return session.run(JobFile("predict", backend, job))


def stopped_outcome(job: TrainJob, folder: Path) -> TrainOutcome | None:
    """Return what a run has left so far as if it had ended there; None where no epoch is finished.

    Its facts are those of its start: the ones that a trainer reports at its end are missing. Its newest state stays on
    disk, so that it can go on if the stop is revoked.
    """
    events = read_events(folder / "events.jsonl")
    reports = [event for event in events if isinstance(event, EpochReport)]
    if not reports or not (job.out / "weights" / "best.pt").is_file():
        return None
    started = next((event for event in events if isinstance(event, StartedEvent)), StartedEvent())
    facts = {name: value for name, value in started.to_body().items() if name not in ("message", "resumed_after")}
    facts |= {
        "recipe": dict(job.recipe),
        "epochs": len(reports),
        "best_epoch": max(reports, key=lambda one: float(one.fitness or 0.0)).epoch,
        "seconds": round(sum(float(one.seconds or 0.0) for one in reports), 3),
    }
    sidecar.keep_newest(job.out)
    return _outcome(job, folder, [*events, DoneEvent(extra=facts)], cached=False)


class _Session:
    """One attempt at one job: holds the lock, starts the child, passes its events on."""

    def __init__(self, folder: Path, verb: str, on_event: Emit, stop: Callable[[], bool]) -> None:
        self.folder = folder
        self.job = folder / f"{verb}.json"
        self.events = folder / ("events.jsonl" if verb == "train" else f"{verb}-events.jsonl")
        self.log = folder / f"{verb}.log"
        self._home = folder / ".home"
        self._on_event = on_event
        self._stop = stop
        self._lock = FolderLock(folder / "run.lock")
        self._pause = PauseRequest(folder)

    def __enter__(self) -> _Session:
        self._acquire()
        self._pause.withdraw()
        return self

    def _acquire(self) -> None:
        """Take the folder's lock. A child whose parent was killed holds it until its epoch ends, and is waited for."""
        waited = False
        while self._lock.acquire() is None:
            owner = self._lock.last_owner()
            if owner is not None and owner.alive:
                self._lock.release()
                raise UsageError(
                    "this run is being worked on by another process",
                    where=self.folder,
                    got=f"process {owner.pid}",
                    hint="wait for it, or stop it with Ctrl-C there",
                )
            if not waited:
                message = "an earlier attempt lost its parent and pauses at the end of its epoch: waiting for it"
                self._on_event(LogEvent(message=message))
                waited = True
            if self._stop():
                self._lock.release()
                raise Paused("stopped before it began")
            time.sleep(_EVERY)

    def __exit__(self, *_: object) -> None:
        self._pause.withdraw()
        shutil.rmtree(self._home, ignore_errors=True)
        self._lock.release()

    def refuse_another_job(self, work: JobFile) -> None:
        """Raise UsageError if the folder holds another job: two in one folder would mix their epochs."""
        if not self.job.exists():
            return
        try:
            same = JobFile.read(self.job).same_as(work)
        except (ValueError, KeyError, TypeError):
            return  # half a job file: nothing had begun
        if not same:
            raise UsageError(
                "the folder holds another run", where=self.folder, hint="use a new folder, or delete this one"
            )

    def run(self, work: JobFile) -> Json:
        """Do the job in a child and return the body of its `done` event."""
        work.write(self.job)
        tail = EventTail(self.events)
        module = [sys.executable, "-P", "-m", "liftgate.training.worker"]
        command = [*module, str(self.job), str(self.events), str(os.getpid())]
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.folder,
                env=sandbox_environment(self._home, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C in the terminal reaches this process alone
                pass_fds=[self._lock.fileno],
            )
        last = self._listen(child, tail)
        if isinstance(last, DoneEvent):
            return last.to_body()
        if isinstance(last, PausedEvent):
            raise Paused("paused at an epoch boundary: the same command goes on from here")
        raise self._failure(child, last)

    def _listen(self, child: subprocess.Popen[bytes], tail: EventTail) -> Event | None:
        """Pass events on until the child has ended; return the last one."""
        try:
            return self._follow(child, tail)
        except BaseException:
            _kill(child)  # Ctrl-C again, or an error in the listener: leave no process training
            raise

    def _follow(self, child: subprocess.Popen[bytes], tail: EventTail) -> Event | None:
        last: Event | None = None
        interrupted = requested = False  # requested: the child was asked to pause
        while True:
            try:
                ended = _ended(child)
                for event in tail.new():
                    last = event
                    self._on_event(event)
                if ended:
                    return last
                # Called each time: a stop may be revoked, and one that is to end the run at once is an exception.
                pause = self._stop() or interrupted
                if pause != requested:
                    requested = pause
                    self._request_pause(child, pause, handles_signals=last is not None)
            except KeyboardInterrupt:
                if requested or interrupted:
                    raise
                interrupted = True
                message = "pausing at the end of this epoch; Ctrl-C again stops at once"
                self._on_event(LogEvent(message=message))

    def _request_pause(self, child: subprocess.Popen[bytes], pause: bool, *, handles_signals: bool) -> None:
        if not pause:
            self._pause.withdraw()
        elif not self._pause.make() and handles_signals:  # before its first event a signal would end the child
            child.send_signal(signal.SIGTERM)

    def _failure(self, child: subprocess.Popen[bytes], last: Event | None) -> LiftgateError:
        if isinstance(last, FailedEvent):
            kind = getattr(errors, last.type, TrainingError)
            kind = kind if isinstance(kind, type) and issubclass(kind, LiftgateError) else TrainingError
            hint = last.hint or f"details are in {self.log}"
            return kind(last.what, where=last.where, expected=last.expected, got=last.got, hint=hint)
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        hint = f"the end of {self.log}: {_last_line(self.log)}"
        if child.returncode == -signal.SIGKILL:
            hint = "the system may have run out of memory: a smaller batch, or fewer workers; the same command goes on"
        return TrainingError("the child process ended without a report", where=self.folder, got=how, hint=hint)


def _ended(child: subprocess.Popen[bytes]) -> bool:
    """Wait until the events are to be read again; return whether the child has ended by then."""
    try:
        handle = os.pidfd_open(child.pid)
    except (OSError, AttributeError):  # no Linux, or an old one
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_EVERY)
    else:
        try:
            watched = select.poll()
            watched.register(handle, select.POLLIN)
            watched.poll(1000 * _EVERY)
        finally:
            os.close(handle)
    return child.poll() is not None


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and what it started (data loaders), which share its session."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_bytes()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "empty"


def _outcome(job: TrainJob, folder: Path, events: Sequence[Event], *, cached: bool) -> TrainOutcome:
    reports = tuple(event for event in events if isinstance(event, EpochReport))
    weights = job.out / "weights"
    for path in (weights / "best.pt", weights / "last.pt"):
        if not path.is_file():
            hint = "delete the folder to train again"
            raise TrainingError("the run is on record as finished, but its weights are gone", where=path, hint=hint)
    facts = events[-1].to_body()
    best, last = weights / "best.pt", weights / "last.pt"
    return TrainOutcome(folder, job.out, best, last, len(reports), facts, reports, cached)
