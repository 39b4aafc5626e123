"""What pre-labels saved, measured: half of the groups of a batch, drawn at random, had none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.errors import DataError
from liftgate.stats.alike import alike_groups
from liftgate.stats.clustered import cluster_ratio_t
from liftgate.stats.interval import Interval, percent, sample

METHOD = "two-sample: square-and-add of cluster-se-t"


@dataclass(frozen=True, slots=True)
class TimedImages:
    """Images whose seconds of work are known."""

    n_images: int
    n_groups: int
    n_objects: int
    """All boxes of the final labels, crowd and ignored too: each was work"""
    seconds: float
    per_object: Interval | None
    """Seconds for each object; None: there is no object"""
    n_untimed: int
    """Images of which no time is known: not counted"""

    @property
    def per_image(self) -> float:
        """Seconds for each image."""
        return self.seconds / self.n_images

    @property
    def text(self) -> str:
        """The times in a sentence."""
        found = f"{self.per_image:.1f} s an image, {self.n_objects / self.n_images:.2f} objects an image"
        if (one := self.per_object) is None:
            return f"{found} ({sample(self.n_images, self.n_groups)})"
        spread = f"[{one.low:.1f}, {one.high:.1f}]" if one.established else f"(no interval: {one.note})"
        return f"{one.estimate:.1f} s an object {spread}, {found} ({one.basis})"


@dataclass(frozen=True, slots=True)
class MeasuredSaving:
    """The half with pre-labels against the half that was drawn from nothing."""

    with_prelabels: TimedImages
    without: TimedImages
    per_object: Interval
    """Seconds that pre-labels saved for each object; below 0: they cost time"""
    minutes: Interval
    """That for all objects of the half with pre-labels"""

    @property
    def text(self) -> str:
        """The saving in a sentence."""
        one, all_ = self.per_object, self.minutes
        if one.low is None or one.high is None or all_.low is None or all_.high is None:
            return (
                f"pre-labels saved {one.estimate:+.1f} s an object, which is not established: {one.note} "
                f"({sample(one.n_images, one.n_groups)})"
            )
        word = "saved time" if one.low > 0 else "cost time" if one.high < 0 else "may have saved time or cost it"
        return (
            f"pre-labels {word}: {one.estimate:+.1f} s an object [{one.low:+.1f}, {one.high:+.1f}], "
            f"{all_.estimate:+.0f} minutes [{all_.low:+.0f}, {all_.high:+.0f}] for the {self.with_prelabels.n_objects} "
            f"objects of the half with them ({percent(one.level)} {one.method}, {sample(one.n_images, one.n_groups)})"
        )


@dataclass(frozen=True, slots=True)
class WorkTimes:
    """How long a batch took."""

    all: TimedImages
    saving: MeasuredSaving | None
    """None: no half went out without pre-labels, or nothing is known of one"""
    note: str = ""
    """Why there is no saving where half of the batch had no pre-labels"""

    @property
    def lines(self) -> list[str]:
        """The times in sentences."""
        lines = [f"work: {self.all.text}"]
        if self.all.n_untimed:
            lines.append(f"{self.all.n_untimed} images have no time: not counted in it")
        if (one := self.saving) is not None:
            lines += [f"with pre-labels: {one.with_prelabels.text}", f"from nothing: {one.without.text}", one.text]
        return [*lines, self.note] if self.note else lines


def work_times(
    dataset: Dataset, seconds: Mapping[str, float], prelabelled: Mapping[str, bool] | None, level: float = 0.95
) -> WorkTimes:
    """Return how long a batch took, and what pre-labels saved where half of it had none.

    Args:
        dataset: the final labels, with groups.
        seconds: image id → seconds of work.
        prelabelled: image id → whether it had pre-labels; None: all had.
        level: of the intervals.

    Raises:
        DataError: no image has a time.
    """
    whole = timed(dataset, seconds, level)
    if prelabelled is None:
        return WorkTimes(whole, None)
    known = np.array([image.id in seconds for image in dataset.images], dtype=np.bool_)
    had = np.array([prelabelled[image.id] for image in dataset.images], dtype=np.bool_)
    for half, rows in (("with pre-labels", had), ("without", ~had)):
        if not (known & rows)[dataset.labels.image].any():
            note = f"in the half {half} no object has a time: what pre-labels saved is not known"
            return WorkTimes(whole, None, note)
    return WorkTimes(whole, measured_saving(*(timed(dataset.take(rows), seconds, level) for rows in (had, ~had))))


def timed(dataset: Dataset, seconds: Mapping[str, float], level: float = 0.95) -> TimedImages:
    """Return the seconds of work on images and on each of their objects.

    Args:
        dataset: the final labels, with groups.
        seconds: image id → seconds of work.
        level: of the interval.

    Raises:
        DataError: no image has a time.
    """
    spent = np.array([seconds.get(image.id, math.nan) for image in dataset.images], dtype=np.float64)
    known = np.isfinite(spent)
    if not known.any():
        raise DataError(f"no time of work is known of these {len(spent)} images", where=dataset.source)
    objects = np.bincount(dataset.labels.image, minlength=len(spent))[known]
    keys = [image.key for image, one in zip(dataset.images, known, strict=True) if one]
    groups, group = np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)
    rate = None
    if objects.any():
        totals = (np.bincount(group, column).astype(np.float64) for column in (spent[known], objects))
        by_group = _GroupWork(*totals)
        ratio = float(by_group.seconds.sum() / by_group.objects.sum())
        moved = (spent[known] - ratio * objects) / by_group.objects.sum()
        least = alike_groups(moved, group.astype(np.int64), by_group.objects)
        rate = cluster_ratio_t(*_with_objects(by_group), level, n_images=int(known.sum()), least=least)
        rate = replace(rate, n_groups=len(groups))
    return TimedImages(
        int(known.sum()), len(groups), int(objects.sum()), float(spent[known].sum()), rate, int((~known).sum())
    )


class _GroupWork(NamedTuple):
    """Columns of one length, by group."""

    seconds: NDArray[np.float64]
    objects: NDArray[np.float64]


def _with_objects(groups: _GroupWork) -> _GroupWork:
    """Return the groups with objects; those without are spread over them, one by one, fewest objects first.

    Looking through them was work as well, which the variance of a ratio would not see.
    """
    some = groups.objects > 0
    seconds, objects = groups.seconds[some].copy(), groups.objects[some]
    order = np.argsort(objects, kind="stable")
    for place, work in enumerate(groups.seconds[~some]):
        seconds[order[place % len(order)]] += work
    return _GroupWork(seconds, objects)


def measured_saving(with_prelabels: TimedImages, without: TimedImages) -> MeasuredSaving:
    """Compare the halves: seconds an object without pre-labels less those with them.

    The halves are of different groups, drawn at random, so their errors add up as squares, each on its own side
    (Zou & Donner 2008). Without an interval of both there is none, so each half needs five groups.

    Args:
        with_prelabels: the half that had pre-labels.
        without: the other one.

    Raises:
        DataError: a half has no object.
    """
    one, other = with_prelabels.per_object, without.per_object
    if one is None or other is None:
        raise DataError("a half without objects tells no seconds an object", hint="leave --times out")
    n_images, n_groups = one.n_images + other.n_images, one.n_groups + other.n_groups
    found = Interval(other.estimate - one.estimate, None, None, one.level, METHOD, n_images, n_groups)
    if one.low is None or one.high is None or other.low is None or other.high is None:
        half, why = ("with pre-labels", one) if not one.established else ("without", other)
        found = replace(found, note=f"in the half {half}, {why.note}")
    else:
        down = math.hypot(one.high - one.estimate, other.estimate - other.low)
        up = math.hypot(one.estimate - one.low, other.high - other.estimate)
        found = replace(found, low=found.estimate - down, high=found.estimate + up)
    return MeasuredSaving(with_prelabels, without, found, _times(found, with_prelabels.n_objects / 60))


def _times(one: Interval, factor: float) -> Interval:
    low = None if one.low is None else one.low * factor
    high = None if one.high is None else one.high * factor
    return replace(one, estimate=one.estimate * factor, low=low, high=high)
