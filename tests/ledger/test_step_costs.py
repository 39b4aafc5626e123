"""Every step of a run is counted in its costs, and what is not known is never written as nothing."""

from __future__ import annotations

import pytest

from liftgate.ledger.records import Spent, StepEntry
from liftgate.ledger.results import TrainResult
from liftgate.ledger.step_costs import step_costs
from liftgate.reporting.number_format import money
from liftgate.reporting.run_rows import cost_rows

KINDS = ("check", "probe", "predict", "evaluate", "speed", "export", "gate")
TRAINED = TrainResult("run", "long", 1, 0, "best.pt", "last.pt", "", 3, (), {}, wall_seconds=7200.0).to_body()


def steps(seconds: float = 2.0) -> list[StepEntry]:
    """Return a step of each kind, two of which have one name."""
    some = [StepEntry(f"{kind} long", kind, kind, {}, {}, seconds) for kind in KINDS]
    twin = StepEntry("evaluate long", "evaluate", "evaluate-again", {}, {}, seconds)
    return [*some, twin, StepEntry("train long", "train", "train", {}, TRAINED, seconds)]


@pytest.mark.parametrize("rate", [None, 1.0, 0.0001])
def test_each_step_counts_once_and_only_training_costs_money(rate: float | None) -> None:
    costs = step_costs([*steps(), *steps()], rate)
    assert len(costs.steps) == len(KINDS) + 2
    assert costs.seconds == 2.0 * (len(KINDS) + 1) + 7200.0, "of a training that was paused all attempts count"
    prices = {one.name: one.usd for one in costs.steps}
    assert prices.pop("train long") == (None if rate is None else 2 * rate)
    assert set(prices.values()) == {None}


@pytest.mark.parametrize("rate", [None, 1.0, 0.0001])
@pytest.mark.parametrize("spent", [None, Spent(2.0, 4.0, None), Spent(0.0, 0.0, None)])
def test_no_row_of_the_report_says_that_something_unknown_or_small_was_free(
    rate: float | None, spent: Spent | None
) -> None:
    rows = cost_rows(steps(), spent, rate)
    each, total = rows[: len(KINDS) + 2], rows[len(KINDS) + 2]
    assert total.total and total.seconds == sum(row.seconds for row in each)
    assert "$0.00" not in {money(row.usd) for row in rows}
    assert all((row.usd is None) == (money(row.usd) == "–") for row in rows)
    assert rate is not None or {row.usd for row in rows} == {None}


def test_money_of_the_trainings_adds_up_to_that_of_all_training() -> None:
    step = StepEntry("train long", "train", "train", {}, TRAINED, 7500.0)
    row, _, total = cost_rows([step], Spent(2.0, 2.0, None), 3.0)
    assert row.seconds == 7500.0 and row.usd == total.usd == 6.0


@pytest.mark.parametrize("rate", [None, 3.0])
def test_what_an_arm_took_on_all_folds_is_one_row(rate: float | None) -> None:
    folds = [StepEntry(f"train long.fold-{n}-of-3 seed 0", "train", f"f{n}", {}, TRAINED, 1.0) for n in (1, 2, 3)]
    seen = [StepEntry(f"predict long.fold-{n}-of-3 seed 0 on a.val", "predict", f"p{n}", {}, {}, 0.5) for n in (1, 2)]
    shares = [StepEntry(f"train long.{part} seed 0", "train", part, {}, TRAINED, 1.0) for part in
              ("share-12.5", "share-50", "old-share-12.5")]  # fmt: skip
    whole = [StepEntry("train long seed 0", "train", "whole", {}, TRAINED, 1.0)]
    rows = cost_rows([*folds, *seen, *shares, *whole], None, rate)
    hours = {"train long on its folds seed 0": 6, "train long on its shares seed 0": 4,
             "train long on its old shares seed 0": 2, "train long seed 0": 2}  # fmt: skip
    each = {row.label: row for row in rows if not row.total}
    assert {name: row.seconds / 3600 for name, row in each.items() if name in hours} == hours
    assert {name: row.usd for name, row in each.items() if name in hours} == {
        name: None if rate is None else 3 * hour for name, hour in hours.items()
    }
    assert each["predict long on its folds seed 0 on a.val"].seconds == 1.0, "each took less than a row needs"
    assert len(each) == 5 and rows[-1].seconds == sum(row.seconds for row in each.values())
