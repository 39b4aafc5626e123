"""Write a decoded frame as a file and a row of frames.csv."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterable
from dataclasses import astuple, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from liftgate.data.core.csv_tables import csv_writer
from liftgate.data.video_frames.library import pyav
from liftgate.data.video_frames.records import FrameRow, FrameSource, Request
from liftgate.data.video_frames.sources import safe_name
from liftgate.errors import DataError
from liftgate.files import name_new_file, replacing

COLUMNS = tuple(field.name for field in fields(FrameRow))

_ROTATIONS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


class _Converter(threading.local):
    """Convert frames to RGB with one converter; `VideoFrame.to_image` makes one per frame, which is slow."""

    _reformatter: Any = None

    def rgb(self, frame: Any) -> Image.Image:
        if self._reformatter is None:
            self._reformatter = pyav().video.reformatter.VideoReformatter()
        shown = self._reformatter.reformat(frame, format="rgb24", threads=1)
        (plane,) = shown.planes
        stride, downwards = abs(plane.line_size), 1 if plane.line_size > 0 else -1  # some codecs store it bottom up
        return Image.frombytes("RGB", (shown.width, shown.height), memoryview(plane), "raw", "RGB", stride, downwards)


_converter = _Converter()


def upright(frame: Any) -> Image.Image:
    """Return an `av.VideoFrame` as RGB, rotated by its display matrix (a phone held upright)."""
    picture = _converter.rgb(frame)
    turn = _ROTATIONS.get(round(frame.rotation / 90) * 90 % 360)
    return picture if turn is None else picture.transpose(turn)


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Return the JPEG file of `picture`: the same pixels, quality and Pillow give the same bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def frame_name(source: FrameSource, time: float) -> str:
    """Return `VIDEO_CAMERA_00012345ms.jpg`; without the camera if it is unknown or in the video's name.

    >>> frame_name(FrameSource(Path("x.mp4"), "line-2", camera="cam1"), 12.3449)
    'line-2_cam1_00012345ms.jpg'
    """
    parts = [source.name]
    if source.camera and source.camera.casefold() not in source.name.casefold():
        parts.append(source.camera)
    return f"{'_'.join(parts)}_{round(time * 1000):08d}ms.jpg"


def group_of(source: FrameSource, request: Request) -> str:
    """Return the group of the frames of a source.

    Segments of one camera and day are one group: consecutive minutes show the same people in the same light.
    """
    by = request.group_by or ("camera-day" if source.kind == "segment" else "video")
    camera_day = "_".join(part for part in (source.camera, source.day) if part)
    if by == "camera-day" and camera_day:
        return camera_day
    return safe_name(source.folder) if source.kind == "image" else source.name


def save(folder: Path, name: str, data: bytes) -> str:
    """Write a file into `folder` in one atomic step and return its SHA-256.

    It is not synced to disk, which would take longer than decoding: the journal has the hash, and the next run checks
    it. What a kill leaves of it, the next run's journal deletes.

    Raises:
        DataError: another file of this name is there.
    """
    part = folder / f".{threading.get_ident()}.part"  # two units of one video may take the same frame at once
    try:
        part.write_bytes(data)
        try:
            name_new_file(part, folder / name)
        except DataError:
            if (folder / name).read_bytes() != data:  # else the other unit, or a run that was killed, wrote it
                raise
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(data).hexdigest()


def frame_row(
    source: FrameSource,
    request: Request,
    name: str,
    size: tuple[int, int],
    sha256: str,
    *,
    time: float,
    requested: float,
) -> FrameRow:
    """Return the row of one frame of a video."""
    return FrameRow(
        image=name,
        group=group_of(source, request),
        video=source.name,
        camera=source.camera,
        category=source.category,
        day=source.day,
        taken="" if source.started is None else (source.started + timedelta(seconds=round(time, 3))).isoformat(),
        time=f"{time:.6f}",
        requested=f"{requested:.6f}",
        width=str(size[0]),
        height=str(size[1]),
        sha256=sha256,
    )


def write_manifest(path: Path, rows: Iterable[FrameRow]) -> None:
    """Write frames.csv: the same rows give the same bytes."""
    with replacing(path) as file:
        writer = csv_writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(astuple(row) for row in rows)
