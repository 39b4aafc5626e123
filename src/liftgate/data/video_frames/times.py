"""Compute the times to extract from one video, in seconds from its first frame."""

from __future__ import annotations

import math
import re

from liftgate.data.video_frames.records import Window
from liftgate.errors import UsageError

_EPSILON = 1e-6  # a tenth of the finest time base in use (1/90000 s); keeps 3 × 0.1 at 0.3

_CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+) ?s?", re.ASCII)


def grid(start: float, end: float, every: float, *, phase: float = 0.0) -> list[float]:
    """Return the times start + phase + k·every that are before `end`.

    >>> grid(0, 30.16, 5)
    [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
    >>> grid(0, 10, 5)
    [0.0, 5.0]
    """
    if not (math.isfinite(every) and every > 0):
        raise UsageError("the time between frames must be a positive number of seconds", got=every)
    first = start + phase
    count = max(0, math.ceil((end - first - _EPSILON) / every))
    return [first + k * every for k in range(count)]


def bounds(window: Window, duration: float, busiest: float | None = None) -> tuple[float, float]:
    """Return begin and end of `window` in a video of `duration` seconds; begin ≥ end: the window is outside.

    A window of a given length is moved, not cut, if it would extend over an end; of a shorter video everything is used.
    `busiest` is the centre of the most motion, for a window with `centre="motion"`.

    >>> bounds(Window(length=60), 600), bounds(Window(length=60, centre=10.0), 600), bounds(Window(length=60), 20)
    ((270.0, 330.0), (0.0, 60.0), (0.0, 20))
    """
    if window.length is None:
        return window.start, duration if window.end is None else min(window.end, duration)
    if window.centre == "motion":
        centre = duration / 2 if busiest is None else busiest
    elif window.centre == "middle":
        centre = duration / 2
    else:
        centre = window.centre
    start = max(0.0, min(centre - window.length / 2, duration - window.length))
    return start, min(start + window.length, duration)


def parse_time(text: str) -> float:
    """Return the seconds that `90`, `90s`, `1:30` or `1:01:30.5` mean.

    Raises:
        UsageError: not in one of these forms.

    >>> parse_time("90"), parse_time("90s"), parse_time("1:30"), parse_time("1:01:30.5")
    (90.0, 90.0, 90.0, 3690.5)
    """
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise UsageError("not a time", expected="seconds, mm:ss or hh:mm:ss", got=text)
    hours, minutes, seconds = match.groups()
    if minutes is not None and float(seconds) >= 60:
        raise UsageError("not a time", expected="seconds below 60 after minutes", got=text)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def check_window(window: Window) -> None:
    """Refuse an invalid window.

    Raises:
        UsageError: a negative or reversed window, or two kinds of window at once.
    """
    if window.length is not None:
        if window.length <= 0:
            raise UsageError("a window needs a positive length", got=window.length)
        if window.start or window.end is not None:
            raise UsageError("a window has either start and end, or a length and a centre, not both")
    elif window.start < 0 or (window.end is not None and window.end <= window.start):
        raise UsageError("the window's end is not after its start", got=f"{window.start} … {window.end}")
