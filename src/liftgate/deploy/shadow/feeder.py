"""In the server: takes up shadow tests, hands frames over without waiting, and ends a challenger that misbehaves.

A request never waits for the challenger: a frame goes into a queue of eight or is shed and counted. Everything else
happens in threads: one looks after the tests and the process, one writes to it, one reads from it.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liftgate.deploy.shadow.frames import READY, SETTLED, ShadowFrame, parse_seen, write_frame
from liftgate.deploy.shadow.pairs import PairStore
from liftgate.deploy.shadow.request import STOP, ShadowState, ShadowTest, Status, tests_of, write_state
from liftgate.errors import LiftgateError, with_full_disk_hint
from liftgate.locks import FolderLock

_QUEUE = 8
_STATE_SECONDS = 5.0
_WORKER_LOG = "worker.log"


@dataclass(frozen=True, slots=True)
class FeederLimits:
    """When a challenger is ended."""

    look_seconds: float = 1.0
    """Between two looks at it, and for new tests"""
    start_seconds: float = 300.0
    """Until it is ready"""
    hang_seconds: float = 60.0
    """Without an answer to what it was given"""
    recent: int = 500
    """Requests of which the share that is shed is looked at"""
    largest_shed: float = 0.95


class _Running:
    """One test with its process."""

    def __init__(
        self, test: ShadowTest, limits: FeederLimits, on_disagreement: Callable[[ShadowFrame, int], None]
    ) -> None:
        self._limits, self._on_disagreement = limits, on_disagreement
        self._unseen: deque[ShadowFrame] = deque()
        with contextlib.closing(PairStore(test.folder)) as store:
            self._before = store.last_elapsed()
        self.test = test
        self.offered, self.shed = test.state.offered, test.state.shed
        self._recent_offered = self._recent_shed = 0
        self.is_ready = self.is_settled = False
        self._sent = self._seen = 0
        self._begun = self._alive = time.monotonic()
        # Read once: a machine's clock that jumps later neither ends the test nor makes it longer.
        self._left = test.request.started + test.request.hours * 3600 - time.time()
        self._waiting: queue.Queue[ShadowFrame | None] = queue.Queue(_QUEUE)
        with (test.folder / _WORKER_LOG).open("ab") as log:
            command = [sys.executable, "-P", "-m", "liftgate.deploy.shadow.worker", str(test.folder)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        for target in (self._write, self._read):
            threading.Thread(target=target, name=f"shadow-{target.__name__}", daemon=True).start()

    @property
    def elapsed(self) -> float:
        """Seconds that the test has run, also before the server was started anew."""
        return self._before + time.monotonic() - self._begun

    def offer(self, frame: ShadowFrame) -> None:
        self.offered += 1
        self._recent_offered += 1
        try:
            self._waiting.put_nowait(frame)
        except queue.Full:
            self.shed += 1
            self._recent_shed += 1

    def verdict(self) -> tuple[Status, str] | None:
        """Return why the test is over; None: it goes on."""
        request, silent = self.test.request, time.monotonic() - self._alive
        if (self.test.folder / STOP).exists():
            return "stopped", "by `liftgate shadow stop`"
        if self.is_settled:
            return "settled", "the models differ on average"
        if time.monotonic() - self._begun >= self._left or self.elapsed >= request.hours * 3600:
            return "finished", f"after {request.hours:g} hours"
        code = self.process.poll()
        if code is not None:
            return "crashed", f"exit code {code}: {_last_line(self.test.folder / _WORKER_LOG)}"
        if not self.is_ready:
            return ("hung", f"not ready after {silent:.0f} s") if silent > self._limits.start_seconds else None
        if self._sent > self._seen and silent > self._limits.hang_seconds:
            return "hung", f"no answer for {silent:.0f} s"
        size = _resident_mb(self.process.pid)
        if size > request.most_memory_mb:
            return "too large", f"{size:.0f} MB of memory, at most {request.most_memory_mb}"
        if self._recent_offered >= self._limits.recent:
            share = self._recent_shed / self._recent_offered
            if share > self._limits.largest_shed:
                return "too slow", f"{share:.0%} of the last {self._recent_offered} requests were shed"
            self._recent_offered = self._recent_shed = 0
        return None

    def close(self) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)

    def _write(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError), self.process.stdin as stream:
            while (frame := self._waiting.get()) is not None:
                if self._sent == self._seen and self.is_ready:
                    self._alive = time.monotonic()  # it had nothing to do until now
                self._sent += 1
                self._unseen.append(frame.without_content())
                write_frame(stream, frame)  # type: ignore[arg-type]

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._alive = time.monotonic()
                if line == READY:
                    self.is_ready = True
                elif line == SETTLED:
                    self.is_settled = True
                elif (disagreements := parse_seen(line)) is not None:
                    self._seen += 1
                    frame = self._unseen.popleft()
                    if disagreements:
                        self._on_disagreement(frame, disagreements)


class ShadowFeeder:
    """Runs the shadow tests of a log, one at a time."""

    def __init__(
        self,
        log: Path,
        note: Callable[[str, str], None],
        on_disagreement: Callable[[ShadowFrame, int], None] = lambda _frame, _count: None,
        limits: FeederLimits = FeederLimits(),
    ) -> None:
        """Start looking for tests.

        Args:
            log: folder of the production log.
            note: called with an event and its text when a test begins or ends.
            on_disagreement: called from another thread with a frame, without its content, and the number of objects
                that only one of the models reports.
            limits: when a challenger is ended.
        """
        self._log, self._note, self._on_disagreement, self._limits = log, note, on_disagreement, limits
        self._running: _Running | None = None
        self._lock: FolderLock | None = None
        self._stop = threading.Event()
        self._written = 0.0
        self._thread = threading.Thread(target=self._watch, name="shadow", daemon=True)
        self._thread.start()

    @property
    def elapsed(self) -> float | None:
        """Seconds that the test at work has run; None: none is at work."""
        running = self._running
        return None if running is None else running.elapsed

    def offer(self, frame: ShadowFrame) -> None:
        """Hand a frame over, or shed it; never waits."""
        running = self._running
        if running is not None:
            running.offer(frame)

    def close(self) -> None:
        """Stop; a test at work goes on when the server is started again."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _watch(self) -> None:
        while not self._stop.wait(self._limits.look_seconds):
            try:
                self._look()
            except (LiftgateError, OSError) as error:
                self._tell("shadow problem", with_full_disk_hint(error))
        if self._running is not None:
            self._end(self._running, "waiting", "the server was stopped")

    def _look(self) -> None:
        running = self._running
        if running is None:
            found = next((one for one in tests_of(self._log) if not one.is_over), None)
            if found is not None and self._is_mine(found):
                self._start(found)
            return
        verdict = running.verdict()
        if verdict is not None:
            self._end(running, *verdict)
            self._tell("shadow over", f"{running.test.request.challenger}: {verdict[0]}, {verdict[1]}")
        elif time.monotonic() - self._written >= _STATE_SECONDS:
            self._save(running, "running", "")

    def _start(self, test: ShadowTest) -> None:
        """Start a test that is locked; one that cannot be started is over, and leaves the place to later ones."""
        try:
            self._running = _Running(test, self._limits, self._on_disagreement)
        except LiftgateError as error:
            try:
                state = ShadowState("crashed", str(error), test.state.offered, test.state.shed, time.time())
                write_state(test.folder, state)
            finally:
                self._release()
            self._tell("shadow over", f"{test.request.challenger}: crashed, {error}")
            return
        except OSError:  # of the system: the next look tries again
            self._release()
            raise
        self._save(self._running, "running", "")
        self._tell("shadow started", test.request.challenger)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _is_mine(self, test: ShadowTest) -> bool:
        """Take a test; another server of the same log may have it."""
        lock = FolderLock(test.folder / "server.lock")
        if lock.acquire() is None:
            lock.release()
            return False
        self._lock = lock
        return True

    def _end(self, running: _Running, status: Status, reason: str) -> None:
        self._running = None
        running.close()
        self._save(running, status, reason)
        self._release()

    def _save(self, running: _Running, status: Status, reason: str) -> None:
        self._written = time.monotonic()
        write_state(running.test.folder, ShadowState(status, reason, running.offered, running.shed, time.time()))

    def _tell(self, event: str, text: str) -> None:
        self._note(event, text)


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else "it said nothing"
