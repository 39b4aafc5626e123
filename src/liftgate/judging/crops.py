"""Cut what a question is about out of its image, with enough around it to see what it is."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate.data.core.pictures import open_picture
from liftgate.errors import DataError

if TYPE_CHECKING:
    import PIL.Image

_AROUND, _LEAST_SIDE, _LARGEST_SIDE, _WHOLE_SIDE = 0.9, 96.0, 560, 1024
_QUALITY = 82

Box = tuple[float, float, float, float]


class Crop(NamedTuple):
    """A part of an image."""

    jpeg: str
    """Base64"""
    window: Box
    """The part, xyxy in pixels of the image upright"""


def crop(path: Path, boxes: tuple[Box, ...]) -> Crop:
    """Return the part of an image around `boxes`, upright; the whole image where there are none.

    Raises:
        DataError: the image cannot be read.
    """
    picture = _upright(path)
    window = window_of(picture.size, boxes)
    part = picture.crop(_corners(window))
    largest = _LARGEST_SIDE if boxes else _WHOLE_SIDE
    part.thumbnail((largest, largest))
    return Crop(base64.b64encode(_jpeg(part)).decode("ascii"), window)


def cut(path: Path, window: Box) -> bytes:
    """Return a part of an image, upright and in its full resolution, as a JPEG.

    Args:
        path: of the image.
        window: the part, xyxy in whole pixels of the image upright.

    Raises:
        DataError: the image cannot be read.
    """
    return _jpeg(_upright(path).crop(_corners(window)))


def window_of(size: tuple[int, int], boxes: tuple[Box, ...]) -> Box:
    """Return the boxes' surroundings, in whole pixels inside an image of (width, height); without boxes all of it."""
    if not boxes:
        return 0.0, 0.0, float(size[0]), float(size[1])
    low = [min(box[axis] for box in boxes) for axis in (0, 1)]
    high = [max(box[axis + 2] for box in boxes) for axis in (0, 1)]
    side = max(_LEAST_SIDE, (1 + 2 * _AROUND) * max(high[0] - low[0], high[1] - low[1]))
    edges: list[tuple[float, float]] = []
    for axis in (0, 1):
        length = min(side, float(size[axis]))
        start = min(max(0.0, (low[axis] + high[axis] - length) / 2), size[axis] - length)
        edges.append((float(int(start)), min(float(size[axis]), float(int(start + length + 1)))))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def _upright(path: Path) -> PIL.Image.Image:
    import PIL.Image
    import PIL.ImageOps

    try:
        with open_picture(path) as opened:
            return PIL.ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise DataError("an image that cannot be read cannot be judged", where=path, got=str(error)[:200]) from None


def _corners(window: Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(value) for value in window)
    return left, top, right, bottom


def _jpeg(picture: PIL.Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
