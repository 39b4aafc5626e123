"""Dispatch: the driver's side of an engine. It submits tasks, follows them, submits again what vanished, and stops.

What is believed is what is on disk: a result with the SHA-256 of its outputs, compared here. An engine's word that a
job has ended only says that it is time to look. Times are durations on one clock, never compared between machines.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, EpochReport, LogEvent
from liftgate.documents import load_json
from liftgate.engines.base import Engine, JobState, Overview, RunningTask, Submission
from liftgate.engines.mirror import TaskMirror
from liftgate.engines.store import Store
from liftgate.engines.task import Fence, Task, TaskResult, last_error, replace_file
from liftgate.errors import TrainingError
from liftgate.training.events import EventTail, complete_bytes, error_of, read_events
from liftgate.training.stopping_rules import judge

MAX_FRUITLESS = 3
"""Attempts in a row that finish no further epoch, after which a task counts as failed"""
_POLL_SECONDS = 0.1
_STORE_LAG = 60.0  # for which a store may show a result late
_FETCH_SECONDS = 2.0  # between two looks at one task in an object store
_ENGINE_SECONDS = 1.0  # seconds between two questions to an engine whose answers cost something
_REST = 10  # looking at many tasks takes a tenth of the time at most
_SHOWN = 50  # running tasks that an overview names
_UNKNOWN_SECONDS = 600.0  # after which a job that its engine does not know counts as vanished


@dataclass(slots=True)
class _Entry:
    """A task that was submitted."""

    task: Task
    attempt: str
    handle: str
    position: int
    """Bytes of events.jsonl that an earlier attempt wrote"""
    state: JobState = "queued"
    result: TaskResult | None = None
    attempts: int = 1
    fruitless: int = 0
    epochs: int = 0
    """Epochs that were finished when the attempt began"""
    seconds: float = 0.0
    """Of the attempts before this one"""
    since: float = 0.0
    """When its state was first unclear, on this machine's clock; 0: it is clear"""
    written: TaskResult | None = None
    """A result whose outputs are not all seen yet"""


class Dispatcher:
    """Tasks on one engine."""

    def __init__(
        self,
        engine: Engine,
        *,
        store: Store | None = None,
        on_change: Callable[[Overview], None] = lambda overview: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin without tasks.

        Args:
            engine: runs them.
            store: through which driver and workers see each other; None: they share the tasks' folders.
            on_change: called when a task has changed its state, about once a second at most, and at the end.
            clock: returns the time in seconds.
            sleep: waits for seconds.
        """
        self.engine = engine
        self._capabilities = engine.capabilities()
        self._store = store
        self._next_fetch: dict[str, float] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        """Called when a task has ended, to submit others"""
        self._on_change = on_change
        self._clock, self._sleep = clock, sleep
        self._entries: dict[str, _Entry] = {}
        self._open: dict[str, _Entry] = {}
        self._ended = 0
        self._unreported = False
        self._next_poll = self._next_report = 0.0

    def submit(self, tasks: Iterable[Task]) -> None:
        """Submit tasks that were not yet, as one batch; one that its engine still runs since an earlier driver is kept.

        Raises:
            TrainingError: the engine takes no tasks.
        """
        fresh: list[_Entry] = []
        for task in tasks:
            if task.key in self._entries:
                continue
            entry = self._adopt(task) or _Entry(task, "", "", 0)
            self._entries[task.key] = self._open[task.key] = entry
            if not entry.attempt:
                fresh.append(entry)
        if fresh:
            self._start(fresh)

    @property
    def slots(self) -> int | None:
        """Tasks at once; None: as many as the cluster gives."""
        return self._capabilities.slots

    @property
    def open_count(self) -> int:
        """Number of tasks that have not ended."""
        return len(self._open)

    def result(self, key: str) -> TaskResult | None:
        """Return how a task ended; None: it has not, or was not submitted."""
        entry = self._entries.get(key)
        return None if entry is None else entry.result

    def wait(self, key: str, *, on_event: Emit, stop: Callable[[], bool]) -> TaskResult:
        """Wait for the end of a task and return its result, with the seconds of all its attempts.

        Args:
            key: of the task.
            on_event: called with every event of a training.
            stop: called all the time; once it returns True, everything that is queued is cancelled and everything that
                runs pauses.

        Raises:
            TrainingError and others: as the task ended.
        """
        entry = self._entries[key]
        tail = EventTail(entry.task.folder / "events.jsonl", entry.position)
        seen = -1
        while True:
            self.poll()
            ended = entry.result
            for event in tail.read_new():
                on_event(event)
            if ended is not None:
                break
            if stop():
                self.pause(on_event)
                return entry.result or TaskResult(entry.attempt, "paused", entry.seconds)
            if seen != self._ended:
                seen = self._ended
                self.meanwhile()
            if entry.result is None:
                self._sleep(_POLL_SECONDS)
        if ended.ending == "failed":
            raise error_of(ended.failed_event(), f"details are in {entry.task.folder}")
        return ended

    def poll(self) -> None:
        """Look at all tasks that have not ended; submit again those that vanished or were paused by their engine."""
        if self._clock() < self._next_poll or not self._open:
            return
        begun = self._clock()
        entries = list(self._open.values())
        again: list[_Entry] = []
        changed = False
        for entry, state in zip(entries, self.engine.poll([one.handle for one in entries]), strict=True):
            before = entry.state, entry.result
            entry.state = state
            if self._has_ended(entry):
                again += [entry] if self._settle(entry) else []
            changed |= before != (entry.state, entry.result)
        if again:
            self._start(again)
        self._unreported |= changed or bool(again)
        if self._unreported:
            self._report()
        now, least = self._clock(), _ENGINE_SECONDS if self._capabilities.lag_seconds else _POLL_SECONDS / 2
        self._next_poll = now + max(least, _REST * (now - begun))

    def pause(self, on_event: Emit) -> None:
        """Cancel what is queued, pause what runs at its epoch boundary, and wait for it."""
        entries = list(self._open.values())
        for entry in entries:
            self._revoke(entry.task)
        states = self.engine.poll([one.handle for one in entries])
        self.engine.cancel([one.handle for one, state in zip(entries, states, strict=True) if state == "queued"])
        running = [one for one, state in zip(entries, states, strict=True) if state in ("running", "unknown")]
        for one, state in zip(entries, states, strict=True):
            one.state = state
        self._report(at_once=True)
        if running:
            on_event(LogEvent(message=f"{len(running)} tasks pause at the end of their epoch"))
        since = self._clock()
        while running:
            self._sleep(_POLL_SECONDS)
            states = self.engine.poll([one.handle for one in running])
            known = self._clock() - since < max(_UNKNOWN_SECONDS, self._capabilities.lag_seconds)
            running = [
                one
                for one, state in zip(running, states, strict=True)
                if state in ("queued", "running") or (state == "unknown" and known)
            ]
        self._close_all()

    def cancel(self) -> None:
        """End everything at once: unfinished epochs are lost."""
        for entry in self._open.values():
            self._revoke(entry.task)
        self.engine.cancel([one.handle for one in self._open.values()])
        self._close_all()

    def overview(self) -> Overview:
        """Return how many tasks are in which state, and those that run."""
        states = [
            (one.result.ending if one.result else "queued" if one.state == "queued" else "running")
            for one in self._entries.values()
        ]
        running = [one for one in self._open.values() if one.state != "queued"]
        return Overview(
            self._capabilities.name,
            dict(Counter(states)),
            tuple(
                RunningTask(
                    one.task.name,
                    str(one.task.folder),
                    one.handle,
                    one.attempts,
                    tuple(map(str, self.engine.logs(one.handle))),
                )
                for one in running[:_SHOWN]
            ),
        )

    def _close_all(self) -> None:
        for entry in self._open.values():
            self._fetch(entry.task, at_once=True)
            result = TaskResult.read(entry.task.folder)
            done = result is not None and result.attempt == entry.attempt and result.ending == "done"
            if done and result is not None and not result.unseen_outputs():
                entry.result = result
            else:
                entry.result = TaskResult(entry.attempt, "paused", entry.seconds)
        self._open.clear()
        self._report(at_once=True)

    def _report(self, *, at_once: bool = False) -> None:
        begun = self._clock()
        if at_once or begun >= self._next_report:
            self._on_change(self.overview())
            self._unreported = False
            now = self._clock()
            self._next_report = now + max(_ENGINE_SECONDS, _REST * (now - begun))

    def _adopt(self, task: Task) -> _Entry | None:
        """Return the entry of a job that an earlier driver submitted and that still runs or has ended well."""
        try:
            raw = load_json(task.folder / "job.json")
            engine, handle, attempt, key = raw["engine"], raw["handle"], raw["attempt"], raw["key"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if engine != self._capabilities.name or key != task.key or Fence(task.folder).granted() != attempt:
            return None
        result = TaskResult.read(task.folder)
        done = result is not None and result.attempt == attempt and result.ending == "done"
        if not done and self.engine.poll([handle])[0] not in ("queued", "running"):
            return None
        return _Entry(task, attempt, handle, complete_bytes(task.folder / "events.jsonl"), state="running")

    def _start(self, entries: Sequence[_Entry]) -> None:
        """Submit a new attempt at each task."""
        submissions = []
        for entry in entries:
            task = entry.task
            entry.attempt = secrets.token_hex(8)
            entry.state, entry.since, entry.written = "queued", 0.0, None
            entry.epochs = _finished_epochs(task)
            if entry.attempts == 1:
                entry.position = complete_bytes(task.folder / "events.jsonl")
            task.write()
            Fence(task.folder).grant(entry.attempt)
            mirror = None
            if self._store is not None:
                TaskMirror(self._store, task.folder, task.key).publish(task, entry.attempt)
                mirror = (self._store.url, task.key)
            submissions.append(Submission(task.name, task.folder, entry.attempt, task.resources, mirror))
        for entry, handle in zip(entries, self.engine.submit(submissions), strict=True):
            entry.handle = handle
            known: Mapping[str, str] = {"attempt": entry.attempt, "handle": handle, "key": entry.task.key}
            record = json.dumps({"engine": self._capabilities.name, **known})
            replace_file(entry.task.folder / "job.json", record)
        self._report()

    def _has_ended(self, entry: _Entry) -> bool:
        """Return whether an attempt is over: its result is here, or its job is gone and no result comes."""
        if entry.state == "queued":
            entry.since = 0.0
            return False
        self._fetch(entry.task, at_once=entry.state == "ended" and entry.since == 0.0)
        result = TaskResult.read(entry.task.folder)
        if result is not None and result.attempt == entry.attempt:
            entry.written = result
            if not result.unseen_outputs():
                return True
        elif entry.state == "running":
            entry.since = 0.0
            return False
        now = self._clock()
        entry.since = entry.since or now
        late = entry.written is not None or entry.state == "ended"
        lag = self._capabilities.lag_seconds if self._store is None else max(self._capabilities.lag_seconds, _STORE_LAG)
        patience = lag if late else _UNKNOWN_SECONDS
        return now - entry.since >= patience

    def _fetch(self, task: Task, *, at_once: bool = False) -> None:
        """Bring what the worker of a task has sent through the store, now and then."""
        if self._store is None or (not at_once and self._clock() < self._next_fetch.get(task.key, 0.0)):
            return
        TaskMirror(self._store, task.folder, task.key).fetch()
        self._next_fetch[task.key] = self._clock() + _FETCH_SECONDS

    def _revoke(self, task: Task) -> None:
        """Let no attempt work on a task: a running one pauses at its next epoch boundary."""
        Fence(task.folder).revoke()
        if self._store is not None:
            TaskMirror(self._store, task.folder, task.key).grant("")

    def _settle(self, entry: _Entry) -> bool:
        """Take an attempt's result, or return True where another attempt is due.

        Raises:
            TrainingError: attempt after attempt came no further.
        """
        written = entry.written
        seconds = entry.seconds + (written.seconds if written else 0.0)
        unseen = written.unseen_outputs() if written else []
        if written is not None and (written.ending == "failed" or (written.ending == "done" and not unseen)):
            entry.result = TaskResult(**{**asdict(written), "seconds": round(seconds, 3)})
            self._close(entry)
            return False
        if _stopped_itself(entry.task, written):
            entry.result = TaskResult(entry.attempt, "paused", round(seconds, 3), written.host if written else "")
            self._close(entry)
            return False
        entry.seconds = seconds
        gained = _finished_epochs(entry.task) > entry.epochs
        entry.fruitless = 0 if gained else entry.fruitless + 1
        entry.attempts += 1
        if entry.fruitless >= MAX_FRUITLESS:
            self._revoke(entry.task)
            raise self._gave_up(entry, unseen)
        return True

    def _close(self, entry: _Entry) -> None:
        del self._open[entry.task.key]
        self._ended += 1

    def _gave_up(self, entry: _Entry, unseen: Sequence[str]) -> TrainingError:
        del self._open[entry.task.key]
        what = f"{entry.task.name}: {MAX_FRUITLESS} attempts in a row ended without a result"
        files = self.engine.logs(entry.handle)
        logs = ", ".join(map(str, files)) or entry.task.folder
        if unseen:
            hint = f"a worker says that it wrote {unseen[0]}, which differs here: do the machines share this folder?"
            return TrainingError(what, where=entry.task.folder, hint=hint)
        if entry.written is not None and entry.written.failure is not None:
            last = entry.written.failed_event()
            return TrainingError(what, where=logs, got=last.what, hint=last.hint)
        hint = "the machines may be out of memory, or end jobs at a limit; the same command tries again"
        return TrainingError(what, where=logs, got=last_error(files), hint=hint)


def _finished_epochs(task: Task) -> int:
    events = read_events(task.folder / "events.jsonl")
    return max((event.epoch for event in events if isinstance(event, EpochReport)), default=0)


def _stopped_itself(task: Task, written: TaskResult | None) -> bool:
    """Return whether a training paused because one of its decision points stopped it."""
    if written is None or written.ending != "paused" or not isinstance(task.job, TrainJob):
        return False
    reports = [event for event in read_events(task.folder / "events.jsonl") if isinstance(event, EpochReport)]
    judged = judge(task.job.decide, reports)
    return bool(judged) and judged[-1].said == "stop"
