"""A gate about `winner(a, b)`: the best of several arms on val is judged elsewhere, declared before it is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from liftgate import api
from liftgate.errors import StudyError
from liftgate.ledger import Ledger
from liftgate.study.study_file import load

Write = Callable[..., Path]
STAGE = {"weights": "start.yaml", "data": "scenes"}
ARMS: dict[str, Any] = {
    "poor": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.0001}}],
    "good": [{**STAGE, "recipe": {"epochs": 6, "lr0": 0.5}}],
    "spare": [{**STAGE, "recipe": {"epochs": 2, "lr0": 0.5}}],
    "as_is": {"weights": "start.yaml"},
}
TARGET = [{"metric": "mAP50", "at_least": 0.1}]
GATE = {"arm": "winner(poor, good)", "on": "scenes.test", "rule": "point", "claims": TARGET}


def study(write_study: Write, flow: list[Any] | None = None, **changes: Any) -> Path:
    arms = {name: ARMS[name] for name in ("poor", "good", "spare")}
    return write_study(
        **{"arms": arms, "gates": {"production": GATE}, "flow": flow or ["train", "production"]} | changes
    )


def test_the_best_on_val_is_judged_and_the_verdict_says_against_which(write_study: Write) -> None:
    path = study(write_study)
    verdict = api.run(path).verdicts["production"]
    assert verdict["word"] == "PASS"
    (won,) = [caveat for caveat in verdict["caveats"] if "won" in caveat]
    assert won.startswith("good won: mAP50 ") and "poor 0." in won
    assert {row["arm"] for row in verdict["evidence"][0]["measured_at"]} == {"good"}
    assert {line.state for line in api.plan(path)} == {"cached"}


def test_the_gate_is_recorded_before_anybody_has_won_and_is_the_same_afterwards(write_study: Write) -> None:
    path = study(write_study)
    verdict = api.run(path).verdicts["production"]
    entries = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("gate")
    assert [entry.body["gate_hash"] for entry in entries] == [verdict["gate_hash"]]
    assert not any("changed after" in caveat for caveat in verdict["caveats"])


def test_the_plan_waits_until_it_is_known_who_won(write_study: Write) -> None:
    lines = {line.step: line for line in api.plan(study(write_study))}
    assert lines["production"].state == "undecided"
    assert "no figures on val yet" in lines["production"].why


def test_an_arm_whose_turn_never_came_takes_no_part(write_study: Write) -> None:
    lift = {"metric": "mAP50", "treatment": "good", "control": "poor", "on": "scenes.val", "margin": 0.05}
    flow = [
        {"step": "train", "arms": ["poor", "good"]},
        "lift",
        {"step": "train", "arms": ["spare"], "when": {"lift": "FAIL"}},
        "production",
    ]
    gate = {**GATE, "arm": "winner(poor, good, spare)"}
    path = study(write_study, flow, gates={"lift": lift, "production": gate})
    caveats = api.run(path).verdicts["production"]["caveats"]
    assert any("spare was not trained" in caveat for caveat in caveats)


def test_an_arm_that_was_stopped_takes_no_part_and_without_any_there_is_no_verdict(write_study: Write) -> None:
    stopped = [{**ARMS["good"][0], "decide": [{"at": 1, "continue_if": "mAP50 > 1"}]}]
    arms = {"poor": ARMS["poor"], "good": stopped}
    flow = ["train", {"step": "production", "when": [{"good": "STOPPED"}, {"good": "FINISHED"}]}]
    verdict = api.run(study(write_study, flow, arms=arms)).verdicts["production"]
    assert any("poor won" in caveat and "good was stopped" in caveat for caveat in verdict["caveats"])
    both = {"poor": [{**ARMS["poor"][0], "decide": stopped[0]["decide"]}], "good": stopped}
    flow = ["train", {"step": "production", "when": [{"good": "STOPPED"}, {"poor": "STOPPED"}]}]
    both["poor"][0]["recipe"] = {"epochs": 3, "lr0": 0.0001}
    assert api.run(study(write_study, flow, arms=both)).verdicts == {}


@pytest.mark.parametrize(
    ("arm", "changes", "said"),
    [
        ("winner(poor)", {}, "winner(phase1, phase2) takes two arms or more"),
        ("winner(poor, poor)", {}, "`poor` is named twice"),
        ("winner(poor, godo)", {}, "did you mean good?"),
        ("winner(poor, as_is)", {}, "`as_is` is not trained"),
        ("winner(poor, good)", {"on": "scenes.val"}, "the winner is chosen on `scenes.val`"),
    ],
)
def test_what_cannot_have_a_winner_is_refused_with_a_hint(
    write_study: Write, arm: str, changes: dict[str, str], said: str
) -> None:
    path = study(write_study, arms=ARMS, gates={"production": {**GATE, "arm": arm, **changes}})
    with pytest.raises(StudyError) as caught:
        load(path)
    assert said in str(caught.value)


def test_arms_that_are_validated_by_other_metrics_are_not_ranked(write_study: Write) -> None:
    arms = {"poor": [{**ARMS["poor"][0], "select": "recall"}], "good": ARMS["good"]}
    with pytest.raises(StudyError, match="rank nothing"):
        load(study(write_study, arms=arms))


def test_a_gate_that_names_its_arm_keeps_the_hash_that_it_always_had(write_study: Write) -> None:
    path = study(write_study, gates={"production": {**GATE, "arm": "good"}})
    gate = load(path).gates[0]
    assert gate.arm_names == ("good",) and gate.winner_of == ()
    again = yaml.safe_load(path.read_text())
    assert again["gates"]["production"]["arm"] == "good"
