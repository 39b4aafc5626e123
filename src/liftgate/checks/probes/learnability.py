"""Learnability probe: can a model memorise a handful of the images? The choice of images and the record of the result.

A model that cannot fit a few images has labels that contradict each other, or cannot see the objects. The reverse is
not true: a network with enough steps also memorises boxes that lie beside the objects (a tiny YOLO on shuffled labels:
AP50 0.96 after 80 epochs). So it is evaluated on as many held-out images too: with consistent labels something
generalises, with shuffled ones nothing. Training is the pipeline's part; here are the choice of images and the record
that the rules `probe.…` judge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset

FEWEST, USUAL, MOST = 16, 24, 32
"""How many images are trained on: enough for every class, few enough for minutes on a CPU"""
LEARNED = 0.7
"""AP50 on the very images that were trained on from which they count as learned"""
HARDLY = 0.3
"""AP50 below which next to nothing was learned"""
NOTHING = 0.02
"""AP50 on held-out images up to which nothing generalised"""
BARELY = 0.2
"""By how much more often a class should be predicted for its own objects than for those of another"""
_ENOUGH = 10  # objects of each of two classes that were found
_SIZES = (192, 256, 320, 416, 512, 640)
_SEEN = 12.0  # pixels that an object should measure to be learned with certainty
_CELL = 8.0  # pixels of the finest grid: a class whose objects are smaller is not judged
_CROWD = 20  # boxes from which an image is taken only where its classes are needed


@dataclass(frozen=True, slots=True)
class LearnabilityResult:
    """Result of a short training on a few images."""

    weights: str
    """As the study names them"""
    dataset: str
    arms: tuple[str, ...]
    """Arms that begin with these weights on this data set"""
    n_images: int
    imgsz: int
    epochs: int
    epochs_asked: int
    seconds: float
    ap50: float
    """Over all classes with objects, on the images that were trained on"""
    n_others: int
    """Held-out images: not trained on, evaluated afterwards"""
    others_ap50: float | None
    """AP50 on them; None: there are none"""
    per_class: Mapping[str, float]
    """class → AP50"""
    objects: Mapping[str, int]
    """class → objects on the images"""
    too_small: tuple[str, ...]
    """Classes whose objects are mostly smaller than a cell of the detector at `imgsz`"""
    losses: tuple[float, ...]
    """Sum of the training losses after each epoch"""
    scores: tuple[float, ...]
    """mAP50 after each epoch, by the trainer's own formulas"""
    others_named: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """class → class that the surest detection on it says → objects of the other images; only objects that were found"""

    @property
    def cut_short(self) -> bool:
        """Whether its time ended before its epochs did."""
        return self.epochs < self.epochs_asked

    @property
    def settled(self) -> bool:
        """Whether more epochs would not have helped: in the last third neither the score rose nor the loss fell."""
        third = len(self.scores) // 3
        if self.cut_short or third < 3:
            return False
        before, after = self.scores[:-third], self.scores[-third:]
        fell = np.mean(self.losses[-third:]) < 0.9 * np.mean(self.losses[-2 * third : -third])
        return max(after) < max(before) + 0.05 and not bool(fell)

    @property
    def where(self) -> str:
        """Weights and data set, for messages."""
        return f"{self.weights} on {self.dataset}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LearnabilityResult:
        """Return the probe that `to_dict` wrote, lists or tuples."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
        }
        return cls(**values)


def choose_images(dataset: Dataset, wanted: int = USUAL, besides: Collection[int] = ()) -> NDArray[np.int64]:
    """Return the indices of training images to memorise, sorted: every class about equally often, crowds last.

    Up to `wanted` images that have labels, none of `besides`; more, up to 32, where the classes need it. The same data
    give the same images.
    """
    rows = _usable_rows(dataset)
    has = np.zeros((len(dataset.images), len(dataset.classes)), dtype=np.bool_)
    has[dataset.labels.image[rows], dataset.labels.cls[rows]] = True
    count = np.bincount(dataset.labels.image[rows], minlength=len(dataset.images))
    free = [
        index
        for index, image in enumerate(dataset.images)
        if image.split in (None, "train") and has[index].any() and index not in besides
    ]
    # A fixed shuffle: neighbours in a list are often neighbours in a film, and those are one image learned twice.
    free = [free[i] for i in np.random.default_rng(0).permutation(len(free))]
    free.sort(key=lambda index: count[index] > _CROWD)
    chosen: list[int] = []
    seen = np.zeros(len(dataset.classes), dtype=np.int64)
    while free and len(chosen) < MOST:
        open_classes = (seen == 0) & has[free].any(axis=0)
        if len(chosen) >= wanted and not open_classes.any():
            break
        # The class that was seen least decides; an image that brings several such classes wins.
        need = np.where(has[free], 1.0 / (1 + seen) ** 2, 0.0).sum(axis=1)
        best = int(need.argmax())
        chosen.append(free.pop(best))
        seen += has[chosen[-1]]
    return np.array(sorted(chosen), dtype=np.int64)


def choose_image_size(dataset: Dataset, most: int) -> int:
    """Return the smallest image size at which nine of ten objects measure 12 pixels, at most `most`."""
    sides = _sides(dataset)
    sizes = [size for size in _SIZES if size <= most] or [most]
    if not len(sides):
        return sizes[0]
    return next((size for size in sizes if np.quantile(sides, 0.1) * size >= _SEEN), sizes[-1])


def too_small(dataset: Dataset, imgsz: int) -> tuple[str, ...]:
    """Return the classes of whose objects more than half are smaller than a cell of the detector's finest grid."""
    sides, cls = _sides(dataset), dataset.labels.cls[_usable_rows(dataset)]
    return tuple(
        name
        for number, name in enumerate(dataset.classes)
        if (cls == number).any() and float(np.median(sides[cls == number])) * imgsz < _CELL
    )


def _usable_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Rows that a training tree would hold: with area, no crowd, none to ignore, of an image that can be read."""
    labels = dataset.labels
    readable = np.array([min(image.width, image.height) >= 10 for image in dataset.images], dtype=np.bool_)
    area = np.maximum(labels.boxes[:, 2:] - labels.boxes[:, :2], 0).prod(axis=1)
    return np.flatnonzero((area > 0) & ~labels.crowd & ~labels.ignore & readable[labels.image])


def _sides(dataset: Dataset) -> NDArray[np.float64]:
    """(n,) √area of every usable box as a fraction of its image's longer side."""
    rows = _usable_rows(dataset)
    longer = np.array([max(image.width, image.height) for image in dataset.images], dtype=np.float64)
    boxes = dataset.labels.boxes[rows]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    sides: NDArray[np.float64] = np.sqrt(area) / longer[dataset.labels.image[rows]]
    return sides


def unlearned_classes(probe: LearnabilityResult) -> Sequence[str]:
    """Return the classes that were not learned at all while the others were, and that could be judged."""
    judged = [name for name in probe.per_class if name not in probe.too_small]
    return [name for name in judged if probe.per_class[name] < HARDLY] if len(judged) > 1 else []


def indistinguishable_classes(probe: LearnabilityResult) -> list[tuple[str, str]]:
    """Return the pairs of classes that are surely (two standard errors) hardly distinguished on held-out images.

    Of the objects of both that were detected as one of the two: how much more often is the first predicted for its own
    objects than for the second's? That is 1 for classes that are distinguished, 0 for random class numbers.
    """
    pairs = []
    for a, b in combinations(probe.others_named, 2):
        right, wrong = probe.others_named[a].get(a, 0), probe.others_named[a].get(b, 0)
        taken, other = probe.others_named[b].get(a, 0), probe.others_named[b].get(b, 0)
        if min(right + wrong, taken + other) < _ENOUGH:
            continue
        # One success and one failure more each: a share of 0 or 1 of a few objects is not sure.
        shares = [(k + 1) / (k + n + 2) for k, n in ((right, wrong), (taken, other))]
        error = np.sqrt(sum(p * (1 - p) / (n + 2) for p, n in zip(shares, (right + wrong, taken + other), strict=True)))
        if shares[0] - shares[1] + 2 * error < BARELY:
            pairs.append((a, b))
    return pairs
