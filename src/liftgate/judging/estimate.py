"""Estimate the difference of two models from answers about a drawn sample of their detections, by groups.

What is identified. Every detection is a true positive or a false one, so with N detections of each model known, the
difference of true positives is a sum over the units (pairs of detections, and detections without a partner), the
difference of false positives is ΔN − ΔTP, and precision follows. Recall and F1 need the number of objects: those found
by either model are a sum over units too; those that both missed are estimated from the images of the audit.

A sum over units is estimated without bias from units drawn with known probabilities. The interval draws groups, as that
of `compare` with labels, so that it holds what varies between groups and what the draw of units adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.resampling import IMAGE_DRAWS, image_units
from liftgate.evaluation.resampling import Units as Resampling
from liftgate.evaluation.resampling import units as resampling_units
from liftgate.judging.allocation import audit_error, one_sidedness
from liftgate.judging.design import Design, Outcomes
from liftgate.judging.judged_metrics import (
    COLUMNS,
    FOUND,
    IMAGES,
    MISSED,
    N_CONTROL,
    N_TREATMENT,
    NEED_MISSED,
    PER_IMAGE,
    TP_CONTROL,
    TP_TREATMENT,
    JudgedMetric,
    metric_values,
)
from liftgate.judging.pairing import KINDS, Units
from liftgate.judging.sizes import chance_of_difference
from liftgate.stats.always_valid import always_valid_quantile
from liftgate.stats.clustered import bootstrap_variance
from liftgate.stats.differences import difference_t
from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import GroupCount, count_groups
from liftgate.stats.interval import Interval
from liftgate.stats.rates import not_established
from liftgate.stats.unequal_sampling import (
    estimated_values,
    imputed_values,
    sampling_variance,
    stratum_means,
)

Floats = NDArray[np.float64]
_BIN_OF, _MOST_BINS = 8, 4
_A_FEW = 5.0


class VarianceShares(NamedTuple):
    """Where the variance of the difference comes from; the shares add up to 1."""

    groups: float
    """What varies between groups: labels of everything would have it too"""
    disagreements: float
    """That only a sample of the disagreements was judged"""
    agreed: float
    """The audit of agreed pairs"""
    missed: float
    """The audit of images for objects that both missed"""


class _DesignVariances(NamedTuple):
    """Variance that the draw of questions adds to the difference."""

    disagreements: float
    agreed: float
    net_of_agreed: float
    """The part of `agreed` that comes from which model pairs of unlike truth are to the credit of"""
    missed: float


@dataclass(frozen=True, slots=True)
class JudgedDifference:
    """The difference of two models by one metric, estimated from answers."""

    control: float | None
    """None: it hangs on a number of missed objects that nobody knows"""
    treatment: float | None
    delta: Interval
    true_positives: tuple[float, float]
    """Estimated, of control and treatment"""
    detections: tuple[int, int]
    objects_found: float
    """By either model, estimated"""
    objects_missed: float | None
    """By both, estimated; None: of some images nobody knows"""
    doubt: float
    """How far the answers "unsure" alone move the estimate, in all"""
    shares: VarianceShares | None
    """None: no variance could be estimated"""


def judged_difference(
    design: Design, outcomes: Outcomes, metric: JudgedMetric, level: float = 0.95, *, always_valid: bool = False
) -> JudgedDifference:
    """Estimate treatment − control of a metric, with an interval that holds under the draw of units and of groups.

    Args:
        design: units, images, probabilities, groups.
        outcomes: the answers.
        metric: one of JUDGED_METRICS.
        level: of the interval.
        always_valid: whether the interval holds after every group that is judged, all at once.
    """
    groups = resampling_units(list(design.groups))
    cases = [_Case(design, outcomes, metric, values, missed) for values, missed in _scenarios(outcomes)]
    found = [case.always_valid(groups, level) if always_valid else case.interval(groups, level) for case in cases]
    estimates = [interval.estimate for interval in found]
    delta = _union(found)
    unknown = bool(np.isinf(outcomes.most).any())
    middle: list[float | None] = [float(np.mean([case.values()[arm] for case in cases])) for arm in (0, 1)]
    if metric in NEED_MISSED and unknown:
        delta, middle = _reaching_zero(delta), [None, None]
    totals = np.mean([case.sums for case in cases], axis=0)
    return JudgedDifference(
        middle[0], middle[1], delta,
        (float(totals[TP_CONTROL]), float(totals[TP_TREATMENT])),
        (int(totals[N_CONTROL]), int(totals[N_TREATMENT])),
        float(totals[FOUND]), None if unknown else float(totals[MISSED]), max(estimates) - min(estimates),
        cases[0].shares(delta),
    )  # fmt: skip


def _scenarios(outcomes: Outcomes) -> list[tuple[Floats, Floats]]:
    """Return ways to resolve the doubts that enclose all others: values of units, and numbers of missed objects.

    A number without an upper end is taken as 0 to a few here; `_reaching_zero` does the rest. F1 need not be monotonic
    in the number of objects, so some numbers in between are tried too.
    """
    most = np.where(np.isinf(outcomes.most), outcomes.fewest + _A_FEW, outcomes.most)
    sure = bool((outcomes.against == outcomes.in_favour).all())
    values = [outcomes.against] if sure else [outcomes.against, outcomes.in_favour]
    shares = (0.0,) if bool((outcomes.fewest == most).all()) else (0.0, 0.25, 0.5, 0.75, 1.0)
    return [(one, outcomes.fewest + share * (most - outcomes.fewest)) for one in values for share in shares]


def _reaching_zero(delta: Interval) -> Interval:
    """Return the interval where any number of objects may have been missed: with very many, nothing differs."""
    if delta.low is None or delta.high is None:
        return delta
    note = delta.note or (
        "of some images it is not known how many objects were missed: recall may differ by nothing, and the difference "
        f"that is named takes up to {_A_FEW:.0f} on each of them"
    )
    return replace(delta, low=min(delta.low, 0.0), high=max(delta.high, 0.0), note=note)


class _Case:
    """One way to resolve the doubts: totals by image, and what follows from them."""

    def __init__(
        self, design: Design, outcomes: Outcomes, metric: JudgedMetric, values: Floats, missed: Floats
    ) -> None:
        self.design, self.outcomes, self.metric, self.judged, self.missed = design, outcomes, metric, values, missed
        units, n_images = design.units, len(design.groups)
        self.strata = _strata(units, design.score, outcomes.unit)
        self.shrink = self._audit()[1]
        self.by_unit = self._shrunk(estimated_values(values, outcomes.unit, design.probability, self.strata))
        self.by_image = np.zeros((n_images, COLUMNS))
        self._add_units(self.by_image, self.by_unit)
        searched = (missed[:, None], outcomes.image, design.image_probability, design.empty.astype(np.int64))
        if len(outcomes.image):
            self.by_image[:, MISSED] = estimated_values(*searched)[:, 0]
        self.by_image[:, N_CONTROL] = np.bincount(units.image[units.control >= 0], minlength=n_images)
        self.by_image[:, N_TREATMENT] = np.bincount(units.image[units.treatment >= 0], minlength=n_images)
        self.by_image[:, IMAGES] = 1
        self.sums = self.by_image.sum(axis=0)
        self.expected = self.by_image.copy()
        imputed = imputed_values(values, outcomes.unit, design.probability, self.strata)
        self._add_units(self.expected, self._shrunk(imputed))
        if len(outcomes.image):
            self.expected[:, MISSED] = imputed_values(*searched)[:, 0]

    def _add_units(self, by_image: Floats, by_unit: Floats) -> None:
        for column in range(3):
            by_image[:, column] = np.bincount(self.design.units.image, by_unit[:, column], minlength=len(by_image))

    def values(self) -> tuple[float, float]:
        """Value of the metric of control and treatment."""
        first, second = metric_values(self.metric, self.sums)
        return float(first), float(second)

    def interval(self, groups: Resampling, level: float) -> Interval:
        """Interval of the difference, from draws of groups, as `compare` with labels has it.

        How much longer than t · SE a side is where the models are near an end of the scale, is taken from the expected
        answers: the draw's own noise is in both models alike, and would count as if their levels were unknown.
        """
        informative, weights = self._informative(groups), groups.draws()
        first, second = self._draws(groups, weights, self.by_image)
        found = difference_t(
            first, second, level, n_images=len(self.by_image), units=groups.count, groups=informative, scale=None,
            simple_variance=self._simple_variance(groups),
        )  # fmt: skip
        if found.standard_error is None:
            return found
        found = _widened(found, math.sqrt(1 + self.unseen_variance() / found.standard_error**2))
        return _lengthened(found, self._sides(groups, weights, informative, level))

    def _sides(self, groups: Resampling, weights: Floats, informative: GroupCount, level: float) -> tuple[float, float]:
        """Return how many times as long as t · SE the lower and the upper side are, at least 1."""
        first, second = self._draws(groups, weights, self.expected)
        wide = difference_t(
            first, second, level, n_images=len(self.by_image), units=groups.count, groups=informative,
            scale="log" if self.metric in PER_IMAGE else "logit",
        )  # fmt: skip
        if wide.low is None or wide.high is None or not wide.standard_error:
            return 1.0, 1.0
        reach = t_quantile(level, wide.degrees) * wide.standard_error
        return (wide.estimate - wide.low) / reach, (wide.high - wide.estimate) / reach

    def always_valid(self, groups: Resampling, level: float) -> Interval:
        """Interval that holds at every look: the one of a single look, wider by the ratio of their quantiles."""
        once, method = self.interval(groups, level), "always-valid-t"
        if not once.established:
            return replace(once, method=method)
        count = self._informative(groups)
        factor = always_valid_quantile(level, count.degrees, count.effective) / t_quantile(level, once.degrees)
        if math.isinf(factor):
            note = "not established: too few groups for an interval that holds at every look"
            return not_established(once.estimate, level, method, len(self.by_image), count, note)
        return replace(_widened(once, factor), method=method, standard_error=once.standard_error)

    def _draws(self, groups: Resampling, weights: Floats, by_image: Floats) -> tuple[Floats, Floats]:
        by_unit = np.zeros((groups.count, by_image.shape[1]))
        np.add.at(by_unit, groups.of_image, by_image)
        return metric_values(self.metric, weights.T @ by_unit)

    def _simple_variance(self, groups: Resampling) -> float | None:
        if groups.n_groups == len(self.by_image):
            return None
        alone = image_units(len(self.by_image))
        first, second = self._draws(alone, alone.draws(IMAGE_DRAWS), self.by_image)
        drawn = second - first
        return bootstrap_variance(float(drawn[0]), drawn[1:], alone.count)

    def _informative(self, groups: Resampling) -> GroupCount:
        """Count the groups in which the models differ, by what the metric divides by there."""
        units, count = self.design.units, groups.n_groups
        if self.metric in NEED_MISSED:  # expected objects, without the noise of the draw
            expected = stratum_means(
                self.judged, 1 / self.design.probability[self.outcomes.unit], self.strata[self.outcomes.unit],
                int(self.strata.max(initial=-1)) + 1,
            )[self.strata, FOUND] if len(self.outcomes.unit) else np.ones(len(units))  # fmt: skip
            weight = np.bincount(groups.group[units.image], expected, minlength=count)
        elif self.metric == "precision":
            number = self.by_image[:, N_CONTROL] + self.by_image[:, N_TREATMENT]
            weight = np.bincount(groups.group, number, minlength=count)
        else:
            weight = np.bincount(groups.group, minlength=count).astype(np.float64)
        differs = ~units.agreed
        differs[self.outcomes.unit] |= self.judged[:, 0] != self.judged[:, 1]
        apart = np.bincount(groups.group[units.image[differs]], minlength=count) > 0
        return count_groups(np.where(apart, weight, 0.0), count)

    def gradient(self) -> Floats:
        """Derivative (7,) of the difference by each total."""
        slopes = np.zeros(len(self.sums))
        for column in range(len(self.sums)):
            step = max(1.0, abs(self.sums[column])) * 1e-5
            shifted = np.stack([self.sums, self.sums])
            shifted[0, column] -= step
            shifted[1, column] += step
            first, second = metric_values(self.metric, shifted)
            slopes[column] = float(np.diff(second - first)[0]) / (2 * step)
        return np.nan_to_num(slopes)

    def _design_variances(self) -> _DesignVariances:
        """Variance that the draw adds."""
        design, outcomes, slopes = self.design, self.outcomes, self.gradient()
        p, stratum = design.probability[outcomes.unit], self.strata[outcomes.unit]
        means = stratum_means(self.judged, 1 / p, stratum, int(self.strata.max(initial=-1)) + 1)
        residual = self.judged - means[stratum]
        first, second = residual[:, TP_CONTROL], residual[:, TP_TREATMENT]
        net = (second - first) / 2 * (slopes[TP_TREATMENT] - slopes[TP_CONTROL])
        level = (second + first) / 2 * (slopes[TP_TREATMENT] + slopes[TP_CONTROL]) + residual[:, FOUND] * slopes[FOUND]
        agreed = design.units.agreed[outcomes.unit]

        def of(values: Floats, rows: NDArray[np.bool_]) -> float:
            return sampling_variance(values[rows], p[rows], stratum[rows])

        kind = design.empty[outcomes.image].astype(np.int64)
        p_image = design.image_probability[outcomes.image]
        spread = 0.0
        if len(outcomes.image):
            found = stratum_means(self.missed[:, None], 1 / p_image, kind, 2)[kind, 0]
            spread = sampling_variance((self.missed - found) * slopes[MISSED], p_image, kind)
        net_of_pairs = self.shrink * net
        return _DesignVariances(
            of(net + level, ~agreed), of(net_of_pairs + level, agreed), of(net_of_pairs, agreed), spread
        )

    def _audit(self) -> tuple[float, float]:
        """Return the mean square error of the agreed pairs' net difference, and by how much its estimate is shrunk.

        A sample of agreed pairs in which none differs does not show that none does: one more difference is added to
        those that the audit found, as the size measure expects it, and spread over all pairs.
        """
        design, sampled = self.design, self.outcomes.unit
        agreed = design.units.agreed
        chance = chance_of_difference(design.units.overlap)
        mine = agreed[sampled]
        first, second = ((self.judged[mine, arm] > self.judged[mine, 1 - arm]).sum() for arm in (0, 1))
        scale = (first + second + 1) / (float(chance[sampled[mine]].sum()) + 1)
        likely = np.minimum(scale * chance[agreed], 1.0)
        return audit_error(likely, design.probability[agreed], one_sidedness(float(first), float(second)))

    def _shrunk(self, by_unit: Floats) -> Floats:
        """Return (n, 3) estimates with the difference of agreed pairs shrunk towards none."""
        agreed = self.design.units.agreed
        middle = by_unit[agreed, :2].mean(axis=1, keepdims=True)
        shrunk = by_unit.copy()
        shrunk[agreed, :2] = middle + self.shrink * (by_unit[agreed, :2] - middle)
        return shrunk

    def unseen_variance(self) -> float:
        """Mean square error of the agreed pairs' net difference, beyond the variance that the audit itself shows."""
        slopes = self.gradient()
        effect = float(abs(slopes[TP_CONTROL]) + abs(slopes[TP_TREATMENT])) / 2
        return max(0.0, self._audit()[0] * effect**2 - self._design_variances().net_of_agreed)

    def shares(self, delta: Interval) -> VarianceShares | None:
        """Shares of the variance by its sources."""
        if delta.standard_error is None or not delta.standard_error > 0:
            return None
        total = delta.standard_error**2
        disagreements, agreed, _, missed = self._design_variances()
        agreed += self.unseen_variance()
        sampled = disagreements + agreed + missed
        scale = min(1.0, total / sampled) if sampled else 1.0  # both are estimates
        parts = [part * scale / total for part in (disagreements, agreed, missed)]
        return VarianceShares(max(0.0, 1 - sum(parts)), *parts)


def _widened(interval: Interval, factor: float) -> Interval:
    """Return the interval with both sides, and its standard error, longer by a factor."""
    if interval.low is None or interval.high is None or interval.standard_error is None:
        return interval
    low, high = interval.estimate - interval.low, interval.high - interval.estimate
    return replace(
        interval, low=interval.estimate - factor * low, high=interval.estimate + factor * high,
        standard_error=factor * interval.standard_error,
    )  # fmt: skip


def _lengthened(interval: Interval, sides: tuple[float, float]) -> Interval:
    """Return the interval with its lower and upper side longer by two factors."""
    if interval.low is None or interval.high is None:
        return interval
    low, high = interval.estimate - interval.low, interval.high - interval.estimate
    return replace(interval, low=interval.estimate - sides[0] * low, high=interval.estimate + sides[1] * high)


def _strata(units: Units, score: Floats, sampled: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) strata: kinds, divided by confidence where enough of a kind were judged."""
    strata = np.zeros(len(units), dtype=np.int64)
    taken = 0
    for kind in range(len(KINDS)):
        inside = units.kind == kind
        judged = score[sampled[inside[sampled]]]
        bins = int(np.clip(len(judged) // _BIN_OF, 1, _MOST_BINS))
        edges = np.quantile(judged, np.arange(1, bins) / bins) if bins > 1 else np.empty(0)
        strata[inside] = taken + np.searchsorted(edges, score[inside], side="right")
        taken += bins
    return strata


def _union(found: Sequence[Interval]) -> Interval:
    """Return the interval that holds all of `found`; not established where one of them is not."""
    estimate = (min(one.estimate for one in found) + max(one.estimate for one in found)) / 2
    if len(found) == 1:
        return found[0]
    worst = max(found, key=lambda one: (one.low is None, one.standard_error or 0.0))
    if worst.low is None:
        return replace(worst, estimate=estimate)
    low, high = min(one.low or 0.0 for one in found), max(one.high or 0.0 for one in found)
    return replace(worst, estimate=estimate, low=low, high=high, note=worst.note)
