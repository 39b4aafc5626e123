"""A gate changed after its first evaluation is a new gate, and the ledger shows both."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from liftgate.ledger import Ledger
from liftgate.ledger.gates import GateRegistration, record_gate
from liftgate.study.records import Gate

GATE = Gate("lift", on="bench.test", metric="mAP50", treatment="b", control="a", margin=0.01)
LOWER = replace(GATE, margin=0.0)


def register(ledger: Ledger, gate: Gate) -> GateRegistration:
    return record_gate(ledger, gate.name, gate.content_hash(), asdict(gate))


def judge(ledger: Ledger, gate: Gate) -> None:
    ledger.append("verdict", {"gate": gate.name, "gate_hash": gate.content_hash(), "word": "MARGINAL"})


def test_a_gate_is_written_down_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first, again = register(ledger, GATE), register(ledger, GATE)
    assert (first.recorded, first.changed, again.recorded, again.changed) == (True, False, False, False)
    assert [entry.body["body"]["margin"] for entry in ledger.entries("gate")] == [0.01]


def test_a_gate_changed_before_any_number_is_changed_but_clean(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    register(ledger, GATE)
    second = register(ledger, LOWER)
    assert (second.recorded, second.changed, second.judged_before, second.caveat) == (True, True, (), None)


def test_a_gate_changed_after_its_verdict_is_a_new_one_with_a_caveat_and_both_stand_there(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    register(ledger, GATE)
    judge(ledger, GATE)
    second = register(ledger, LOWER)
    assert second.judged_before == (GATE.content_hash(),)
    assert second.caveat is not None and "changed after its verdict was known" in second.caveat
    assert [entry.body["gate_hash"] for entry in ledger.entries("gate")] == [GATE.content_hash(), LOWER.content_hash()]
    assert ledger.entries("gate")[1].body["replaces"] == GATE.content_hash()
    assert register(ledger, LOWER).caveat == second.caveat, "it stays changed however often it is registered"


def test_going_back_to_the_old_gate_is_a_change_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for gate in (GATE, LOWER):
        register(ledger, gate)
        judge(ledger, gate)
    back = register(ledger, GATE)
    assert (back.recorded, back.judged_before) == (True, (LOWER.content_hash(),))
    assert len(ledger.entries("gate")) == 3


def test_another_gate_is_another_gate(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    register(ledger, GATE)
    judge(ledger, GATE)
    assert not register(ledger, replace(GATE, name="other")).changed
