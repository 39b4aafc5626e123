"""A study has one answer: the gate that it names, or the worst word of the gates of its last decision."""

from __future__ import annotations

import pytest

from liftgate.study.answer import answer_of
from liftgate.study.records import FlowStep, Gate, Study

GATES = ("needed", "kill", "over_v1", "lift")


def study(*flow: str | FlowStep, answer: str | None = None) -> Study:

    steps = tuple(FlowStep(step) if isinstance(step, str) else step for step in flow)
    gates = tuple(Gate(name, "cones.test") for name in GATES)
    return Study("cones", "?", "detect", (), (), gates, steps, answer=answer)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"needed": "FAIL", "kill": "PASS", "over_v1": "FAIL", "lift": "PASS"}, ("FAIL", "over_v1")),
        ({"needed": "FAIL", "kill": "PASS", "over_v1": "MARGINAL", "lift": "PASS"}, ("MARGINAL", "over_v1")),
        ({"needed": "FAIL", "kill": "PASS", "over_v1": "PASS", "lift": "PASS"}, ("PASS", "kill")),
        ({"needed": "FAIL", "kill": "FAIL", "lift": "PASS"}, ("FAIL", "kill")),
        ({"needed": "PASS"}, ("PASS", "needed")),
        ({}, None),
    ],
)
def test_the_worst_word_of_the_last_decision_answers(words: dict[str, str], expected: tuple[str, str] | None) -> None:
    found = answer_of(study("check", "baseline", "needed", "train", "kill", "over_v1", "lift", "export"), words)
    assert (None if found is None else (found.word, found.gate)) == expected


def test_a_gate_that_waits_for_another_is_a_decision_of_its_own() -> None:
    waits = FlowStep("lift", when={"kill": ("FAIL",)})
    found = answer_of(study("train", "kill", waits), {"kill": "FAIL", "lift": "PASS"})
    assert found is not None and (found.word, found.gate) == ("PASS", "lift")


def test_the_named_gate_answers_alone() -> None:
    one = study("train", "kill", "lift", answer="kill")
    found = answer_of(one, {"kill": "PASS", "lift": "FAIL"})
    assert found is not None and found.word == "PASS"
    assert answer_of(one, {"lift": "FAIL"}) is None, "it was not decided"


def test_a_verdict_that_makes_the_named_gate_superfluous_answers_in_its_place() -> None:
    waits = FlowStep("lift", when={"needed": ("FAIL", "MARGINAL")})
    one = study("needed", "train", waits, answer="lift")
    found = answer_of(one, {"needed": "PASS"})
    assert found is not None and (found.word, found.gate) == ("PASS", "needed"), "nothing had to be trained"
    assert answer_of(one, {"needed": "FAIL"}) is None, "its turn is still to come"
    found = answer_of(one, {"needed": "FAIL", "lift": "MARGINAL"})
    assert found is not None and (found.word, found.gate) == ("MARGINAL", "lift")
    either = FlowStep("lift", any_of=({"needed": ("FAIL",)}, {"kill": ("PASS",)}))
    assert answer_of(study("needed", "kill", either, answer="lift"), {"needed": "PASS"}) is None, "kill may still ask"


def test_a_study_without_the_key_keeps_its_hash() -> None:
    assert study("train").content_hash() != study("train", answer="kill").content_hash()
