"""The label geometry probe: do box edges fall on edges of the picture? No model is needed.

A box drawn around an object has a step in brightness under the middle of its sides, and less of one some way inside
and outside. That *ridge* is measured for the boxes as stored and for the same boxes mended from each mistake that
converters make (transposed, mirrored, corner for centre, pixels for fractions, …: `readings.py`). If the labels carry
such a mistake, the ridge is under the mended boxes and not under the stored ones.

The mean gradient under the sides, which one would take first, favours every transform that moves boxes inwards:
objects are busier than what surrounds them. Subtracting both neighbours removes that bias. Only the middle third of
a side is looked at, because a round object touches its box only there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image as Picture
from PIL import ImageOps

from liftgate.boxes import iou
from liftgate.checks.probes.box_conventions import (
    NEXT,
    PREVIOUS,
    STORED,
    TRANSFORMS,
    Floats,
    hypotheses,
    in_other_units,
)
from liftgate.data.core.dataset import Dataset, Image

Answer = Literal["fits", "does not fit", "not decidable"]
MOST_IMAGES, FEWEST = 200, 12
"""How many images are looked at, and below how many nothing is said"""

_SIDE = 320  # pixels of the longer side at which edges are looked for
_BAND = 3  # pixels on either side of a box's side that count as under it: people draw that exactly
_ASIDE, _LEAST = 0.25, 5.0  # of the box, and pixels at least: how far inside and outside the neighbours lie
_MIDDLE = 0.35  # of a side
_SMALLEST = 10.0  # pixels: the neighbours of smaller boxes overlap
_MOST_BOXES = 60  # of one image
_SAME_LAYOUT = 0.7  # IoU: frames of a video with the same boxes are one look, not many
# Calibrated on bccd, dice and coco_cc with bootstraps and halves: the best other transform reaches z = −1 on sound
# data, the true one z = 18 and more on 200 images. See tests/checks/test_edges.py.
_SURE = 6.0
_FITS, _NEAR = 4.0, 2.0


class Evidence(NamedTuple):
    """How well the labels fit under one transform."""

    transform: str
    ridge: float
    """mean over images, in units of the picture's mean gradient"""
    z: float
    """ridge in standard errors: is there one at all?"""
    gain: float
    """ridge minus that of the labels as stored, in standard errors over images"""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """What the probe says."""

    answer: Answer
    n_images: int
    evidence: tuple[Evidence, ...]
    """`as stored` first, then the others from the best"""
    example: Image
    """the image on which the best transform gains most on the stored labels"""
    stored_boxes: Floats
    """(n, 4) of the example: centre and size in fractions of the image, as stored; none where their unit puts them
    nowhere in the picture"""
    mended_boxes: Floats
    """(n, 4) the same after the best transform"""

    @property
    def stored(self) -> Evidence:
        return self.evidence[0]

    @property
    def best(self) -> Evidence:
        """The best of the other transforms."""
        return self.evidence[1]


def probe(dataset: Dataset) -> Geometry | None:
    """Look at 200 images at most and say whether the labels fit; None: fewer than 12 have boxes to judge by.

    Numbers in another unit than the format's are tried in each that they may be in, with every transform on top.
    """
    units = in_other_units(dataset)
    if not units:
        return _probed(dataset)
    answers = [one for unit, read in units.items() if (one := _probed(read, unit)) is not None]
    return max(answers, key=lambda one: (one.answer == "does not fit", one.best.ridge), default=None)


def _probed(dataset: Dataset, unit: str = "") -> Geometry | None:
    chosen = choose_samples(dataset)
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # Pillow's word on large pictures, from many threads
        rows = list(pool.map(ridge_scores, chosen))
    kept = [i for i, row in enumerate(rows) if row is not None]
    scores = np.array([row for row in rows if row is not None], dtype=np.float64)
    if len(scores) < FEWEST:
        return None
    names = TRANSFORMS
    if unit:  # as stored they lie nowhere in the image, so on no edge
        names = (STORED, unit, *(f"{unit}, {name}" for name in TRANSFORMS[1:]))
        scores = np.column_stack([np.zeros(len(scores)), scores])
    answer, evidence = judge(scores, names)
    gains = scores[:, names.index(evidence[1].transform)] - scores[:, 0]
    look = chosen[kept[int(gains.argmax())]]
    tried = hypotheses(look.boxes) | {NEXT: look.next, PREVIOUS: look.previous}
    best = evidence[1].transform.removeprefix(unit).removeprefix(", ") or STORED
    stored = look.boxes[:0] if unit else look.boxes
    return Geometry(answer, len(scores), evidence, look.image, stored, tried[best])


def judge(scores: Floats, names: Sequence[str] = TRANSFORMS) -> tuple[Answer, tuple[Evidence, ...]]:
    """Answer from ridges of shape (images, transforms), the first column as stored.

    `does not fit` needs another transform that gains 6 standard errors on the labels as stored, has a ridge of its
    own, and at least twice theirs; `fits` a clear ridge under the stored labels that none exceeds, and no sure one
    under a `rival`: where two readings have ridges, some images are labelled one way and some the other.
    """
    gain = scores - scores[:, :1]
    everything = [
        Evidence(name, float(mean), float(own), float(better))
        for name, mean, own, better in zip(names, scores.mean(axis=0), _z(scores), _z(gain), strict=True)
    ]
    others = sorted(everything[1:], key=lambda one: -one.gain)
    stored = everything[0]
    # Several may gain surely (of a shifted box, half of its sides fit); the highest ridge is the mend.
    good = [one for one in others if one.gain >= _SURE and one.z >= _SURE and one.ridge > 2 * max(stored.ridge, 0.0)]
    if good:
        best = max(good, key=lambda one: one.ridge)
        return "does not fit", (stored, best, *(one for one in others if one is not best))
    fits = stored.z >= _FITS and others[0].gain < _NEAR and rival(everything) is None
    return "fits" if fits else "not decidable", (stored, *others)


def rival(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the best other transform with a sure ridge of its own, beside that of the labels as stored; None: there
    is none. On sound labels no transform that moves boxes elsewhere reaches 4 standard errors.

    Not those that scale, which leave boxes nearly where they are, nor the neighbours' labels, which in a film do.
    """
    far = [one for one in evidence[1:] if one.z >= _SURE and not one.transform.startswith(("scaled", NEXT, PREVIOUS))]
    return max(far, key=lambda one: one.ridge, default=None)


class _Look(NamedTuple):
    """One image with its boxes and those of its neighbours in the list of files."""

    image: Image
    boxes: Floats
    next: Floats
    previous: Floats


def choose_samples(dataset: Dataset) -> list[_Look]:
    """Spread the looks over the whole data set; images with the same boxes in the same places are looked at once."""
    labels = dataset.labels
    usable = ~labels.crowd & np.isfinite(labels.boxes).all(axis=1)
    order = sorted(range(len(dataset.images)), key=lambda i: (dataset.images[i].split or "", dataset.images[i].id))
    by_image: dict[int, list[int]] = {}
    for row in np.flatnonzero(usable):
        by_image.setdefault(int(labels.image[row]), []).append(int(row))
    marked = [i for i in order if i in by_image and min(dataset.images[i].upright) > 0]
    looks: list[_Look] = []
    layouts: dict[tuple[int, ...], list[Floats]] = {}
    for at in _spread(len(marked), 2 * MOST_IMAGES):
        near = [_fractions(dataset, marked[(at + step) % len(marked)], by_image) for step in (0, 1, -1)]
        alike = layouts.setdefault((len(near[0]), *(4 * near[0].mean(axis=0)).astype(int)), [])
        if not any(_same_layout(near[0], other) for other in alike):
            alike.append(near[0])
            looks.append(_Look(dataset.images[marked[at]], *near))
    return [looks[i] for i in _spread(len(looks), MOST_IMAGES)]


def _spread(total: int, most: int) -> list[int]:
    """At most `most` of range(total), evenly."""
    return sorted({round(at) for at in np.linspace(0, total - 1, min(most, total))}) if total else []


def _fractions(dataset: Dataset, index: int, by_image: dict[int, list[int]]) -> Floats:
    """(n, 4) centre and size of an image's boxes in fractions of it"""
    boxes = dataset.labels.boxes[by_image[index][:_MOST_BOXES]]
    size = np.array(dataset.images[index].upright, dtype=np.float64)
    centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centre / size, extent / size], axis=1)


def _same_layout(a: Floats, b: Floats) -> bool:
    if len(a) != len(b):
        return False
    overlap = iou(*(np.concatenate([c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2], axis=1) for c in (a, b)))
    return bool((overlap.max(axis=1) >= _SAME_LAYOUT).all())


def ridge_scores(look: _Look) -> list[float] | None:
    """Mean ridge of one image under every transform; None where it cannot be read or its boxes are too small."""
    try:
        edges = _Edges.of(look.image)
    except Exception:  # images.unreadable speaks of it
        return None
    large = (look.boxes[:, 2:] * edges.size >= _SMALLEST).all(axis=1)
    if not large.any():
        return None
    tried = [*hypotheses(look.boxes[large]).values(), look.next, look.previous]
    under = edges.ridge(np.concatenate(tried))  # all at once: numpy's cost is per call
    ends = np.cumsum([len(boxes) for boxes in tried])
    return [float(part.mean()) for part in np.split(under, ends[:-1])]


@dataclass(frozen=True, slots=True)
class _Edges:
    """Gradients of one picture, summed along both axes so that the mean under a line is one subtraction."""

    upright: Floats
    """(H + 1, W) sums over rows of the x-gradient: what lies under vertical sides"""
    level: Floats
    """(W + 1, H) sums over columns of the y-gradient: what lies under horizontal sides"""

    @property
    def size(self) -> Floats:
        """(2,) width, height"""
        return np.array([self.upright.shape[1], self.level.shape[1]], dtype=np.float64)

    @classmethod
    def of(cls, image: Image) -> _Edges:
        with Picture.open(image.path) as picture:
            picture.draft("L", (_SIDE, _SIDE))
            grey = ImageOps.exif_transpose(picture).convert("L")
        grey.thumbnail((_SIDE, _SIDE), Picture.Resampling.BILINEAR)
        values = np.asarray(grey, dtype=np.float64)
        across, down = np.zeros_like(values), np.zeros_like(values)
        across[:, 1:-1] = np.abs(values[:, 2:] - values[:, :-2])
        down[1:-1] = np.abs(values[2:] - values[:-2])
        # In units of the picture's own mean, so that no picture outweighs the others; a lone sharp edge counts for 6.
        unit = (across.mean() + down.mean()) / 2 + 1e-9
        return cls(_summed(np.minimum(across / unit, 6)), _summed(np.minimum(down / unit, 6).T))

    def ridge(self, boxes: Floats) -> Floats:
        """(n,) mean over four sides of the gradient under the side less that beside it; 0 where no side can be seen"""
        x, y, w, h = (boxes * np.tile(self.size, 2)).T
        sides = [
            value
            for sums, at, length, middle, run in ((self.upright, x, w, y, h), (self.level, y, h, x, w))
            for sign in (-1.0, 1.0)
            for value in [_side(sums, at + sign * length / 2, length, middle, run)]
        ]
        return np.nan_to_num(_mean_seen(np.stack(sides)))


def _side(sums: Floats, at: Floats, length: Floats, middle: Floats, run: Floats) -> Floats:
    """Ridge of one side at `at`, of boxes `length` across, over the middle of a side that is `run` long."""
    aside = np.maximum(_ASIDE * length, _LEAST)
    begin, end = middle - _MIDDLE * run / 2, middle + _MIDDLE * run / 2
    beside = np.stack([_under(sums, at - aside, begin, end), _under(sums, at + aside, begin, end)])
    return _under(sums, at, begin, end) - _mean_seen(beside)


def _mean_seen(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN; NaN where all is. (np.nanmean warns there, and is slower.)"""
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


def _z(values: Floats) -> Floats:
    """(transforms,) mean over images in standard errors; 0 where nothing varies"""
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    z: Floats = np.divide(values.mean(axis=0), error, out=np.zeros(values.shape[1]), where=error > 1e-12)
    return z
