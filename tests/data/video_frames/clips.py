"""Tiny videos whose every frame tells its own time: a grey level for the frame number, and a bright corner."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 96, 64


def picture(level: int, *, moving: int | None = None) -> np.ndarray:
    """(64, 96, 3) grey, its left upper corner white; `moving` draws a dark block there."""
    pixels = np.full((HEIGHT, WIDTH, 3), 40 + level % 160, dtype=np.uint8)
    pixels[:16, :24] = 255
    if moving is not None:
        left = 24 + moving % 48
        pixels[24:56, left : left + 20] = 0
    return pixels


def write_clip(
    path: Path,
    n_frames: int,
    *,
    fps: int = 10,
    gop: int = 10,
    codec: str = "libx264",
    times: Sequence[float] | None = None,
    moving: range = range(0),
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
) -> Path:
    """Write a clip; `times` (seconds) gives every frame its own, for a variable rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"preset": "veryfast", **(options or {})} if codec == "libx264" else (options or {})
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=fps, options=settings)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000 if times else fps)
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(picture(number, moving=number if number in moving else None), "rgb24")
            frame.pts = round(times[number] * 1000) if times else number
            frame.time_base = stream.codec_context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path
