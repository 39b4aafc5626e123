"""What pictures look like, in 256 bits each, to tell near-copies from different scenes.

A difference hash: is each of 16 × 16 places brighter than its right neighbour? Brightness, contrast, scale and JPEG
quality leave it nearly alone. 256 bits and not the usual 64: the frames of one fixed camera share their background, and
64 bits do not see a person walk through it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from liftgate.progress import Progress, silent

BITS = 256
_SIDE = 16
_DRAFT = 128  # libjpeg decodes at this fraction of the size or a little more: most of the time saved
_FLAT = 2  # grey levels: less is noise or compression, and counts as equal
_MOST_PIXELS = 200_000_000

Looks = NDArray[np.uint64]
"""(n, 4): 256 bits for each picture"""


def looks_of(paths: Sequence[Path], progress: Progress = silent) -> tuple[Looks, NDArray[np.bool_]]:
    """Return the looks of many image files, and which of them could be read; looks are 0 where not.

    Shapes (n, 4) and (n,). Runs on all cores: Pillow decodes without the interpreter's lock.
    """
    looks, readable = np.zeros((len(paths), 4), dtype=np.uint64), np.zeros(len(paths), dtype=np.bool_)
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow's word on large pictures: the limit here is our own
        for index, look in enumerate(pool.map(_look_at, paths)):
            if look is not None:
                looks[index], readable[index] = look, True
            progress("looking at frames", index + 1, len(paths))
    return looks, readable


def look_of(picture: Image.Image) -> NDArray[np.uint64]:
    """Return the 256 bits of one picture, shape (4,).

    >>> look_of(Image.new("L", (64, 64), 128)).tolist()
    [0, 0, 0, 0]
    """
    grey = picture.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.int16)
    bits: NDArray[np.bool_] = values[:, 1:] > values[:, :-1] + _FLAT
    return np.packbits(bits).view(np.uint64)


def distances(looks: Looks, one: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return in how many of 256 bits each of `looks` (n, 4) differs from `one` (4,); shape (n,).

    >>> distances(np.array([[0, 0, 0, 0], [1, 0, 0, 3]], dtype=np.uint64), np.zeros(4, dtype=np.uint64)).tolist()
    [0, 3]
    """
    differing: NDArray[np.int64] = np.bitwise_count(looks ^ one).sum(axis=1, dtype=np.int64)
    return differing


def _look_at(path: Path) -> NDArray[np.uint64] | None:
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("L", (_DRAFT, _DRAFT))
            return look_of(image)
    except Exception:  # Pillow raises many kinds on damaged files: OSError, SyntaxError, struct.error, …
        return None
