"""Epoch timer: wall time per epoch, including the time between epochs."""

from __future__ import annotations

import time
from collections.abc import Callable


class EpochTimer:
    """Measures the time from one reported epoch to the next, checkpoints included.

    >>> now = 0.0
    >>> timer = EpochTimer(clock=lambda: now)
    >>> timer.record(10.0), timer.seconds
    (10.0, 10.0)
    >>> now = 12.5
    >>> timer.record(10.0)
    12.5
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self.seconds = 0.0
        """Length of the last epoch; 0: none was recorded"""

    def record(self, reported: float | None) -> float:
        """Record the end of an epoch and return its duration in seconds; for the first one that is the reported one."""
        now = self._clock()
        self.seconds = max(reported or 0.0, 0.0 if self._last is None else now - self._last)
        self._last = now
        return self.seconds

    def reset(self) -> None:
        """Forget the last epoch, because another training begins."""
        self._last, self.seconds = None, 0.0


class RunClock:
    """Seconds of a run: of its earlier attempts, and of this one by the clock, or as an engine counted them."""

    def __init__(self) -> None:
        self._before, self._started = 0.0, time.monotonic()
        self._counted: float | None = None

    def start(self, before: float) -> None:
        """Start the clock after attempts that took `before` seconds."""
        self._before, self._started = before, time.monotonic()

    def add(self, seconds: float) -> None:
        """Take an engine's count for this attempt, which leaves out the time in its queue."""
        self._counted = seconds

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        now = time.monotonic() - self._started if self._counted is None else self._counted
        return round(self._before + now, 3)
