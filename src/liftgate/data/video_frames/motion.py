"""Find the part of a video with the most motion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.video_frames.picking import nearest, runs
from liftgate.data.video_frames.times import grid
from liftgate.data.video_frames.video import Video, VideoIndex

_WIDTH, _HEIGHT = 64, 36
_THUMBNAILS = 24  # in a window: fewer miss a short gesture, more only cost time
_NOISE = 4.0  # grey levels: a sensor's noise and the encoder's are below


def busiest_centre(video: Video, facts: VideoIndex, length: float) -> float:
    """Return the centre, in seconds, of the `length` seconds with the most motion; of equals the earliest.

    Motion is the share of pixels of a 64 × 36 grey thumbnail that change by more than the noise between two thumbnails.
    So a flickering lamp or a slow dawn counts for no more than a person who walks.

    Args:
        video: an open video.
        facts: its index.
        length: length of the window in seconds.
    """
    step = max(length / _THUMBNAILS, facts.gap)
    times = grid(0.0, facts.duration, step)
    thumbnails = []
    for run in runs(times, facts.keys, facts.gap):
        thumbnails += [thumbnail(frame) for _, _, frame, _ in nearest(video.frames_around(run, facts), run)]
    start = busiest_window(changed_share(thumbnails), max(1, round(length / step)))
    return start * step + length / 2


def thumbnail(frame: Any) -> NDArray[np.uint8]:
    """Return an `av.VideoFrame` as (36, 64) grey levels."""
    small: NDArray[np.uint8] = frame.reformat(_WIDTH, _HEIGHT, "gray", interpolation="AREA").to_ndarray()
    return small


def changed_share(thumbnails: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return, for each two thumbnails in a row, the share of pixels that change; shape (thumbnails − 1,).

    Each thumbnail's mean is subtracted first: a jump in exposure is no motion.

    Args:
        thumbnails: grey levels, each of shape (36, 64).
    """
    found, before = [], None
    for picture in thumbnails:
        level = picture.astype(np.float64) - picture.mean()
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
