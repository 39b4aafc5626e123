"""Errors of average precision that no draw of groups shows, in the sample that there is.

Four of them: rare classes that were all found, or all missed, are constant over the draws; precision is interpolated
upwards, which favours few objects, so that a mean over many rare classes is too high by more than its standard error;
recall is read at 101 points, so that one class jumps by 1/101 where its largest recall passes a point; and at the first
of them precision is the largest that there is, which few hits of a bad model do not show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import SIZES, MatchTable
from liftgate.evaluation.metric_names import AveragedMetric, Computed
from liftgate.evaluation.metrics import by_threshold
from liftgate.evaluation.resampling import Units

_PAIRS = 8
"""Pairs of halves that the bias is read from; the two of a pair cancel what is not bias"""
_BIAS_OF_HALVES = 1 / (math.sqrt(2) - 1)
"""Bias of the sample ÷ what half of it adds, for a bias that falls with the root of the sample"""
_POINTS = 100
"""The last of the points of recall, 0 to 100, at which precision is read"""
_HALF_A_STEP = 0.5 / (_POINTS + 1)
_SELDOM_FOUND = 0.2
"""Largest recall of a class below which its first point of recall is looked at; elsewhere the surest hits come first"""
_MANY_PARTS = 100
"""Of so many classes and IoU thresholds together the jumps between recall points cancel"""

Floats = NDArray[np.float64]


def halved_sample(groups: Units, kind: str) -> Floats:
    """Return (U, 1 + halves) weights: the sample and, for AP, halves of it."""
    pairs = _PAIRS if kind == "AP" else 0
    return groups.halves(pairs) if (groups.group < groups.n_groups).all() else groups.halves_within(pairs)


class SampleValues:
    """AP and recall of each class in the sample and in halves of it; what several metrics share is computed once."""

    def __init__(
        self, table: MatchTable, groups: Units, known: Mapping[Computed, Floats] = MappingProxyType({})
    ) -> None:
        """Begin with what is `known`: (K, 10, 1 + halves) of the weights that `halved_sample` returns."""
        self._table = table
        self._groups = groups
        self._found = dict(known)

    def unseen_variance(self, metric: AveragedMetric) -> float:
        """Return the variance that no draw shows: of classes at the ends of the scale, and of the recall points."""
        return self._of_extreme_classes(metric) + recall_point_variance(metric, self._groups, self._table)

    def bias(self, metric: AveragedMetric) -> float:
        """Return by how much the sample's value is too high (below 0: too low), for being a small sample.

        Halves of the groups are higher than the sample by some of what the sample itself is too high by.
        """
        if metric.kind != "AP":
            return 0.0
        values = self.by_class(metric)
        known = np.isfinite(values[:, 0])
        halves = values[known, 1:]
        some = np.isfinite(halves)
        mean = np.where(some, halves, 0.0).sum(axis=1) / np.maximum(1, some.sum(axis=1))
        return float((mean - values[known, 0]).mean()) * _BIAS_OF_HALVES if known.any() else 0.0

    def by_class(self, metric: AveragedMetric) -> Floats:
        """Return (K, 1 + halves) the metric of each class; NaN where there is no object of it."""
        key = metric.computed
        if key not in self._found:
            weights = halved_sample(self._groups, metric.kind)
            self._found[key] = by_threshold(self._table, metric, self._groups.of_image, weights)
        return np.asarray(self._found[key][:, list(metric.thresholds)].mean(axis=1))

    def _of_extreme_classes(self, metric: AveragedMetric) -> float:
        """Return the variance of classes whose value is within one object of 0 or 1.

        A rare class whose few objects were all found is constant over the draws, but would not be in another sample.
        Its objects then count as independent trials, plus the four of Agresti & Coull.
        """
        values, number = self.by_class(metric)[:, 0], _objects_of_classes(self._table, metric, self._groups)
        known = (number > 0) & np.isfinite(values)
        number, worth = number[known], values[known] * number[known]
        extreme = (worth < 1) | (worth > number - 1)
        share = (worth + 2) / (number + 4)
        return float(np.sum((share * (1 - share) / number)[extreme])) / len(number) ** 2 if len(number) else 0.0


def _objects_of_classes(table: MatchTable, metric: AveragedMetric, groups: Units) -> Floats:
    """Return (K,) how many objects of each class count."""
    return table.objects(metric.size, groups.group, groups.n_groups).number


def recall_point_variance(
    metric: AveragedMetric, groups: Units, table: MatchTable, control: MatchTable | None = None
) -> float:
    """Return the variance that recall points give a mean over classes; 0 where there are so many that it cancels.

    Args:
        metric: an average; that of AR is 0.
        groups: resampling units of the images.
        table: the matched detections of a model.
        control: those of the model that its difference is taken to; None: the model alone.
    """
    if metric.kind != "AP":
        return 0.0
    n_classes = int((_objects_of_classes(table, metric, groups) > 0).sum())
    if not 0 < n_classes * len(metric.thresholds) < _MANY_PARTS:
        return 0.0
    return float(np.nansum(recall_point_variances(metric, groups, table, control))) / n_classes**2


def recall_point_variances(
    metric: AveragedMetric, groups: Units, table: MatchTable, control: MatchTable | None = None
) -> Floats:
    """Return (K,) the square of half a step between recall points, as far as an AP of each class jumps by it.

    That is at the precision which its last hit has. IoU thresholds whose largest recalls lie between the same two
    points jump together: near 1 these may be all of them. So do two models, whose difference then does not jump. NaN
    where there is no object of the class. Arguments as of `recall_point_variance`.
    """
    inside = groups.group < groups.n_groups
    number = _objects_of_classes(table, metric, groups)
    if metric.kind != "AP":
        return np.where(number > 0, 0.0, np.nan)
    jumps = _jumps(table, metric, inside, number)
    if control is not None:
        jumps = jumps - _jumps(control, metric, inside, number)
    return np.where(number > 0, np.sum(jumps**2, axis=1), np.nan)


def first_point_reach(metric: AveragedMetric, groups: Units, table: MatchTable) -> float:
    """Return the mean of `first_point_reaches` over the classes that have objects."""
    each = first_point_reaches(metric, groups, table)
    known = each[np.isfinite(each)]
    return float(known.mean()) if len(known) else 0.0


def first_point_reaches(metric: AveragedMetric, groups: Units, table: MatchTable) -> Floats:
    """Return (K,) how much higher the AP of each class may be for what its first point of recall does not show.

    There precision is the largest of the whole curve. Of a class that is seldom found, and has false detections among
    its surest, more data would show a larger one, up to 1: 1 / 101 at the most. 0 for classes that are often found, and
    for AR; NaN where there is no object.

    Args:
        metric: an average.
        groups: resampling units of the images.
        table: the matched detections of a model.
    """
    inside = groups.group < groups.n_groups
    number = _objects_of_classes(table, metric, groups)
    reach = np.where(number > 0, 0.0, np.nan)
    if metric.kind != "AP":
        return reach
    rows, bit = table.ranked(metric.size), np.uint16(1 << metric.thresholds[0])
    hits = np.flatnonzero((rows.hit & bit) != 0)  # few of the rows, so the other conditions are asked of them alone
    hits = hits[(rows.rank[hits] < metric.max_detections) & inside[rows.image[hits]]]
    found = np.diff(np.searchsorted(hits, rows.start))
    for k in np.flatnonzero(found < _SELDOM_FOUND * number):
        own = slice(rows.start[k], rows.start[k + 1])
        counted = (rows.rank[own] < metric.max_detections) & inside[rows.image[own]]
        of_class = rows.hit[own][counted], rows.skip[own][counted]
        reach[k] = np.mean([1 - _largest_precision(*of_class, one) for one in metric.thresholds]) / (_POINTS + 1)
    return reach


def _largest_precision(hits: NDArray[np.uint16], skips: NDArray[np.uint16], threshold: int) -> float:
    """Return the largest precision of one class's detections, the best first; 0 without a hit."""
    bit = np.uint16(1 << threshold)
    hit, live = (hits & bit) != 0, (skips & bit) == 0
    return float(np.max(np.cumsum(hit)[hit] / np.cumsum(live)[hit], initial=0.0))


def _jumps(table: MatchTable, metric: AveragedMetric, inside: NDArray[np.bool_], number: Floats) -> Floats:
    """Return (K, points) by how much the AP of a class may jump where its largest recall passes a point."""
    jumps = np.zeros((len(number), _POINTS + 1))
    for threshold in metric.thresholds:
        hits, precision = _last_hits(table, metric.size, threshold, inside)
        between = np.minimum(_POINTS, hits / np.maximum(1, number) * _POINTS + 1e-9).astype(np.int64)
        np.add.at(jumps, (np.arange(len(number)), between), precision * _HALF_A_STEP / len(metric.thresholds))
    return jumps


def _last_hits(table: MatchTable, size: str, threshold: int, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return (K,) hits of each class, and (K,) its precision where its recall is largest; 0 without a hit."""
    a, bit = SIZES.index(size), np.uint16(1 << threshold)
    live = ((table.skip[a] & bit) == 0) & (table.rank < table.limit)
    if not inside.all():
        live &= inside[table.image]
    hit, dead = np.flatnonzero(live & ((table.hit[a] & bit) != 0)), np.flatnonzero(~live)
    begin = table.start[:-1]
    first, after = np.searchsorted(hit, [begin, table.start[1:]])
    hits = after - first
    last = np.where(hits > 0, np.append(hit, -1)[after - 1] + 1, begin)  # rows up to the last hit of the class
    seen = last - begin - np.subtract(*np.searchsorted(dead, [last, begin]))
    return hits.astype(np.float64), np.asarray(hits / np.maximum(1, seen))
