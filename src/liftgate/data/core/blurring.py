"""Regions and faces made unrecognisable before images go to somebody: boxes given by hand or by a detector."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from liftgate.data.core.pictures import open_picture
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError

_CELLS = 5
"""Cells that are left of a box's longer side: of a face its tone and no feature"""
_MARGIN = 0.1
"""By which a box is enlarged on every side, as detectors cut faces close"""
_FORMATS = {".png": "PNG", ".bmp": "PNG", ".tif": "PNG", ".tiff": "PNG"}

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels of the image upright"""


def read_blur_boxes(path: Path, images: Iterable[str]) -> Mapping[str, Sequence[Box]]:
    """Return image id → boxes to blur, of a JSON list of `{"image_id": …, "bbox": [x, y, width, height]}`.

    That is what COCO results are, so a face detector's output can be given as it is; every box counts, whatever its
    score and class.

    Args:
        path: the file.
        images: ids that there are; a box of another image is an error, as it would hide nothing.

    Raises:
        DataError: it is no such list, or names an image that is not there.
    """
    known, found = set(images), dict[str, list[Box]]()
    expected = 'a list of {"image_id": …, "bbox": [x, y, width, height]}'
    try:
        rows: Any = load_json(path, LARGE)
        for row in rows:
            x, y, width, height = map(float, row["bbox"])
            found.setdefault(str(row["image_id"]), []).append((x, y, width, height))
    except (OSError, DocumentError, KeyError, TypeError, ValueError) as error:
        raise DataError("no list of boxes to blur", where=path, expected=expected, got=str(error)[:100]) from error
    if unknown := sorted(found.keys() - known):
        hint = "ids are the images' paths below the data set's root"
        raise DataError("a box to blur is of an image that is not there", where=path, got=unknown[0], hint=hint)
    return found


def blurred(path: Path, boxes: Sequence[Box]) -> bytes:
    """Return the file of an image, upright, with these boxes coarse and without the camera's metadata.

    Args:
        path: the image.
        boxes: what to blur; parts outside the image are left out.

    Raises:
        DataError: the image cannot be read.
    """
    try:
        with open_picture(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except OSError as error:
        raise DataError(f"not an image: {error}", where=path) from error
    for x, y, width, height in boxes:
        left, top = max(0, int(x - _MARGIN * width)), max(0, int(y - _MARGIN * height))
        right = min(image.width, int(x + (1 + _MARGIN) * width) + 1)
        bottom = min(image.height, int(y + (1 + _MARGIN) * height) + 1)
        if right <= left or bottom <= top:
            continue
        part = image.crop((left, top, right, bottom))
        longer = max(part.size)
        cells = max(1, round(_CELLS * part.width / longer)), max(1, round(_CELLS * part.height / longer))
        coarse = part.resize(cells, Image.Resampling.BOX).resize(part.size, Image.Resampling.BICUBIC)
        image.paste(coarse, (left, top))
    written = io.BytesIO()
    image.save(written, _FORMATS.get(path.suffix.lower(), "JPEG"), quality=95)
    return written.getvalue()
