"""What images look like, cheaply, and which of them are unlike all images of a reference.

Three parts: colours, directions of edges by quadrant, and the perceptual hash. The distance of two images is 0 for the
same picture and about √3 for two that share nothing. What distance is new is measured on the reference itself: how far
each of its images is from the most similar one of another group.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from liftgate.data.core.perceptual_hash import BITS, difference_hash
from liftgate.data.core.pictures import open_picture
from liftgate.progress import Progress, silent
from liftgate.stats.interval import MIN_GROUPS

Floats = NDArray[np.float64]
_SIDE = 64
_LEVELS = 4
_DIRECTIONS = 8
_CALIBRATED_ON = 2000
_MOST_PIXELS = 200_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Appearances:
    """Of several images."""

    vectors: Floats
    """(n, 96) colours and edges; distances are Hellinger's"""
    hashes: NDArray[np.uint64]
    """(n, 4)"""
    brightness: Floats
    """(n,) mean of all pixels"""
    readable: NDArray[np.bool_]
    """(n,)"""

    def distances(self, other: Appearances, index: int) -> Floats:
        """Return the distance of each of these images to one of `other`."""
        apart = ((self.vectors - other.vectors[index]) ** 2).sum(axis=1)
        bits = np.bitwise_count(self.hashes ^ other.hashes[index]).sum(axis=1, dtype=np.int64)
        found: Floats = np.sqrt(apart + (bits / (BITS / 2)) ** 2)
        return np.where(self.readable, found, np.inf)


@dataclass(frozen=True, slots=True)
class Novelty:
    """From which distance on an image is new."""

    threshold: float | None
    """None: it cannot be calibrated"""
    share: float
    """Of the reference's own images that are beyond it, at most"""
    n_images: int
    n_groups: int
    note: str = ""
    """Why there is none"""


def appearances(paths: Sequence[Path], progress: Progress = silent) -> Appearances:
    """Return what images look like; one that cannot be read is marked.

    Args:
        paths: image files.
        progress: called after each.
    """
    n = len(paths)
    vectors, hashes = np.zeros((n, _LEVELS**3 + 4 * _DIRECTIONS)), np.zeros((n, 4), dtype=np.uint64)
    brightness, readable = np.full(n, np.nan), np.zeros(n, dtype=np.bool_)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for index, found in enumerate(pool.map(_appearance, paths)):
            if found is not None:
                vectors[index], hashes[index], brightness[index] = found
                readable[index] = True
            progress("looking at images", index + 1, n)
    return Appearances(vectors, hashes, brightness, readable)


def nearest(reference: Appearances, other: Appearances) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distance of each image of `other` to the most similar one of the reference, and which that is.

    An image that cannot be read has the distance NaN.
    """
    n = len(other.readable)
    found, which = np.full(n, np.nan), np.full(n, -1, dtype=np.int64)
    for index in np.flatnonzero(other.readable).tolist():
        apart = reference.distances(other, index)
        which[index] = int(apart.argmin()) if len(apart) else -1
        found[index] = apart[which[index]] if len(apart) else np.nan
    return found, which


def calibrate(reference: Appearances, groups: Sequence[str | None], share: float) -> tuple[Novelty, Floats]:
    """Return from which distance on an image is new, and the distance of each reference image to another group's.

    The threshold is the conformal one: a new image that is as one more of the reference's is beyond it with a
    probability of at most `share`, where groups are exchangeable.

    Args:
        reference: its images.
        groups: of each; None: unknown, which cannot be calibrated.
        share: accepted share of images that are called new wrongly.
    """
    n = len(groups)
    own = np.full(n, np.nan)
    known = [group for group in groups if group is not None]
    n_groups = len(set(known))
    if len(known) < n or n_groups < MIN_GROUPS:
        note = "groups of its images are unknown" if len(known) < n else f"fewer than {MIN_GROUPS} groups"
        return Novelty(None, share, n, n_groups, note), own
    numbers = np.unique(np.array(known), return_inverse=True)[1]
    usable = np.flatnonzero(reference.readable)
    for index in usable[:: -(-len(usable) // _CALIBRATED_ON) or 1].tolist():
        apart = reference.distances(reference, index)
        own[index] = apart[numbers != numbers[index]].min()
    measured = np.sort(own[np.isfinite(own)])
    rank = math.ceil((len(measured) + 1) * (1 - share))
    if rank > len(measured):
        needed = math.ceil(1 / share) - 1
        return Novelty(None, share, len(measured), n_groups, f"{needed} images are needed for {share:.1%}"), own
    return Novelty(float(measured[rank - 1]), share, len(measured), n_groups), own


def _appearance(path: Path) -> tuple[Floats, NDArray[np.uint64], float] | None:
    try:
        with open_picture(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("RGB", (4 * _SIDE, 4 * _SIDE))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # Pillow raises many kinds on damaged files
        return None
    return _vector(upright.resize((_SIDE, _SIDE), Image.Resampling.BOX)), difference_hash(upright), _mean(upright)


def _mean(image: Image.Image) -> float:
    return float(np.asarray(image).mean())


def _vector(image: Image.Image) -> Floats:
    pixels = np.asarray(image, dtype=np.int64)
    levels = pixels * _LEVELS // 256
    colour = np.bincount((levels @ np.array([_LEVELS**2, _LEVELS, 1])).ravel(), minlength=_LEVELS**3)
    down, right = np.gradient(pixels.mean(axis=2))
    strength = np.hypot(down, right)
    direction = ((np.arctan2(down, right) % np.pi) / np.pi * _DIRECTIONS).astype(np.int64) % _DIRECTIONS
    half = np.arange(_SIDE) * 2 // _SIDE
    cell = (half[:, None] * 2 + half[None, :]) * _DIRECTIONS + direction
    edges = np.bincount(cell.ravel(), weights=strength.ravel(), minlength=4 * _DIRECTIONS)
    parts = [part / part.sum() if part.sum() else part for part in (colour.astype(np.float64), edges)]
    found: Floats = np.sqrt(np.concatenate(parts) / 2)
    return found
