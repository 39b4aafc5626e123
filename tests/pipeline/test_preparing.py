"""A study is prepared without being run: folders, preflight and commands, then trained in the same folders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from liftgate import api
from liftgate.cli import main
from liftgate.ledger.chain import Ledger
from liftgate.ledger.runs import RunFolder
from liftgate.ledger.workspace import Workspace
from liftgate.locks import LockOwner
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.study_lock import study_lock
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.steps.checking import CheckOutcome
from liftgate.pipeline.steps.training import train_steps
from liftgate.pipeline.training_runs import TrainingRuns
from liftgate.study.study_file import load

Write = Callable[..., Path]


def folders(study: Path) -> Iterator[RunFolder]:
    runs = study.parent / "runs" / "colours"
    return (RunFolder(path) for path in sorted(runs.iterdir()) if path.name.startswith("2"))


def test_a_prepared_run_has_a_preflight_and_its_command_and_nothing_has_run(write_study: Write) -> None:
    path = write_study()
    prepared = api.prepare(path)
    assert prepared.ok and prepared.waiting == ()
    assert [run.step for run in prepared.runs] == ["train short seed 0", "train long seed 0"]
    for run in prepared.runs:
        preflight = json.loads((run.folder / "preflight.json").read_text())
        assert preflight["ok"] is True
        assert all(issue["severity"] == "warning" for issue in preflight["issues"])
        command = run.folder / "command.sh"
        assert "start.yaml" in command.read_text() and os.access(command, os.X_OK)
        assert not (run.folder / "train.log").exists() and list((run.folder / "results").iterdir()) == []
        assert RunFolder(run.folder).read().state == "prepared"
    runs = path.parent / "runs/colours"
    assert (runs / "REPORT.md").read_text().count("prepared") == 2
    assert not (runs / "ledger.sqlite").exists(), "nothing was declared or measured"
    assert {line.state for line in api.plan(path)} == {"run"}


def test_running_trains_in_the_prepared_folders_and_preparing_again_makes_no_others(write_study: Write) -> None:
    path = write_study()
    prepared = {run.folder for run in api.prepare(path).runs}
    assert {run.folder for run in api.prepare(path).runs} == prepared
    api.run(path)
    assert {folder.path for folder in folders(path)} == prepared
    for folder in folders(path):
        assert folder.read().state == "finished"
        assert json.loads(folder.preflight.read_text())["ok"] is True
    assert api.prepare(path).runs == (), "all is trained"


def test_what_another_driver_prepares_before_the_lock_is_free_is_not_prepared_again(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study()
    first: list[Path] = []

    def lock_after_another_driver(folder: Path) -> AbstractContextManager[LockOwner]:
        monkeypatch.undo()
        first.extend(run.folder for run in api.prepare(path).runs)
        return study_lock(folder)

    monkeypatch.setattr("liftgate.pipeline.preparing.study_lock", lock_after_another_driver)
    assert [run.folder for run in api.prepare(path).runs] == first
    assert {folder.path for folder in folders(path)} == set(first)


def test_a_second_folder_of_a_training_has_its_preflight_and_command_too(write_study: Write) -> None:
    study = load(write_study())
    workspace = Workspace(study)
    ledger = Ledger(workspace.ledger)
    runs = TrainingRuns(workspace.folder, ledger)
    context = Context(study, workspace, ledger, StudyDatasets(study, workspace), runs)
    (step,) = train_steps(context, study.arm("long"), 0)
    first = step.prepare(CheckOutcome(None, None))
    assert step.prepare(CheckOutcome(None, None)) == first
    first.update(state="finished")
    second = step.prepare(CheckOutcome(None, None))
    assert second != first
    assert second.preflight.is_file() and second.command.is_file()


def test_errors_are_issues_and_the_exit_code_says_so(write_study: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_study()
    for label in sorted((path.parent / "scenes" / "labels").glob("train*"))[:3]:
        label.write_text("7 0.5 0.5 0.1 0.1\n")
    assert main(["run", str(path), "--prepare", "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    assert any(issue["severity"] == "error" for issue in result["issues"])
    for run in result["runs"]:
        written = json.loads((Path(run["folder"]) / "preflight.json").read_text())
        assert written["ok"] is False and written["issues"] == result["issues"]


def test_a_study_that_was_never_checked_is_not_called_sound(write_study: Write) -> None:
    path = write_study(flow=["train", "lift"])
    api.run(path)
    assert {json.loads(folder.preflight.read_text())["ok"] for folder in folders(path)} == {None}


def test_the_second_stage_starts_where_the_first_will_put_its_weights(write_study: Write) -> None:
    stage = {"data": "scenes", "recipe": {"epochs": 2, "lr0": 0.5}}
    short = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 1}}
    arms = {"short": [short], "long": [{**stage, "weights": "start.yaml"}, stage]}
    path = write_study(arms=arms)
    runs = {run.step: run.folder for run in api.prepare(path).runs}
    command = (runs["train long stage 2 seed 0"] / "command.sh").read_text()
    weights = runs["train long stage 1 seed 0"] / "results" / "best.pt"
    assert str(weights) in command
    api.run(path)
    assert weights.is_file()


def test_what_depends_on_a_verdict_waits(write_study: Write) -> None:
    again = {"metric": "recall", "treatment": "long", "control": "short", "on": "scenes.test", "margin": -1.0}
    flow = ["check", {"step": "train", "arms": ["short"]}]
    flow.append({"step": "train", "arms": ["long"], "when": {"short": "CAREFUL"}})
    path = write_study(gates={"again": again}, flow=[*flow, "again"])
    prepared = api.prepare(path)
    assert [run.step for run in prepared.runs] == ["train short seed 0"]
    ((step, why),) = prepared.waiting
    assert step == "train long" and "short is undecided" in why


@pytest.mark.parametrize("option", [["--detach"], ["--open-anyway", "why not"], ["--time-limit", "4h"]])
def test_options_of_a_run_are_refused_where_nothing_runs(
    write_study: Write, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study()
    assert main(["run", str(path), "--prepare", *option]) == 2
    assert f"leave {option[0]} out" in capsys.readouterr().err
    assert not (path.parent / "runs").exists()
