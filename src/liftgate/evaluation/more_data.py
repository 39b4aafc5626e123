"""What more training data would bring, by the metric after training on several amounts of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liftgate.errors import UsageError
from liftgate.evaluation.records import Evaluation
from liftgate.progress import dollars, duration
from liftgate.stats.differences import error_of_width
from liftgate.stats.power_law import (
    LARGEST_FACTOR,
    Curve,
    Gain,
    GainsCompared,
    compare_gains,
    follows_power_law,
    gain_of_more,
)


@dataclass(frozen=True, slots=True)
class Amount:
    """Training images, and what a model reached that was trained on them."""

    arm: str
    images: int
    value: float
    """Mean over seeds"""
    standard_error: float
    """Of the test images and of the seeds together"""
    seeds: int
    groups: int | None = None
    """Of these images; None: not counted"""
    seconds: float | None = None
    """A training took, mean over seeds; None: unknown"""


@dataclass(frozen=True, slots=True)
class MeasuredImages:
    """The images that all amounts were measured on."""

    on: str
    """dataset.split"""
    n_images: int
    n_groups: int


@dataclass(frozen=True, slots=True)
class OldGroups:
    """What more images of the groups at hand would bring, beside as many of new groups."""

    amounts: tuple[Amount, ...]
    """All groups, a part of the images of each; the largest is that of the new groups"""
    gain: Gain
    compared: GainsCompared
    """New groups − old groups"""
    as_good: int | None
    """New groups that bring as much; None: new groups do not surely bring more"""

    def text(self, more: int) -> str:
        """Return the comparison in a sentence."""
        value, low, high, _ = self.compared.difference
        word = "new groups bring more" if low > 0 else "old groups bring more" if high < 0 else "not told apart"
        enough = "" if self.as_good is None else f", as much as about {self.as_good:,} new groups"
        return (
            f" {more:,} more images of the groups at hand would bring {_points(self.gain)}{enough}. "
            f"New − old: {100 * value:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}], {word}."
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What more data cost."""

    label_hours: float | None
    """None: nobody said how long an image takes"""
    train_hours: float | None
    """Of one training on all of them, in proportion to their number; None: unknown"""
    usd: float | None
    """Of that training; None: no rate is known"""

    @property
    def text(self) -> str:
        """Its parts, as they follow a gain."""
        labels = "" if self.label_hours is None else f", {self.label_hours:,.1f} hours of labelling"
        if self.train_hours is None:
            return labels
        money = "" if self.usd is None else f", {dollars(self.usd)}"
        return f"{labels}, about {duration(3600 * self.train_hours)}{money} for a training on all of them"


@dataclass(frozen=True, slots=True)
class Worth:
    """What more training images would bring."""

    metric: str
    test: MeasuredImages
    amounts: tuple[Amount, ...]
    more: int
    """Images beyond those of the largest amount"""
    gain: Gain
    cost: Cost
    kind: str = ""
    """Which images: `of new groups`; empty: like those at hand"""
    old: OldGroups | None = None
    """None: not trained"""
    follows: bool = True
    """Whether the amounts follow such a curve as well as their errors allow"""

    @property
    def on(self) -> str:
        """The dataset.split that was measured on."""
        return self.test.on

    @property
    def hours(self) -> float | None:
        """Of labelling; None: nobody said how long an image takes."""
        return self.cost.label_hours

    @property
    def text(self) -> str:
        """The answer in sentences."""
        tried = "; ".join(_measured(one) for one in self.amounts)
        of_old = "" if self.old is None else "; of all groups " + "; ".join(map(_measured, self.old.amounts[:-1]))
        seeds = min(one.seeds for one in self.amounts)
        one_seed = "; with one seed, nor is what a training adds by chance" if seeds < 2 else ""
        plural = "1 seed" if seeds == 1 else f"{seeds} seeds"
        test, of = self.test, f" {self.kind}" if self.kind else ""
        method = f"{self.gain.level:.0%} interval, power law through {len(self.amounts)} amounts, {plural} each"
        return (
            f"{self.more:,} more images{of} would bring {_points(self.gain, f' of {self.metric}')} on {self.on} "
            f"({method}; {test.n_images:,} images, {test.n_groups:,} groups){self.cost.text}, if they are like those "
            f"at hand.{'' if self.old is None else self.old.text(self.more)} Measured: {tried}{of_old}. "
            f"Which images the smaller amounts happen to have is not in the interval{one_seed}.{self._no_groups}"
            f"{'' if self.follows else _ASTRAY}"
        )

    @property
    def _no_groups(self) -> str:
        """What it means that no group has two images."""
        if any(one.groups != one.images for one in self.amounts):
            return ""
        return (
            " Each image is a group of its own: where images are near-copies of each other, those of new places may "
            "bring more."
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        gain, cost = self.gain, self.cost
        old: dict[str, object] | None = None
        if self.old is not None:
            apart = self.old.compared.difference
            old = {
                "gain": self.old.gain.value, "interval": [self.old.gain.low, self.old.gain.high],
                "new_minus_old": apart.value, "new_minus_old_interval": [apart.low, apart.high],
                "groups_as_good": self.old.as_good, "amounts": [_row(one) for one in self.old.amounts],
            }  # fmt: skip
        return {
            "metric": self.metric, "on": self.on, "more_images": self.more, "gain": gain.value,
            "interval": [gain.low, gain.high], "level": gain.level, "hours": cost.label_hours,
            "amounts": [_row(one) for one in self.amounts], "n_images": self.test.n_images,
            "n_groups": self.test.n_groups, "follows_curve": self.follows,
            "train_hours": cost.train_hours, "usd": cost.usd, "old_groups": old,
        }  # fmt: skip


_ASTRAY = (
    " But these amounts do not follow such a curve, by more than their errors explain: what more images would bring is "
    "not known."
)


def worth_of(
    metric: str,
    test: MeasuredImages,
    amounts: Sequence[Amount],
    *,
    more: int | None = None,
    old: Sequence[Amount] = (),
    kind: str = "",
    seconds_per_image: float | None = None,
    usd_per_hour: float | None = None,
) -> Worth:
    """Return what more images would bring.

    Args:
        metric: that the amounts were measured by.
        test: the images that they were measured on.
        amounts: at least three, of different size.
        more: images beyond those of the largest; None: as many again.
        old: amounts with images of every group; the largest is that of `amounts`, which need not be repeated.
        kind: which images, in words.
        seconds_per_image: how long an image takes to label.
        usd_per_hour: of the machine that trains.

    Raises:
        UsageError: more than four times the data are asked for.
    """
    tried = tuple(sorted(amounts, key=lambda one: one.images))
    largest = tried[-1]
    wanted = require_near(largest.images, more)
    hours = None if largest.seconds is None else largest.seconds * (1 + wanted / largest.images) / 3600
    cost = Cost(
        None if seconds_per_image is None else wanted * seconds_per_image / 3600, hours,
        None if hours is None or usd_per_hour is None else hours * usd_per_hour,
    )  # fmt: skip
    curve, total = _curve(tried), float(largest.images + wanted)
    beside, follows = None, follows_power_law(curve)
    if old:
        all_old = (*sorted(old, key=lambda one: one.images), largest)
        other = _curve(all_old)
        follows &= follows_power_law(other)
        compared = compare_gains(curve, other, total)
        per_group = largest.images / (largest.groups or largest.images)
        surely = compared.difference.low > 0 and compared.as_good is not None
        enough = math.ceil((compared.as_good or 0) / per_group) if surely else None
        beside = OldGroups(all_old, gain_of_more(*other, total), compared, enough)
    return Worth(metric, test, tried, wanted, gain_of_more(*curve, total), cost, kind, beside, follows)


def require_near(largest: int, more: int | None) -> int:
    """Return how many more images are asked for; None: as many again.

    Raises:
        UsageError: none, or more than four times the data in all.
    """
    wanted = largest if more is None else more
    if wanted < 1:
        raise UsageError("more data are at least one image", got=more)
    if largest + wanted > LARGEST_FACTOR * largest:
        raise UsageError(
            "too far to say: nothing is said beyond four times the data", expected=f"at most {3 * largest:,} more",
            got=wanted, hint="label some, train again, and ask again",
        )  # fmt: skip
    return wanted


def amount_of(
    arm: str, images: int, found: Sequence[Evaluation], metric: str, *, groups: int | None = None,
    seconds: float | None = None,
) -> Amount:  # fmt: skip
    """Return what the trainings of one amount reached, one evaluation a seed.

    Raises:
        UsageError: the metric has no interval: too few groups, or no such metric.
    """
    values, errors = [], []
    for one in found:
        value, interval = one.metrics.get(metric), one.intervals.get(metric)
        error = None if interval is None else error_of_width(interval)
        if value is None or error is None:
            known = ", ".join(sorted(one.intervals))
            raise UsageError(
                f"{metric} of {arm} has no interval", expected=known, hint="too few groups, or no such metric"
            )
        values.append(value)
        errors.append(error)
    seeds = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    error = max(1e-6, math.sqrt(float(np.mean(errors)) ** 2 + seeds))
    return Amount(arm, images, float(np.mean(values)), error, len(values), groups, seconds)


def _curve(amounts: Sequence[Amount]) -> Curve:
    images, values, errors = zip(*((one.images, one.value, one.standard_error) for one in amounts), strict=True)
    return Curve(np.array(images, dtype=np.float64), np.array(values), np.array(errors))


def _points(gain: Gain, of: str = "") -> str:
    return f"{100 * gain.value:+.1f} points{of} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def _measured(one: Amount) -> str:
    groups = "" if one.groups is None else f" of {one.groups:,} groups"
    return f"{one.images:,} images{groups} {one.value:.3f} ± {one.standard_error:.3f}"


def _row(one: Amount) -> dict[str, object]:
    known = {"arm": one.arm, "images": one.images, "value": one.value, "standard_error": one.standard_error}
    more = {"groups": one.groups, "seconds": one.seconds}
    return {**known, "seeds": one.seeds, **{name: value for name, value in more.items() if value is not None}}
