"""Find copies of images whose picture was padded, cropped or mirrored, or whose labels lack or add boxes.

Labels say where to look, and pictures decide: the candidate is cut, or padded, to the window that the labels give, and
its perceptual hash is compared with the known one. So nothing is a copy by its labels alone here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.pictures import open_picture

Rows = NDArray[np.float64]
"""(n, 4): x1, y1, x2, y2 as shares of width and height"""

_MOST_SCALE = 1.25
"""By which padding or cropping changes a side at most"""
_LEAST_FOR_WINDOW = 2
"""Boxes from which the window is known: one box fits any"""
_MOST_TRIED = 8
"""Pictures of known images that are compared with one candidate"""


Window = tuple[float, ...]
"""Left, top, right, bottom of the known picture in the other one, as shares of its sides"""
_WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


class Suspicion(NamedTuple):
    """A known image that another may be a copy of, and how."""

    known: int
    window: Window
    mirrored: bool

    @property
    def by_part(self) -> bool:
        """Whether only a part of the labels agrees, in the picture as it is."""
        return self.window == _WHOLE and not self.mirrored


def suspicions(known: Sequence[Rows], rows: Rows, index: BoxIndex, tolerance: float) -> list[Suspicion]:
    """Return of which known images one with these boxes may be a changed copy.

    Args:
        known: boxes of the known images.
        rows: boxes of the other image.
        index: of the known boxes.
        tolerance: of a coordinate.
    """
    found = [Suspicion(one, _WHOLE, False) for one in index.with_part_of(rows, known)]
    if len(rows) >= _LEAST_FOR_WINDOW:
        mirrored = np.stack([1 - rows[:, 2], rows[:, 1], 1 - rows[:, 0], rows[:, 3]], axis=1)
        for turned, is_mirrored in ((rows, False), (mirrored, True)):
            found += [Suspicion(one, window, is_mirrored) for one, window in index.windows(turned)]
    return found[:_MOST_TRIED]


class _OfCount(NamedTuple):
    """Known images with one number of boxes, n."""

    images: NDArray[np.int64]
    sides: NDArray[np.float64]
    """(M, 2, 2 n): `_sides` of each"""
    mean: NDArray[np.float64]
    """(2, M)"""
    spread: NDArray[np.float64]
    """(2, M, 2 n): sides less their mean"""
    varied: NDArray[np.float64]
    """(2, M): sum of their squares"""

    @classmethod
    def of(cls, images: NDArray[np.int64], sides: NDArray[np.float64]) -> _OfCount:
        mean = sides.mean(axis=2).T
        spread = np.ascontiguousarray(sides.transpose(1, 0, 2) - mean[:, :, np.newaxis])
        return cls(images, sides, mean, spread, np.maximum((spread**2).sum(axis=2), 1e-12))


class BoxIndex:
    """Known boxes by their place, and known images by their number of boxes."""

    def __init__(self, known: Sequence[Rows], tolerance: float) -> None:
        self._tolerance = tolerance
        self._cells: Mapping[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        counts: Mapping[int, list[int]] = defaultdict(list)
        for image, rows in enumerate(known):
            counts[len(rows)].append(image)
            for row, cell in enumerate(self._cell(rows)):
                self._cells[cell].append((image, row))

        self._of_count = {
            count: _OfCount.of(np.array(some), np.stack([_sides(known[image]) for image in some]))
            for count, some in counts.items()
            if count >= _LEAST_FOR_WINDOW
        }

    def windows(self, rows: Rows) -> list[tuple[int, Window]]:
        """Return the known images whose boxes are these but for scale and shift, and where they lie in this one."""
        if len(rows) not in self._of_count:
            return []
        of, after = self._of_count[len(rows)], _sides(rows)
        scale = np.stack([of.spread[side] @ after[side] for side in (0, 1)]) / of.varied
        near = np.flatnonzero(((scale >= 1 / _MOST_SCALE) & (scale <= _MOST_SCALE)).all(axis=0))
        scale = scale[:, near].T
        shift = after.mean(axis=1) - scale * of.mean[:, near].T
        apart = np.abs(scale[:, :, np.newaxis] * of.sides[near] + shift[:, :, np.newaxis] - after).max(axis=(1, 2))
        corners = np.concatenate([shift, shift + scale], axis=1)
        places = np.flatnonzero(apart <= self._tolerance).tolist()
        return [(int(of.images[near[at]]), tuple(corners[at].tolist())) for at in places]

    def with_part_of(self, rows: Rows, known: Sequence[Rows]) -> list[int]:
        """Return the known images that hold all of these boxes and more, or a part of these boxes and no other."""
        shared: Counter[int] = Counter()
        for (x, y), row in zip(self._cell(rows), rows, strict=True):
            near = {
                image
                for dx in (-1, 0, 1)
                for dy in (-1, 0, 1)
                for image, at in self._cells.get((x + dx, y + dy), ())
                if np.abs(known[image][at] - row).max() <= self._tolerance
            }
            shared.update(near)
        parts = [
            (number, image)
            for image, number in shared.items()
            if len(known[image]) != len(rows) and number >= min(len(known[image]), len(rows))
        ]
        return [image for _, image in sorted(parts, reverse=True)]

    def _cell(self, rows: Rows) -> list[tuple[int, int]]:
        return [(int(x), int(y)) for x, y in np.floor(rows[:, :2] / self._tolerance)]


def _sides(rows: Rows) -> NDArray[np.float64]:
    """Return (2, 2 n): the sorted left and right sides, and the sorted tops and bottoms."""
    ordered = np.sort(rows, axis=0)
    return np.stack([np.concatenate([ordered[:, low], ordered[:, low + 2]]) for low in (0, 1)])


def hash_window(path: Path, suspicion: Suspicion) -> NDArray[np.uint64] | None:
    """Return the hash of the part of a picture that would be the known one; None: it cannot be read."""
    from PIL import Image, ImageOps

    from liftgate.data.core.perceptual_hash import difference_hash

    try:
        with open_picture(path) as picture:
            grey = picture.convert("L")
    except Exception:  # Pillow raises many kinds on damaged files
        return None
    grey = ImageOps.mirror(grey) if suspicion.mirrored else grey
    width, height = grey.size
    left, top, right, bottom = (
        round(share * side) for share, side in zip(suspicion.window, (width, height) * 2, strict=True)
    )
    outside = max(0, -left), max(0, -top), max(0, right - width), max(0, bottom - height)
    pixels = np.asarray(grey)[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    if not pixels.size:
        return None
    padded = np.pad(pixels, ((outside[1], outside[3]), (outside[0], outside[2])), mode="edge")
    return difference_hash(Image.fromarray(padded))


def tried(
    known: Sequence[Rows], rows: Sequence[Rows], todo: NDArray[np.bool_], tolerance: float
) -> Iterator[tuple[int, list[Suspicion]]]:
    """Yield the images of which some known one may be the original, with these.

    Args:
        known: boxes of the known images.
        rows: boxes of the others.
        todo: which of the others to look at.
        tolerance: of a coordinate.
    """
    index = BoxIndex(known, tolerance)
    for image in np.flatnonzero(todo).tolist():
        if len(rows[image]) and (found := suspicions(known, rows[image], index, tolerance)):
            yield image, found
