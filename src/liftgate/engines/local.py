"""Engine `local`: a pool of processes over this machine's GPUs or cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.engines.base import Capabilities, JobState, Submission

_LOG = "agent.log"


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    slot: int
    folder: Path


class LocalEngine:
    """Runs as many tasks at once as it has slots, first come, first served.

    With GPUs, each slot is one of them and its tasks see no other. A task pauses when the driver ends.
    """

    def __init__(self, workers: int = 1, gpus: Sequence[int] = (), cores: int | None = None) -> None:
        """Make a pool.

        Args:
            workers: number of slots; where there are GPUs, one for each of them.
            gpus: numbers of the GPUs, as nvidia-smi counts them.
            cores: threads of each task; None: as many as its trainer takes.
        """
        self._gpus, self._cores = tuple(gpus), cores
        self._free = deque(range(len(gpus) or workers))
        self._slots = len(self._free)
        self._queue: dict[str, Submission] = {}
        self._running: dict[str, _Running] = {}
        self._ended: dict[str, Path] = {}

    def capabilities(self) -> Capabilities:
        """Return what it is."""
        return Capabilities("local", self._slots, survives_driver=False, lag_seconds=0.0)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        """Queue attempts; the handle is the attempt."""
        self._queue |= {one.attempt: one for one in submissions}
        self._fill()
        return [one.attempt for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        """Return the state of each job, and start queued ones on slots that are free."""
        for handle in [handle for handle, one in self._running.items() if one.process.poll() is not None]:
            self._end(handle)
        self._fill()
        return [self._state(handle) for handle in handles]

    def cancel(self, handles: Sequence[str]) -> None:
        """Drop queued jobs and kill running ones with the trainer that they started."""
        for handle in handles:
            if (queued := self._queue.pop(handle, None)) is not None:
                self._ended[handle] = queued.folder
            elif handle in self._running:
                with_children = [self._running[handle].process.pid, *_children(self._running[handle].process.pid)]
                for pid in with_children:
                    _kill_group(pid)
                self._running[handle].process.wait()
                self._end(handle)
        self._fill()

    def logs(self, handle: str) -> list[Path]:
        """Return the log of the process beside the task."""
        running = self._running.get(handle)
        folder = running.folder if running else self._ended.get(handle)
        return [folder / _LOG] if folder and (folder / _LOG).is_file() else []

    def queue_length(self) -> int | None:
        """Return how many tasks wait for a slot."""
        return len(self._queue)

    def close(self) -> None:
        """Kill what still runs."""
        self.cancel([*self._queue, *self._running])

    def _state(self, handle: str) -> JobState:
        if handle in self._queue:
            return "queued"
        if handle in self._running:
            return "running"
        return "ended" if handle in self._ended else "unknown"

    def _fill(self) -> None:
        while self._queue and self._free:
            handle = next(iter(self._queue))
            submission, slot = self._queue.pop(handle), self._free.popleft()
            self._running[handle] = _Running(self._start(submission, slot), slot, submission.folder)

    def _start(self, submission: Submission, slot: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "liftgate.engines.agent", str(submission.folder), submission.attempt]
        env = dict(os.environ)
        if self._gpus:
            env["CUDA_VISIBLE_DEVICES"] = str(self._gpus[slot])
        cores = submission.resources.cores or self._cores
        if cores is not None:
            env |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(cores))
        with (submission.folder / _LOG).open("ab") as log:
            return subprocess.Popen(
                [*command, str(os.getpid()), *(submission.mirror or ())],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C in the terminal reaches the driver alone
            )

    def _end(self, handle: str) -> None:
        ended = self._running.pop(handle)
        self._free.append(ended.slot)
        self._ended[handle] = ended.folder


def _children(pid: int) -> list[int]:
    """Return the children of a process, the trainer among them, which has a session of its own."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
