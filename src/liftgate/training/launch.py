"""Run a job in a child process: start it, forward its events, and return its result or raise its error.

Files in the job's folder: train.json, events.jsonl and train.log (for predictions predict.json, …), run.lock, and
`.home` while the child lives. Calling again resumes after the last finished epoch, or returns a finished run at once.
"""

from __future__ import annotations

import contextlib
import errno
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

from liftgate.backends import sidecar
from liftgate.backends.base import DetectJob, ExportJob, Paused, PredictJob, TrainJob
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
from liftgate.errors import LiftgateError, TrainingError, UsageError, os_error_hint
from liftgate.locks import FolderLock
from liftgate.training.events import EventTail, error_of, read_events
from liftgate.training.job import JobFile
from liftgate.training.pause_request import PauseRequest

_POLL_SECONDS = 0.1  # seconds between two readings of the events file


@dataclass(frozen=True, slots=True)
class TrainOutcome:
    """A finished run."""

    folder: Path
    out: Path
    """results.csv, args.yaml, plots, weights/"""
    best: Path
    last: Path
    epochs: int
    """Number of trained epochs; early stopping may have ended it before the recipe's number."""
    facts: Json
    """Versions, device, resolved arguments, optimizer, batch, best epoch, wall seconds, peak memory."""
    reports: tuple[EpochReport, ...]
    """Reports of all epochs in order, also of those before a pause."""
    cached: bool = False
    """Whether the run was finished before, so that nothing was trained."""


def never() -> bool:
    """Return False: do not stop."""
    return False


def train(
    job: TrainJob,
    *,
    backend: str,
    folder: Path,
    on_event: Emit,
    stop: Callable[[], bool] = never,
) -> TrainOutcome:
    """Train a stage to its end in a child process and return the result.

    Called again with the same job and folder after a pause, crash or kill, it resumes after the last finished epoch;
    a finished run is returned at once.

    Args:
        job: the stage.
        backend: name of a backend, or `package.module:Class`.
        folder: the job's own folder.
        on_event: called with every event of the child.
        stop: called ten times a second. While it returns True, or after Ctrl-C, the run pauses at the next epoch
            boundary. A second Ctrl-C, or an exception raised by `stop`, ends the child at once, and only the unfinished
            epoch is lost.

    Raises:
        Paused: the run was stopped and can be resumed.
        TrainingError: training failed; the log has the details.
        UsageError: another process uses this folder, or the folder belongs to another job.
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
        sidecar.discard(job.out)  # only now, when the end is recorded
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
        folder: the job's own folder.
        on_event: called with every event of the child.
        stop: called ten times a second; only an exception raised by it ends the child: predictions cannot pause.

    Raises:
        TrainingError: images were left out, or the model cannot be loaded or run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _Session(folder, "predict", on_event, stop) as session:
        session.events.unlink(missing_ok=True)
        job.out.parent.mkdir(parents=True, exist_ok=True)
        return session.run(JobFile("predict", backend, job))


def detect(job: DetectJob, *, backend: str, folder: Path, on_event: Emit) -> Json:
    """Write detections to `job.out` in a child process and return the settings that were used.

    Args:
        job: what to detect on.
        backend: name of a backend, or `package.module:Class`.
        folder: the job's own folder.
        on_event: called with every event of the child.

    Raises:
        UsageError: the backend cannot do it.
        TrainingError: an image cannot be read, or the model cannot be loaded or run.
    """
    return _run_once(JobFile("detect", backend, job), folder, on_event)


def export(job: ExportJob, *, backend: str, folder: Path, on_event: Emit) -> Json:
    """Write a model in another format into `job.out`, in a child process, and return its facts.

    Args:
        job: what to write.
        backend: name of a backend, or `package.module:Class`.
        folder: the job's own folder.
        on_event: called with every event of the child.

    Raises:
        UsageError: the backend cannot do it.
        TrainingError: the model cannot be loaded, or cannot be written in this format.
    """
    return _run_once(JobFile("export", backend, job), folder, on_event)


def _run_once(work: JobFile, folder: Path, on_event: Emit) -> Json:
    """Run a job whose folder does not outlive it, so that no message may point there."""
    folder.mkdir(parents=True, exist_ok=True)
    with _Session(folder, work.verb, on_event, never, is_kept=False) as session:
        session.events.unlink(missing_ok=True)
        return session.run(work)


def finished_outcome(job: TrainJob, folder: Path) -> TrainOutcome | None:
    """Return the result of a run that has ended, trained here or elsewhere; None: it has not.

    Raises:
        TrainingError: it has ended, and its weights are gone.
    """
    events = read_events(folder / "events.jsonl")
    if not events or not isinstance(events[-1], DoneEvent):
        return None
    sidecar.discard(job.out)
    return _outcome(job, folder, events, cached=False)


def stopped_outcome(job: TrainJob, folder: Path) -> TrainOutcome | None:
    """Return the result of a stopped run as if it had ended there; None where no epoch is finished.

    Facts that a trainer reports only at its end are missing. The newest state stays on disk, so that the run can be
    resumed if the stop is revoked.
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
    """One attempt at one job: holds the folder's lock, starts the child, forwards its events."""

    def __init__(
        self, folder: Path, verb: str, on_event: Emit, stop: Callable[[], bool], *, is_kept: bool = True
    ) -> None:
        self.folder = folder
        self._is_kept = is_kept
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
        """Take the folder's lock; wait for a child whose parent was killed, which holds it until its epoch ends."""
        waited = False
        while self._lock.acquire() is None:
            owner = self._lock.last_owner()
            if owner is not None and owner.alive:
                self._lock.release()
                raise UsageError(
                    "another process is working on this run",
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
            time.sleep(_POLL_SECONDS)

    def __exit__(self, *_: object) -> None:
        self._pause.withdraw()
        shutil.rmtree(self._home, ignore_errors=True)
        self._lock.release()

    def refuse_another_job(self, work: JobFile) -> None:
        """Raise UsageError if the folder belongs to another job, whose epochs would be mixed with this one's."""
        if not self.job.exists():
            return
        try:
            same = JobFile.read(self.job).same_as(work)
        except (ValueError, KeyError, TypeError):
            return  # an incomplete job file: nothing had begun
        if not same:
            raise UsageError(
                "the folder belongs to another run", where=self.folder, hint="use a new folder, or delete this one"
            )

    def run(self, work: JobFile) -> Json:
        """Run the job in a child and return the body of its `done` event."""
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
        """Forward events until the child has ended and return the last one; on an exception, kill the child."""
        try:
            return self._follow(child, tail)
        except BaseException:
            _kill(child)  # a second Ctrl-C, or an error in the listener: no process may go on training
            raise

    def _follow(self, child: subprocess.Popen[bytes], tail: EventTail) -> Event | None:
        last: Event | None = None
        interrupted = requested = False  # requested: the child has a request to pause
        while True:
            try:
                ended = _ended(child)
                for event in tail.read_new():
                    last = event
                    self._on_event(event)
                if ended:
                    return last
                # Called each time, because a stop may be revoked, and an exception of `stop` ends the run at once.
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
            kept = f"details are in {self.log}" if self._is_kept else f"its log ends with: {_last_line(self.log)}"
            return error_of(last, kept)
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        last_line = _last_line(self.log)
        hint = f"the end of {self.log if self._is_kept else 'its log'}: {last_line}"
        if os.strerror(errno.ENOSPC) in last_line:
            hint = f"{os_error_hint(OSError(errno.ENOSPC, ''))}; {hint}"
        if child.returncode == -signal.SIGKILL:
            hint = "the system may have run out of memory: a smaller batch, or fewer workers; the same command goes on"
        where = self.folder if self._is_kept else None
        return TrainingError("the child process ended without a report", where=where, got=how, hint=hint)


def _ended(child: subprocess.Popen[bytes]) -> bool:
    """Wait until the child ends, at most a tenth of a second; return whether it has ended."""
    try:
        handle = os.pidfd_open(child.pid)
    except (OSError, AttributeError):  # not Linux, or an old kernel
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_POLL_SECONDS)
    else:
        try:
            watched = select.poll()
            watched.register(handle, select.POLLIN)
            watched.poll(1000 * _POLL_SECONDS)
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
