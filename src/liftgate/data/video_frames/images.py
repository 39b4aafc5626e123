"""Copy frames from folders of images, byte for byte."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from liftgate.data.core.dataset import Fault
from liftgate.data.core.pictures import open_picture
from liftgate.data.video_frames.records import FrameRow, FrameSource, Request
from liftgate.data.video_frames.writing import group_of, save
from liftgate.documents import Limits, read_limited

_LARGEST = Limits(size=512 << 20)  # bytes of one image


def thinned(sources: Sequence[FrameSource], request: Request) -> list[FrameSource]:
    """Return the images that are at least `every` seconds apart within their folder and camera.

    An image without a time in its name is always kept. Windows apply only to videos.
    """
    kept: list[FrameSource] = []
    last: dict[tuple[str, str], datetime] = {}
    for source in sorted(sources, key=lambda one: (one.folder, one.camera, str(one.started), one.name)):
        if source.started is not None:
            place = (source.folder, source.camera)
            before = last.get(place)
            if before is not None and (source.started - before).total_seconds() < request.every:
                continue
            last[place] = source.started
        kept.append(source)
    return kept


def copy_images(
    sources: Sequence[FrameSource], out: Path, request: Request
) -> tuple[tuple[FrameRow, ...], tuple[Fault, ...]]:
    """Copy images, each under its source's name; one that cannot be decoded is a fault and is left out."""
    rows, faults = [], []
    for source in sources:
        try:
            data = read_limited(source.path, _LARGEST)
            width, height = _decoded_size(source.path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            unknown = isinstance(error, UnidentifiedImageError)  # its text names an address in memory
            why = "not an image" if unknown else f"{type(error).__name__}: {error}"[:200]
            faults.append(Fault("image_unreadable", str(source.path), why))
            continue
        name = source.name + source.path.suffix.lower()
        rows.append(
            FrameRow(
                image=name,
                group=group_of(source, request),
                video=source.folder,
                camera=source.camera,
                category=source.category,
                day=source.day,
                taken="" if source.started is None else source.started.isoformat(),
                time="",
                requested="",
                width=str(width),
                height=str(height),
                sha256=save(out, name, data),
            )
        )
    return tuple(rows), tuple(faults)


def _decoded_size(path: Path) -> tuple[int, int]:
    """Decode all pixels and return the size as stored: a header alone does not show that a file is truncated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_picture(path) as image:
            image.load()
            return image.size
