"""Decode every image of a data set once for all rules: readable or not, how stored, hash and thumbnail.

Every image is decoded to its end (a header says nothing about a truncated download), JPEG in grey and, when large,
at a half, a quarter or an eighth of its size: libjpeg then skips most of the arithmetic and still reads every byte.
Other formats are halved as often after decoding, so that one picture in two formats looks the same to a hash. Threads,
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
from liftgate.progress import Progress, silent

THUMB = 16
"""Side of the grey thumbnail that a near-copy is confirmed on."""
_MOST_PIXELS = 200_000_000  # more is a decompression bomb or a satellite tile, not a picture to train on
# The shorter side that is enough. On dice a hash made from 320 of 640 pixels differs from that of the whole picture by
# 0.12 bits on average and by 2 at most, one from 160 by 0.22 and 3; an image of 640 px costs half as much as in full.
_ENOUGH = 200
_BATCH = 256
_CHUNK = 16  # images that a thread takes at once: handing over one costs as much as a fifteenth of its decoding


class ImageFacts(NamedTuple):
    """What is known of one image file."""

    error: str | None
    """Why it cannot be read; None: it was decoded to its end."""
    width: int
    height: int
    """Pixels as stored, before EXIF rotation."""
    mode: str
    dhash: int
    """64 bits: is each of 8 × 8 places brighter than its right neighbour?"""
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
        """(n,) the image was decoded to its end."""
        return np.array([fact.error is None for fact in self.facts], dtype=np.bool_)

    @property
    def dhashes(self) -> NDArray[np.uint64]:
        """(n,) perceptual hashes; 0 where the image cannot be read."""
        return np.array([fact.dhash for fact in self.facts], dtype=np.uint64)

    @property
    def thumbs(self) -> NDArray[np.uint8]:
        """(n, THUMB²) grey values; 0 where the image cannot be read."""
        blank = bytes(THUMB * THUMB)
        joined = b"".join(fact.thumb or blank for fact in self.facts)
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, THUMB * THUMB)


class _Batch(NamedTuple):
    """Some images, what the cache knows of them, and the others being decoded."""

    paths: list[Path]
    known: dict[Path, ImageFacts]
    missing: list[Path]
    pending: list[Future[list[ImageFacts]]]


def scan_images(dataset: Dataset, *, progress: Progress = silent) -> ImageScan:
    """Decode every image of `dataset` (or recall it from the cache) and return their facts."""
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
                known = cache.recall(chunk)
                missing = [path for path in chunk if path not in known]
                parts = [missing[at : at + _CHUNK] for at in range(0, len(missing), _CHUNK)]
                waiting.append(_Batch(chunk, known, missing, [pool.submit(_look_at, part) for part in parts]))
            # One batch is decoded while the one before is written down: no thread waits for the cache.
            while waiting and (len(waiting) > 1 or not chunk):
                batch = waiting.popleft()
                seen = chain.from_iterable(part.result() for part in batch.pending)
                fresh = dict(zip(batch.missing, seen, strict=True))
                cache.keep(fresh)
                facts += [batch.known.get(path) or fresh[path] for path in batch.paths]
                progress(what, len(facts), len(paths))
    return ImageScan(tuple(facts))


def _look_at(paths: list[Path]) -> list[ImageFacts]:
    return [read_facts(path) for path in paths]


def read_facts(path: Path) -> ImageFacts:
    """Return the facts of one file; whatever is wrong with it becomes `error`, never an exception."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return _unreadable("not a regular file")  # opening a named pipe would wait for ever
        with Image.open(path) as image:
            return _decoded(image)
    except FileNotFoundError:
        return _unreadable("there is no such file")
    except Exception as error:  # Pillow raises many kinds on hostile files: OSError, SyntaxError, struct.error, …
        return _unreadable(_reason(path, error))


def pixel_hash(path: Path) -> str:
    """Return the SHA-256 of the decoded pixels: the same picture saved as PNG and BMP, or re-saved as PNG, is the same.

    Raises:
        OSError: the file cannot be read.
    """
    with Image.open(path) as image:
        pixels = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
    digest = hashlib.sha256(f"{pixels.mode}{pixels.size}".encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def full_dhash(path: Path) -> int:
    """Return the 64-bit dHash of the picture at full size; that of `ImageFacts` may come from a fraction of the size.

    Raises:
        OSError: the file cannot be read.
    """
    with Image.open(path) as image:
        image.draft("L", image.size)
        return difference_hash_64(_grey(image))


def _decoded(image: Image.Image) -> ImageFacts:
    width, height = image.size
    if width * height > _MOST_PIXELS:
        return _unreadable(f"{width} × {height} pixels: too large to be a picture to train on")
    mode = image.mode
    image.draft("L", _halved((width, height)))
    image.load()
    grey = _grey(image, mode)
    if (factor := min(grey.size) // min(_halved(grey.size))) > 1:
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


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """Halve a size as often as its shorter side stays `_ENOUGH`: the steps that libjpeg decodes at.

    >>> _halved((640, 480)), _halved((4000, 3000))
    ((320, 240), (500, 375))
    """
    width, height = size
    while min(width, height) >= 2 * _ENOUGH:
        width, height = width // 2, height // 2
    return width, height


def _grey(image: Image.Image, mode: str = "") -> Image.Image:
    """`mode`: what it was before a draft."""
    plain = (mode or image.mode) in {"L", "RGB", "RGBA", "P", "LA", "CMYK", "1", "YCbCr"}
    return image.convert("L") if plain else _stretched(image)


def _stretched(image: Image.Image) -> Image.Image:
    """16-bit and float pictures clip to white when Pillow makes them grey: scale them instead."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    scaled = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(scaled.astype(np.uint8))


def _unreadable(reason: str) -> ImageFacts:
    return ImageFacts(reason, 0, 0, "", 0, 0.0, b"")


def _reason(path: Path, error: Exception) -> str:
    """Describe in plain words why Pillow could not read a file."""
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
