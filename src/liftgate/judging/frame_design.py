"""Draw images to label with known, unequal probabilities: groups by expected influence, images at random in them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.drawn_sample import DrawnFrames
from liftgate.evaluation.group_hints import key_caveats
from liftgate.judging.pairing import pair_detections
from liftgate.judging.sizes import scores_of, size_measure
from liftgate.stats.unequal_sampling import systematic_sample

Purpose = Literal["compare", "recall", "map"]
PURPOSES: tuple[Purpose, ...] = ("compare", "recall", "map")

Floats = NDArray[np.float64]
_LIKE = 0.1  # how alike the errors in one group are
_FLOOR_SHARE = 0.25  # of the mean squared influence, added to every group's
_LEAST_RATE = 0.25  # of the rate at which images would be drawn at random
_LEAST_SCORE = 0.05
_GROUPS = 20


@dataclass(frozen=True, slots=True)
class FrameDraw:
    """A drawn sample, and what it is expected to be worth."""

    sample: DrawnFrames
    gain: float
    """Expected variance of as many images drawn at random (groups alike), divided by that of this sample"""
    locked: int
    """Images that could not be drawn, because their groups are locked"""

    notes: tuple[str, ...] = ()
    """What limits it, such as groups that are missing"""

    @property
    def text(self) -> str:
        """The draw in a sentence."""
        groups = len(set(self.sample.groups))
        worth = (
            f"expected to be worth about {self.gain:.1f} times as many images drawn at random"
            if self.gain > 1.15
            else "no better than as many images drawn at random, as far as these predictions tell"
        )
        return (
            f"{len(self.sample.images)} of {self.sample.n_frames:,} images in {groups} of {self.sample.n_groups:,} "
            f"groups, drawn for {self.sample.purpose}: {worth}"
        )


def draw_frames(
    dataset: Dataset,
    control: Predictions,
    treatment: Predictions | None,
    purpose: Purpose,
    *,
    budget: int,
    seed: int,
    conf: float = 0.25,
    per_group: int | None = None,
    locked: NDArray[np.bool_] | None = None,
    strata: Mapping[str, str] | None = None,
) -> FrameDraw:
    """Draw about `budget` images.

    Args:
        dataset: the images with their groups; labels are not used.
        control: predictions of the model, on these images in their order.
        treatment: of the other model; needed for `compare`.
        purpose: what is to be measured.
        budget: number of images, met up to one group.
        seed: of the draw.
        conf: confidence from which detections count.
        per_group: most images of one group; None: so many that at least 20 groups, or all, are in the sample.
        locked: (n_images,) images that are never drawn.
        strata: image id → stratum, such as its camera or day; groups of every stratum are drawn as often as their
            probabilities add up to. None: the sample is spread over the groups by their names.

    Raises:
        UsageError: a budget below five images, or nothing that could be drawn.
    """
    if budget < 5:
        raise UsageError("too few images to say anything", expected="at least 5", got=budget)
    if per_group is not None and per_group < 1:
        raise UsageError("too few images of a group", expected="at least 1", got=per_group)
    if purpose == "compare" and treatment is None:
        raise UsageError("--for compare needs the predictions of both models", hint="--challenger FILE")
    free = np.ones(len(dataset.images), dtype=np.bool_) if locked is None else ~locked
    keys = np.array(dataset.groups, dtype=object).astype(str)
    names, group = np.unique(keys[free], return_inverse=True)
    if not len(names):
        raise UsageError("no image is left to draw: all are locked", where=dataset.source)
    sizes = np.bincount(group)
    influence = _influence(control, treatment, purpose, conf)
    squares, sums = (np.bincount(group, part[free], minlength=len(names)) for part in (influence**2, influence))
    expected = squares + _LIKE * sums**2
    expected += _FLOOR_SHARE * max(float(expected.mean()), 1e-12)
    most = max(1, budget // min(len(names), max(_GROUPS, budget // 5))) if per_group is None else per_group
    taken = np.minimum(sizes, most)
    probability = _probabilities(np.sqrt(expected / taken), taken, min(budget, int(taken.sum())))
    rng = np.random.default_rng(seed)
    order = np.arange(len(names)) if strata is None else _by_stratum(dataset, keys, names, strata, rng)
    drawn = np.zeros(len(names), dtype=np.bool_)
    drawn[order] = systematic_sample(probability[order], rng)
    rows: list[tuple[str, str, float]] = []
    for place in np.flatnonzero(drawn):
        inside = np.flatnonzero(free)[group == place]
        for index in np.sort(rng.permutation(inside)[: taken[place]]):
            rate = float(probability[place] * taken[place] / sizes[place])
            rows.append((dataset.images[index].id, str(names[place]), rate))
    plain = float(np.sum(expected * taken.sum() / min(budget, taken.sum())))
    sample = DrawnFrames(
        tuple(row[0] for row in rows), tuple(row[1] for row in rows), tuple(row[2] for row in rows), purpose, seed,
        int(free.sum()), len(names),
    )  # fmt: skip
    notes = key_caveats([image.id for image in dataset.images], keys.tolist())
    return FrameDraw(sample, plain / float(np.sum(expected / probability)), int((~free).sum()), notes)


def _by_stratum(
    dataset: Dataset,
    keys: NDArray[np.str_],
    names: NDArray[np.str_],
    strata: Mapping[str, str],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the order (G,) of the groups: by the stratum of their first image, at random within a stratum."""
    first: dict[str, str] = {}
    for image, key in zip(dataset.images, keys.tolist(), strict=True):
        first.setdefault(key, strata.get(image.id, ""))
    return np.lexsort((rng.uniform(size=len(names)), np.array([first[name] for name in names.tolist()])))


def _influence(control: Predictions, treatment: Predictions | None, purpose: Purpose, conf: float) -> Floats:
    """Return (n_images,) how much each image is expected to move the number, up to a factor."""
    n_images = len(control.images)
    if purpose == "compare":
        assert treatment is not None
        units = pair_detections(control, treatment, conf)
        return np.bincount(
            units.image, size_measure(units, scores_of(units, control, treatment)), minlength=n_images
        ).astype(np.float64)
    sure = control.scores >= (conf if purpose == "recall" else _LEAST_SCORE)
    spread = np.full(int(sure.sum()), 0.5) if purpose == "recall" else np.sqrt(
        np.clip(control.scores[sure] * (1 - control.scores[sure]), 0.04, None)
    )  # fmt: skip
    return np.bincount(control.image[sure], spread, minlength=n_images).astype(np.float64)


def _probabilities(size: Floats, cost: NDArray[np.int64], budget: int) -> Floats:
    """Return (G,) probabilities proportional to size whose expected cost is the budget, and a least one."""
    even = budget / float(cost.sum())
    if even >= 1:
        return np.ones(len(size))
    floor = _LEAST_RATE * even
    low, high = 0.0, 1 / float(size.min())
    for _ in range(200):
        middle = (low + high) / 2
        spent = float(np.sum(np.clip(middle * size, floor, 1) * cost))
        low, high = (middle, high) if spent < budget else (low, middle)
    if math.isinf(high):
        raise UsageError("the budget cannot be met", got=budget)
    return np.asarray(np.clip(high * size, floor, 1), dtype=np.float64)
