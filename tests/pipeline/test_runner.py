"""A study runs from data to a verdict, does nothing twice, and says why."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.errors import DataError, FindingsError, LiftgateError, Refused, Stopped, UsageError
from liftgate.hashing import file_hash
from liftgate.ledger import Ledger
from liftgate.ledger.runs import RunFolder
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.notice import Notice
from pipeline.gated import Gate
from processes import running

Write = Callable[..., Path]


def told(path: Path, **options: object) -> list[tuple[str, str]]:
    notices: list[Notice] = []
    api.run(path, notify=notices.append, **options)  # type: ignore[arg-type]
    return [(notice.kind, notice.step) for notice in notices if notice.kind in ("started", "cached", "skipped")]


def test_a_study_ends_with_a_verdict_a_report_and_run_folders(write_study: Write) -> None:
    path = write_study()
    result = api.run(path)
    verdict = result.verdicts["lift"]
    assert verdict["word"] == "PASS"
    assert result.exit_code == 0
    assert "PASS" in result.report.read_text(encoding="utf-8")
    runs = path.parent / "runs" / "colours"
    folders = sorted(folder for folder in runs.iterdir() if folder.name.startswith("2"))
    assert len(folders) == 2
    for folder in folders:
        for name in ("preflight.json", "command.sh", "train.log", "results/results.csv", "results/best.pt"):
            assert (folder / name).is_file(), name
    assert (runs / "REPORT.md").read_text().count("finished") == 2
    Ledger(runs / "ledger.sqlite").verify()


def test_running_again_does_nothing_and_says_why(write_study: Write) -> None:
    path = write_study()
    first = api.run(path)
    head = Ledger(path.parent / "runs/colours/ledger.sqlite").head
    assert {kind for kind, _ in told(path)} == {"cached"}
    assert api.run(path).verdicts == first.verdicts
    assert Ledger(path.parent / "runs/colours/ledger.sqlite").head == head
    assert {line.state for line in api.plan(path)} == {"cached"}


def test_plan_says_what_would_run_before_anything_ran_and_writes_nothing(write_study: Write) -> None:
    path = write_study()
    lines = api.plan(path)
    assert {line.state for line in lines} == {"run"}
    assert {line.why for line in lines} == {"never ran"}
    assert [line.step for line in lines if line.kind == "train"] == ["train short seed 0", "train long seed 0"]
    assert not (path.parent / "runs" / "colours" / "ledger.sqlite").exists()


def test_plan_warns_of_what_check_will_stop_the_run_for(write_study: Write) -> None:
    stage = {"weights": "start.yaml", "data": "scenes"}
    arms = {"short": [{**stage, "recipe": {"epochs": 1}}], "long": [{**stage, "recipe": {"epochs": 6, "lr0": 0.5}}]}
    notices: list[Notice] = []
    api.plan(write_study(arms=arms, backend="ultralytics"), notify=notices.append)
    (warning,) = [notice.body["message"] for notice in notices]
    assert "recipe.lr_ignored" in warning and "arm long, stage 1" in warning


def test_what_is_wrong_with_the_data_names_the_key_of_the_study(write_study: Write) -> None:
    for changes, said in (
        ({"path": "scene/data.yaml"}, "datasets.scenes.path"),
        ({"path": "scenes/data.yaml", "keep": ["rad"]}, "datasets.scenes.keep"),
        ({"path": "scenes/data.yaml", "groups": "none.csv"}, "datasets.scenes.groups"),
        ({"path": "scenes/data.yaml", "split": "none.csv"}, "datasets.scenes.split"),
    ):
        path = write_study(datasets={"scenes": changes})
        with pytest.raises(DataError) as caught:
            api.plan(path)
        assert said in str(caught.value) and "study.yaml:" in str(caught.value)
    path = write_study(datasets={"scenes": {"path": "scene/data.yaml"}})
    with pytest.raises(DataError, match=f"did you mean {path.parent}/scenes/data.yaml?"):
        api.plan(path)


def test_a_gate_on_a_split_that_is_not_there_is_told_before_anything_runs(write_study: Write) -> None:
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.tets"}
    with pytest.raises(UsageError, match="dataset scenes has no split tets") as caught:
        api.plan(write_study(gates={"lift": gate}))
    assert "gates.lift.on" in str(caught.value) and caught.value.hint == "did you mean test?"


def test_missing_weights_name_the_arm_that_asks_for_them(write_study: Write) -> None:
    arms = {name: [{"weights": "strat.yaml", "data": "scenes", "recipe": {"epochs": 1}}] for name in ("short", "long")}
    with pytest.raises(UsageError, match=r"no such weights \(.*study.yaml:\d+, arms.short.0.weights\): got strat.yaml"):
        api.plan(write_study(arms=arms))


def test_a_changed_recipe_runs_its_own_arm_again_and_names_the_change(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    change = {"arms.long.0.recipe.epochs": "4"}
    planned = {line.step: line for line in api.plan(path, overrides=change)}
    assert planned["train short seed 0"].state == "cached"
    assert planned["train long seed 0"].why == "recipe.epochs: 6 → 4"
    again = [step for kind, step in told(path, overrides=change) if kind == "started"]
    assert "train long seed 0" in again and "train short seed 0" not in again


def test_deleted_weights_are_trained_again(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    for best in (path.parent / "runs" / "colours").glob("*short*/results/best.pt"):
        best.unlink()
    planned = {line.step: line for line in api.plan(path)}
    assert planned["train short seed 0"].why == "best.pt is gone"
    assert ("started", "train short seed 0") in told(path)


def test_a_step_whose_condition_does_not_hold_is_skipped(write_study: Write) -> None:
    again = {"metric": "recall", "treatment": "long", "control": "short", "on": "scenes.test", "margin": -1.0}
    lift = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05}
    path = write_study(
        gates={"lift": lift, "again": again},
        flow=["check", "train", "lift", {"step": "again", "when": {"lift": ["FAIL"]}}],
    )
    assert ("skipped", "again") in told(path)
    assert [line.state for line in api.plan(path) if line.step == "again"] == ["skipped"]


def test_errors_in_the_data_stop_the_run_before_any_training(write_study: Write) -> None:
    path = write_study()
    for label in sorted((path.parent / "scenes" / "labels").glob("train*"))[:3]:
        label.write_text("7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(FindingsError, match="nothing was trained"):
        api.run(path)
    assert not list((path.parent / "runs" / "colours").glob("2*"))


def test_an_ignored_finding_lets_it_run_and_stands_in_the_ledger(write_study: Write) -> None:
    path = write_study()
    for label in sorted((path.parent / "scenes" / "labels").glob("train*"))[:3]:
        label.write_text("7 0.5 0.5 0.1 0.1\n")
    errors = {finding.id for finding in api.check(path).findings if finding.severity == "error"}
    api.run(write_study(ignore=dict.fromkeys(errors, "three known rows")))
    entries = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("ignore")
    assert {entry.body["reason"] for entry in entries} == {"three known rows"}


def test_a_changed_gate_is_a_new_gate_and_the_verdict_says_so(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    result = api.run(path, overrides={"gates.lift.margin": "0.01"})
    assert any("changed after its verdict" in caveat for caveat in result.verdicts["lift"]["caveats"])
    gates = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("gate")
    assert len({entry.body["gate_hash"] for entry in gates}) == 2


def test_a_locked_split_opens_as_often_as_declared(write_study: Write) -> None:
    datasets = {"scenes": {"path": "scenes/data.yaml", "lock": ["test"]}}
    path = write_study(datasets=datasets)
    assert api.run(path).exit_code == 0
    assert api.run(path).exit_code == 0, "the same look again is no new opening"
    change = {"arms.long.0.recipe.epochs": "4"}
    with pytest.raises(Refused, match="spent"):
        api.run(path, overrides=change)
    result = api.run(path, overrides=change, open_anyway="the paper needs it")
    assert any(caveat.startswith("contaminated") for caveat in result.verdicts["lift"]["caveats"])


def test_a_spent_budget_starts_no_further_stage(write_study: Write) -> None:
    path = write_study(budget={"gpu_hours": 1e-9})
    with pytest.raises(Stopped, match="budget is spent"):
        api.run(path)
    assert len(list((path.parent / "runs" / "colours").glob("*/results/best.pt"))) < 2


def test_several_seeds_give_one_verdict_about_the_recipe(write_study: Write) -> None:
    result = api.run(write_study(seeds=[0, 1]))
    comparison = result.verdicts["lift"]["comparison"]
    assert "2 seeds" in comparison["method"]
    assert not any("one seed" in caveat for caveat in result.verdicts["lift"]["caveats"])


def test_arms_that_differ_in_more_than_was_declared_make_it_confounded(write_study: Write) -> None:
    path = write_study()
    lift = {"treatment": "long", "control": "short", "metric": "mAP50", "on": "scenes.test", "margin": 0.05}
    loose = api.run(path).verdicts["lift"]
    assert loose["comparison"]["confounded"], "epochs and lr0 differ, and nothing is declared"
    declared = {**lift, "differ": ["recipe.epochs", "recipe.lr0"]}
    tight = api.run(write_study(gates={"lift": declared})).verdicts["lift"]
    assert not tight["comparison"]["confounded"]


def test_every_number_walks_back_to_recipe_and_data(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    steps = {
        entry.body["key"]: entry.body for entry in Ledger(path.parent / "runs/colours/ledger.sqlite").entries("step")
    }
    gate = next(body for body in steps.values() if body["kind"] == "gate")
    reached: set[str] = set()

    def walk(key: str) -> None:
        reached.add(steps[key]["kind"])
        for need in steps[key]["needs"].values():
            walk(need)

    walk(gate["key"])
    assert reached == {"gate", "evaluate", "predict", "train"}
    trained = [body for body in steps.values() if body["kind"] == "train"]
    assert all(len(body["inputs"]["data"]) == 64 and body["inputs"]["recipe"] for body in trained)


def test_the_question_and_its_gates_are_written_before_the_first_number(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    kinds = [entry.kind for entry in Ledger(path.parent / "runs/colours/ledger.sqlite").entries()]
    assert kinds.index("gate") < kinds.index("step")
    assert kinds.index("study") < kinds.index("step")


def in_the_background(path: Path, *words: str) -> AbstractContextManager[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-c",
        "import sys; from liftgate.cli import main; sys.exit(main())",
        "run",
        str(path),
        *words,
    ]
    return running(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for_epoch(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if " of " in line and "train" in line:
            return
    raise AssertionError("it ended before the first epoch")


def test_kill_9_in_the_middle_and_the_same_command_finishes(write_study: Write) -> None:
    path = write_study()
    long = ["--set", "arms.long.0.recipe.epochs=400", "--set", "arms.long.0.recipe.patience=400"]
    with in_the_background(path, *long) as process:
        wait_for_epoch(process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    with in_the_background(path, *long, "--json") as again:
        out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert json.loads(out)["verdicts"] == {"lift": "PASS"}
    for results in (path.parent / "runs" / "colours").glob("*/results/results.csv"):
        epochs = [line.split(",")[0] for line in results.read_text().splitlines()[1:]]
        assert len(epochs) == len(set(epochs))


def test_sigterm_pauses_and_the_same_command_goes_on(write_study: Write) -> None:
    path = write_study()
    long = ["--set", "arms.long.0.recipe.epochs=400", "--set", "arms.long.0.recipe.patience=400"]
    with in_the_background(path, *long) as process:
        wait_for_epoch(process)
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 12, err
    assert "same command" in err
    assert (
        api.run(path, overrides={word.partition("=")[0]: word.partition("=")[2] for word in long[1::2]}).exit_code == 0
    )


def test_two_runs_of_one_study_at_once_are_refused(write_study: Write) -> None:
    path = write_study()
    long = ["--set", "arms.long.0.recipe.epochs=2000", "--set", "arms.long.0.recipe.patience=2000"]
    with in_the_background(path, *long) as process:
        wait_for_epoch(process)
        with pytest.raises(UsageError, match="running already"):
            api.run(path)
        process.kill()


def test_a_touched_ledger_is_not_built_upon(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    ledger = path.parent / "runs" / "colours" / "ledger.sqlite"
    with sqlite3.connect(ledger) as db:
        db.execute("DROP TRIGGER no_update")
        db.execute("UPDATE entries SET body = replace(body, '\"PASS\"', '\"FAIL\"') WHERE kind = 'verdict'")
    db.close()
    with pytest.raises(Exception, match="entry"):
        Ledger(ledger).verify()


def test_a_cached_study_replays_without_training(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    runs = Ledger(path.parent / "runs" / "colours" / "ledger.sqlite").entries("run")
    assert runs
    api.run(path)
    assert Ledger(path.parent / "runs" / "colours" / "ledger.sqlite").entries("run") == runs


class Died(BaseException):
    """As sudden as a kill: nothing in the code under test handles it."""


@pytest.mark.parametrize("moment", ["before the run's entry", "after it", "after run.json", "after the step's entry"])
def test_a_kill_around_the_entries_of_a_finished_run_trains_nothing_again(
    write_study: Write, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 3}}
    decide = [{"at": 1, "continue_if": "mAP50 >= 0"}]
    path = write_study(arms={"one": [{**stage, "decide": decide}]}, gates={}, flow=["train"])
    append, finish = Ledger.append, RunFolder.finish
    kind = "step" if moment == "after the step's entry" else "run"

    def dying_append(self: Ledger, what: str, body: Any) -> Any:
        if what == kind and moment.startswith("before"):
            raise Died
        entry = append(self, what, body)
        if what == kind and moment.startswith("after") and "run.json" not in moment:
            raise Died
        return entry

    def dying_finish(self: RunFolder, *values: Any, **options: Any) -> Any:
        finish(self, *values, **options)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", dying_append)
        if moment == "after run.json":
            patch.setattr(RunFolder, "finish", dying_finish)
            patch.setattr(Ledger, "append", append)
        with pytest.raises(Died):
            api.run(path)
    heard: list[Notice] = []
    api.run(path, notify=heard.append)
    assert not [notice for notice in heard if notice.body.get("kind") == "epoch"], "no epoch was trained again"
    ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
    assert [len(ledger.entries(kind)) for kind in ("run", "step", "decision")] == [1, 1, 1]
    (folder,) = (run for run in (path.parent / "runs/colours").iterdir() if run.name.startswith("2"))
    assert RunFolder(folder).read().state == "finished"


def test_damaged_weights_are_named_and_trained_again(write_study: Write) -> None:
    path = write_study()
    verdict = api.run(path).verdicts["lift"]["word"]
    kept = next((path.parent / "runs/colours").glob("*long*/results/best.pt"))
    raw = bytearray(kept.read_bytes())
    raw[len(raw) // 2] ^= 1
    kept.unlink()  # it is linked with weights/best.pt
    kept.write_bytes(raw)
    planned = {line.step: line for line in api.plan(path)}
    assert planned["train long seed 0"].state == "run"
    assert planned["train long seed 0"].why == "best.pt is damaged: its hash is not the one in the ledger"
    assert planned["train short seed 0"].state == "cached"
    assert api.run(path).verdicts["lift"]["word"] == verdict
    assert {line.state for line in api.plan(path)} == {"cached"}


def test_predictions_of_weights_that_were_lost_and_came_back_different_are_made_anew(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
    trained = next(entry.body for entry in ledger.entries("step") if entry.body["name"] == "train long seed 0")
    # As a GPU does: the same training, other weights.
    ledger.append("step", {**trained, "result": {**trained["result"], "sha256": "0" * 64, "best": "other.pt"}})
    other = path.parent / "runs/colours/other.pt"
    other.write_bytes(b"other")
    body = {**trained, "result": {**trained["result"], "sha256": file_hash(other), "best": "other.pt"}}
    ledger.append("step", body)
    planned = {line.step: (line.state, line.why) for line in api.plan(path)}
    assert planned["train long seed 0"][0] == "cached"
    why = "train long seed 0 was made again and differs"
    assert planned["predict long seed 0 on scenes.test"] == ("run", why)
    assert planned["predict short seed 0 on scenes.test"][0] == "cached"


def test_a_study_folder_that_was_moved_goes_on_where_it_was(one_arm: Write, gate: Gate, tmp_path: Path) -> None:
    path = one_arm()
    study = tmp_path / "before"
    study.mkdir()
    for item in ("study.yaml", "scenes", "start.yaml"):
        (tmp_path / item).rename(study / item)
    path = study / path.name

    def pause(notice: Notice) -> None:
        if notice.body.get("kind") == "epoch":
            stop_request.request_stop(study / "runs" / "colours", "epoch")
            gate.open()

    gate.let_pass(1)
    with pytest.raises(Stopped):
        api.run(path, notify=pause)
    study.rename(tmp_path / "after")
    path = tmp_path / "after" / path.name
    (train,) = [line for line in api.plan(path) if line.kind == "train"]
    assert re.fullmatch(r"goes on after epoch \d of 6", train.why)
    heard: list[Notice] = []
    assert api.run(path, notify=heard.append).verdicts["enough"]
    resumed = [notice.body["resumed_after"] for notice in heard if notice.body.get("kind") == "started"]
    assert resumed and resumed[0] >= 1, "it went on, it did not begin anew"
    (folder,) = (run for run in (tmp_path / "after/runs/colours").iterdir() if run.name.startswith("2"))
    assert len((folder / "results" / "results.csv").read_text().splitlines()) == 7
    (tmp_path / "after").rename(tmp_path / "again")
    assert {line.state for line in api.plan(tmp_path / "again" / path.name)} == {"cached"}


@pytest.mark.parametrize("come_back", [False, True], ids=["changed", "gone for a while"])
def test_images_that_change_while_a_model_trains_on_them_spoil_the_run(write_study: Write, come_back: bool) -> None:
    path = write_study()
    first, second = sorted((path.parent / "scenes" / "images").glob("train*"))[:2]
    kept = first.read_bytes()

    def change(notice: Notice) -> None:
        if notice.body.get("kind") == "epoch" and notice.step == "train long seed 0" and first.exists():
            first.unlink() if come_back else first.write_bytes(second.read_bytes())

    with pytest.raises(DataError, match="went or changed during the run"):
        api.run(path, notify=change)
    runs = path.parent / "runs" / "colours"
    (spoilt,) = runs.glob("*long*")
    assert RunFolder(spoilt).read().state == "failed"
    first.write_bytes(kept)
    assert api.run(path).verdicts["lift"]["word"] == "PASS"
    # What has learned from other images never counts; what only stood without them at its end does.
    assert len(list(runs.glob("*long*"))) == (1 if come_back else 2)


@pytest.mark.parametrize("step", ["train", "predict"])
def test_data_that_vanish_during_a_run_leave_nothing_false_in_the_record(write_study: Write, step: str) -> None:
    path = write_study()
    data, away = path.parent / "scenes", path.parent / "away"

    def vanish(notice: Notice) -> None:
        if notice.kind == "started" and notice.step.startswith(step):
            data.rename(away)

    with pytest.raises(LiftgateError, match=r"went or changed during the run|not an image"):
        api.run(path, notify=vanish)
    ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
    assert not [entry for entry in ledger.entries("step") if entry.body["kind"] == step]

    away.rename(data)
    assert api.run(path).verdicts["lift"]["word"] == "PASS", "the same command goes on"
    ledger.verify()


def test_an_image_that_changes_while_a_model_looks_at_it_stops_the_run(write_study: Write) -> None:
    path = write_study()
    first, second = sorted((path.parent / "scenes" / "images").glob("test*"))[:2]

    def change(notice: Notice) -> None:
        if notice.kind == "started" and notice.step.startswith("predict"):
            first.write_bytes(second.read_bytes())

    with pytest.raises(DataError, match="went or changed during the run"):
        api.run(path, notify=change)


def test_a_damaged_predictions_file_is_named_and_made_again_when_it_is_deleted(write_study: Write) -> None:
    path = write_study()
    verdicts = api.run(path).verdicts
    kept = next((path.parent / "runs/colours/predictions").glob("long-test-*[0-9a-f].json"))
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(DataError, match="cut off") as error:
        api.run(path)
    assert "delete" in str(error.value.hint)
    kept.unlink()
    assert api.run(path).verdicts["lift"]["word"] == verdicts["lift"]["word"]


def placed(path: Path) -> dict[str, str]:
    """Image → split, as the one frozen split of a study says."""
    (frozen,) = (path.parent / "runs/colours/splits").glob("*.csv")
    rows = csv.DictReader(frozen.read_text().splitlines())
    return {row["image"]: row["split"] for row in rows}


def test_a_split_that_the_study_makes_is_frozen_by_the_first_run_and_by_nothing_before(write_study: Write) -> None:
    data = {"scenes": {"path": "scenes/data.yaml", "ratios": [0.5, 0.2, 0.3]}}
    path = write_study(datasets=data)
    api.plan(path)
    api.check(path)
    assert not (path.parent / "runs/colours/splits").exists()
    api.run(path)
    (entry,) = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("data")
    frozen = path.parent / "runs/colours" / entry.body["split"]["file"]
    assert file_hash(frozen) == entry.body["split"]["sha256"]


def test_a_corrected_label_and_a_new_image_move_no_image_to_another_split(write_study: Write) -> None:
    data = {"scenes": {"path": "scenes/data.yaml", "ratios": [0.5, 0.2, 0.3]}}
    path = write_study(datasets=data, flow=["train"])
    api.run(path)
    before = placed(path)
    labels = sorted((path.parent / "scenes" / "labels").rglob("*.txt"))
    for label in labels[::2]:
        label.write_text("1 0.5 0.5 0.2 0.2\n")
    shutil.copyfile(path.parent / "scenes/images/train000.png", path.parent / "scenes/images/added.png")
    with (path.parent / "scenes/train.txt").open("a") as listing:
        listing.write("./images/added.png\n")
    api.run(path)
    after = placed(path)
    assert {name: after[name] for name in before} == before and len(after) == len(before) + 1


def test_an_image_that_was_away_for_a_run_comes_back_to_its_split(write_study: Write) -> None:
    data = {"scenes": {"path": "scenes/data.yaml", "ratios": [0.5, 0.2, 0.3]}}
    path = write_study(datasets=data, flow=["train"])
    api.run(path)
    before, listing = placed(path), path.parent / "scenes/train.txt"
    lines = listing.read_text().splitlines(keepends=True)
    listing.write_text("".join(lines[::2]))
    api.run(path)
    listing.write_text("".join(lines))
    api.run(path)
    assert placed(path) == before


def test_another_rule_for_the_split_makes_another_split(write_study: Write) -> None:
    data = {"scenes": {"path": "scenes/data.yaml", "ratios": [0.5, 0.2, 0.3]}}
    path = write_study(datasets=data, flow=["train"])
    api.run(path)
    assert {line.state for line in api.plan(path)} == {"cached"}
    assert {line.state for line in api.plan(path, overrides={"datasets.scenes.split_seed": "7"})} == {"run"}
