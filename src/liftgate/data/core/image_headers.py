"""Read image headers: size, orientation and format, without decoding pixels."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate.data.core.dataset import Fault
from liftgate.data.core.pictures import open_picture
from liftgate.progress import Progress, silent

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset(
    ".avif .bmp .dng .heic .heif .jp2 .jpeg .jpg .mpo .png .tif .tiff .webp".split()  # noqa: SIM905
)
"""Suffixes (lower case) that Ultralytics 8.4 takes for images; a file with another suffix is no image to it."""

_FORMATS = frozenset(["AVIF", "BMP", "DNG", "HEIC", "HEIF", "JPEG2000", "JPEG", "MPO", "PNG", "TIFF", "WEBP"])
_CHUNK = 64
_THREADS = min(16, 4 * (os.cpu_count() or 1))


class ImageHeader(NamedTuple):
    """Size as stored and EXIF orientation; `kind` and `problem` are those of a `Fault` if the file has one."""

    width: int = 0
    height: int = 0
    orientation: int = 1
    kind: str | None = None
    problem: str = ""

    def fault(self, path: Path, image: str) -> Fault | None:
        """Return the header's problem as a fault of `image`; None without a problem."""
        return Fault(self.kind, str(path), self.problem, image) if self.kind else None


def read_header(path: Path) -> ImageHeader:
    """Read the header of one image file; a file that cannot be read gives size 0 and the reason, never an error."""
    from PIL import UnidentifiedImageError  # here: labels without images are measured without Pillow

    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for ever
            return ImageHeader(kind="image_unreadable", problem="not a regular file")
        with path.open("rb") as file:
            with open_picture(file) as image:
                width, height, orientation = _geometry(image)
                form = image.format or "?"
            if width < 10 or height < 10:
                return ImageHeader(width, height, orientation, "image_small", f"{width}×{height} pixels")
            if form not in _FORMATS:
                return ImageHeader(width, height, orientation, "image_format", f"{form} file")
            if form == "JPEG" and not _ends_well(file):
                return ImageHeader(width, height, orientation, "jpeg_end", "no end-of-image marker at the end")
            return ImageHeader(width, height, orientation)
    except FileNotFoundError:
        return ImageHeader(kind="image_missing", problem="no such file")
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        return ImageHeader(kind="image_unreadable", problem="empty file" if empty else "not an image")
    except Exception as error:  # Pillow's plugins raise anything on a damaged file: SyntaxError, struct.error, …
        return ImageHeader(kind="image_unreadable", problem=f"{type(error).__name__}: {error}"[:200])


def read_headers(paths: Sequence[Path], progress: Progress = silent) -> list[ImageHeader]:
    """Read the headers of many image files in a thread pool, in the order of `paths`."""
    from concurrent.futures import ThreadPoolExecutor  # labels without images are measured without it

    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    headers: list[ImageHeader] = []
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        # Only the header is read: a huge image costs nothing here, and damaged EXIF is the reader's to ignore.
        warnings.simplefilter("ignore")
        for part in pool.map(lambda chunk: [read_header(path) for path in chunk], chunks):
            headers += part
            progress("reading image headers", len(headers), len(paths))
    return headers


def _geometry(image: Image.Image) -> tuple[int, int, int]:
    """Return width and height as stored, and the EXIF orientation."""
    from PIL import ExifTags, Image

    if image.format == "TIFF":  # Pillow has turned the size already
        tags = image.tag_v2  # type: ignore[attr-defined]
        return int(tags[256]), int(tags[257]), _orientation(tags.get(274, 1))
    data = image.info.get("exif")
    if not data:
        return image.width, image.height, 1
    # Not image.getexif(): it decodes a whole PNG to look behind the pixels, and believes XMP, which OpenCV does not.
    exif = Image.Exif()
    try:
        exif.load(data)
        return image.width, image.height, _orientation(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF turns nothing
        return image.width, image.height, 1


def _orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _ends_well(file: object) -> bool:
    file.seek(-2, os.SEEK_END)  # type: ignore[attr-defined]
    return bool(file.read() == b"\xff\xd9")  # type: ignore[attr-defined]


def reconcile_size(header: ImageHeader, width: int, height: int) -> tuple[tuple[int, int], list[tuple[str, str]]]:
    """Return the size as stored, and (kind, message) where the labels' `width` × `height` do not agree with the file.

    The size in the file is used where it can be read. Boxes are in pixels of the upright image, so labels should give
    the upright size. If they give the size before EXIF rotation, the boxes were drawn on the unrotated image.

    >>> reconcile_size(ImageHeader(40, 20, orientation=6), 20, 40)
    ((40, 20), [])
    >>> reconcile_size(ImageHeader(40, 20, orientation=6), 40, 20)[1][0][0]
    'size_rotated'
    """
    if not header.width:
        return (width, height), []
    stored = (header.width, header.height)
    upright = stored[::-1] if header.orientation >= 5 else stored
    if not width or not height or (width, height) == upright:
        return stored, []
    if (width, height) == stored:
        return stored, [("size_rotated", f"labels say {width}×{height}, upright it is {upright[0]}×{upright[1]}")]
    return stored, [("size_differs", f"labels say {width}×{height}, the file is {upright[0]}×{upright[1]}")]
