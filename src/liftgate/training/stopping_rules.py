"""Decisions: whether a run goes on, from what its epochs say of val. Pure rules; the worker asks them live.

The child judges, so that a run stops after exactly the epoch that decides it. (The parent sees an epoch up to a tenth
of a second late, which is another epoch of a small training, and no two runs would stop at the same place.)
Afterwards the parent asks the same rules again for the record.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, median
from typing import Any, Literal, NamedTuple

from liftgate.errors import UsageError
from liftgate.study.conditions import Condition, parse_condition
from liftgate.study.records import Decision

Epoch = Mapping[str, Any]
"""The body of an epoch's event: `epoch`, `metrics` …"""
Curve = Sequence[float]
Said = Literal["continue", "careful", "stop"]


class StoppingDecision(NamedTuple):
    """What a decision point or the median rule said of a run."""

    said: Said
    rule: str
    epoch: int
    metric: str
    value: float | None
    reason: str
    """A sentence"""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self._asdict()


def points_of(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Return the decision points of a stage as a job file holds them."""
    return [{"rule": "decision point", **asdict(one)} for one in decisions]


def median_points(metric: str, peers: Sequence[Curve], *, after: int, epochs: int) -> list[dict[str, Any]]:
    """Return the median stopping rule as points, one for every epoch from `after` on.

    A run is hopeless when its best value so far is below the median, over its peers, of the mean of their values up
    to the same epoch (Golovin et al., Google Vizier, KDD 2017, section 3.2.2).

    >>> median_points("mAP50", [[0.2, 0.4], [0.1, 0.3], [0.6, 0.8]], after=2, epochs=2)
    [{'rule': 'median rule', 'at': 2, 'metric': 'mAP50', 'below': 0.3, 'of': 3}]
    """
    points = []
    for epoch in range(after, epochs + 1):
        usual = median(fmean(curve[:epoch]) for curve in peers)
        point = {"rule": "median rule", "at": epoch, "metric": metric, "below": round(usual, 6), "of": len(peers)}
        points.append(point)
    return points


def judge(
    points: Sequence[Mapping[str, Any]], epochs: Sequence[Epoch], *, ended: bool = False
) -> list[StoppingDecision]:
    """Return what the points say of a run so far, in order, up to the first that stops it.

    Of the median rule only a stop is told. `ended`: points beyond the last epoch are judged by it.

    Raises:
        UsageError: an epoch's report does not have the metric.
    """
    found: list[StoppingDecision] = []
    for point in sorted(points, key=lambda one: int(one["at"])):
        for judged in _asked(point, epochs, ended):
            found.append(judged)
            if judged.said == "stop":
                return found
    return found


def _asked(point: Mapping[str, Any], epochs: Sequence[Epoch], ended: bool) -> Iterator[StoppingDecision]:
    last = int(epochs[-1]["epoch"]) if epochs else 0
    if point["rule"] == "median rule":
        if last >= point["at"] and (verdict := _hopeless(point, epochs)):
            yield verdict
    elif last >= point["at"] or (ended and epochs):
        epoch = next((one for one in epochs if one["epoch"] == point["at"]), epochs[-1])
        yield _decided(point, epoch)


def _decided(point: Mapping[str, Any], epoch: Epoch) -> StoppingDecision:
    number, wanted = int(epoch["epoch"]), parse_condition(point["continue_if"])
    early = "" if number == point["at"] else f" (its last, before {point['at']})"
    value = _value(epoch, wanted.metric)
    here = f"{wanted.metric} {_said(value)} after epoch {number}{early}"
    if wanted.holds(value):
        return StoppingDecision(
            "continue", point["rule"], number, wanted.metric, value, f"{here}: {wanted}, it goes on"
        )
    careful = None if point["careful_if"] is None else parse_condition(point["careful_if"])
    if careful is not None and careful.holds(_value(epoch, careful.metric)):
        reason = f"{_both(here, careful, wanted, epoch)}: {careful} but not {wanted}, it goes on with care"
        return StoppingDecision("careful", point["rule"], number, wanted.metric, value, reason)
    said: Said = "stop" if point["otherwise"] == "stop" else "continue"
    what = "it stops" if said == "stop" else "it goes on all the same"
    return StoppingDecision(
        said, point["rule"], number, wanted.metric, value, f"{here}: not {careful or wanted}, {what}"
    )


def _hopeless(point: Mapping[str, Any], epochs: Sequence[Epoch]) -> StoppingDecision | None:
    metric = point["metric"]
    values = [_value(one, metric) for one in epochs if one["epoch"] <= point["at"]]
    best = max((value for value in values if value is not None and math.isfinite(value)), default=None)
    if best is not None and best >= point["below"]:
        return None
    usual = f"the median of {point['of']} finished runs had {point['below']:.4g} on average by then"
    reason = f"best {metric} {_said(best)} after epoch {point['at']}, and {usual}: hopeless, it stops"
    return StoppingDecision("stop", point["rule"], int(point["at"]), metric, best, reason)


def _both(here: str, careful: Condition, wanted: Condition, epoch: Epoch) -> str:
    if careful.metric == wanted.metric:
        return here
    return f"{here}, {careful.metric} {_said(_value(epoch, careful.metric))}"


def _value(epoch: Epoch, metric: str) -> float | None:
    metrics = epoch.get("metrics", {})
    if metric not in metrics:
        raise UsageError("no such metric to decide by", expected=", ".join(metrics), got=metric)
    value: float | None = metrics[metric]
    return value


def _said(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


class StoppingRules:
    """The child's end: hears every epoch and remembers whether the run is to stop."""

    def __init__(self, points: Sequence[Mapping[str, Any]], earlier: Sequence[Epoch] = ()) -> None:
        """`earlier`: epochs before a pause."""
        self._points = points
        self._epochs = list(earlier)
        self._told = len(judge(points, self._epochs))

    def hear(self, epoch: Epoch) -> list[StoppingDecision]:
        """Return what is decided by this epoch."""
        self._epochs.append(epoch)
        judged = judge(self._points, self._epochs)
        new, self._told = judged[self._told :], len(judged)
        return new

    @property
    def stops(self) -> bool:
        """Whether the run is to stop."""
        judged = judge(self._points, self._epochs)
        return bool(judged) and judged[-1].said == "stop"
