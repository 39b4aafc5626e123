"""Decision points, phases and early kills: a run stops when it should, and the flow goes on where it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate import api
from liftgate.errors import Stopped, StudyError, UsageError
from liftgate.hashing import file_hash
from liftgate.ledger import Ledger
from liftgate.ledger.runs import RunFolder
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.training_runs import TrainingRuns
from liftgate.study.conditions import Condition, parse_condition

Write = Callable[..., Path]
NEVER, ALWAYS = "mAP50 > 1", "mAP50 >= 0"
STAGE = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 4, "lr0": 0.5}}


def stage(**changes: Any) -> dict[str, Any]:
    return {**STAGE, **changes}


def claim(arm: str, at_least: float) -> dict[str, Any]:
    claims = [{"metric": "mAP50", "at_least": at_least}]
    return {"arm": arm, "on": "scenes.val", "rule": "point", "claims": claims}


def results(path: Path, kind: str = "train") -> dict[str, Mapping[str, Any]]:
    entries = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("step")
    return {entry.body["name"]: entry.body["result"] for entry in entries if entry.body["kind"] == kind}


@given(st.sampled_from(["mAP50", "mAP50-95", "pose_recall"]), st.sampled_from([">", ">=", "<", "<="]), st.floats(0, 1))
def test_a_condition_survives_being_written_down(metric: str, sign: str, number: float) -> None:
    rounded = float(f"{number:g}")
    assert parse_condition(str(Condition(metric, sign, rounded))) == Condition(metric, sign, rounded)


@given(st.text(max_size=30))
def test_any_other_text_is_refused_and_never_evaluated(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ValueError:
        return
    assert condition.metric in text


def test_a_stopped_run_ends_after_exactly_the_epoch_that_decides(write_study: Write) -> None:
    arms = {"one": [stage(decide=[{"at": 2, "continue_if": NEVER}], expect={1: [0, 0], 4: [0, 1]})]}
    path = write_study(arms=arms, gates={}, flow=["train", "report"])
    with pytest.raises(Stopped, match=r"mAP50 .* after epoch 2: not mAP50 > 1, it stops") as caught:
        api.run(path)
    assert caught.value.exit_code == 12
    (result,) = results(path).values()
    assert (result["word"], result["epochs"]) == ("STOPPED", 2)
    assert [epoch["epoch"] for epoch in result["curve"]] == [1, 2]
    assert [row["said"] for row in result["expected"]] == ["above", "not reached"]
    ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
    (decision,) = ledger.entries("decision")
    assert decision.body["said"] == "stop"
    assert "it stops" in ledger.entries("flow")[-1].body["ended"]
    with pytest.raises(Stopped, match="it stops"):
        api.run(path)
    assert len(ledger.entries("run")) == 1, "the second time nothing is trained"
    (status,) = api.status([path])
    assert status.state == "stopped" and "it stops" in status.reason


def test_a_run_that_was_killed_just_after_the_decision_stays_decided(write_study: Write) -> None:
    arms = {"one": [stage(decide=[{"at": 2, "continue_if": NEVER}])]}
    path = write_study(arms=arms, gates={}, flow=["train", {"step": "report", "when": {"one": "STOPPED"}}])
    api.run(path)
    (folder,) = [run for run in (path.parent / "runs/colours").iterdir() if run.name.startswith("2")]
    events = (folder / "events.jsonl").read_text()
    # As a kill between the report of epoch 2 and the pause leaves it: unfinished, no paused event, no ledger entry.
    (folder / "events.jsonl").write_text("".join(line for line in events.splitlines(True) if '"paused"' not in line))
    RunFolder(folder).update(state="running")
    for ledger in (path.parent / "runs/colours").glob("ledger.sqlite*"):
        ledger.unlink()
    api.run(path)
    (result,) = results(path).values()
    assert (result["run"], result["epochs"], result["word"]) == (folder.name, 2, "STOPPED")


def phases(write_study: Write, first: str, second: str, smaller_at: float) -> Path:
    """Case X in small: phase 2 only when phase 1 stops, the smaller model only when phase 2 fails in either way."""
    decide = [{"at": 2, "continue_if": first, "careful_if": first}]
    again = [{"at": 2, "continue_if": second}]
    arms = {
        "phase1": [stage(decide=decide)],
        "phase2": [stage(recipe={"epochs": 4, "lr0": 0.4}, decide=again)],
        "smaller": [stage(recipe={"epochs": 3, "lr0": 0.3})],
    }
    flow = [
        {"step": "train", "arms": ["phase1"]},
        "good1",
        {"step": "train", "arms": ["phase2"], "when": {"phase1": "STOPPED"}},
        "good2",
        {"step": "train", "arms": ["smaller"], "when": [{"phase2": "STOPPED"}, {"good2": ["FAIL", "MARGINAL"]}]},
        "good3",
        "report",
    ]
    gates = {"good1": claim("phase1", 0.0), "good2": claim("phase2", smaller_at), "good3": claim("smaller", 0.0)}
    return write_study(arms=arms, gates=gates, flow=flow)


@pytest.mark.parametrize(
    ("first", "second", "smaller_at", "trained", "judged"),
    [
        (ALWAYS, ALWAYS, 0.0, ["phase1"], ["good1"]),
        (NEVER, ALWAYS, 0.0, ["phase1", "phase2"], ["good2"]),
        (NEVER, ALWAYS, 1.1, ["phase1", "phase2", "smaller"], ["good2", "good3"]),
        (NEVER, NEVER, 0.0, ["phase1", "phase2", "smaller"], ["good3"]),
    ],
)
def test_each_phase_runs_only_if_the_one_before_says_so(
    write_study: Write, first: str, second: str, smaller_at: float, trained: list[str], judged: list[str]
) -> None:
    path = phases(write_study, first, second, smaller_at)
    before = {line.step: line.state for line in api.plan(path)}
    assert before["train phase2"] == "undecided" and before["good2"] == "undecided"
    result = api.run(path)
    assert [one["arm"] for one in results(path).values()] == trained
    assert list(result.verdicts) == judged
    after = {line.step: line.state for line in api.plan(path)}
    for name in ("phase2", "smaller"):
        if name not in trained:
            assert after[f"train {name}"] == "skipped"


def test_what_a_later_phase_lacks_is_said_before_the_first_training_and_not_days_after_it(write_study: Write) -> None:
    path = phases(write_study, NEVER, ALWAYS, 0.0)
    text = path.read_text()
    head, _, tail = text.rpartition("weights: start.yaml")
    path.write_text(f"{head}weights: not-there-yet.pt{tail}")
    with pytest.raises(UsageError, match=r"no such weights.*not-there-yet\.pt"):
        api.run(path)
    assert results(path) == {}
    path.write_text(text.replace("scenes.val", "scenes.nowhere"))
    with pytest.raises(StudyError, match="no split nowhere"):
        api.run(path)
    assert results(path) == {}


def test_a_gate_about_a_stopped_arm_is_not_asked_and_says_why(write_study: Write) -> None:
    path = phases(write_study, NEVER, ALWAYS, 0.0)
    api.run(path)
    skipped = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("flow")[-1].body["skipped"]
    assert skipped["good1"].startswith("phase1 was stopped: mAP50")
    assert skipped["good3"].startswith("smaller was not trained:")


def test_care_is_a_word_of_its_own_and_stands_beside_the_verdict(write_study: Write) -> None:
    decide = [{"at": 2, "continue_if": NEVER, "careful_if": ALWAYS}]
    path = write_study(arms={"one": [stage(decide=decide)]}, gates={"good": claim("one", 0.0)}, flow=["train", "good"])
    verdict = api.run(path).verdicts["good"]
    (result,) = results(path).values()
    assert (result["word"], result["epochs"]) == ("CAREFUL", 4)
    assert any("with care" in caveat for caveat in verdict["caveats"])


def test_a_changed_decision_is_another_run(write_study: Write) -> None:
    def arms(condition: str) -> dict[str, Any]:
        return {"one": [stage(decide=[{"at": 2, "continue_if": condition}])]}

    api.run(write_study(arms=arms(ALWAYS), gates={}, flow=["train"]))
    with pytest.raises(Stopped):
        api.run(write_study(arms=arms(NEVER), gates={}, flow=["train"]))


def test_whoever_changes_a_decision_goes_on_from_the_run_that_it_stopped(write_study: Write) -> None:
    def written(*points: dict[str, Any]) -> Path:
        return write_study(arms={"one": [stage(decide=list(points))]}, gates={}, flow=["train"])

    never_at_2 = {"at": 2, "continue_if": NEVER}
    with pytest.raises(Stopped):
        api.run(written(never_at_2))
    heard: list[Notice] = []
    path = written({"at": 2, "continue_if": ALWAYS})
    api.run(path, notify=heard.append)
    epochs = [notice.body["epoch"] for notice in heard if notice.body.get("kind") == "epoch"]
    assert epochs == [3, 4], "the first two are not trained again"
    assert any("the decisions changed" in notice.body.get("message", "") for notice in heard)
    runs = path.parent / "runs/colours"
    ledger = Ledger(runs / "ledger.sqlite")
    stopped, whole = (entry.body for entry in ledger.entries("run"))
    assert (stopped["word"], whole["word"]) == ("STOPPED", "FINISHED")
    assert stopped["run"] != whole["run"]
    assert whole["facts"]["continues"]["run"] == stopped["run"]
    assert [epoch["epoch"] for epoch in whole["curve"]] == [1, 2, 3, 4]
    assert file_hash(runs / stopped["best"]) == stopped["sha256"], "the stopped run stays as it was"
    # The budget pays for each epoch once.
    paid = TrainingRuns(runs, ledger).spent().hours * 3600
    assert paid <= stopped["wall_seconds"] + whole["wall_seconds"] + 0.1


def test_a_decision_that_would_have_stopped_it_earlier_does_not_take_its_later_weights(write_study: Write) -> None:
    for at in (3, 1):
        decide = [{"at": at, "continue_if": NEVER}]
        path = write_study(arms={"one": [stage(decide=decide)]}, gates={}, flow=["train"])
        with pytest.raises(Stopped):
            api.run(path)
    runs = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("run")
    assert [entry.body["epochs"] for entry in runs] == [3, 1]


def test_a_hopeless_arm_is_killed_only_where_the_study_asks_and_the_others_go_on(write_study: Write) -> None:
    good = {f"good{number}": [stage(recipe={"epochs": 4, "lr0": 0.5 - 0.05 * number})] for number in range(3)}
    arms = {**good, "hopeless": [stage(recipe={"epochs": 4, "lr0": 1e-9})]}
    arms["last"] = [stage(recipe={"epochs": 4, "lr0": 0.6})]
    path = write_study(arms=arms, gates={}, flow=["train"])
    api.run(path)
    assert {result["word"] for result in results(path).values()} == {"FINISHED"}
    path = write_study(arms=arms, gates={}, flow=["train"], early_kill={"rule": "median", "after": 2, "runs": 3})
    api.run(path)
    ended = {result["arm"]: result["word"] for result in results(path).values()}
    assert ended == {**dict.fromkeys([*good, "last"], "FINISHED"), "hopeless": "STOPPED"}
    decisions = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("decision")
    assert [(one.body["arm"], one.body["rule"]) for one in decisions] == [("hopeless", "median rule")]
