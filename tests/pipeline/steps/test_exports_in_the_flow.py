"""Exports among the other things of a study: the winner of several arms, a locked split, and the registry afterwards.

The toy backend has no exporter: here a stand-in writes cards, and a proof has the word that the test gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import liftgate
from deploy.export.cards import sound_card
from liftgate.deploy.export.card import ExportCard, Source
from liftgate.deploy.export.card_file import write_card
from liftgate.deploy.export.formats import ExportTarget
from liftgate.deploy.export.proof import ExportProof
from liftgate.errors import Refused
from liftgate.hashing import file_hash
from liftgate.ledger.chain import Ledger
from liftgate.pipeline.exporting import WrittenExports
from liftgate.pipeline.proving import Proved
from liftgate.study.records import VerdictWord

Write = Callable[..., Path]
STAGE = {"weights": "start.yaml", "data": "scenes"}
ARMS: dict[str, Any] = {
    "poor": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.0001}}],
    "good": [{**STAGE, "recipe": {"epochs": 6, "lr0": 0.5}}],
}
WON = "winner(poor, good)"
DELIVERED = {"arm": WON, "on": "scenes.test", "formats": ["onnx"], "margin": 0.01}
TARGET = {"arm": WON, "on": "scenes.test", "rule": "point", "claims": [{"metric": "mAP50", "at_least": 0.1}]}


def write_stand_ins(
    weights: Path, out: Path, targets: Sequence[ExportTarget], *_: object, **__: object
) -> WrittenExports:
    cards: list[ExportCard] = []
    for target in targets:
        folder = out / target.name
        cards.append(replace(sound_card(folder), weights=Source(weights.name, file_hash(weights))))
        write_card(cards[-1], folder)
    return WrittenExports(tuple(cards), ())


class Prover:
    """Gives every export the word of the test."""

    word: VerdictWord = "PASS"

    def __init__(self, *_: object) -> None:
        pass

    def prove(self, place: Path) -> Proved:
        return Proved(ExportProof(place.name, self.word, "as the test says", 12, 6))


@pytest.fixture(autouse=True)
def exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liftgate.pipeline.steps.exporting.require_exportable", lambda *_: None)
    monkeypatch.setattr("liftgate.deploy.export.trusted.trusted_task", lambda _: ("detect", ()))
    monkeypatch.setattr("liftgate.pipeline.exporting.write_exports", write_stand_ins)
    monkeypatch.setattr("liftgate.pipeline.steps.export_gate.Prover", Prover)


def study(write_study: Write, **changes: Any) -> Path:
    gates = {"production": TARGET, "delivered": DELIVERED}
    return write_study(**{"arms": ARMS, "gates": gates, "flow": ["train", "production", "delivered"]} | changes)


def test_the_exports_of_the_winner_are_made_and_proved(write_study: Write) -> None:
    path = study(write_study, flow=["train", "production", "export", "delivered"])
    done = liftgate.run(path)
    assert {name: one["word"] for name, one in done.verdicts.items()} == {"production": "PASS", "delivered": "PASS"}
    assert any(one.startswith("good won: mAP50 ") for one in done.verdicts["delivered"]["caveats"])
    (exported,) = (path.parent / "runs/colours/exports").iterdir()
    assert exported.name.startswith("good-"), "of the winner, once: the flow's export is the gate's"
    assert {line.state for line in liftgate.plan(path)} == {"cached"}


def test_a_gate_on_the_winners_exports_is_the_same_gate_before_anybody_has_won(write_study: Write) -> None:
    path = study(write_study)
    verdict = liftgate.run(path).verdicts["delivered"]
    entries = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("gate")
    assert verdict["gate_hash"] in [entry.body["gate_hash"] for entry in entries]
    assert not any("changed after" in caveat for caveat in verdict["caveats"])


def locked(write_study: Write, **changes: Any) -> Path:
    data = {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "lock": ["test"]}}
    gate = {**DELIVERED, "arm": "good"}
    return study(write_study, datasets=data, gates={"delivered": gate}, flow=["train", "delivered"], **changes)


def test_exports_proved_on_a_locked_split_are_an_opening_of_it(write_study: Write) -> None:
    path = locked(write_study)
    assert liftgate.run(path).verdicts["delivered"]["word"] == "PASS"
    ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
    (opening,) = ledger.entries("lockbox")
    assert "delivered" in opening.body.values(), opening.body
    assert liftgate.run(path).verdicts["delivered"]["word"] == "PASS"
    assert len(ledger.entries("lockbox")) == 1, "from the ledger: it is not opened again"


def test_other_exports_are_another_opening_and_refused_where_none_is_left(write_study: Write) -> None:
    path = locked(write_study)
    liftgate.run(path)
    path.write_text(path.read_text().replace("onnx", "openvino"))
    with pytest.raises(Refused, match=r"the lockbox of scenes\.test is spent"):
        liftgate.run(path)


def test_a_version_whose_exports_failed_their_gate_is_promoted_only_by_a_person(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the study names another gate as its answer."""
    monkeypatch.setattr(Prover, "word", "FAIL")
    lift = {"metric": "mAP50", "treatment": "good", "control": "poor", "on": "scenes.test", "margin": 0.05}
    gates = {"lift": lift, "delivered": {**DELIVERED, "arm": "good"}}
    path = study(write_study, gates=gates, answer="lift", flow=["train", "lift", "delivered"])
    liftgate.run(path)
    registry = tmp_path / "models"
    liftgate.add_model(path, registry=registry)
    with pytest.raises(Refused, match="exports of these weights are FAIL, by the gate delivered"):
        liftgate.promote("v0", registry=registry)
    done = liftgate.promote("v0", registry=registry, override="the .pt itself is what runs")
    assert done.override and "exports" in done.basis


def test_a_version_whose_exports_passed_their_gate_is_promoted(write_study: Write, tmp_path: Path) -> None:
    lift = {"metric": "mAP50", "treatment": "good", "control": "poor", "on": "scenes.test", "margin": 0.05}
    gates = {"lift": lift, "delivered": {**DELIVERED, "arm": "good"}}
    path = study(write_study, gates=gates, answer="lift", flow=["train", "lift", "delivered"])
    liftgate.run(path)
    liftgate.add_model(path, registry=tmp_path / "models")
    assert liftgate.promote("v0", registry=tmp_path / "models").champion == "v0"


def test_exports_of_another_arm_say_nothing_about_these_weights(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Prover, "word", "FAIL")
    lift = {"metric": "mAP50", "treatment": "good", "control": "poor", "on": "scenes.test", "margin": 0.05}
    gates = {"lift": lift, "delivered": {**DELIVERED, "arm": "poor"}}
    path = study(write_study, gates=gates, answer="lift", flow=["train", "lift", "delivered"])
    liftgate.run(path)
    liftgate.add_model(path, registry=tmp_path / "models")
    assert liftgate.promote("v0", registry=tmp_path / "models").champion == "v0"
