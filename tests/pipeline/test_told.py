"""What is told of a training: decisions, the expected trajectory, the doctor; the same in status and report."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from pathlib import Path

import pytest

from liftgate import api
from liftgate.cli import main
from liftgate.ledger import Ledger
from liftgate.ledger.records import StepEntry
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.reporting.content import ReportContent
from liftgate.reporting.gather import gather_report
from liftgate.reporting.run_rows import cost_rows
from liftgate.study.study_file import load
from pipeline.gated import Gate

Write = Callable[..., Path]


def content(path: Path) -> ReportContent:
    study = load(path)
    workspace = Workspace(study)
    return gather_report(study, workspace, Ledger(workspace.ledger), StudyDatasets(study, workspace).all())


def told_study(one_arm: Write, **changes: object) -> Path:
    stage = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 12, "lr0": 0.5}}
    decide = [{"at": 2, "continue_if": "mAP50 > 1", "careful_if": "mAP50 >= 0"}]
    expect = {1: [0, 1], 3: [0.99, 1], 12: [0, 1]}
    return one_arm(arms={"long": [{**stage, "decide": decide, "expect": expect}]}, **changes)


def test_a_running_study_tells_what_was_decided_and_what_was_expected(
    one_arm: Write, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    path = told_study(one_arm)
    seen: list[api.Status] = []

    def look() -> bool:
        if (path.parent / "gate" / "at-4").exists() and not seen:
            (status,) = api.status([path])
            if len(status.expected) == 2:
                seen.append(status)
                gate.open()
        return False

    gate.let_pass(3)
    api.run(path, should_stop=look)
    (status,) = seen
    first, second = status.expected
    assert (first.epoch, first.said, second.epoch) == (1, "as expected", 3)
    assert any("it goes on with care" in text for text in status.said)
    (done,) = api.status([path])
    assert (done.expected, done.said) == ((), ())
    assert [(one.arm, one.said) for one in done.decisions] == [("long", "careful")]
    main(["status", str(path)])
    assert "decided: long: mAP50" in capsys.readouterr().out


def test_the_report_tells_how_each_training_went(one_arm: Write, gate: Gate) -> None:
    gate.open()
    path = told_study(one_arm)
    page = api.run(path).report
    (run,) = content(path).runs
    assert (run.name, run.word, run.epochs) == ("long seed 0", "CAREFUL", 12)
    assert [row.outcome for row in run.trajectory][::2] == ["as expected", "as expected"]
    assert "it goes on with care" in run.decisions[0]
    text = page.read_text()
    assert "Expected trajectory against actual" in text and "as expected" in text and escape(run.decisions[0]) in text


def test_report_and_status_agree_on_what_training_has_cost(one_arm: Write, gate: Gate) -> None:
    path = told_study(one_arm, budget={"usd_per_hour": 3600.0})  # a dollar a second
    gate.let_pass(1)
    # The second epoch stands at its gate until a second is over, so that there is something to tell.
    api.run(path, should_stop=lambda: _open_after_a_second(path, gate))
    (status,) = api.status([path])
    *_, last = content(path).costs
    assert last.total and "status" in last.label
    assert last.usd == pytest.approx(status.usd) and last.seconds == pytest.approx(3600 * status.hours)
    assert last.seconds >= 1
    page = content(path)
    priced = [row for row in page.costs if row.usd is not None]
    assert {row.label for row in priced} == {"train long seed 0", last.label}, "a budget counts training alone"


def _open_after_a_second(path: Path, gate: Gate) -> bool:
    (status,) = api.status([path])
    here = path.parent / "gate" / "at-2"
    if here.exists() and status.epoch is not None and _age(here) > 1.1:
        gate.open()
    return False


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def test_seeds_that_gave_the_same_curve_are_called_a_repeat(one_arm: Write) -> None:
    path = one_arm(backend="gated:Seedless", seeds=[0, 1], gates={}, flow=["train"])
    api.run(path)
    first, second = content(path).runs
    assert not any(one.id == "trace.repeat" for one in first.findings)
    (repeat,) = [one for one in second.findings if one.id == "trace.repeat"]
    assert str(path.parent) not in f"{repeat.message} {repeat.where} {repeat.data}"


def test_a_ledger_without_hours_on_record_has_no_total_of_training() -> None:
    step = StepEntry("check", "check", "k", {}, {}, 2.0)
    assert [row.label for row in cost_rows([step], None, 1.0)] == ["check", "all steps of this run"]
    assert [row.usd for row in cost_rows([step], None, 1.0)] == [None, None]
