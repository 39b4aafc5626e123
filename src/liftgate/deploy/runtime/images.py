"""Decode image files to pixels, as OpenCV does: upright by EXIF, three channels of eight bits."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from liftgate.data.core.pictures import open_picture
from liftgate.errors import DataError

Pixels = NDArray[np.uint8]
"""(height, width, 3) RGB"""

_LARGEST = 1 << 28
"""Pixels of one image: 268 million take 800 MB"""


def read_pixels(path: Path) -> Pixels:
    """Return the pixels of an image file.

    Raises:
        DataError: it is missing, no image, only a part of one, or too large.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF; the size is checked here
            with open_picture(file) as image:
                if image.width * image.height > _LARGEST:
                    size = f"{image.width} × {image.height}"
                    raise DataError("the image is too large", where=path, expected=f"{_LARGEST:,} pixels", got=size)
                return np.asarray(as_rgb(ImageOps.exif_transpose(image)))
    except FileNotFoundError:
        raise DataError("no such image", where=path) from None
    except UnidentifiedImageError:
        raise DataError("the file is no image", where=path) from None
    except DataError:
        raise
    except Exception as error:  # Pillow's plugins raise anything on a damaged file
        what, hint = "the image cannot be decoded", "`liftgate check` finds all such images of a data set"
        raise DataError(what, where=path, got=f"{type(error).__name__}: {error}"[:200], hint=hint) from None


def as_rgb(image: Image.Image) -> Image.Image:
    """Return an image with three channels of eight bits; of 16 bits of grey the upper eight are kept."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):  # 16 bits of grey: OpenCV keeps the upper eight
        grey = np.asarray(image).astype(np.uint32) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
