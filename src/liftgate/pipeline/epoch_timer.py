"""Epoch timer: how long an epoch takes, by the clock between two of them."""

from __future__ import annotations

import time
from collections.abc import Callable


class EpochTimer:
    """Times epochs as they are reported, with the time between them (a checkpoint, say).

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
        """Record the end of an epoch and return its length in seconds; the first one's is what it reports."""
        now = self._clock()
        self.seconds = max(reported or 0.0, 0.0 if self._last is None else now - self._last)
        self._last = now
        return self.seconds

    def reset(self) -> None:
        """Begin with another training, whose epochs take another time."""
        self._last, self.seconds = None, 0.0
