"""Perceptual hashes of pictures: equal or near for copies of one picture, far apart for different scenes.

A difference hash has one bit for each of n × n cells: whether it is brighter than its left neighbour. Brightness,
contrast, scale and JPEG quality hardly change it. Two sizes: 64 bits (8 × 8) find candidates for copies, which
thumbnails then confirm; 256 bits (16 × 16) measure distances between frames, because the frames of one fixed camera
share their background, and 64 bits do not change when a person walks through it.
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

from liftgate.data.core.pictures import open_picture
from liftgate.progress import Progress, silent

BITS = 256
_SIDE = 16
_SMALL_SIDE = 8
_DRAFT = 128  # libjpeg decodes at this fraction of the size or a little more: most of the time saved
_FLAT = 2  # grey levels: less is noise or compression, and counts as equal
_MOST_PIXELS = 200_000_000

PerceptualHashes = NDArray[np.uint64]
"""(n, 4): 256 bits for each picture"""


def hash_files(paths: Sequence[Path], progress: Progress = silent) -> tuple[PerceptualHashes, NDArray[np.bool_]]:
    """Return the 256-bit hashes of image files, and which of them could be read; hashes are 0 where not.

    Runs on all cores: Pillow decodes without the interpreter's lock.

    Args:
        paths: image files.
        progress: called after each file.

    Returns:
        Hashes of shape (n, 4) and a mask of shape (n,).
    """
    hashes, readable = np.zeros((len(paths), 4), dtype=np.uint64), np.zeros(len(paths), dtype=np.bool_)
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # Pillow's warning about large pictures: the limit here is our own
        for index, bits in enumerate(pool.map(_hash_file, paths)):
            if bits is not None:
                hashes[index], readable[index] = bits, True
            progress("comparing frames", index + 1, len(paths))
    return hashes, readable


def difference_hash(picture: Image.Image) -> NDArray[np.uint64]:
    """Return the 256-bit hash of one picture, shape (4,).

    >>> difference_hash(Image.new("L", (64, 64), 128)).tolist()
    [0, 0, 0, 0]
    """
    return np.packbits(_brighter(picture.convert("L"), _SIDE, Image.Resampling.BOX, _FLAT)).view(np.uint64)


def difference_hash_64(grey: Image.Image) -> int:
    """Return the 64-bit hash of a grey picture, as a whole number.

    >>> difference_hash_64(Image.linear_gradient("L").rotate(90)) == 2**64 - 1
    True
    """
    bits = _brighter(grey, _SMALL_SIDE, Image.Resampling.BICUBIC, 0)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming_distances(hashes: PerceptualHashes, one: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return in how many of 256 bits each of `hashes` (n, 4) differs from `one` (4,); shape (n,).

    >>> hashes = np.array([[0, 0, 0, 0], [1, 0, 0, 3]], dtype=np.uint64)
    >>> hamming_distances(hashes, hashes[0]).tolist()
    [0, 3]
    """
    differing: NDArray[np.int64] = np.bitwise_count(hashes ^ one).sum(axis=1, dtype=np.int64)
    return differing


def _brighter(grey: Image.Image, side: int, resample: Image.Resampling, least: int) -> NDArray[np.bool_]:
    """Return (side, side) whether each cell is brighter than its left neighbour by more than `least` grey levels."""
    values = np.asarray(grey.resize((side + 1, side), resample), dtype=np.int16)
    return values[:, 1:] > values[:, :-1] + least


def _hash_file(path: Path) -> NDArray[np.uint64] | None:
    try:
        with open_picture(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("L", (_DRAFT, _DRAFT))
            return difference_hash(image)
    except Exception:  # Pillow raises many kinds on damaged files: OSError, SyntaxError, struct.error, …
        return None
