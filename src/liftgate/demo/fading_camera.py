"""Draw what a camera sees whose light fades from month to month: a first set, each month's frames, and one day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from liftgate.demo import scenes
from liftgate.demo.demo_dataset import DigitPool, data_yaml_text, jpeg_bytes, write_frame
from liftgate.files import write_bytes, write_text

GROUPS = r"^(?P<group>\d{4}-\d\d-\d\d|video\d+)"
"""Days of production, and videos of the first set"""
CAMERA = "gate"
_VIDEOS = {"train": 12, "val": 3, "test": 14}
_FRAMES_OF_VIDEO = 6
_DAYS, _FRAMES_OF_DAY = 20, 3
_MINUTES_OF_SCENE, _FRAMES_OF_SCENE = 10, 4
_FADES = 0.2
"""Share of the first set's light that is lost with every month"""
_NOISE = 3.0
"""More of it with every month, of 255: a camera turns its gain up in the dark"""


@dataclass(frozen=True, slots=True)
class PlayedFrame:
    """An image as it comes from the camera."""

    name: str
    time: float
    """Seconds since 1970"""
    content: bytes
    """JPEG"""
    brightness: float


def month_start(month: int) -> date:
    """Return the first day of a month of production, counted from 1.

    >>> month_start(1).isoformat()
    '2025-10-01'
    """
    return date(2025, 9 + month, 1)


def draw_first_set(folder: Path, pool: DigitPool, rng: np.random.Generator) -> Path:
    """Write what the first version is trained and tested on, and return its data.yaml."""
    number = 0
    for split, count in _VIDEOS.items():
        names = []
        for _ in range(count):
            for place, frame in enumerate(scenes.render_video(pool.take(), _FRAMES_OF_VIDEO, rng)):
                names.append(f"video{number:02d}_{place:03d}")
                write_frame(folder, names[-1], frame)
            number += 1
        write_text(folder / f"{split}.txt", "".join(f"./images/{name}.jpg\n" for name in names))
    write_text(folder / "data.yaml", data_yaml_text())
    return folder / "data.yaml"


def draw_month(folder: Path, month: int, pool: DigitPool, rng: np.random.Generator) -> list[PlayedFrame]:
    """Write the frames of twenty days to `frames/` with frames.csv, their labels to `truth/`, and return the frames."""
    lines, played = ["image,group,camera,day\n"], []
    for number in range(_DAYS):
        day = month_start(month) + timedelta(days=number)
        for place, frame in enumerate(scenes.render_video(pool.take(), _FRAMES_OF_DAY, rng)):
            name = f"{day}_{place:03d}"
            faded = _faded(frame, month, rng)
            write_frame(folder / "truth", name, faded)
            content = (folder / "truth" / "images" / f"{name}.jpg").read_bytes()
            write_bytes(folder / "frames" / f"{name}.jpg", content)
            lines.append(f"{name}.jpg,{day},{CAMERA},{day}\n")
            at = datetime(day.year, day.month, day.day, 8 + place, tzinfo=UTC).timestamp()
            played.append(PlayedFrame(f"{name}.jpg", at, content, float(faded.pixels.mean())))
    write_text(folder / "frames" / "frames.csv", "".join(lines))
    return played


def frames_of_a_day(month: int, pool: DigitPool, rng: np.random.Generator) -> Iterator[PlayedFrame]:
    """Yield frames of one day after a month's: a new scene every ten minutes; nothing is trained on them."""
    day = month_start(month) + timedelta(days=_DAYS)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    gap = 60 * _MINUTES_OF_SCENE / _FRAMES_OF_SCENE
    for scene in range(24 * 60 // _MINUTES_OF_SCENE):
        digits = pool.again(5, rng)
        for place, frame in enumerate(scenes.render_video(digits, _FRAMES_OF_SCENE, rng)):
            at = 60 * _MINUTES_OF_SCENE * scene + gap * place
            faded = _faded(frame, month, rng)
            name = f"{day}_{int(at):05d}.jpg"
            yield PlayedFrame(name, midnight + at, jpeg_bytes(faded.pixels), float(faded.pixels.mean()))


def _faded(frame: scenes.VideoFrame, month: int, rng: np.random.Generator) -> scenes.VideoFrame:
    noise = rng.normal(0, _NOISE * month, frame.pixels.shape)
    pixels = np.clip(frame.pixels * (1 - _FADES * month) + noise, 0, 255)
    return replace(frame, pixels=pixels.astype(np.uint8))
