"""Deadline: pause a run before the time limit of a job scheduler ends it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from liftgate.errors import Stopped, UsageError
from liftgate.progress import duration

_UNITS = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}
_SLACK = 1.1  # an epoch may take this much longer than the one before
_RESERVE, _SHARE = 60.0, 0.05  # seconds, and share of the limit, reserved for saving and the report


class Deadline:
    """Decides whether another epoch fits before the time limit.

    >>> now = 0.0
    >>> deadline = Deadline(3600, clock=lambda: now)
    >>> deadline.reason(epoch=600)
    ''
    >>> now = 2900.0
    >>> deadline.reason(epoch=600)
    'paused in time for the limit of 1 h 00 min'
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit = seconds
        self._end = clock() + seconds - min(_RESERVE, _SHARE * seconds)

    def reason(self, epoch: float) -> str:
        """Return why to pause at the next epoch boundary; empty: another epoch fits.

        Args:
            epoch: seconds that the last epoch took; 0: not known yet.

        Raises:
            Stopped: the time is over in the middle of an epoch, which is lost; finished epochs are kept.
        """
        now = self._clock()
        if now >= self._end:
            raise Stopped(
                f"the time limit of {duration(self._limit)} is reached",
                hint="the same command goes on from the last finished epoch",
            )
        if now + _SLACK * epoch >= self._end:
            return f"paused in time for the limit of {duration(self._limit)}"
        return ""


def parse_time_limit(text: str) -> float:
    """Return seconds of `4h`, `1h30m`, `90 min`, `3600` (seconds), or Slurm's `HH:MM:SS` and `D-HH:MM:SS`.

    Raises:
        UsageError: it is none of these, or zero.

    >>> parse_time_limit("4h"), parse_time_limit("1h30m"), parse_time_limit("1-00:30:00")
    (14400.0, 5400.0, 88200.0)
    """
    seconds = _clock_time(text.strip()) or _with_units(text.strip().lower())
    if not seconds:
        raise UsageError("not a time limit", got=text, expected="4h, 1h30m, 90m, 3600 or HH:MM:SS")
    return seconds


def _clock_time(text: str) -> float:
    match = re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,4}):(\d{2}):(\d{2})", text, re.ASCII)
    if match is None:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _with_units(text: str) -> float:
    number = r"\d{1,9}(?:\.\d{1,6})?"
    if re.fullmatch(number, text, re.ASCII):
        return float(text)
    parts = re.findall(rf"({number})\s*(min|[dhms])\s*", text, re.ASCII)
    if "".join(value + unit for value, unit in parts) != re.sub(r"\s", "", text):
        return 0.0
    return sum(float(value) * _UNITS[unit] for value, unit in parts)
