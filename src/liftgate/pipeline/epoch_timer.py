"""Pace: how long an epoch takes, by the clock between two of them."""

from __future__ import annotations

import time
from collections.abc import Callable


class EpochTimer:
    """Times epochs as they are reported: what happens between them (a checkpoint, say) takes its time too.

    >>> now = 0.0
    >>> pace = EpochTimer(clock=lambda: now)
    >>> pace.record(10.0), pace.seconds
    (10.0, 10.0)
    >>> now = 12.5
    >>> pace.record(10.0)
    12.5
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self.seconds = 0.0
        """Of the last epoch; 0: none was seen"""

    def record(self, reported: float | None) -> float:
        """Take note of an epoch that is done; the first one's length is what it reports."""
        now = self._clock()
        self.seconds = max(reported or 0.0, 0.0 if self._last is None else now - self._last)
        self._last = now
        return self.seconds

    def reset(self) -> None:
        """Begin with another training, whose epochs take another time."""
        self._last, self.seconds = None, 0.0
