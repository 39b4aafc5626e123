"""Measure content evidence: does what boxes hold under a reading lie in held-out boxes, and not beside them?

For every reading a score of pixels by colour, brightness and texture is fitted anew, by ridge regression: high inside
the boxes as read so, low inside those of other images. It is applied to scenes that the fit did not use. Under the
right reading the boxes of all images hold the same kind of things, so that the score is high inside held-out boxes and
low beside them. Under a wrong reading there is little to learn, and what is learned does not end at the boxes' sides:
shifted by a twentieth of its place in the image, most of the contrast of a box is gone.

Because each reading is judged by its own score, the stored boxes have no advantage, however far the boxes moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.probes.box_edges import gradients, nan_mean
from liftgate.checks.probes.views import Floats, View

SPREADS = (0.6, 0.75, 0.9, 1.0, 1.12, 1.25)
"""Factors by which boxes are scaled about their own centre"""
_MAX_BOXES = 15  # of one image
_FOLDS = 4
_RIDGE = 0.05  # per image: features are standardised
_GRID = 8  # pixels along each side of a box from which the score is fitted
_ROW_BAND = 0.3  # of a box's height, above and below its centre: the rows in which its left and right are measured
_SIDES = np.array([-2, -1, 1, 2])  # where the left of a box, the box and its right begin and end, in halves of a box

Boxes = Floats
Pair = tuple[Boxes, Boxes]


def feature_channels(views: Sequence[View]) -> list[Floats]:
    """Return (H / 2, W / 2, 10) brightness, colour and texture of every image at half its size, mostly blurred."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_features_of, views))


def consistency(views: Sequence[View], channels: Sequence[Floats], pairs: Sequence[Pair]) -> Floats:
    """Return per view how much higher the learned score is inside its boxes than beside them.

    Args:
        views: the images, whose scenes are the units of cross-fitting.
        channels: their features.
        pairs: own boxes and boxes of other images for each view, as a reading has them; 0 where either is empty.

    Returns:
        Shape (n, spreads): mean over both axes, less the same for other images' boxes.
    """
    chosen = [(_subsample(own), _subsample(other)) for own, other in pairs]
    width = channels[0].shape[-1] + 1
    grams, sums = np.zeros((len(views), width, width)), np.zeros((len(views), width))
    for index, (picture, pair) in enumerate(zip(channels, chosen, strict=True)):
        for sign, boxes in zip((1.0, -1.0), pair, strict=True) if len(pair[0]) and len(pair[1]) else ():
            pixels, weight = _pixels_inside(picture, boxes)
            grams[index] += (pixels * weight[:, None]).T @ pixels
            sums[index] += sign * (weight @ pixels)
    found = np.zeros((len(views), len(SPREADS)))
    for fold, solution in _cross_fitted(grams, sums, np.array([view.scene for view in views])):
        useful = [int(index) for index in fold if all(len(boxes) for boxes in chosen[index])]
        for shape in {channels[index].shape for index in useful}:  # pictures of one shape in one go
            group = [index for index in useful if channels[index].shape == shape]
            scores = np.stack([channels[index] @ solution[:-1] for index in group])
            for index, (own, other) in zip(group, _contrasts(scores, [chosen[index] for index in group]), strict=True):
                found[index] = own.mean(axis=0) - other.mean(axis=0)
    return found


def _subsample(boxes: Boxes) -> Boxes:
    """Return at most 15 of the boxes, evenly spaced."""
    return boxes[:: -(-len(boxes) // _MAX_BOXES) or 1]


def _pixels_inside(picture: Floats, boxes: Boxes) -> tuple[Floats, Floats]:
    """Return the channels and a one of 64 pixels of each box, and their weights: the same in sum for each box.

    Pixels outside the image have no weight.
    """
    height, width, channels = picture.shape
    steps = (np.arange(_GRID) + 0.5) / _GRID - 0.5
    x, y, w, h = boxes.T
    columns = np.floor((x[:, None] + steps * w[:, None]) * width)
    rows = np.floor((y[:, None] + steps * h[:, None]) * height)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    count = inside.sum(axis=(1, 2))
    weight = (inside / np.maximum(count, 1)[:, None, None] / max(int((count > 0).sum()), 1)).reshape(-1)
    at_row = np.clip(rows, 0, height - 1).astype(np.int64)[:, :, None]
    at_column = np.clip(columns, 0, width - 1).astype(np.int64)[:, None, :]
    pixels = picture[at_row, at_column].reshape(-1, channels)
    return np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1), weight


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


def _contrasts(scores: Floats, pairs: Sequence[Pair]) -> list[Pair]:
    """Return for each picture of `scores` (k, H, W) the contrast of its own boxes and of the others (n, spreads)."""
    boxes = [boxes for pair in pairs for boxes in pair]
    counts = [len(one) for one in boxes]
    of = np.repeat(np.arange(len(counts)) // 2, counts)
    contrast = np.split(_contrast(scores, of, np.concatenate(boxes)), np.cumsum(counts)[:-1])
    return list(zip(contrast[::2], contrast[1::2], strict=True))


def _contrast(scores: Floats, of: NDArray[np.int64], boxes: Boxes) -> Floats:
    """Return (n, spreads): mean score inside each box of picture `of` less that beside it, mean over both axes."""
    x, y, w, h = (boxes * np.tile(scores.shape[:0:-1], 2)).T
    turned = scores.transpose(0, 2, 1)
    found: Floats = (_contrast_along(scores, of, (x, w), (y, h)) + _contrast_along(turned, of, (y, h), (x, w))) / 2
    return found


def _contrast_along(
    scores: Floats, of: NDArray[np.int64], along: tuple[Floats, Floats], across: tuple[Floats, Floats]
) -> Floats:
    """Return (n, spreads): mean score inside a box less that beside it along one axis; 0 where neither is seen.

    Args:
        scores: pictures (k, rows, width).
        of: number of each box's picture.
        along: centres and lengths of the boxes on this axis.
        across: those on the other one.
    """
    (at, length), (middle, run) = along, across
    pictures, rows, width = scores.shape
    down = np.concatenate([np.zeros((pictures, 1, width)), scores.cumsum(axis=1)], axis=1)
    first = np.clip(middle - _ROW_BAND * run, 0, rows - 1).astype(np.int64)
    last = np.maximum(np.clip(middle + _ROW_BAND * run + 1, 1, rows).astype(np.int64), first + 1)
    line = (down[of, last] - down[of, first]) / (last - first)[:, None]
    sums = np.concatenate([np.zeros((len(line), 1)), line.cumsum(axis=1)], axis=1)
    half = length[:, None, None] * np.array(SPREADS) / 2
    edges = np.clip(at[:, None, None] + _SIDES[:, None] * half, 0, width)  # (n, 4, spreads)
    totals = _interpolated(sums, edges.reshape(len(edges), _SIDES.size * len(SPREADS))).reshape(edges.shape)
    lengths, rises = np.diff(edges, axis=1), np.diff(totals, axis=1)
    means = np.where(lengths > 0.5, rises / np.maximum(lengths, 0.5), np.nan)  # left, inside, right
    contrast: Floats = np.nan_to_num(means[:, 1] - nan_mean(np.stack([means[:, 0], means[:, 2]])))
    return contrast


def _interpolated(sums: Floats, at: Floats) -> Floats:
    """Return running sums (n, W + 1), interpolated at fractional positions (n, k)."""
    whole = np.minimum(at.astype(np.int64), sums.shape[1] - 2)
    line = np.arange(len(sums))[:, None]
    low, high = sums[line, whole], sums[line, whole + 1]
    between: Floats = low + (high - low) * (at - whole)
    return between


def _features_of(view: View) -> Floats:
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
