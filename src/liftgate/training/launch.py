"""Launch: start a job in a child process, listen to it, and make sense of its end.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from liftgate import errors
from liftgate.backends import sidecar
from liftgate.backends.base import Event, Paused, PredictJob, TrainJob
from liftgate.backends.sandbox import sandbox_environment
from liftgate.errors import LiftgateError, TrainingError, UsageError
from liftgate.locks import FolderLock
from liftgate.training.command import command as command
from liftgate.training.events import Tail, read_events
from liftgate.training.job import JobFile
from liftgate.training.pause_request import PauseRequest

_LOOK = 0.1  # seconds between two looks at the events file


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
    facts: Mapping[str, Any]
    """Versions, device, resolved arguments, optimizer, batch, best epoch, wall seconds, peak memory."""
    epoch_events: tuple[Mapping[str, Any], ...]
    """The body of every epoch event, in order, those before a pause too."""
    cached: bool = False
    """It was finished before: nothing ran."""


def never() -> bool:
    """Do not stop."""
    return False


def train(
    job: TrainJob,
    *,
    backend: str,
    folder: Path,
    on_event: Callable[[Event], None],
    stop: Callable[[], bool] = never,
) -> TrainOutcome:
    """Run a stage to its end in a child process and return what it left.

    Called again with the same job and folder after a pause, a crash or a kill, it goes on from the last finished
    epoch; after the end it returns at once. `stop` is asked ten times a second; when it says so, or on Ctrl-C, the run
    pauses at the epoch boundary, unless `stop` takes it back before. A second Ctrl-C, or an exception out of `stop`,
    ends it at once, and only the unfinished epoch is lost.

    Raises:
        Paused: it was stopped and can go on.
        TrainingError: the stage cannot go on; the message tells why, the log has the rest.
        UsageError: another process works in this folder, or the folder holds another job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = JobFile("train", backend, job)
    with _Session(folder, "train", on_event, stop) as session:
        session.refuse_another_job(work)
        before = read_events(session.events)
        if before and before[-1].kind == "done":
            sidecar.discard(job.out)
            return _outcome(job, folder, before, cached=True)
        resume = next(sidecar.generations(job.out), None) is not None
        if not resume:
            session.events.unlink(missing_ok=True)
        reported = max((int(event.body["epoch"]) for event in before if event.kind == "epoch"), default=0)
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
    on_event: Callable[[Event], None],
    stop: Callable[[], bool] = never,
) -> Mapping[str, Any]:
    """Write predictions to `job.out` in a child process and return the settings that were used.

    There is no boundary to pause at: only an exception out of `stop` ends it.

    Raises:
        TrainingError: images were left out, or the model cannot be loaded or run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _Session(folder, "predict", on_event, stop) as session:
        session.events.unlink(missing_ok=True)
        job.out.parent.mkdir(parents=True, exist_ok=True)
        return session.run(JobFile("predict", backend, job))


def stopped_outcome(job: TrainJob, folder: Path) -> TrainOutcome | None:
    """Return what a run has left so far as if it had ended there; None: not one epoch is whole.

    Its facts are those of its start; what a trainer says only at its end is not known. Its newest state stays, for
    whoever changes their mind about the stop.
    """
    events = read_events(folder / "events.jsonl")
    epochs = [event.body for event in events if event.kind == "epoch"]
    if not epochs or not (job.out / "weights" / "best.pt").is_file():
        return None
    started = next((event.body for event in events if event.kind == "started"), {})
    seconds = round(sum(float(epoch.get("seconds") or 0.0) for epoch in epochs), 3)
    facts = {name: value for name, value in started.items() if name not in ("message", "resumed_after")}
    best = max(epochs, key=lambda epoch: float(epoch.get("fitness") or 0.0))["epoch"]
    facts |= {"recipe": dict(job.recipe), "epochs": len(epochs), "best_epoch": best, "seconds": seconds}
    sidecar.keep_newest(job.out)
    return _outcome(job, folder, [*events, Event("done", facts)], cached=False)


class _Session:
    """One attempt at one job: holds the lock, starts the child, listens."""

    def __init__(self, folder: Path, verb: str, on_event: Callable[[Event], None], stop: Callable[[], bool]) -> None:
        self.folder = folder
        self.job = folder / f"{verb}.json"
        self.events = folder / ("events.jsonl" if verb == "train" else f"{verb}-events.jsonl")
        self.log = folder / f"{verb}.log"
        self._home = folder / ".home"
        self._on_event = on_event
        self._stop = stop
        self._lock = FolderLock(folder / "run.lock")
        self._wish = PauseRequest(folder)

    def __enter__(self) -> _Session:
        self._acquire()
        self._wish.take_back()
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
                self._on_event(Event("log", {"message": message}))
                waited = True
            if self._stop():
                self._lock.release()
                raise Paused("stopped before it began")
            time.sleep(_LOOK)

    def __exit__(self, *_: object) -> None:
        self._wish.take_back()
        shutil.rmtree(self._home, ignore_errors=True)
        self._lock.release()

    def refuse_another_job(self, work: JobFile) -> None:
        """Two jobs in one folder would mix their epochs."""
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

    def run(self, work: JobFile) -> Mapping[str, Any]:
        """Do the job in a child and return the body of its `done` event."""
        work.write(self.job)
        tail = Tail(self.events)
        module = [sys.executable, "-P", "-m", "liftgate.training.worker"]
        words = [*module, str(self.job), str(self.events), str(os.getpid())]
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                words,
                cwd=self.folder,
                env=sandbox_environment(self._home, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C is ours to translate
                pass_fds=[self._lock.fileno],
            )
        last = self._listen(child, tail)
        if last is not None and last.kind == "done":
            return last.body
        if last is not None and last.kind == "paused":
            raise Paused("paused at an epoch boundary: the same command goes on from here")
        raise self._failure(child, last)

    def _listen(self, child: subprocess.Popen[bytes], tail: Tail) -> Event | None:
        """Pass events on until the child has ended; return the last one."""
        try:
            return self._follow(child, tail)
        except BaseException:
            _kill(child)  # somebody insists, or the listener itself failed: leave nobody training
            raise

    def _follow(self, child: subprocess.Popen[bytes], tail: Tail) -> Event | None:
        last: Event | None = None
        interrupted = asked = False  # asked: the child was told to pause
        while True:
            try:
                ended = _ended(child)
                for event in tail.new():
                    last = event
                    self._on_event(event)
                if ended:
                    return last
                # Asked again and again: a wish may be taken back, and a wish to end at once comes as an exception.
                wish = self._stop() or interrupted
                if wish != asked:
                    asked = wish
                    self._tell(child, wish, listens=last is not None)
            except KeyboardInterrupt:
                if asked or interrupted:
                    raise
                interrupted = True
                message = "pausing at the end of this epoch; Ctrl-C again stops at once"
                self._on_event(Event("log", {"message": message}))

    def _tell(self, child: subprocess.Popen[bytes], wish: bool, *, listens: bool) -> None:
        if not wish:
            self._wish.take_back()
        elif not self._wish.ask() and listens:  # before its first word a signal would end the child
            child.send_signal(signal.SIGTERM)

    def _failure(self, child: subprocess.Popen[bytes], last: Event | None) -> LiftgateError:
        if last is not None and last.kind == "failed":
            body = {name: last.body.get(name) for name in ("where", "expected", "got", "hint")}
            kind = getattr(errors, str(last.body.get("type")), TrainingError)
            kind = kind if isinstance(kind, type) and issubclass(kind, LiftgateError) else TrainingError
            body["hint"] = body["hint"] or f"the whole story is in {self.log}"
            return kind(str(last.body["what"]), **body)
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        hint = f"the end of {self.log}: {_last_words(self.log)}"
        if child.returncode == -signal.SIGKILL:
            hint = "the system may have run out of memory: a smaller batch, or fewer workers; the same command goes on"
        return TrainingError("the child process ended without a word", where=self.folder, got=how, hint=hint)


def _ended(child: subprocess.Popen[bytes]) -> bool:
    """Wait until the next look is due; whether the child has ended by then."""
    try:
        handle = os.pidfd_open(child.pid)
    except (OSError, AttributeError):  # no Linux, or one that does not know it
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_LOOK)  # asks again and again meanwhile
    else:
        try:
            watched = select.poll()
            watched.register(handle, select.POLLIN)
            watched.poll(1000 * _LOOK)
        finally:
            os.close(handle)
    return child.poll() is not None


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it started (data loaders): its session is its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_bytes()[-4000:].decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "empty"


def _outcome(job: TrainJob, folder: Path, events: list[Event], *, cached: bool) -> TrainOutcome:
    epochs = tuple(event.body for event in events if event.kind == "epoch")
    weights = job.out / "weights"
    for path in (weights / "best.pt", weights / "last.pt"):
        if not path.is_file():
            hint = "delete the folder to train again"
            raise TrainingError("the run is on record as finished, but its weights are gone", where=path, hint=hint)
    facts = dict(events[-1].body)
    return TrainOutcome(folder, job.out, weights / "best.pt", weights / "last.pt", len(epochs), facts, epochs, cached)
