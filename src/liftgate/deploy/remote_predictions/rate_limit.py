"""Limit the rate of requests: a maximum per second, and none while the server demands a pause."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from liftgate.errors import UsageError

_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def parse_rate(text: str) -> float:
    """Return requests per second.

    >>> parse_rate("2/s"), parse_rate("30/min"), parse_rate("0.5")
    (2.0, 0.5, 0.5)

    Raises:
        UsageError: it is no rate.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*(s|sec|min|m|h))?\s*", text)
    rate = float(found[1]) / _SECONDS[found[2] or "s"] if found else 0.0
    if not 0 < rate < 1e6:
        raise UsageError("not a rate", expected="2/s, 30/min or 500/h", got=text)
    return rate


class RateLimiter:
    """Spaces the requests of any number of threads evenly."""

    def __init__(
        self,
        per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._gap = 0.0 if per_second is None else 1 / per_second
        self._clock, self._sleep = clock, sleep
        self._next = -float("inf")
        self._lock = threading.Lock()

    def wait_turn(self) -> None:
        """Return when the caller may send its request."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._gap
        if start > now:
            self._sleep(start - now)

    def pause(self, seconds: float) -> None:
        """Let no request start for so long."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)
