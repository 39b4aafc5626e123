"""Render videos of handwritten digits that lie on textured ground under a light that drifts.

The handwriting is real (scikit-learn's copy of the UCI optical digits, 8 × 8 pixels, written by 43 people); ground,
light and motion are drawn. Frames of one video share scene, light and objects and move a little, so they are the
near-copies that frames of a real video are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = 192
"""Side of a frame in pixels."""
_MARGIN = 3.0  # an object stays this far from the border

Pixels = NDArray[np.uint8]
Grey = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Digit:
    """A digit lying in the scene."""

    ink: Grey
    """(h, w) in 0 … 1, cut to what is written"""
    cls: int | None
    """Class; None: a digit without a label"""
    x: float
    y: float
    """Left top corner in pixels"""
    vx: float
    vy: float
    """Pixels per frame"""
    tone: NDArray[np.float64]
    """(3,) colour of the ink"""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One image with its labels."""

    pixels: Pixels
    """(192, 192, 3)"""
    classes: tuple[int, ...]
    boxes: NDArray[np.float64]
    """(n, 4) xyxy in pixels"""


def render_video(digits: list[tuple[Grey, int | None]], n_frames: int, rng: np.random.Generator) -> list[VideoFrame]:
    """Return the frames of one video in which `digits` ((8, 8) ink in 0 … 1, class) lie and drift.

    A digit that finds no free place is left out.
    """
    ground = _ground(rng)
    dark_ink = ground.mean() > 118
    things = _lay_out(digits, dark_ink, rng)
    light, turn = rng.uniform(0.8, 1.15), rng.uniform(0, 2 * np.pi)
    dim, turning = rng.normal(0, 0.012), rng.normal(0, 0.05)
    noise = rng.uniform(5, 13)
    frames = []
    for number in range(n_frames):
        lit = _light(light + dim * number, turn + turning * number)
        pixels, boxes = _paint(ground, things)
        shown = pixels * lit[..., None] + rng.normal(0, noise, pixels.shape)
        classes = tuple(thing.cls for thing in things if thing.cls is not None)
        labelled = [box for box, thing in zip(boxes, things, strict=True) if thing.cls is not None]
        frames.append(VideoFrame(np.clip(shown, 0, 255).astype(np.uint8), classes, np.array(labelled).reshape(-1, 4)))
        things = [_moved(thing) for thing in things]
    return frames


def _ground(rng: np.random.Generator) -> Grey:
    """Smooth noise at three scales between two colours."""
    field = sum(_noise(cells, rng) * share for cells, share in ((4, 0.4), (12, 0.3), (48, 0.3)))
    base = rng.uniform(40, 210)
    near, far = (np.clip(base + rng.normal(0, 34, 3), 10, 245) for _ in range(2))
    mixed: Grey = near + (far - near) * np.asarray(field)[..., None]
    return mixed


def _noise(cells: int, rng: np.random.Generator) -> Grey:
    return _enlarged(rng.uniform(0, 1, (cells, cells)), SIZE, SIZE)


def _light(gain: float, turn: float) -> Grey:
    """(192, 192) factor: a light from the side `turn` (radians)."""
    across = np.linspace(-0.5, 0.5, SIZE)
    side = np.cos(turn) * across[None, :] + np.sin(turn) * across[:, None]
    lit: Grey = gain * (1 + 0.35 * side)
    return lit


def _lay_out(digits: list[tuple[Grey, int | None]], dark_ink: bool, rng: np.random.Generator) -> list[Digit]:
    things: list[Digit] = []
    for grey, cls in digits:
        ink = _written(grey, int(rng.integers(26, 52)))
        height, width = ink.shape
        tone = np.clip((35 if dark_ink else 215) + rng.normal(0, 22, 3), 0, 255)
        for _ in range(40):
            x, y = rng.uniform(_MARGIN, SIZE - _MARGIN - np.array([width, height]))
            vx, vy = rng.choice([-1.0, 1.0], 2) * rng.uniform(0.8, 2.0, 2)
            thing = Digit(ink, cls, float(x), float(y), float(vx), float(vy), tone)
            if all(_apart(thing, other) for other in things):
                things.append(thing)
                break
    return things


def _written(grey: Grey, side: int) -> Grey:
    """Enlarge 8 × 8 ink to about `side` pixels and cut it to what is written: its box is tight."""
    large = np.clip(_enlarged(grey, side, side) * 1.6 - 0.25, 0, 1)
    rows, columns = np.flatnonzero((large > 0.3).any(axis=1)), np.flatnonzero((large > 0.3).any(axis=0))
    cut: Grey = large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut


def _enlarged(values: Grey, width: int, height: int) -> Grey:
    import PIL.Image

    image = PIL.Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((width, height), PIL.Image.Resampling.BICUBIC), dtype=np.float64)


def _apart(a: Digit, b: Digit) -> bool:
    gap = 8.0
    (ha, wa), (hb, wb) = a.ink.shape, b.ink.shape
    beside = a.x + wa + gap < b.x or b.x + wb + gap < a.x
    above = a.y + ha + gap < b.y or b.y + hb + gap < a.y
    return bool(beside or above)


def _moved(thing: Digit) -> Digit:
    """One frame later; an object turns round at the border."""
    height, width = thing.ink.shape
    x, vx = _bounced(thing.x + thing.vx, thing.vx, SIZE - _MARGIN - width)
    y, vy = _bounced(thing.y + thing.vy, thing.vy, SIZE - _MARGIN - height)
    return replace(thing, x=x, y=y, vx=vx, vy=vy)


def _bounced(place: float, speed: float, far: float) -> tuple[float, float]:
    return (min(max(place, _MARGIN), far), -speed) if not _MARGIN <= place <= far else (place, speed)


def _paint(ground: Grey, things: list[Digit]) -> tuple[Grey, list[tuple[float, float, float, float]]]:
    pixels = ground.copy()
    boxes = []
    for thing in things:
        height, width = thing.ink.shape
        left, top = round(thing.x), round(thing.y)
        place: Any = np.s_[top : top + height, left : left + width]
        pixels[place] += (thing.tone - pixels[place]) * thing.ink[..., None]
        boxes.append((float(left), float(top), float(left + width), float(top + height)))
    return pixels, boxes
