"""Time and money: what was spent, what is left, what will be, and what is not known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate import api
from liftgate.errors import Stopped, UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.records import Spent
from liftgate.ledger.results import EpochRow
from liftgate.pipeline.budget import Ceiling, foreseen_excess
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.training_runs import TrainingRuns
from liftgate.study.records import Budget
from pipeline.gated import Gate

Write = Callable[..., Path]


def trainings(path: Path, **options: object) -> dict[str, api.Planned]:
    return {line.step: line for line in api.plan(path, **options) if line.kind == "train"}  # type: ignore[arg-type]


# the ceiling


def test_a_training_pauses_at_the_ceiling_and_no_other_begins_until_it_is_raised(one_arm: Write, gate: Gate) -> None:
    path = one_arm(budget={"gpu_hours": 2 / 3600})  # the first epoch stands at its gate for longer than that
    opened = False

    def open_when_told() -> bool:
        nonlocal opened
        if not opened and (path.parent / "gate" / "told").exists():
            gate.open()
            opened = True
        return False

    with pytest.raises(Stopped, match=r"budget is spent: .* gpu_hours") as stopped:
        api.run(path, should_stop=open_when_told)
    assert stopped.value.exit_code == 12 and opened
    (status,) = api.status([path])
    assert (status.state, status.epoch) == ("paused", 1)
    assert status.gpu_hours >= 2 / 3600, "what the ceiling counted is on record, or the next run would train on"
    with pytest.raises(Stopped, match="budget is spent"):
        api.run(path)
    (table,) = (path.parent / "runs" / "colours").glob("*/results/results.csv")
    assert len(table.read_text().splitlines()) == 2, "a head and one epoch: nothing more was trained"
    raised = one_arm(budget={"gpu_hours": 1})
    assert api.run(raised).exit_code == 0


@given(used=st.floats(0, 10), ceiling=st.floats(0.01, 10), rate=st.floats(0.1, 10), epoch=st.floats(0, 7200))
def test_a_ceiling_in_money_and_one_in_hours_agree(used: float, ceiling: float, rate: float, epoch: float) -> None:
    spent = Spent(used, used, None)
    hours, money = (
        Ceiling(Budget(gpu_hours=ceiling), spent, clock=lambda: 0.0),
        Ceiling(Budget(usd=ceiling * rate, usd_per_hour=rate), spent, clock=lambda: 0.0),
    )
    for one in (hours, money):
        one.timer.seconds = epoch
    left = ceiling - used - epoch / 3600
    if abs(left) > 1e-9:
        assert bool(hours.reason()) == bool(money.reason()) == (left < 0)


def test_without_a_ceiling_nothing_is_ever_spent_too_much() -> None:
    assert Ceiling(Budget(usd_per_hour=1000.0), Spent(1e6, 1e6, 1e6)).reason() == ""


def test_hours_are_those_of_the_ledger_and_of_what_is_unfinished(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    folder = path.parent / "runs" / "colours"
    ledger = Ledger(folder / "ledger.sqlite")
    runs = [entry.body for entry in ledger.entries("run")]
    assert TrainingRuns(folder, ledger).spent().hours == pytest.approx(sum(run["wall_seconds"] for run in runs) / 3600)
    unfinished = folder / "20990101T000000Z_other"
    unfinished.mkdir()
    events = '{"kind": "epoch", "body": {"epoch": 1, "seconds": 1800}}\n{"kind": "ep'
    (unfinished / "events.jsonl").write_text(events)
    assert TrainingRuns(folder, ledger).spent().hours == pytest.approx(
        sum(run["wall_seconds"] for run in runs) / 3600 + 0.5
    )


def test_gpu_hours_count_every_device_and_money_goes_by_the_clock() -> None:
    now = 0.0
    hours, money = (
        Ceiling(budget, Spent(0.0, 0.0, None), devices=2, clock=lambda: now)
        for budget in (Budget(gpu_hours=2.0), Budget(usd=2.0, usd_per_hour=1.0))
    )
    now = 3600.0
    assert hours.reason() == "the budget is spent: 2 of 2 gpu_hours" and money.reason() == ""


def test_a_ceiling_of_energy_stops_before_the_epoch_that_would_pass_it() -> None:
    ceiling = Ceiling(Budget(kwh=1.0), Spent(0.0, 0.0, 0.2), clock=lambda: 0.0)
    ceiling.record(EpochRow({"epoch": 1, "seconds": 60.0, "energy_wh": 300.0}))
    assert ceiling.reason() == ""
    ceiling.record(EpochRow({"epoch": 2, "seconds": 60.0, "energy_wh": 300.0}))
    assert ceiling.reason() == "the budget is spent: 0.8 of 1 kwh, and another epoch would pass it"


def test_a_ceiling_of_energy_that_nobody_can_keep_is_refused_before_any_work(one_arm: Write) -> None:
    path = one_arm(budget={"kwh": 1.0}, device="cpu")
    with pytest.raises(UsageError, match="energy cannot be kept here") as refused:
        api.run(path)
    assert refused.value.exit_code == 2
    assert not list((path.parent / "runs" / "colours").glob("2*"))


def test_energy_is_measured_kept_and_stops_a_run(
    one_arm: Write, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 36000000\n")  # 10 kWh a second
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    stage = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 1000, "lr0": 0.5}}
    path = one_arm(budget={"kwh": 0.001}, device="0", arms={"long": [stage]})
    passed = 0

    def one_more() -> bool:
        """An epoch may pass before the first look at the power, so they pass one by one until one is told to pause."""
        nonlocal passed
        passed += 1
        gate.let_pass(passed)
        return False

    with pytest.raises(Stopped, match=r"the budget is spent: .* of 0\.001 kwh"):
        api.run(path, should_stop=one_more)
    (status,) = api.status([path])
    assert status.state == "paused" and status.kwh is not None and status.kwh > 0.001


# the plan


def test_a_plan_knows_nothing_before_anything_was_timed_and_says_so(write_study: Write) -> None:
    for line in trainings(write_study()).values():
        assert (line.expected, line.usd) == (None, None) and "timed" in line.basis


def test_a_plan_goes_by_the_pace_of_the_same_data_and_model(write_study: Write) -> None:
    path = write_study(budget={"usd_per_hour": 3600.0, "usd": 100.0})
    api.run(path)
    known = trainings(path)["train long seed 0"]
    assert known.state == "cached" and known.expected is not None
    change = {"arms.long.0.recipe.epochs": "6000"}
    longer = trainings(path, overrides=change)["train long seed 0"]
    assert longer.state == "run" and "6000 epochs" in longer.basis
    assert longer.expected is not None and longer.expected > 3 * known.expected
    assert longer.usd == pytest.approx(longer.expected)  # a dollar a second
    other = trainings(path, overrides={"arms.long.0.recipe.batch": "2"})["train long seed 0"]
    assert other.expected is None, "another batch size has another pace"
    (path.parent / "start.yaml").write_text("nc: 2\nwidth: 2\n")
    assert {line.expected for line in trainings(path).values()} == {None}, "another model has another pace"


def test_a_plan_that_passes_a_ceiling_says_so_before_the_third_night(write_study: Write) -> None:
    path = write_study(budget={"gpu_hours": 5.0})
    said: list[str] = []

    def hear(notice: Notice) -> None:
        if notice.kind == "event" and notice.body["kind"] == "warning":
            said.append(notice.body["message"])

    api.run(path, notify=hear)
    assert said == []
    api.plan(path, overrides={"arms.long.0.recipe.epochs": "100000000"}, notify=hear)
    assert len(said) == 1 and "of 5 gpu_hours: it will pause at the ceiling" in said[0]


@given(used=st.floats(0, 10), more=st.floats(0, 1e5), ceiling=st.floats(0.01, 50))
def test_what_is_foreseen_is_what_the_ceiling_will_say(used: float, more: float, ceiling: float) -> None:
    now = 0.0
    budget, spent = Budget(gpu_hours=ceiling), Spent(used, used, None)
    foreseen = foreseen_excess(budget, spent, more)
    at_work = Ceiling(budget, spent, clock=lambda: now)
    now = more
    if abs(used + more / 3600 - ceiling) > 1e-9:
        assert bool(foreseen) == bool(at_work.reason())


def test_measuring_trains_an_epoch_that_leaves_nothing_but_its_time(write_study: Write) -> None:
    path = write_study()
    measured = trainings(path, measure=True)
    assert all(line.expected is not None and "measured" in line.basis for line in measured.values())
    folder = path.parent / "runs" / "colours"
    assert not [*folder.glob("2*"), *folder.glob("scratch*")]
    ledger = Ledger(folder / "ledger.sqlite")
    assert [entry.kind for entry in ledger.entries()] == ["note"], "both arms differ in their lengths only"
    trainings(path, measure=True)
    assert len(ledger.entries()) == 1, "what is known is not measured again"
    assert api.status([path])[0].state == "never ran"
