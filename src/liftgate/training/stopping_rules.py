"""Decide from a run's metrics on val whether it continues: decision points and the median stopping rule.

The child process applies the rules, so that a run stops exactly after the epoch that decides. (The parent sees an epoch
up to a tenth of a second late, by when a small training has begun the next, and runs would not be reproducible.) The
parent applies the same rules again afterwards, for the record.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from liftgate.backends.base import DecisionPoint, MedianPoint
from liftgate.backends.events import EpochReport
from liftgate.errors import UsageError
from liftgate.stats.learning_curve import forecast
from liftgate.study.conditions import Condition, parse_condition
from liftgate.study.records import Decision

StoppingPoint: TypeAlias = DecisionPoint | MedianPoint


class _Seen(NamedTuple):
    """What a condition is about."""

    value: float | None
    text: str


class StoppingDecision(NamedTuple):
    """The decision of a stopping point about a run."""

    said: Literal["continue", "careful", "stop"]
    rule: str
    epoch: int
    metric: str
    value: float | None
    reason: str
    """A sentence for people"""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self._asdict()


def decision_points(decisions: Sequence[Decision], epochs: int | None = None) -> list[StoppingPoint]:
    """Return the decision points of a stage in the form of a job file.

    Args:
        decisions: of the stage.
        epochs: of its recipe; forecasts are about the last one.
    """
    return [
        DecisionPoint(one.at, one.continue_if, one.careful_if, one.otherwise, epochs if _looks_ahead(one) else None)
        for one in decisions
    ]


def _looks_ahead(decision: Decision) -> bool:
    conditions = (decision.continue_if, decision.careful_if)
    return any(text is not None and parse_condition(text).forecast for text in conditions)


def median_points(metric: str, peers: Sequence[Sequence[float]], *, after: int, epochs: int) -> list[StoppingPoint]:
    """Return the median stopping rule as points, one for every epoch from `after` on.

    A run is stopped when its best value so far is below the median over its peers of their mean value up to the same
    epoch (Golovin et al., Google Vizier, KDD 2017, section 3.2.2).

    Args:
        metric: name as in an epoch's report.
        peers: the metric's value in each epoch, for each finished run.
        after: first epoch at which the rule applies.
        epochs: number of epochs in the recipe.

    >>> median_points("mAP50", [[0.2, 0.4], [0.1, 0.3], [0.6, 0.8]], after=2, epochs=2)
    [MedianPoint(at=2, metric='mAP50', below=0.3, of=3, rule='median rule')]
    """
    points: list[StoppingPoint] = []
    for epoch in range(after, epochs + 1):
        threshold = median(fmean(curve[:epoch]) for curve in peers)
        points.append(MedianPoint(epoch, metric, round(threshold, 6), len(peers)))
    return points


def judge(
    points: Sequence[StoppingPoint], epochs: Sequence[EpochReport], *, ended: bool = False
) -> list[StoppingDecision]:
    """Return the decisions about a run so far, in order, up to the first that stops it.

    The median rule only ever decides to stop.

    Args:
        points: stopping points of the run.
        epochs: reports of its epochs so far.
        ended: whether the run is over: then a decision point beyond the last epoch is judged by that epoch.

    Raises:
        UsageError: an epoch's report does not have the metric.
    """
    decisions: list[StoppingDecision] = []
    for point in sorted(points, key=lambda one: one.at):
        for decision in _apply(point, epochs, ended):
            decisions.append(decision)
            if decision.said == "stop":
                return decisions
    return decisions


def _apply(point: StoppingPoint, epochs: Sequence[EpochReport], ended: bool) -> Iterator[StoppingDecision]:
    last = epochs[-1].epoch if epochs else 0
    if isinstance(point, MedianPoint):
        if last >= point.at and (decision := _apply_median_rule(point, epochs)):
            yield decision
    elif last >= point.at or (ended and epochs):
        yield _decide(point, epochs, next((one for one in epochs if one.epoch == point.at), epochs[-1]))


def _decide(point: DecisionPoint, epochs: Sequence[EpochReport], epoch: EpochReport) -> StoppingDecision:
    wanted = parse_condition(point.continue_if)
    until = [one for one in epochs if one.epoch <= epoch.epoch]
    early = "" if epoch.epoch == point.at else f" (its last, before {point.at})"
    seen = _seen(wanted, until, point)
    value, here = seen.value, f"{seen.text} after epoch {epoch.epoch}{early}"

    def decision(said: Literal["continue", "careful", "stop"], reason: str) -> StoppingDecision:
        return StoppingDecision(said, point.rule, epoch.epoch, wanted.metric, value, reason)

    if wanted.holds(value):
        return decision("continue", f"{here}: {wanted}, it goes on")
    careful = None if point.careful_if is None else parse_condition(point.careful_if)
    beside = seen if careful is None else _seen(careful, until, point)
    if careful is not None and careful.holds(beside.value):
        return decision(
            "careful", f"{_with_other(here, careful, wanted, beside)}: {careful} but not {wanted}, it goes on with care"
        )
    if point.otherwise == "stop":
        return decision("stop", f"{here}: not {careful or wanted}, it stops")
    return decision("continue", f"{here}: not {careful or wanted}, it goes on all the same")


def _apply_median_rule(point: MedianPoint, epochs: Sequence[EpochReport]) -> StoppingDecision | None:
    values = [_value(one, point.metric) for one in epochs if one.epoch <= point.at]
    best = max((value for value in values if value is not None and math.isfinite(value)), default=None)
    if best is not None and best >= point.below:
        return None
    usual = f"the median of {point.of} finished runs had {point.below:.4g} on average by then"
    reason = f"best {point.metric} {_text(best)} after epoch {point.at}, and {usual}: hopeless, it stops"
    return StoppingDecision("stop", point.rule, point.at, point.metric, best, reason)


def _with_other(here: str, careful: Condition, wanted: Condition, seen: _Seen) -> str:
    same = (careful.metric, careful.forecast) == (wanted.metric, wanted.forecast)
    return here if same else f"{here}, {seen.text}"


def _seen(condition: Condition, epochs: Sequence[EpochReport], point: DecisionPoint) -> _Seen:
    """Return what a condition is about: the metric of the last epoch, or the end of its forecast that is kinder.

    A run is stopped for its forecast only where even the kinder end of the interval does not fulfil the condition.
    """
    value = _value(epochs[-1], condition.metric)
    if not condition.forecast:
        return _Seen(value, f"{condition.metric} {_text(value)}")
    curve = np.full(epochs[-1].epoch, np.nan)
    for one in epochs:
        if (at := _value(one, condition.metric)) is not None:
            curve[one.epoch - 1] = at
    end = max(point.epochs or 0, epochs[-1].epoch)
    found = forecast(curve, end)
    if found is None:
        return _Seen(value, f"{condition.metric} {_text(value)} (no forecast: too few epochs, or it never moved)")
    kinder = found.high if condition.sign.startswith(">") else found.low
    interval = f"[{found.low:.4g}, {found.high:.4g}] at {found.level:.0%}"
    return _Seen(kinder, f"{condition.metric} {_text(value)}, forecast {found.value:.4g} {interval} for epoch {end},")


def _value(epoch: EpochReport, metric: str) -> float | None:
    if metric not in epoch.metrics:
        raise UsageError("no such metric to decide by", expected=", ".join(epoch.metrics), got=metric)
    return epoch.metrics[metric]


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


class StoppingRules:
    """Applies the rules while a run trains: takes every epoch report and decides whether the run must stop."""

    def __init__(self, points: Sequence[StoppingPoint], earlier: Sequence[EpochReport] = ()) -> None:
        """Start with the reports of the epochs before a pause, `earlier`."""
        self._points = points
        self._epochs = list(earlier)
        self._decisions = judge(points, self._epochs)

    def add(self, epoch: EpochReport) -> list[StoppingDecision]:
        """Add an epoch and return the decisions that it causes."""
        self._epochs.append(epoch)
        before, self._decisions = len(self._decisions), judge(self._points, self._epochs)
        return self._decisions[before:]

    @property
    def stops(self) -> bool:
        """Return whether the run must stop."""
        return bool(self._decisions) and self._decisions[-1].said == "stop"
