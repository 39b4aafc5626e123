"""Decode every image of a data set once for all rules: is it readable, its size and mode, hash and thumbnail.

Every image is decoded to its end (a header does not show a truncated download), JPEG in grey and, when large,
at a half, a quarter or an eighth of its size: libjpeg then skips most of the arithmetic and still reads every byte.
Other formats are halved as often after decoding, so that one picture in two formats gets the same hash. Threads,
not processes: libjpeg and zlib release the interpreter's lock, and nothing has to be pickled. ImageFacts are cached by
(path, size, mtime).
"""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from liftgate.checks.images.fact_cache import FactCache
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.perceptual_hash import difference_hash_64
from liftgate.data.core.pictures import open_picture
from liftgate.progress import Progress, silent

THUMB = 16
"""Side in pixels of the grey thumbnails that confirm near-copies"""
_MAX_PIXELS = 200_000_000  # more is a decompression bomb or a satellite tile, not an image to train on
# Pixels to which the shorter side is reduced at least. On dice a hash made from 320 of 640 pixels differs from that of
# the full-size image by 0.12 bits on average and 2 at most, one from 160 by 0.22 and 3; decoding takes half the time.
_MIN_SHORT_SIDE = 200
_BATCH = 256
_CHUNK = 16  # images per task: submitting a task costs a fifteenth of decoding an image


class ImageFacts(NamedTuple):
    """The facts of one image file."""

    error: str | None
    """Why it cannot be read; None: it was decoded to its end."""
    width: int
    height: int
    """Pixels as stored, before EXIF rotation."""
    mode: str
    dhash: int
    """64 bits: whether each of 8 × 8 cells is brighter than its right neighbour"""
    spread: float
    """Standard deviation of the grey thumbnail; 0: one colour."""
    thumb: bytes
    """THUMB × THUMB grey values."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageScan:
    """ImageFacts of every image, in the order of `Dataset.images`."""

    facts: tuple[ImageFacts, ...]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Return (n,) whether the image was decoded to its end."""
        return np.array([fact.error is None for fact in self.facts], dtype=np.bool_)

    @property
    def dhashes(self) -> NDArray[np.uint64]:
        """Return (n,) perceptual hashes; 0 where the image cannot be read."""
        return np.array([fact.dhash for fact in self.facts], dtype=np.uint64)

    @property
    def thumbs(self) -> NDArray[np.uint8]:
        """Return (n, THUMB²) grey values; 0 where the image cannot be read."""
        blank = bytes(THUMB * THUMB)
        joined = b"".join(fact.thumb or blank for fact in self.facts)
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, THUMB * THUMB)


class _Batch(NamedTuple):
    """Some images: their cached facts, and those still being decoded."""

    paths: list[Path]
    known: dict[Path, ImageFacts]
    missing: list[Path]
    pending: list[Future[list[ImageFacts]]]


def scan_images(dataset: Dataset, *, progress: Progress = silent) -> ImageScan:
    """Return the facts of every image of `dataset`, decoded or from the cache."""
    paths = [image.path for image in dataset.images]
    what = f"images of {dataset.name}"
    with (
        warnings.catch_warnings(),
        FactCache("facts-5", ImageFacts) as cache,
        ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool,
    ):
        warnings.simplefilter("ignore")  # Pillow warns of large pictures: the limit here is our own
        facts: list[ImageFacts] = []
        waiting: deque[_Batch] = deque()
        for begin in range(0, len(paths) + _BATCH, _BATCH):
            if chunk := paths[begin : begin + _BATCH]:
                known = cache.get(chunk)
                missing = [path for path in chunk if path not in known]
                parts = [missing[at : at + _CHUNK] for at in range(0, len(missing), _CHUNK)]
                waiting.append(_Batch(chunk, known, missing, [pool.submit(_read_all, part) for part in parts]))
            # One batch is decoded while the previous one is written to the cache, so that no thread waits for it.
            while waiting and (len(waiting) > 1 or not chunk):
                batch = waiting.popleft()
                seen = chain.from_iterable(part.result() for part in batch.pending)
                fresh = dict(zip(batch.missing, seen, strict=True))
                cache.put(fresh)
                facts += [batch.known.get(path) or fresh[path] for path in batch.paths]
                progress(what, len(facts), len(paths))
    return ImageScan(tuple(facts))


def _read_all(paths: list[Path]) -> list[ImageFacts]:
    return [read_facts(path) for path in paths]


def read_facts(path: Path) -> ImageFacts:
    """Return the facts of one file; whatever is wrong with it becomes `error`, never an exception."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return _unreadable("not a regular file")  # opening a named pipe would wait for ever
        with open_picture(path) as image:
            return _facts_of(image)
    except FileNotFoundError:
        return _unreadable("there is no such file")
    except Exception as error:  # Pillow raises many kinds on hostile files: OSError, SyntaxError, struct.error, …
        return _unreadable(_reason(path, error))


def pixel_hash(path: Path) -> str:
    """Return the SHA-256 of the decoded pixels: the same picture saved as PNG and BMP, or re-saved as PNG, is the same.

    Raises:
        OSError: the file cannot be read.
    """
    with open_picture(path) as image:
        pixels = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
    digest = hashlib.sha256(f"{pixels.mode}{pixels.size}".encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def full_dhash(path: Path) -> int:
    """Return the 64-bit dHash of the picture at full size; that of `ImageFacts` may come from a fraction of the size.

    Raises:
        OSError: the file cannot be read.
    """
    with open_picture(path) as image:
        image.draft("L", image.size)
        return difference_hash_64(_grey(image))


def _facts_of(image: Image.Image) -> ImageFacts:
    width, height = image.size
    if width * height > _MAX_PIXELS:
        return _unreadable(f"{width} × {height} pixels: too large to be a picture to train on")
    mode = image.mode
    image.draft("L", _reduced_size((width, height)))
    image.load()
    grey = _grey(image, mode)
    if (factor := min(grey.size) // min(_reduced_size(grey.size))) > 1:
        grey = grey.reduce(factor)
    thumb = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX), dtype=np.uint8)
    return ImageFacts(
        error=None,
        width=width,
        height=height,
        mode=mode,
        dhash=difference_hash_64(grey),
        spread=float(thumb.std()),
        thumb=thumb.tobytes(),
    )


def _reduced_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size halved as often as its shorter side stays at least `_MIN_SHORT_SIDE`, as libjpeg can decode it.

    >>> _reduced_size((640, 480)), _reduced_size((4000, 3000))
    ((320, 240), (500, 375))
    """
    width, height = size
    while min(width, height) >= 2 * _MIN_SHORT_SIDE:
        width, height = width // 2, height // 2
    return width, height


def _grey(image: Image.Image, mode: str = "") -> Image.Image:
    """Return the image in grey; `mode` is its mode before `Image.draft` changed it."""
    plain = (mode or image.mode) in {"L", "RGB", "RGBA", "P", "LA", "CMYK", "1", "YCbCr"}
    return image.convert("L") if plain else _scaled_to_8_bits(image)


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Return a 16-bit or float image scaled to 8 bits; Pillow's own conversion would clip it to white."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(scaled.astype(np.uint8))


def _unreadable(reason: str) -> ImageFacts:
    return ImageFacts(reason, 0, 0, "", 0, 0.0, b"")


def _reason(path: Path, error: Exception) -> str:
    """Return why Pillow could not read a file, for a message."""
    if isinstance(error, UnidentifiedImageError):
        with path.open("rb") as file:
            head = file.read(64)
        if not head:
            return "the file is empty"
        if head.startswith(b"version https://git-lfs"):
            return "a git-lfs pointer: the picture itself was never downloaded"
        if head.isascii() and all(byte >= 9 for byte in head):
            return f"a text file, not a picture (it begins {head[:24].decode().strip()!r})"
        return "no picture in a known format"
    if "truncated" in str(error).lower():
        return "truncated: the file ends before the picture does"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
