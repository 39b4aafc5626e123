"""Where a video moves most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.video_frames.picking import nearest, runs
from liftgate.data.video_frames.times import grid
from liftgate.data.video_frames.video import Video, VideoIndex

_WIDTH, _HEIGHT = 64, 36
_SAMPLES = 24  # looks in a window: fewer miss a short gesture, more only cost time
_NOISE = 4.0  # grey levels: a sensor's noise and the encoder's are below


def busiest_centre(video: Video, facts: VideoIndex, length: float) -> float:
    """Return the centre, in seconds, of the `length` seconds with the most motion; of equals the earliest.

    Motion is the share of a 64 × 36 grey picture that changes by more than the noise from one look to the next, so that
    a lamp that flickers or a slow dawn weighs no more than a person who walks.
    """
    step = max(length / _SAMPLES, facts.gap)
    times = grid(0.0, facts.duration, step)
    looks = []
    for run in runs(times, facts.keys, facts.gap):
        looks += [thumbnail(frame) for _, _, frame, _ in nearest(video.frames_around(run, facts), run)]
    start = busiest_window(changed_share(looks), max(1, round(length / step)))
    return start * step + length / 2


def thumbnail(frame: Any) -> NDArray[np.uint8]:
    """Return an `av.VideoFrame` as (36, 64) grey levels."""
    small: NDArray[np.uint8] = frame.reformat(_WIDTH, _HEIGHT, "gray", interpolation="AREA").to_ndarray()
    return small


def changed_share(looks: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return, for each two looks in a row, the share of pixels that change; shape (looks − 1,).

    Each look's mean is taken off first: exposure that jumps is no motion.
    """
    found, before = [], None
    for look in looks:
        level = look.astype(np.float64) - look.mean()
        if before is not None:
            found.append(float(np.mean(np.abs(level - before) > _NOISE)))
        before = level
    return np.array(found)


def busiest_window(values: NDArray[np.float64], length: int) -> int:
    """Return where the `length` values in a row with the largest sum begin; of equals the first.

    >>> busiest_window(np.array([0.0, 0.5, 0.5, 0.1, 0.0]), 2)
    1
    """
    if len(values) <= length:
        return 0
    sums = np.convolve(values, np.ones(length), mode="valid").round(9)
    return int(np.argmax(sums))
