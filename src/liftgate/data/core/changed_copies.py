"""Find copies of images whose picture was padded, cropped or flipped, or whose labels lack or add boxes.

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

_LEAST_SCALE, _MOST_SCALE = 0.5, 1.25
"""By which padding (16:9 to a square: 0.56) or cropping changes a side at most"""
_LEAST_FOR_WINDOW = 2
"""Boxes from which labels alone say whether there is a window: one box fits any, and pictures have to decide"""
_MOST_TRIED = 8
"""Windows that are compared with one candidate"""
_MOST_TRIED_OF_ONE_BOX = 50
"""The nearest of them: 13 ms of processor time for one candidate"""
_LONG_SIDE = 256
"""Pixels of the picture in which windows are cut: 16 for each cell of a hash"""


Window = tuple[float, ...]
"""Left, top, right, bottom of the known picture in the other one, as shares of its sides"""
_WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


class Flip(NamedTuple):
    """Which sides of a picture were exchanged; both: it was turned by 180 degrees."""

    left_right: bool
    top_bottom: bool

    def of_rows(self, rows: Rows) -> Rows:
        """Return boxes where they lie once the picture is flipped."""
        low, high = rows[:, :2], rows[:, 2:]
        return np.concatenate([np.where(self, 1 - high, low), np.where(self, 1 - low, high)], axis=1)

    def of_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a picture flipped."""
        return pixels[:: -1 if self.top_bottom else 1, :: -1 if self.left_right else 1]


_AS_IT_IS = Flip(False, False)
_UPRIGHT = (_AS_IT_IS, Flip(True, False))
_UPSIDE_DOWN = (Flip(False, True), Flip(True, True))


class Suspicion(NamedTuple):
    """A known image that another may be a copy of, and how."""

    known: int
    window: Window
    flip: Flip
    by_one_box: bool = False
    """Whether a single box gave the window, so that the picture alone has to show it"""

    @property
    def by_part(self) -> bool:
        """Whether only a part of the labels agrees, in the picture as it is."""
        return self.window == _WHOLE and self.flip == _AS_IT_IS


def suspicions(known: Sequence[Rows], rows: Rows, index: BoxIndex, tolerance: float) -> list[Suspicion]:
    """Return of which known images one with these boxes may be a changed copy.

    Args:
        known: boxes of the known images.
        rows: boxes of the other image.
        index: of the known boxes.
        tolerance: of a coordinate.
    """
    found = [Suspicion(one, _WHOLE, _AS_IT_IS) for one in index.with_part_of(rows, known)]
    if len(rows) >= _LEAST_FOR_WINDOW:
        flipped = [(flip, flip.of_rows(rows)) for flip in (*_UPRIGHT, *_UPSIDE_DOWN)]
        return (
            found + [Suspicion(one, window, flip) for flip, turned in flipped for one, window in index.windows(turned)]
        )[:_MOST_TRIED]
    # Apart, so that those that are upside down take no place from the others.
    return found[:_MOST_TRIED] + [one for flips in (_UPRIGHT, _UPSIDE_DOWN) for one in _of_one_box(rows, flips, index)]


def _of_one_box(rows: Rows, flips: Sequence[Flip], index: BoxIndex) -> list[Suspicion]:
    """Return the known images that one with a single box may be a copy of, those that were changed least."""
    found = [
        Suspicion(one, window, flip, True)
        for flip in flips
        for one, window in index.windows_of_one(flip.of_rows(rows)[0])
    ]
    found.sort(key=lambda one: sum(abs(a - b) for a, b in zip(one.window, _WHOLE, strict=True)))
    return found[:_MOST_TRIED_OF_ONE_BOX]


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
        self._of_one = np.array(counts[1], dtype=np.int64)
        self._one_box = np.concatenate([known[image] for image in counts[1]] or [np.zeros((0, 4))])

    def windows(self, rows: Rows) -> list[tuple[int, Window]]:
        """Return the known images whose boxes are these but for scale and shift, and where they lie in this one."""
        if len(rows) not in self._of_count:
            return []
        of, after = self._of_count[len(rows)], _sides(rows)
        scale = np.stack([of.spread[side] @ after[side] for side in (0, 1)]) / of.varied
        near = np.flatnonzero(((scale >= _LEAST_SCALE) & (scale <= _MOST_SCALE)).all(axis=0))
        scale = scale[:, near].T
        shift = after.mean(axis=1) - scale * of.mean[:, near].T
        apart = np.abs(scale[:, :, np.newaxis] * of.sides[near] + shift[:, :, np.newaxis] - after).max(axis=(1, 2))
        corners = np.concatenate([shift, shift + scale], axis=1)
        places = np.flatnonzero(apart <= self._tolerance).tolist()
        return [(int(of.images[near[at]]), tuple(corners[at].tolist())) for at in places]

    def windows_of_one(self, box: NDArray[np.float64]) -> list[tuple[int, Window]]:
        """Return the known images of a single box that this one would be if they were cropped, or padded."""
        low, high = self._one_box[:, :2], self._one_box[:, 2:]
        scale = (box[2:] - box[:2]) / np.maximum(high - low, 1e-9)
        corner = box[:2] - scale * low
        end, slack = corner + scale, self._tolerance
        cropped = ((corner <= slack) & (end >= 1 - slack)).all(axis=1)
        padded = ((corner >= -slack) & (end <= 1 + slack)).all(axis=1)
        fits = ((scale >= _LEAST_SCALE) & (scale <= _MOST_SCALE)).all(axis=1) & (cropped | padded)
        corners = np.concatenate([corner, end], axis=1)
        return [(int(self._of_one[at]), tuple(corners[at].tolist())) for at in np.flatnonzero(fits).tolist()]

    def with_part_of(self, rows: Rows, known: Sequence[Rows]) -> list[int]:
        """Return the known images that share boxes with this one: all of one of the two, or two and half of it."""
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
        parts = []
        for image, number in shared.items():
            fewer, more = sorted((len(known[image]), len(rows)))
            if number < more and (number >= fewer or (number >= 2 and 2 * number >= fewer)):
                parts.append((number, image))
        return [image for _, image in sorted(parts, reverse=True)]

    def _cell(self, rows: Rows) -> list[tuple[int, int]]:
        return [(int(x), int(y)) for x, y in np.floor(rows[:, :2] / self._tolerance)]


def _sides(rows: Rows) -> NDArray[np.float64]:
    """Return (2, 2 n): the sorted left and right sides, and the sorted tops and bottoms."""
    ordered = np.sort(rows, axis=0)
    return np.stack([np.concatenate([ordered[:, low], ordered[:, low + 2]]) for low in (0, 1)])


def hash_windows(path: Path, some: Sequence[Suspicion]) -> list[NDArray[np.uint64]] | None:
    """Return the hash of each part of a picture that would be a known one, then that of the whole; None: no picture."""
    from PIL import Image

    from liftgate.data.core.perceptual_hash import difference_hash

    try:
        with open_picture(path) as picture:
            grey = picture.convert("L")
            grey.thumbnail((_LONG_SIDE, _LONG_SIDE), Image.Resampling.BOX)
    except Exception:  # Pillow raises many kinds on damaged files
        return None
    whole = np.asarray(grey)
    parts = [_part(one.flip.of_pixels(whole), one.window) for one in some]
    return [difference_hash(Image.fromarray(part)) for part in (*parts, whole)]


def _part(pixels: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """Return a part of a picture, with the pixels of the border repeated where it reaches beyond."""
    height, width = pixels.shape
    left, top, right, bottom = (round(share * side) for share, side in zip(window, (width, height) * 2, strict=True))
    outside = max(0, -left), max(0, -top), max(0, right - width), max(0, bottom - height)
    inside = pixels[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    if not inside.size:
        return np.zeros((1, 1), dtype=np.uint8)
    return np.pad(inside, ((outside[1], outside[3]), (outside[0], outside[2])), mode="edge")


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
