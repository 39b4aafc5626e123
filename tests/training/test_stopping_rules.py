"""Stopping rules: decision points and the median rule, by what the epochs report."""

from __future__ import annotations

import pytest

from liftgate.backends.base import MedianPoint
from liftgate.backends.events import EpochReport
from liftgate.study.records import Decision
from liftgate.training.stopping_rules import StoppingRules, decision_points, judge, median_points

NEVER = "mAP50 > 1"
POINT = decision_points([Decision(2, "mAP50 > 0.4", "mAP50 > 0.3")])


def epochs(*values: float | None) -> list[EpochReport]:
    return [EpochReport(epoch=number, metrics={"mAP50": value}) for number, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("value", "said"), [(0.41, "continue"), (0.4, "careful"), (0.31, "careful"), (0.3, "stop"), (None, "stop")]
)
def test_the_epoch_of_the_point_decides(value: float | None, said: str) -> None:
    assert [one.said for one in judge(POINT, epochs(0.9, value, 0.9))] == [said]


def test_before_its_epoch_nothing_is_said() -> None:
    assert judge(POINT, epochs(0.0)) == []


def test_a_run_that_ended_before_is_judged_by_its_last_epoch() -> None:
    (decision,) = judge(POINT, epochs(0.1), ended=True)
    assert (decision.said, decision.epoch) == ("stop", 1)
    assert "its last, before 2" in decision.reason


def test_otherwise_continue_only_speaks() -> None:
    points = decision_points([Decision(1, NEVER, None, "continue")])
    assert [one.said for one in judge(points, epochs(0.1))] == ["continue"]


def test_the_reason_has_metric_value_epoch_and_condition() -> None:
    (decision,) = judge(POINT, epochs(0.1, 0.2))
    assert decision.reason == "mAP50 0.2 after epoch 2: not mAP50 > 0.3, it stops"


def test_the_median_rule_goes_by_the_best_so_far_against_the_usual_mean() -> None:
    points = median_points("mAP50", [[0.2, 0.4], [0.2, 0.6], [0.0, 0.0]], after=2, epochs=2)
    assert isinstance(points[0], MedianPoint) and points[0].below == 0.3
    assert judge(points, epochs(0.3, 0.0)) == []
    (decision,) = judge(points, epochs(0.29, 0.2))
    assert (decision.said, decision.rule) == ("stop", "median rule")


def test_a_run_that_goes_on_after_a_pause_remembers_what_was_decided() -> None:
    rules = StoppingRules(POINT, epochs(0.9, 0.35))
    assert not rules.stops
    assert rules.add(EpochReport(epoch=3, metrics={"mAP50": 0.0})) == [], "decided once, before the pause"
    stopped = StoppingRules(POINT, epochs(0.9, 0.1))
    assert stopped.stops


def curve(end: float, epochs: int) -> list[float | None]:
    return [end - (0.5 * epoch + 1) ** -0.9 for epoch in range(1, epochs + 1)]


def test_a_forecast_stops_only_what_will_not_get_there() -> None:
    points = decision_points([Decision(20, "forecast mAP50 > 0.5")], 100)
    (good,) = judge(points, epochs(*curve(0.7, 20)))
    assert good.said == "continue" and good.value is not None and good.value > 0.5
    assert curve(0.7, 20)[-1] is not None and "forecast" in good.reason and "at 80% for epoch 100" in good.reason
    (poor,) = judge(points, epochs(*curve(0.45, 20)))
    assert poor.said == "stop" and "not forecast mAP50 > 0.5" in poor.reason


def test_a_run_too_short_for_a_forecast_is_judged_by_what_it_has() -> None:
    points = decision_points([Decision(20, "forecast mAP50 > 0.5")], 100)
    (decision,) = judge(points, epochs(0.1, 0.2), ended=True)
    assert decision.said == "stop" and "no forecast: too few epochs" in decision.reason


def test_the_epochs_of_the_recipe_are_in_a_job_only_where_a_forecast_needs_them() -> None:
    plain, ahead = decision_points([Decision(2, "mAP50 > 0.4"), Decision(9, "forecast mAP50 > 0.4")], 100)
    assert (plain.epochs, ahead.epochs) == (None, 100)  # type: ignore[union-attr]
