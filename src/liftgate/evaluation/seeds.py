"""Comparison over several seeds: from "this checkpoint is better" to "this recipe is better".

The mean over seeds of treatment − control has two sources of variance: the groups that were sampled for the test, and
the seeds. They add (Bouthillier et al. 2021): SE² = mean of the seeds' own SE² over groups + s²(differences between
seeds)/k. Each component has degrees of freedom of its own, effective groups − 1 and seeds − 1: the interval's half
width is the root of the sum of both squared half widths, so that it holds with two seeds as with many. Three are the
least for a claim about the recipe.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.metric_names import LESS_IS_BETTER
from liftgate.evaluation.records import Comparison
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.evaluation.verdict import SETTLING_CHANCE, as_gain, decide, explain_verdict
from liftgate.stats.differences import error_of_width
from liftgate.stats.distributions import normal_quantile, t_quantile
from liftgate.stats.interval import Interval
from liftgate.stats.sample_size import fewest_groups, upper_sd
from liftgate.stats.seeds import probability_better
from liftgate.study.vocabulary import Rule

_MOST_SEEDS = 100
"""The most seeds that are considered"""


def compare_seeds(
    truth: Dataset,
    controls: Sequence[Predictions],
    treatments: Sequence[Predictions],
    spec: ComparisonSpec = ComparisonSpec(),  # noqa: B008 (frozen)
) -> Comparison:
    """Compare two arms that were each run with the same seeds; with one seed this is `compare`.

    The estimate is the mean of the paired differences. An arm without training repeats the same predictions and adds no
    seed variance.

    Args:
        truth: the images and their objects.
        controls: predictions of the control, one for each seed.
        treatments: predictions of the treatment, in the same order.
        spec: what is compared; its thresholds alternate between control and treatment.

    Raises:
        UsageError: the numbers of runs differ, or as `compare`.
    """
    if len(controls) != len(treatments) or not controls:
        raise UsageError("arms have different numbers of runs", expected=len(controls), got=len(treatments))
    spec.validate_for(truth, models=2 * len(controls))
    each = [
        compare(truth, control, treatment, spec.of_models(2 * seed, 2 * seed + 1))
        for seed, (control, treatment) in enumerate(zip(controls, treatments, strict=True))
    ]
    return combine_seeds(each, spec.rule)


def combine_seeds(each: Sequence[Comparison], rule: Rule) -> Comparison:
    """Return the comparison over seeds from those of each seed; of one seed, that one.

    Args:
        each: comparisons by one metric on the same images.
        rule: that they were judged by.
    """
    if len(each) == 1:
        return each[0]
    first = each[0]
    deltas = np.array([one.delta.estimate for one in each])
    delta = replace(
        first.delta,
        estimate=float(deltas.mean()),
        method=f"{first.delta.method}, {len(each)} seeds",
    )
    components = VarianceComponents.of(each)
    if components is None:  # of the mean, not of the seeds that have one
        note = next(one.delta.note for one in each if not one.delta.established)
        delta = replace(delta, low=None, high=None, standard_error=None, note=note)
    else:
        half = components.half_width
        low, high = delta.estimate - half, delta.estimate + half
        if first.metric != "false_positives_per_image":  # no two shares differ by more than 1
            low, high = max(-1.0, low), min(1.0, high)
        delta = replace(delta, low=low, high=high, standard_error=components.standard_error)
    gain = as_gain(delta, first.metric)
    word = decide(gain, first.margin, rule, first.claim)
    groups, settled_by = None, ""
    if word == "MARGINAL" and rule == "interval" and components is not None:
        groups, settled_by = _what_settles(components, gain, first, len(each))
    return replace(
        first,
        control=_mean([one.control for one in each]),
        treatment=_mean([one.treatment for one in each]),
        delta=delta,
        verdict=word,
        reason=explain_verdict(
            first.metric, delta, first.margin, rule, ("control", "treatment"), first.claim, settled_by
        ),
        groups_needed=groups,
        settled_by=settled_by,
        differences=tuple(dict.fromkeys(text for one in each for text in one.differences)),
        caveats=(*first.caveats, "classes, slices and images are those of the first seed"),
        percentile=None,
        probability_better=_probability_better(each),
        p_value=None,
    )


def _probability_better(each: Sequence[Comparison]) -> float | None:
    """Return P(treatment better) over pairs of runs (Bouthillier et al. 2021); None where a run has no value."""
    values = [(one.control, one.treatment) for one in each]
    if any(control is None or treatment is None for control, treatment in values):
        return None
    controls, treatments = zip(*values, strict=True)
    share = probability_better(controls, treatments)
    return 1 - share if each[0].metric in LESS_IS_BETTER else share


class VarianceComponents(NamedTuple):
    """Variance components of the mean difference over seeds.

    The group component is the mean of the seeds' own squared standard errors: all seeds share the test images, so it
    does not shrink with k. (A bootstrap of the mean itself would be slightly smaller; this never understates.)
    """

    of_groups: float
    """Variance of the difference over samples of this many groups"""
    of_seeds: float
    """Variance of the difference of a single seed"""
    degrees: float
    """Degrees of freedom of the group component: effective groups − 1"""
    level: float
    seeds: int

    @classmethod
    def of(cls, each: Sequence[Comparison]) -> VarianceComponents | None:
        """Return the components of one comparison per seed; None where one of them has no interval."""
        errors = [error for one in each if (error := error_of_width(one.delta)) is not None]
        if not each[0].delta.established or len(errors) < len(each):
            return None
        deltas = np.array([one.delta.estimate for one in each])
        of_groups, of_seeds = float(np.mean(np.square(errors))), float(np.var(deltas, ddof=1))
        degrees = min(one.delta.degrees for one in each)
        return cls(of_groups, of_seeds, degrees, each[0].delta.level, len(each))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean difference."""
        return math.sqrt(self.of_groups + self.of_seeds / self.seeds)

    @property
    def half_width(self) -> float:
        """Half the width of the interval: the half widths of both components, squared and added.

        Satterthwaite's degrees of freedom, of the sum of the variances, are too many by chance where few seeds happen
        to agree: with three seeds that dominate, they covered 92.5%.
        """
        return math.hypot(
            t_quantile(self.level, self.degrees) * math.sqrt(self.of_groups),
            t_quantile(self.level, self.seeds - 1) * math.sqrt(self.of_seeds / self.seeds),
        )

    def settled(self, room: float, seeds: int, groups: int | None = None) -> bool:
        """Return whether so many new seeds, and groups, leave the interval within `room` with SETTLING_CHANCE.

        Variances are taken at their upper bounds, as they are estimates (`upper_sd`).

        Args:
            room: distance of the measured difference, taken as the true one, from the margin.
            seeds: number of training runs.
            groups: effective number of new groups; None: the same test images.
        """
        of_seeds = upper_sd(math.sqrt(self.of_seeds), self.seeds - 1) / math.sqrt(seeds)
        half, spread = t_quantile(self.level, self.degrees) * math.sqrt(self.of_groups), 0.0
        if groups is not None:
            spread = upper_sd(math.sqrt(self.of_groups * (self.degrees + 1)), self.degrees) / math.sqrt(groups)
            half = t_quantile(self.level, groups - 1) * spread
        half = math.hypot(half, t_quantile(self.level, seeds - 1) * of_seeds)
        return half + normal_quantile(2 * SETTLING_CHANCE - 1) * math.hypot(spread, of_seeds) <= room


def _what_settles(
    components: VarianceComponents, gain: Interval, first: Comparison, seeds: int
) -> tuple[int | None, str]:
    """Return what would settle a MARGINAL verdict if the difference is the true one: groups needed, and in words.

    More groups do not reduce the variance over seeds, so more seeds are tried first.
    """
    estimate = abs(gain.estimate) if first.claim == "equal" else gain.estimate
    room = abs(estimate - first.margin)
    chance = f"with {SETTLING_CHANCE:.0%} chance if that is the true difference"
    enough = next((k for k in range(seeds + 1, _MOST_SEEDS + 1) if components.settled(room, k)), None)
    if enough is not None:
        return None, f"about {enough} seeds instead of {seeds} would settle it {chance}"
    for more in (seeds, 2 * seeds, 5 * seeds, _MOST_SEEDS):
        effective = fewest_groups(functools.partial(components.settled, room, more)) if room > 0 else None
        if effective is not None:
            groups = max(gain.n_groups + 1, math.ceil(effective * gain.n_groups / (components.degrees + 1)))
            with_seeds = f" and {more} seeds" if more > seeds else f" and {seeds} seeds again"
            return groups, f"more seeds alone would not settle it; about {groups} groups{with_seeds} would, {chance}"
    return None, "neither more seeds nor more groups would settle it"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
