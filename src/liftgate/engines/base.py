"""What an engine does: submit attempts at tasks, say how they stand, cancel them, and show their logs.

An engine knows nothing of results: how an attempt ended is in its folder (task.py). So an engine is small, and what it
believes of a job (a node that does not answer, an accounting database that is behind) is never taken for a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

JobState = Literal["queued", "running", "ended", "unknown"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs of a machine; None: what the engine gives."""

    gpus: int = 0
    cores: int | None = None
    memory_gb: float | None = None
    hours: float | None = None
    """Longest time of one attempt: a longer task pauses and goes on in another"""


@dataclass(frozen=True, slots=True)
class Submission:
    """One attempt at a task."""

    name: str
    folder: Path
    attempt: str
    resources: Resources
    mirror: tuple[str, str] | None = None
    """URL of the object store and the task's key there, where driver and worker share no folder"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine is."""

    name: str
    slots: int | None
    """Tasks at once; None: as many as the cluster gives"""
    survives_driver: bool
    """Whether its jobs go on when the driver's process ends"""
    lag_seconds: float
    """How much later this machine may see what a worker wrote"""
    region: str | None = None


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that an engine works on, for `status` and `logs`."""

    name: str
    folder: str
    handle: str
    """The engine's name of its job"""
    attempts: int
    logs: tuple[str, ...]
    """Log files of the engine"""


@dataclass(frozen=True, slots=True)
class Overview:
    """How all tasks of an engine stand."""

    engine: str
    counts: Mapping[str, int]
    """State → number of tasks: queued, running, done, paused, failed"""
    running: tuple[RunningTask, ...]
    """The first of those that run"""


class Engine(Protocol):
    """Runs attempts somewhere."""

    def capabilities(self) -> Capabilities:
        """Return what it is."""

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        """Submit attempts and return a handle for each, in order."""

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        """Return the state of each job; `unknown` where the engine does not know the handle."""

    def cancel(self, handles: Sequence[str]) -> None:
        """End jobs at once, queued or running; those that have ended are left alone."""

    def logs(self, handle: str) -> list[Path]:
        """Return the engine's own log files of a job that exist."""
        return []

    def queue_length(self) -> int | None:
        """Return how many of this user's jobs wait in its queue; None: unknown."""
        return None

    def close(self) -> None:
        """Release what it holds; its jobs are ended or survive."""
