"""Comparison over several seeds: from "this checkpoint is better" to "this recipe is better".

The mean over seeds of treatment − control has two sources of variance: the groups that were sampled for the test, and
the seeds. They add (Bouthillier et al. 2021): SE² = mean of the seeds' own SE² over groups + s²(differences between
seeds)/k. Degrees of freedom are by Satterthwaite, those of the groups being effective groups − 1. With two seeds the
spread is too uncertain for that: the half widths of groups and of seeds, each with its own t, are added.
"""

from __future__ import annotations

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
from liftgate.evaluation.verdict import as_gain, decide, explain_verdict, groups_that_settle
from liftgate.stats.differences import error_of_width
from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import Interval
from liftgate.stats.seeds import MIN_SEEDS, probability_better

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
    if len(each) == 1:
        return each[0]
    first, rule = each[0], spec.rule
    deltas = np.array([one.delta.estimate for one in each])
    delta = replace(
        first.delta,
        estimate=float(deltas.mean()),
        method=f"{first.delta.method}, {len(each)} seeds",
    )
    components = _VarianceComponents.of(each)
    if components is not None:
        half, error = components.half_width(len(each)), math.sqrt(components.variance(len(each)))
        delta = replace(delta, low=delta.estimate - half, high=delta.estimate + half, standard_error=error)
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


class _VarianceComponents(NamedTuple):
    """Variance components of the mean difference over seeds.

    The group component is the mean of the seeds' own squared standard errors: all seeds share the test images, so it
    does not shrink with k. (A bootstrap of the mean itself would be slightly smaller; this never understates.)
    """

    of_groups: float
    """Variance of the difference over samples of this many groups"""
    of_seeds: float
    """Variance of the difference of a single seed"""
    degrees: float
    """Degrees of degrees of the group component: effective groups − 1"""
    level: float

    @classmethod
    def of(cls, each: Sequence[Comparison]) -> _VarianceComponents | None:
        errors = [error for one in each if (error := error_of_width(one.delta)) is not None]
        if not each[0].delta.established or len(errors) < len(each):
            return None
        deltas = np.array([one.delta.estimate for one in each])
        of_groups, of_seeds = float(np.mean(np.square(errors))), float(np.var(deltas, ddof=1))
        degrees = min(one.delta.degrees for one in each)
        return cls(of_groups, of_seeds, degrees, each[0].delta.level)

    def variance(self, seeds: int) -> float:
        return self.of_groups + self.of_seeds / seeds

    def half_width(self, seeds: int) -> float:
        """Return half the width of the interval with this many seeds."""
        total = self.variance(seeds)
        if seeds < MIN_SEEDS:
            groups = t_quantile(self.level, self.degrees) * math.sqrt(self.of_groups)
            return groups + t_quantile(self.level, seeds - 1) * math.sqrt(self.of_seeds / seeds)
        parts = ((self.of_groups, self.degrees), (self.of_seeds / seeds, seeds - 1))
        degrees = total**2 / sum(part**2 / df for part, df in parts) if total > 0 else seeds - 1
        return t_quantile(self.level, degrees) * math.sqrt(total)


def _what_settles(
    components: _VarianceComponents, gain: Interval, first: Comparison, seeds: int
) -> tuple[int | None, str]:
    """Return what would settle a MARGINAL verdict if the difference and variances stay: groups needed, and in words.

    More groups do not reduce the variance over seeds, so more seeds are tried first.
    """
    estimate = abs(gain.estimate) if first.claim == "equal" else gain.estimate
    room = abs(estimate - first.margin)
    enough = next((k for k in range(seeds + 1, _MOST_SEEDS + 1) if components.half_width(k) <= room), None)
    if enough is not None:
        # Where the interval just reaches the margin: how often new seeds then decide was not measured.
        narrow = "the interval would be narrow enough if the estimate and its variances stay as they are"
        return None, f"with about {enough} seeds instead of {seeds} {narrow}"
    of_groups = replace(gain, standard_error=math.sqrt(components.of_groups))
    groups = groups_that_settle(of_groups, first.margin, first.claim)
    if groups is None:
        return None, "neither more seeds nor more groups would settle it"
    return groups, f"more seeds alone would not settle it; about {groups} groups and more seeds would"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
