"""Edge evidence: do the sides of boxes fall on steps in brightness?

A box drawn around an object has a step under the middle of its sides, and less of one some way inside and outside. The
*ridge* is the gradient under a side less that beside it. (The mean gradient under the sides alone favours every
transform that moves boxes inwards: objects are busier than what surrounds them.) Only the middle third of a side is
measured, because a round object touches its box only there.

A negative ridge is evidence too: sides of loose boxes lie systematically on empty ground. And people draw boxes with a
margin: the ridge is measured at several, and the best counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture

from liftgate.checks.probes.views import Floats, View

MARGINS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.12, 1.25)
"""Factors by which boxes are scaled about their own centre"""
_BAND = 3  # pixels on either side of a box's side that count as under it: people draw that exactly
_ASIDE, _LEAST = 0.25, 5.0  # of the box, and pixels at least: how far inside and outside the neighbours lie
_MIDDLE = 0.35  # of a side


@dataclass(frozen=True, slots=True, eq=False)
class EdgeMap:
    """Gradients of one picture, summed along both axes so that the mean under a line is one subtraction."""

    vertical: Floats
    """(H + 1, W) sums over rows of the x-gradient: what lies under vertical sides"""
    horizontal: Floats
    """(W + 1, H) sums over columns of the y-gradient: what lies under horizontal sides"""

    @classmethod
    def of(cls, view: View) -> EdgeMap:
        """Return the edges of a view's picture, in units of its own mean gradient; a lone sharp edge counts for 6."""
        grey = np.asarray(Picture.fromarray(view.pixels).convert("L"), dtype=np.float64)
        across, down = gradients(grey)
        unit = (across.mean() + down.mean()) / 2 + 1e-9
        return cls(_summed(np.minimum(across / unit, 6)), _summed(np.minimum(down / unit, 6).T))

    def ridge(self, boxes: Floats) -> Floats:
        """Return the mean ridge over the four sides of boxes (n, 4) at every margin, shape (n, margins).

        It is 0 where no side can be seen.
        """
        size = np.array([self.vertical.shape[1], self.horizontal.shape[1]], dtype=np.float64)
        scaled = boxes[:, None, :] * np.array([[1.0, 1.0, margin, margin] for margin in MARGINS])
        x, y, w, h = (scaled * np.tile(size, 2)).reshape(-1, 4).T
        sides = [
            _side(sums, at + sign * length / 2, length, middle, run)
            for sums, at, length, middle, run in ((self.vertical, x, w, y, h), (self.horizontal, y, h, x, w))
            for sign in (-1.0, 1.0)
        ]
        return np.nan_to_num(mean_seen(np.stack(sides))).reshape(-1, len(MARGINS))

    def ridge_by_scale(self, boxes: Floats, scales: Floats, shifts: Floats) -> Floats:
        """Return the mean ridge of boxes (n, 4) whose coordinates are scaled from the image's corner.

        Each side is measured on the rows or columns of the box as it is, so that scales are compared on equal terms.

        Returns:
            Shape (scales, shifts, margins): mean over boxes; shifts are fractions of the box, right and down.
        """
        size = np.array([self.vertical.shape[1], self.horizontal.shape[1]], dtype=np.float64)
        x, y, w, h = (boxes * np.tile(size, 2)).T
        axes = ((self.vertical, x, w, y, h), (self.horizontal, y, h, x, w))
        found: Floats = np.mean([_ridge_along(*axis, scales, shifts) for axis in axes], axis=0)
        return found


def gradients(grey: Floats) -> tuple[Floats, Floats]:
    """Return absolute central differences across and down of a picture (H, W); 0 at the border."""
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, 1:-1] = np.abs(grey[:, 2:] - grey[:, :-2])
    down[1:-1] = np.abs(grey[2:] - grey[:-2])
    return across, down


def _side(sums: Floats, at: Floats, length: Floats, middle: Floats, run: Floats) -> Floats:
    """Ridge of one side at `at`, of boxes `length` across, over the middle of a side that is `run` long."""
    aside = np.maximum(_ASIDE * length, _LEAST)
    begin, end = middle - _MIDDLE * run / 2, middle + _MIDDLE * run / 2
    beside = np.stack([_under(sums, at - aside, begin, end), _under(sums, at + aside, begin, end)])
    return _under(sums, at, begin, end) - mean_seen(beside)


def mean_seen(values: Floats) -> Floats:
    """Return the mean over the first axis of what is not NaN; NaN where all is. (np.nanmean warns, and is slower.)."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=0)
    mean: Floats = np.where(count > 0, np.where(seen, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return mean


def _under(sums: Floats, at: Floats, begin: Floats, end: Floats) -> Floats:
    """(n,) mean gradient under lines at `at` from `begin` to `end`; NaN for lines at the border or outside."""
    long, wide = sums.shape[0] - 1, sums.shape[1]
    low, high = np.clip(begin, 0, long), np.clip(end, 0, long)
    seen = (at >= 2) & (at < wide - 2) & (high - low >= 3)
    first = np.clip(low.astype(np.int64), 0, long - 1)
    last = np.clip(np.maximum(high.astype(np.int64), first + 1), 1, long)
    column = np.clip(np.floor(np.nan_to_num(at)).astype(np.int64), 0, wide - 1)
    return np.where(seen, (sums[last, column] - sums[first, column]) / (last - first), np.nan)


def _summed(gradient: Floats) -> Floats:
    """Average over the band, then sum down the columns; (H, W) → (H + 1, W)."""
    padded = np.pad(gradient, ((0, 0), (_BAND, _BAND)))
    width = gradient.shape[1]
    band = sum(padded[:, shift : shift + width] for shift in range(2 * _BAND + 1)) / (2 * _BAND + 1)
    return np.concatenate([np.zeros((1, width)), np.cumsum(band, axis=0)])


def _ridge_along(
    sums: Floats, at: Floats, length: Floats, middle: Floats, run: Floats, scales: Floats, shifts: Floats
) -> Floats:
    """(scales, shifts, margins) mean over boxes of the ridge under the two sides across one axis."""
    long, wide = sums.shape[0] - 1, sums.shape[1]
    low, high = (np.clip(middle + sign * _MIDDLE * run / 2, 0, long) for sign in (-1, 1))
    first = np.clip(low.astype(np.int64), 0, long - 1)
    last = np.clip(np.maximum(high.astype(np.int64), first + 1), 1, long)
    line = (sums[last] - sums[first]) / (last - first)[:, None]
    aside = np.maximum(_ASIDE * length, _LEAST)[:, None, None, None]
    place = (at[:, None] + shifts * length[:, None])[:, None, :, None] * scales[:, None, None]
    half = (length[:, None] * np.array(MARGINS) / 2)[:, None, None, :]

    def under(position: Floats) -> Floats:
        seen = (position >= 2) & (position < wide - 2)
        column = np.clip(position, 0, wide - 1).astype(np.int64)
        value = np.take_along_axis(line, column.reshape(len(line), -1), axis=1).reshape(column.shape)
        return np.where(seen, value, np.nan)

    sides = [
        under(position) - mean_seen(np.stack([under(position - aside), under(position + aside)]))
        for position in (place - half, place + half)
    ]
    ridge = np.nan_to_num(mean_seen(np.stack(sides)))
    ridge[high - low < 3] = 0.0
    mean: Floats = ridge.mean(axis=0) if len(ridge) else np.zeros(ridge.shape[1:])
    return mean
