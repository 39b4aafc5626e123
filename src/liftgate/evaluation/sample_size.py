"""size: how many images and groups a claim needs, and how precise the result of a given number of images is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple

from liftgate.errors import UsageError
from liftgate.evaluation.clustering import Clustering
from liftgate.evaluation.metric_names import LESS_IS_BETTER
from liftgate.evaluation.records import Comparison
from liftgate.stats.differences import error_of_width
from liftgate.stats.interval import LEAST_LEVEL, percent
from liftgate.stats.rate_power import MOST_POWER, groups_that_show, trials_that_show
from liftgate.stats.rates import wilson
from liftgate.stats.sample_size import (
    MOST_TRIALS,
    detectable_difference,
    groups_for_difference,
    groups_worth,
    kappa_sample_size,
    rate_sample_size,
    two_rates_sample_size,
    upper_sd,
    zero_miss_sample_size,
)
from liftgate.stats.seeds import detectable_in_seed_sds, noether_runs

Detail = float | int | str | bool | None | Mapping[str, list[float]]


@dataclass(frozen=True, slots=True, repr=False)
class SizeAnswer:
    """How much data a claim needs."""

    question: str
    images: int | None
    """Images (trials) needed, including the design effect; None: no number is enough"""
    groups: int | None
    """Groups that these images make up; None: images are independent, or no number is enough"""
    text: str
    """The answer in plain words"""
    details: Mapping[str, Detail] = field(default_factory=dict)
    """All assumptions and other numbers, by name"""
    notes: tuple[str, ...] = ()
    """What the pilot leaves open, such as groups that are missing"""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "question": self.question,
            "images": self.images,
            "groups": self.groups,
            "text": self.text,
            **self.details,
            **({"notes": list(self.notes)} if self.notes else {}),
        }

    def __repr__(self) -> str:
        return f"SizeAnswer({self.question}: {self.text})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.text)}</p>"


def size_rate(
    at_least: float,
    true: float,
    *,
    per_group: float = 1.0,
    icc: float = 0.0,
    level: float = 0.95,
    power: float = 0.8,
    have: int | None = None,
) -> SizeAnswer:
    """Return the images needed to show that a rate (such as recall) is above `at_least`, if it really is `true`.

    They are planned for the interval of the gate, which costs more than the exact test of independent images.

    Args:
        at_least: the claim.
        true: the true rate.
        per_group: images per group.
        icc: intraclass correlation within groups.
        level: of the interval of the gate.
        power: chance of success.
        have: images at hand, to report how precise a rate measured on them is.

    Raises:
        UsageError: the true rate is not above the claim or too near to it, or a number is out of range.
    """
    _require_rates(at_least, true)
    _require_level_and_power(level, power)
    if true <= at_least:
        raise UsageError(
            "a rate that is not above the claim cannot be shown to be above it", expected=f"above {at_least}", got=true
        )
    clusters, tail = Clustering(per_group, icc), round((1 - level) / 2, 12)  # not 0.025000000000000022
    if per_group != 1 and power > MOST_POWER:
        most = f"at most {MOST_POWER:g}"
        raise UsageError("with groups the power is simulated, which tells none that high", expected=most, got=power)
    try:
        trials, stable = rate_sample_size(at_least, true, tail=tail, power=power)
    except ValueError:
        expected = f"a difference that {MOST_TRIALS:,} images show"
        what = "the true rate is too near to the claim"
        raise UsageError(what, expected=expected, got=f"{at_least} and {true}") from None
    images, groups = clusters.inflate(trials, level)
    if groups is None:
        images = trials_that_show(at_least, true, level, power, start=trials, stable=stable)
    else:
        groups = groups_that_show(at_least, true, per_group, icc, level, power, start=groups)
        images = math.ceil(groups * per_group - 1e-9)
    perfect = zero_miss_sample_size(at_least, tail=tail)
    text = (
        f"To show that the rate is above {at_least:.10g} when it really is {true:.10g}, you need "
        f"{_amount(images, groups)} (the interval of the gate, one-sided {tail:g}, {percent(power)} chance of "
        f"success).{clusters.words()} The exact test of independent images needs {trials:,} for that; from {stable:,} "
        f"on its chance never falls below it. Without a single miss, {perfect} independent images are enough."
    )
    details: dict[str, Detail] = {
        "independent_images": trials, "independent_images_stable": stable, "zero_misses": perfect,
        "design_effect": clusters.effect, "level": level, "tail": tail, "power": power,
    }  # fmt: skip
    if have is not None:
        precision = _precision_of(have, (at_least, true), clusters, level)
        text += " " + precision.text
        details |= precision.details()
    return SizeAnswer(f"rate ≥ {at_least:.10g}, really {true:.10g}", images, groups, text, details)


def size_difference(
    first: float,
    second: float,
    *,
    per_group: float = 1.0,
    icc: float = 0.0,
    level: float = 0.95,
    power: float = 0.8,
    have: int | None = None,
) -> SizeAnswer:
    """Return the images per model to tell two rates apart on separate images; paired, on the same images, fewer do.

    Args:
        first: one rate.
        second: the other rate.
        per_group: images per group.
        icc: intraclass correlation within groups.
        level: of the two-sided test.
        power: chance of success.
        have: images at hand, to report how precise a rate measured on them is.

    Raises:
        UsageError: the rates are the same, or out of range.
    """
    _require_rates(first, second)
    _require_level_and_power(level, power)
    if first == second:
        raise UsageError("two equal rates cannot be told apart", got=first)
    clusters = Clustering(per_group, icc)
    normal, arcsine = two_rates_sample_size(first, second, alpha=1 - level, power=power)
    images, groups = clusters.inflate(normal, level)
    details: dict[str, Detail] = {
        "independent_images": normal, "independent_images_arcsine": arcsine, "design_effect": clusters.effect,
        "level": level, "power": power, "paired": False,
    }  # fmt: skip
    text = ""
    if have is not None:
        precision = _precision_of(have, (first, second), clusters, level)
        text = precision.text + " "
        low, high = sorted((first, second))
        apart = precision.intervals[low][1] < precision.intervals[high][0]
        able = "can" if apart and have >= images else "cannot reliably"
        text += f"So {have} images {able} tell {first:g} from {second:g}. "
        details |= {**precision.details(), "can_tell": able == "can"}
    text += (
        f"To tell {first:g} from {second:g} you need {_amount(images, groups)} for each of the two (two-sided "
        f"{1 - level:.2g}, {percent(power)} chance of success; {arcsine:,} by the arcsine formula).{clusters.words()} "
        f"Two models judged on the same images need fewer: `liftgate size models` computes it from a pilot."
    )
    return SizeAnswer(f"{first:g} against {second:g}", images, groups, text, details)


def size_from_pilot(
    pilot: Comparison, difference: float, *, margin: float = 0.0, level: float = 0.95, power: float = 0.8
) -> SizeAnswer:
    """Return the groups needed to show a difference of two models, from the variance of a paired pilot comparison.

    Args:
        pilot: a comparison on the same images.
        difference: the true difference to be shown.
        margin: the interval has to lie above it.
        level: of the t interval.
        power: chance of success.

    Raises:
        UsageError: the pilot has too few groups, or the difference is not above the margin.
    """
    _require_level_and_power(level, power)
    error = error_of_width(pilot.delta)
    if error is None:
        raise UsageError("the pilot has no interval to plan from", got=pilot.delta.note)
    if difference <= margin:
        raise UsageError("the difference must lie above the margin", expected=f"above {margin:g}", got=difference)
    n_groups, n_images, degrees = pilot.delta.n_groups, pilot.delta.n_images, pilot.delta.degrees
    effective = n_groups if pilot.delta.groups_effective is None else pilot.delta.groups_effective
    spread = error * math.sqrt(effective)
    planned = upper_sd(spread, degrees)
    even = groups_for_difference(difference, planned, margin=margin, level=level, power=power)
    of_kind = groups_worth(even, pilot.delta.informative, effective, pilot.delta.largest_group_share)
    groups = None if of_kind is None else math.ceil(of_kind * n_groups / max(1, pilot.delta.informative))
    images = None if groups is None else math.ceil(groups * n_images / n_groups)
    least = detectable_difference(spread, max(2.0, effective), level=level, power=power)
    needed = (
        "no number of groups is enough" if groups is None else f"you need about {groups:,} groups ({images:,} images)"
    )
    word = "lower" if pilot.metric in LESS_IS_BETTER else "higher"
    text = (
        f"To show that {pilot.metric} is {word} by more than {margin:g} when it really is {difference:g} {word}, "
        f"{needed}, if groups are like those of the pilot ({n_images:,} images in {n_groups} groups, effectively "
        f"{effective:.3g}; {percent(level)} t interval, {percent(power)} chance of success, the variance between "
        f"groups at its 80% upper bound).{_of_one_size(even, groups)} The pilot itself can show a difference of "
        f"{least:.4f} or more."
    )
    details: dict[str, Detail] = {
        "metric": pilot.metric, "difference": difference, "margin": margin, "group_sd": spread,
        "group_sd_planned": planned, "level": level,
        "power": power, "detectable_difference": least, "pilot_images": n_images, "pilot_groups": n_groups,
        "pilot_groups_effective": effective, "groups_of_one_size": even,
    }  # fmt: skip
    return SizeAnswer(f"{pilot.metric} + {difference:g}", images, groups, text, details)


def size_kappa(
    kappa: float, half_width: float, *, prevalence: float = 0.5, level: float = 0.95, have: int | None = None
) -> SizeAnswer:
    """Return the items that two annotators must both judge for Cohen's kappa to be known to ± `half_width`.

    Args:
        kappa: the expected kappa.
        half_width: half the width of its interval.
        prevalence: share of positive items.
        level: of the interval.
        have: items at hand, to report the half width that they give.

    Raises:
        UsageError: a number is out of range.
    """
    if not -1 < kappa < 1 or not half_width > 0 or not 0 < prevalence < 1:
        raise UsageError(
            "kappa lies in −1 … 1, half width above 0, prevalence in 0 … 1", got=(kappa, half_width, prevalence)
        )
    _require_level_and_power(level, 0.8)
    if have is not None:
        _require_positive(have, "item")
    items = kappa_sample_size(kappa, half_width, prevalence=prevalence, level=level)
    text = (
        f"To know a kappa of {kappa:g} to within ± {half_width:g} ({percent(level)}), two annotators must both judge "
        f"{items:,} independent items, of which a share of {prevalence:g} is positive."
    )
    details: dict[str, Detail] = {"half_width": half_width, "prevalence": prevalence, "level": level}
    if have is not None:
        reach = half_width * math.sqrt(items / have)
        text += f" With {have:,} items it is known to within ± {reach:.2f}."
        details["half_width_of_have"] = reach
    return SizeAnswer(f"kappa {kappa:g} ± {half_width:g}", items, None, text, details)


def size_seeds(probability: float = 0.75, *, have: int | None = None, tail: float = 0.05) -> SizeAnswer:
    """Return the seeds needed to show that a recipe wins in `probability` of the pairs of runs (one-sided).

    Args:
        probability: share of pairs of runs that the recipe wins, above one half.
        have: seeds at hand, to report the difference that they can show.
        tail: probability of either error, a false claim or a missed one.

    Raises:
        UsageError: a share that is not above one half, or too few seeds to compare.
    """
    if not 0.5 < probability <= 1 or not 0 < tail < 0.5:
        raise UsageError("the probability lies above one half, the tail below it", got=(probability, tail))
    if have is not None and have < 2:
        raise UsageError("at least two seeds are needed to measure the spread over seeds", got=have)
    runs = noether_runs(probability, alpha=tail, beta=tail)
    text = (
        f"To show that a recipe beats another in {probability:.0%} of pairs of runs, you need {runs} seeds of each "
        f"(Noether's test, one-sided {tail:g}, {1 - tail:.0%} chance of success)."
    )
    details: dict[str, Detail] = {"seeds": runs, "probability": probability, "tail": tail}
    if have is not None:
        reach = detectable_in_seed_sds(have)
        text += (
            f" With {have} seeds of each, a difference of means must be {reach:.2f} times the standard deviation over "
            "seeds to be shown (two-sided 0.05, 80% chance of success)."
        )
        details |= {"have": have, "detectable_in_seed_sds": reach}
    return SizeAnswer(f"better in {probability:.0%} of pairs of runs", None, None, text, details)


class _Precision(NamedTuple):
    """How precisely a number of images measures two rates."""

    text: str
    have: int
    worth: float
    """Independent images that they are equivalent to"""
    intervals: Mapping[float, list[float]]

    def details(self) -> dict[str, Detail]:
        bounds = {f"{rate:g}": interval for rate, interval in self.intervals.items()}
        return {"have": self.have, "have_independent": self.worth, "intervals": bounds}


def _precision_of(have: int, rates: tuple[float, float], clusters: Clustering, level: float) -> _Precision:
    _require_positive(have, "image")
    worth = clusters.worth(have)
    intervals = {rate: [round(bound, 4) for bound in wilson(rate * worth, worth, level)] for rate in rates}
    parts = [
        f"a measured {rate:g} would mean anything from {low:.3f} to {high:.3f}"
        for rate, (low, high) in intervals.items()
    ]
    note = "" if clusters.effect == 1 else f" (worth {worth:.0f} independent ones)"
    text = f"With {have:,} images{note}, {' and '.join(parts)} ({percent(level)}, Wilson)."
    return _Precision(text, have, worth, intervals)


def _of_one_size(even: int | None, groups: int | None) -> str:
    """Return the sentence on even groups, where uneven ones like those of the pilot are worth much less."""
    if even is None or (groups is not None and groups < 1.2 * even):
        return ""
    return f" {even:,} groups of one size would do: the pilot's are uneven, and so would be more of them."


def _amount(images: int, groups: int | None) -> str:
    return f"{images:,} images" + (f" in {groups:,} groups" if groups is not None else "")


def _require_rates(*rates: float) -> None:
    if not all(0 < rate <= 1 for rate in rates):
        raise UsageError("a rate lies between 0 and 1", got=rates, hint="95% is 0.95")


def _require_positive(have: int, what: str) -> None:
    if have < 1:
        raise UsageError(f"at least one {what} is needed", got=have)


def _require_level_and_power(level: float, power: float) -> None:
    if not LEAST_LEVEL <= level < 1 or not 0.5 <= power < 1:
        raise UsageError("level and power lie between 0.5 and 1", got=(level, power), hint="95% is 0.95, not 0.05")
