"""Measure edge evidence: do the sides of boxes fall on steps in brightness?

The sides of a box around an object lie on stronger gradients than lines somewhat inside and outside of it. The *ridge*
is the gradient under a side less that beside it. (The mean gradient under the sides alone favours every transform that
moves boxes inwards, because objects have more texture than their background.) Only the middle third of a side is
measured, because a round object touches its box only there.

A negative ridge is evidence too: the sides of loose boxes lie systematically on plain background. Because people draw
boxes with a margin, the ridge is measured at several margins, and the best one counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image as Picture

from liftgate.checks.probes.views import Floats, View

MARGINS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.12, 1.25)
"""Factors by which boxes are scaled about their own centre"""
_HALF_BAND = 3  # pixels on either side of a line that count as under it: the precision of drawing
_OFFSET, _MIN_OFFSET = 0.25, 5.0  # of the box, and at least so many pixels: distance of the lines inside and outside
_MIDDLE_SHARE = 0.35  # of a side


@dataclass(frozen=True, slots=True, eq=False)
class EdgeMap:
    """Cumulative gradients of one image along both axes: the mean under a line is one subtraction."""

    vertical: Floats
    """(H + 1, W) sums over rows of the x-gradient, for vertical sides"""
    horizontal: Floats
    """(W + 1, H) sums over columns of the y-gradient, for horizontal sides"""

    @classmethod
    def of(cls, view: View) -> EdgeMap:
        """Return the map of a view's image, in units of its own mean gradient; single edges are clipped at 6."""
        grey = np.asarray(Picture.fromarray(view.pixels).convert("L"), dtype=np.float64)
        across, down = gradients(grey)
        unit = (across.mean() + down.mean()) / 2 + 1e-9
        return cls(
            _cumulative_gradient(np.minimum(across / unit, 6)), _cumulative_gradient(np.minimum(down / unit, 6).T)
        )

    def ridge(self, boxes: Floats) -> Floats:
        """Return the mean ridge over the four sides of boxes (n, 4) at every margin, shape (n, margins).

        It is 0 for a box none of whose sides lies in the image.
        """
        size = np.array([self.vertical.shape[1], self.horizontal.shape[1]], dtype=np.float64)
        scaled = boxes[:, None, :] * np.array([[1.0, 1.0, margin, margin] for margin in MARGINS])
        x, y, w, h = (scaled * np.tile(size, 2)).reshape(-1, 4).T
        sides = [
            _side_ridge(sums, at + sign * length / 2, length, middle, run)
            for sums, at, length, middle, run in ((self.vertical, x, w, y, h), (self.horizontal, y, h, x, w))
            for sign in (-1.0, 1.0)
        ]
        return np.nan_to_num(nan_mean(np.stack(sides))).reshape(-1, len(MARGINS))


def gradients(grey: Floats) -> tuple[Floats, Floats]:
    """Return absolute central differences of an image (H, W) along x and along y; 0 at the border."""
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, 1:-1] = np.abs(grey[:, 2:] - grey[:, :-2])
    down[1:-1] = np.abs(grey[2:] - grey[:-2])
    return across, down


def _side_ridge(sums: Floats, at: Floats, length: Floats, middle: Floats, run: Floats) -> Floats:
    """Return (n,) the ridge under sides at `at` of boxes of width `length`; a side is `run` long around `middle`."""
    aside = np.maximum(_OFFSET * length, _MIN_OFFSET)
    begin, end = middle - _MIDDLE_SHARE * run / 2, middle + _MIDDLE_SHARE * run / 2
    beside = np.stack(
        [_mean_gradient_under(sums, at - aside, begin, end), _mean_gradient_under(sums, at + aside, begin, end)]
    )
    return _mean_gradient_under(sums, at, begin, end) - nan_mean(beside)


def nan_mean(values: Floats) -> Floats:
    """Return the mean over the first axis without NaN, as np.nanmean, which is slower and warns of empty means."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=0)
    mean: Floats = np.where(count > 0, np.where(seen, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return mean


def _mean_gradient_under(sums: Floats, at: Floats, begin: Floats, end: Floats) -> Floats:
    """Return (n,) the mean gradient under lines at `at` from `begin` to `end`; NaN at the border or outside."""
    long, wide = sums.shape[0] - 1, sums.shape[1]
    low, high = np.clip(begin, 0, long), np.clip(end, 0, long)
    seen = (at >= 2) & (at < wide - 2) & (high - low >= 3)
    first = np.clip(low.astype(np.int64), 0, long - 1)
    last = np.clip(np.maximum(high.astype(np.int64), first + 1), 1, long)
    column = np.clip(np.floor(np.nan_to_num(at)).astype(np.int64), 0, wide - 1)
    return np.where(seen, (sums[last, column] - sums[first, column]) / (last - first), np.nan)


def _cumulative_gradient(gradient: Floats) -> Floats:
    """Return the gradient averaged over the band and summed down the columns; (H, W) → (H + 1, W)."""
    padded = np.pad(gradient, ((0, 0), (_HALF_BAND, _HALF_BAND)))
    width = gradient.shape[1]
    band = sum(padded[:, shift : shift + width] for shift in range(2 * _HALF_BAND + 1)) / (2 * _HALF_BAND + 1)
    return np.concatenate([np.zeros((1, width)), np.cumsum(band, axis=0)])
