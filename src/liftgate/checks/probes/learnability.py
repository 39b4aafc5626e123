"""Learnability probe: can a model memorise a few of the images? Choose the images, and record and judge the result.

A model that cannot fit a few images has labels that contradict each other, or cannot see the objects. The reverse is
not true: a network with enough steps also memorises boxes that lie beside the objects (a tiny YOLO on shuffled labels:
AP50 0.96 after 80 epochs). So it is evaluated on as many held-out images too: with consistent labels something
generalises, with shuffled ones nothing. The pipeline does the training; the rules `probe.…` report the result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset

MIN_IMAGES, DEFAULT_IMAGES, MAX_IMAGES = 16, 24, 32
"""Number of training images: enough for every class, few enough for minutes on a CPU"""
LEARNED_AP50 = 0.7
"""AP50 on the training images from which they count as learned"""
UNLEARNED_AP50 = 0.3
"""AP50 on the training images below which next to nothing was learned"""
NO_GENERALISATION_AP50 = 0.02
"""AP50 on held-out images up to which nothing generalised"""
MIN_SEPARATION = 0.2
"""Least difference in how often a class is predicted for its own objects and for those of another class"""
_MIN_OBJECTS = 10  # detected objects of each of two classes
_IMAGE_SIZES = (192, 256, 320, 416, 512, 640)
_MIN_PIXELS = 12.0  # √area of an object that can surely be learned
_FINEST_CELL = 8.0  # pixels: a class whose objects are smaller is not judged
_MAX_PREFERRED_BOXES = 20  # images with more boxes are chosen only where their classes are needed


@dataclass(frozen=True, slots=True)
class LearnabilityResult:
    """Result of a short training on a few images."""

    weights: str
    """Path or published name, as in the study"""
    dataset: str
    arms: tuple[str, ...]
    """Arms that begin with these weights on this data set"""
    n_images: int
    imgsz: int
    epochs: int
    epochs_asked: int
    seconds: float
    ap50: float
    """On the training images, over all classes with objects"""
    n_others: int
    """Held-out images: not trained on, evaluated afterwards"""
    others_ap50: float | None
    """AP50 on the held-out images; None: there are none"""
    per_class: Mapping[str, float]
    """class → AP50"""
    objects: Mapping[str, int]
    """class → objects in the training images"""
    too_small: tuple[str, ...]
    """Classes whose objects are mostly smaller than a cell of the detector at `imgsz`"""
    losses: tuple[float, ...]
    """Sum of the training losses after each epoch"""
    scores: tuple[float, ...]
    """mAP50 after each epoch, by the trainer's own formulas"""
    others_named: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """true class → class of the most confident detection → number of detected objects in held-out images"""

    @property
    def cut_short(self) -> bool:
        """Return whether the time limit ended the training before its last epoch."""
        return self.epochs < self.epochs_asked

    @property
    def settled(self) -> bool:
        """Return whether training had converged: in the last third neither the score rose nor the loss fell."""
        third = len(self.scores) // 3
        if self.cut_short or third < 3:
            return False
        before, after = self.scores[:-third], self.scores[-third:]
        fell = np.mean(self.losses[-third:]) < 0.9 * np.mean(self.losses[-2 * third : -third])
        return max(after) < max(before) + 0.05 and not bool(fell)

    @property
    def where(self) -> str:
        """Return weights and data set, for messages."""
        return f"{self.weights} on {self.dataset}"

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LearnabilityResult:
        """Return the record that `to_dict` wrote, also after a round trip through JSON."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
        }
        return cls(**values)


def choose_images(dataset: Dataset, wanted: int = DEFAULT_IMAGES, besides: Collection[int] = ()) -> NDArray[np.int64]:
    """Return the sorted indices of training images to memorise, with every class about equally often.

    The same data give the same images. Images with many boxes are chosen last.

    Args:
        dataset: images and labels.
        wanted: number of images; up to 32 where the classes need more.
        besides: indices that are not chosen.
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
    # A fixed shuffle, because consecutive images are often consecutive frames of one video.
    free = [free[i] for i in np.random.default_rng(0).permutation(len(free))]
    free.sort(key=lambda index: count[index] > _MAX_PREFERRED_BOXES)
    chosen: list[int] = []
    seen = np.zeros(len(dataset.classes), dtype=np.int64)
    while free and len(chosen) < MAX_IMAGES:
        open_classes = (seen == 0) & has[free].any(axis=0)
        if len(chosen) >= wanted and not open_classes.any():
            break
        # Prefer the image with the most classes that were chosen least often.
        need = np.where(has[free], 1.0 / (1 + seen) ** 2, 0.0).sum(axis=1)
        best = int(need.argmax())
        chosen.append(free.pop(best))
        seen += has[chosen[-1]]
    return np.array(sorted(chosen), dtype=np.int64)


def choose_image_size(dataset: Dataset, most: int) -> int:
    """Return the smallest image size at which nine of ten objects have √area ≥ 12 pixels, at most `most`."""
    sides = _sides(dataset)
    sizes = [size for size in _IMAGE_SIZES if size <= most] or [most]
    if not len(sides):
        return sizes[0]
    return next((size for size in sizes if np.quantile(sides, 0.1) * size >= _MIN_PIXELS), sizes[-1])


def too_small(dataset: Dataset, imgsz: int) -> tuple[str, ...]:
    """Return the classes whose median object is smaller than a cell of the detector's finest grid."""
    sides, cls = _sides(dataset), dataset.labels.cls[_usable_rows(dataset)]
    return tuple(
        name
        for number, name in enumerate(dataset.classes)
        if (cls == number).any() and float(np.median(sides[cls == number])) * imgsz < _FINEST_CELL
    )


def _usable_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Return the indices of the labels that are trained on: with area, not crowd or ignored, in a readable image."""
    labels = dataset.labels
    readable = np.array([min(image.width, image.height) >= 10 for image in dataset.images], dtype=np.bool_)
    area = np.maximum(labels.boxes[:, 2:] - labels.boxes[:, :2], 0).prod(axis=1)
    return np.flatnonzero((area > 0) & ~labels.crowd & ~labels.ignore & readable[labels.image])


def _sides(dataset: Dataset) -> NDArray[np.float64]:
    """Return (n,) √area of every usable box as a fraction of its image's longer side."""
    rows = _usable_rows(dataset)
    longer = np.array([max(image.width, image.height) for image in dataset.images], dtype=np.float64)
    boxes = dataset.labels.boxes[rows]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    sides: NDArray[np.float64] = np.sqrt(area) / longer[dataset.labels.image[rows]]
    return sides


def unlearned_classes(probe: LearnabilityResult) -> Sequence[str]:
    """Return the classes with AP50 below 0.3 on the training images, of those large enough to judge."""
    judged = [name for name in probe.per_class if name not in probe.too_small]
    return [name for name in judged if probe.per_class[name] < UNLEARNED_AP50] if len(judged) > 1 else []


def indistinguishable_classes(probe: LearnabilityResult) -> list[tuple[str, str]]:
    """Return the pairs of classes that are significantly (two standard errors) confused on held-out images.

    Of the objects of both classes that were detected as one of the two: the rate at which the first class is predicted
    for its own objects, less the rate for objects of the second. It is 1 for perfect classification, 0 for random.
    """
    pairs = []
    for a, b in combinations(probe.others_named, 2):
        right, wrong = probe.others_named[a].get(a, 0), probe.others_named[a].get(b, 0)
        taken, other = probe.others_named[b].get(a, 0), probe.others_named[b].get(b, 0)
        if min(right + wrong, taken + other) < _MIN_OBJECTS:
            continue
        # One success and one failure are added, so that a rate of 0 or 1 from few objects is not certain.
        shares = [(k + 1) / (k + n + 2) for k, n in ((right, wrong), (taken, other))]
        error = np.sqrt(sum(p * (1 - p) / (n + 2) for p, n in zip(shares, (right + wrong, taken + other), strict=True)))
        if shares[0] - shares[1] + 2 * error < MIN_SEPARATION:
            pairs.append((a, b))
    return pairs
