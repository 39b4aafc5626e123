"""Measure content evidence: do an image's own boxes hold content that boxes of other images, placed in it, do not?

Two scores, both fitted on the data set itself by ridge regression and applied only to held-out scenes:

- `ranking`: features of the patch at a box (grey levels on an 8 × 8 grid over 1.4 × the box, colours of its middle and
  rim and their difference, contrast, gradients) against those of patches at other images' boxes. Per image, the share
  of (own, other) pairs ranked correctly, less one half: 0 where boxes have nothing in common, 0.5 at best.
- `location`: a score of every pixel by colour, brightness and texture, higher inside own boxes than inside those of
  other images. Where a box is shifted or scaled, the score inside it falls relative to that beside it. This finds
  boxes that are off by half their size, or scaled about the corner of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.probes.box_edges import gradients, nan_mean
from liftgate.checks.probes.views import Floats, View

SCALES = (
    *(0.83, 0.87, 0.905, 0.93, 0.9425, 0.953, 0.965, 0.9766, 0.988),
    1.0,
    *(1.012, 1.024, 1.037, 1.053, 1.065, 1.08, 1.11, 1.15, 1.2),
)
"""Factors on the coordinates, about the top left corner of the image"""
SHIFTS = (-0.625, -0.5, -0.375, -0.25, -0.125, 0.0, 0.125, 0.25, 0.375, 0.5, 0.625)
"""Offsets of a box, right and down, in fractions of its size"""
SPREADS = (0.6, 0.75, 0.9, 1.0, 1.12, 1.25)
"""Factors by which boxes are scaled about their own centre"""
_GRID, _GROW = 8, 1.4
_MAX_PATCHES = 20  # of one image and kind
_MAX_LOCATED_BOXES = 15  # boxes of one image
_FOLDS = 4
_RIDGE = 0.05  # per image: features are standardised
_PIXELS_PER_BOX = 60  # of one box
_ROW_BAND = 0.3  # of a box's height, above and below its centre: the rows in which its left and right are measured

Boxes = Floats
Reading = Callable[[Boxes], Boxes]


def ranking(views: Sequence[View], pairs: Sequence[tuple[Boxes, Boxes]], pictures: Sequence[PatchSource]) -> Floats:
    """Return per view the share of (own, other) pairs of patches ranked correctly, less one half; shape (n,).

    Args:
        views: the images, whose scenes are the units of cross-fitting.
        pairs: own boxes and boxes of other images for each view; 0 where either is empty.
        pictures: the same images, as sources of patches.
    """
    own = [picture.features(_subsample(boxes)) for picture, (boxes, _) in zip(pictures, pairs, strict=True)]
    other = [picture.features(_subsample(boxes)) for picture, (_, boxes) in zip(pictures, pairs, strict=True)]
    used = [i for i in range(len(views)) if len(own[i]) and len(other[i])]
    shares = np.zeros(len(views))
    if len(used) < 2:
        return shares
    blocks = [np.concatenate([own[i], other[i]]) for i in used]
    targets = [np.repeat([1.0, -1.0], [len(own[i]), len(other[i])]) for i in used]
    weights = [np.repeat([1 / len(own[i]), 1 / len(other[i])], [len(own[i]), len(other[i])]) for i in used]
    rows, weight = np.concatenate(blocks), np.concatenate(weights)[:, None]
    centre = (rows * weight).sum(axis=0) / weight.sum()
    spread = np.sqrt((weight * (rows - centre) ** 2).sum(axis=0) / weight.sum()) + 1e-6
    blocks = [_with_bias(np.clip((block - centre) / spread, -4, 4)) for block in blocks]
    grams = np.array([(block * w[:, None]).T @ block for block, w in zip(blocks, weights, strict=True)])
    sums = np.array(
        [(block * (w * t)[:, None]).sum(axis=0) for block, w, t in zip(blocks, weights, targets, strict=True)]
    )
    for fold, solution in _cross_fitted(grams, sums, np.array([views[i].scene for i in used])):
        for at in fold:
            scores = blocks[at] @ solution
            a, b = scores[targets[at] > 0, None], scores[None, targets[at] < 0]
            shares[used[at]] = (a > b).mean() + (a == b).mean() / 2 - 0.5
    return shares


def location(views: Sequence[View], read: Reading) -> Floats:
    """Return per view how much higher the learned score is inside its boxes than beside them.

    Args:
        views: images with boxes.
        read: maps boxes (n, 4) to the boxes to measure, such as a corrected reading.

    Returns:
        Shape (n, scales, shifts, spreads): mean over both axes, less the same for other images' boxes.
    """
    channels = [_feature_channels(view) for view in views]
    width = channels[0].shape[-1] + 1
    grams, sums = np.zeros((len(views), width, width)), np.zeros((len(views), width))
    for index, (view, picture) in enumerate(zip(views, channels, strict=True)):
        for sign, boxes in ((1.0, view.own), (-1.0, view.others)):
            inside = [_with_bias(block) for block in _pixels_inside(picture, read(view.large(boxes)))]
            for block in inside:
                grams[index] += block.T @ block / (len(block) * len(inside))
                sums[index] += sign * block.mean(axis=0) / len(inside)
    found = np.zeros((len(views), len(SCALES), len(SHIFTS), len(SPREADS)))
    for fold, solution in _cross_fitted(grams, sums, np.array([view.scene for view in views])):
        for index in fold:
            view, scores = views[index], channels[index] @ solution[:-1]
            for sign, boxes in ((1.0, view.own), (-1.0, view.others)):
                chosen = read(_subsample(view.large(boxes), _MAX_LOCATED_BOXES))
                x, y, w, h = (chosen * np.tile(scores.shape[1::-1], 2)).T
                found[index] += sign * (_contrast_along(scores, x, w, y, h) + _contrast_along(scores.T, y, h, x, w)) / 2
    return found


@dataclass(frozen=True, slots=True, eq=False)
class PatchSource:
    """Summed-area tables of an image's channels: the mean over any rectangle is four look-ups."""

    sums: Floats
    """(H + 1, W + 1, 6): grey, red − green, blue − green, gradients across and down, grey²"""

    @classmethod
    def of(cls, view: View) -> PatchSource:
        """Return the tables of a view's image, in units of its own contrast."""
        colour = view.pixels.astype(np.float64)
        grey = colour @ np.array([0.299, 0.587, 0.114])
        contrast = grey.std() + 1e-9
        across, down = gradients(grey)
        unit = (across.mean() + down.mean()) / 2 + 1e-9
        normal = (grey - grey.mean()) / contrast
        red, blue = (colour[..., 0] - colour[..., 1]) / contrast, (colour[..., 2] - colour[..., 1]) / contrast
        steps = (np.minimum(across / unit, 6), np.minimum(down / unit, 6))
        channels = np.stack([normal, red, blue, *steps, normal**2], axis=-1)
        sums = np.zeros((channels.shape[0] + 1, channels.shape[1] + 1, channels.shape[2]))
        sums[1:, 1:] = channels.cumsum(axis=0).cumsum(axis=1)
        return cls(sums)

    def features(self, boxes: Boxes) -> Floats:
        """Return the features of the patches at boxes (n, 4), shape (n, features)."""
        cells = self._cells(boxes)
        n, half = len(cells), _GRID // 2
        middle = cells[:, 2:6, 2:6].mean(axis=(1, 2))
        on_rim = np.ones((_GRID, _GRID), dtype=np.bool_)
        on_rim[1:-1, 1:-1] = False
        rim = cells[:, on_rim].mean(axis=1)
        grey = cells[..., 0] - rim[:, 0][:, None, None]
        away = np.abs(grey).reshape(n, half, 2, half, 2).mean(axis=(2, 4)).reshape(n, half * half)
        steps = cells[..., 3:5].reshape(n, half, 2, half, 2, 2).mean(axis=(2, 4)).reshape(n, 2 * half * half)
        spread = [np.sqrt(np.maximum(one[:, 5] - one[:, 0] ** 2, 0))[:, None] for one in (middle, rim)]
        colours = (middle[:, :5], rim[:, :5], middle[:, :5] - rim[:, :5], np.abs(middle[:, :5] - rim[:, :5]))
        return np.concatenate(
            [grey.reshape(n, _GRID * _GRID), away, steps, *colours, *spread, spread[0] - spread[1]], axis=1
        )

    def _cells(self, boxes: Boxes) -> Floats:
        """Return (n, 8, 8, 6) means over the cells of a grid over 1.4 × each box, clipped at the border."""
        height, width = self.sums.shape[0] - 1, self.sums.shape[1] - 1
        x, y, w, h = (boxes * np.tile([width, height], 2)).T
        steps = (np.arange(_GRID + 1) / _GRID - 0.5) * _GROW
        left, right = _cell_bounds(x[:, None] + steps * w[:, None], width)
        top, bottom = _cell_bounds(y[:, None] + steps * h[:, None], height)
        total = self._at(bottom, right) - self._at(top, right) - self._at(bottom, left) + self._at(top, left)
        cells: Floats = total / ((bottom - top)[:, :, None] * (right - left)[:, None, :])[..., None]
        return cells

    def _at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        found: Floats = self.sums[rows[:, :, None], columns[:, None, :]]
        return found


def _cell_bounds(at: Floats, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels at which cells begin and end: within the image, at least one apart."""
    whole = np.sort(np.clip(at, 0, most), axis=1).astype(np.int64)
    begin = np.clip(whole[:, :-1], 0, most - 1)
    return begin, np.maximum(whole[:, 1:], begin + 1)


def _subsample(boxes: Boxes, most: int = _MAX_PATCHES) -> Boxes:
    """Return at most `most` of the boxes, evenly spaced."""
    return boxes[:: -(-len(boxes) // most) or 1]


def _with_bias(rows: Floats) -> Floats:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _cross_fitted(grams: Floats, sums: Floats, scenes: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], Floats]]:
    """Return for each fold of scenes the indices in it, and the coefficients fitted on all other folds."""
    numbers, place = np.unique(scenes, return_inverse=True)
    folds = (np.random.default_rng(0).permutation(len(numbers)) % _FOLDS)[place]
    ridge = np.eye(grams.shape[1]) * _RIDGE * len(grams)
    ridge[-1, -1] = 1e-6
    every_gram, every_sum = grams.sum(axis=0), sums.sum(axis=0)
    solved = []
    for number in range(_FOLDS):
        inside = np.flatnonzero(folds == number)
        gram, total = every_gram - grams[inside].sum(axis=0), every_sum - sums[inside].sum(axis=0)
        solved.append((inside, np.linalg.solve(gram + ridge, total)))
    return solved


def _feature_channels(view: View) -> Floats:
    """Return (H / 2, W / 2, 10) brightness, colour and texture of an image at half its size, mostly blurred."""
    height, width = (side // 2 * 2 for side in view.pixels.shape[:2])
    quads = view.pixels[:height, :width].astype(np.float64).reshape(height // 2, 2, width // 2, 2, 3)
    colour = quads.mean(axis=(1, 3))
    grey = colour @ np.array([0.299, 0.587, 0.114])
    contrast = grey.std() + 1e-9
    across, down = gradients(grey)
    steps = np.log1p((across + down) / ((across + down).mean() + 1e-9))
    normal = (grey - grey.mean()) / contrast
    red, blue = (colour[..., 0] - colour[..., 1]) / contrast, (colour[..., 2] - colour[..., 1]) / contrast
    red, blue, near = _blurred(red, 2), _blurred(blue, 2), normal - _blurred(normal, 10)
    texture = [_blurred(steps, 2), _blurred(np.abs(near), 2), _blurred(near, 2), _blurred(steps, 6)]
    every = np.stack([_blurred(normal, 2), red, blue, *texture, normal**2, red**2, blue**2], axis=-1)
    clipped: Floats = np.clip(every, -5, 5)
    return clipped


def _blurred(values: Floats, reach: int) -> Floats:
    """Return the mean over a square of 2 · reach + 1 pixels (box blur)."""
    side = 2 * reach + 1
    sums = np.pad(values, (reach + 1, reach), mode="edge").cumsum(axis=0).cumsum(axis=1)
    total: Floats = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    mean: Floats = total / float(side * side)
    return mean


def _pixels_inside(picture: Floats, boxes: Boxes) -> list[Floats]:
    """Return the channels of about 60 pixels of each box that overlaps the image."""
    height, width, channels = picture.shape
    found = []
    for x, y, w, h in boxes:
        left, right = int(max(0, (x - w / 2) * width)), int(min(width, (x + w / 2) * width)) + 1
        top, bottom = int(max(0, (y - h / 2) * height)), int(min(height, (y + h / 2) * height)) + 1
        inside = picture[top : max(bottom, 0), left : max(right, 0)].reshape(-1, channels)
        if len(inside):
            found.append(inside[:: max(1, len(inside) // _PIXELS_PER_BOX)])
    return found


def _contrast_along(scores: Floats, at: Floats, length: Floats, middle: Floats, run: Floats) -> Floats:
    """Return (scales, shifts, spreads): mean score inside a box less that beside it along one axis, over boxes."""
    if not len(at):
        return np.zeros((len(SCALES), len(SHIFTS), len(SPREADS)))
    rows, width = scores.shape
    down = np.concatenate([np.zeros((1, width)), scores.cumsum(axis=0)])
    first = np.clip(middle - _ROW_BAND * run, 0, rows - 1).astype(np.int64)
    last = np.maximum(np.clip(middle + _ROW_BAND * run + 1, 1, rows).astype(np.int64), first + 1)
    line = (down[last] - down[first]) / (last - first)[:, None]
    sums = np.concatenate([np.zeros((len(line), 1)), line.cumsum(axis=1)], axis=1)
    place = (at[:, None] + np.array(SHIFTS) * length[:, None])[:, None, :, None] * np.array(SCALES)[:, None, None]
    half = (length[:, None] * np.array(SPREADS) / 2)[:, None, None, :]
    place, half = np.broadcast_arrays(place, half)
    edges = [np.clip(place + step * half, 0, width) for step in (-2, -1, 1, 2)]
    totals = [_interpolated(sums, edge) for edge in edges]
    left, inside, right = (
        np.where(b - a > 0.5, (upper - lower) / np.maximum(b - a, 0.5), np.nan)
        for a, b, lower, upper in zip(edges, edges[1:], totals, totals[1:], strict=False)
    )
    contrast: Floats = np.nan_to_num(inside - nan_mean(np.stack([left, right]))).mean(axis=0)
    return contrast


def _interpolated(sums: Floats, at: Floats) -> Floats:
    """Return running sums (n, W + 1), interpolated at fractional positions (n, …)."""
    whole = np.minimum(at.astype(np.int64), sums.shape[1] - 2)
    flat = whole.reshape(len(sums), -1)
    low = np.take_along_axis(sums, flat, axis=1).reshape(at.shape)
    high = np.take_along_axis(sums, flat + 1, axis=1).reshape(at.shape)
    between: Floats = low + (high - low) * (at - whole)
    return between
