"""A study that another version ran works on, or is refused in one sentence with nothing of it changed.

The archives are studies on the toy backend, run by version 0.1.0: one to its end, one paused in its second training.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from liftgate import api
from liftgate.errors import LedgerError, TrainingError
from liftgate.evaluation.spec import STATISTICS
from liftgate.ledger import KINDS, Ledger
from liftgate.ledger.records import Body
from liftgate.pipeline.notice import Notice

FILES = Path(__file__).parents[1] / "files"


def extract(name: str, folder: Path) -> Path:
    """Return the study.yaml of an archive."""
    with tarfile.open(FILES / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / "study" / "study.yaml"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return a study that version 0.1.0 ran to its end."""
    return extract("study-0.1.0.tar.gz", tmp_path)


@pytest.fixture
def paused(tmp_path: Path) -> Path:
    """Return a study that version 0.1.0 paused after epoch 3 of 12 of its second training."""
    return extract("paused-study-0.1.0.tar.gz", tmp_path)


def test_everything_but_evaluations_and_verdicts_is_still_cached(study: Path) -> None:
    lines = api.plan(study)
    again = [line for line in lines if line.state != "cached"]
    assert {line.kind for line in again} == {"evaluate", "gate"} and len(lines) > len(again) + 3
    evaluated = [line.why for line in again if line.kind == "evaluate"]
    assert set(evaluated) == {f"intervals and verdict rules are of version {STATISTICS} now, not of 1"}


def test_a_run_judges_again_by_the_present_rules_without_training_or_opening_anything(study: Path) -> None:
    ledger = Ledger(study.parent / "runs" / "colours" / "ledger.sqlite")
    before = ledger.entries()
    notices: list[Notice] = []
    result = api.run(study, notify=notices.append)
    started = [notice.body["kind"] for notice in notices if notice.kind == "started"]
    assert set(started) == {"evaluate", "gate"}
    assert ledger.entries()[: len(before)] == before and ledger.verify() > len(before)
    assert {entry.kind for entry in ledger.entries()[len(before) :]} == {"evaluation", "step", "verdict", "flow"}
    assert {name: gate["word"] for name, gate in result.verdicts.items()} == {
        "good_enough": "MARGINAL",
        "lift": "MARGINAL",
    }
    assert all("Measured at image size" in gate["sentence"] for gate in result.verdicts.values())
    assert "earlier" not in result.report.read_text() and "another version" not in result.report.read_text()
    assert {line.state for line in api.plan(study)} == {"cached"}


def test_status_and_report_read_it(study: Path) -> None:
    (status,) = api.status([study])
    assert (status.state, set(status.verdicts)) == ("finished", {"good_enough", "lift"})
    page = api.report(study).read_text()
    assert "good_enough" in page and "judges again from the stored predictions" in page


def test_a_paused_run_is_resumed_after_its_last_epoch(paused: Path) -> None:
    (status,) = api.status([paused])
    assert (status.state, status.step, status.epoch) == ("paused", "train long seed 0", 3)
    ledger = Ledger(paused.parent / "runs" / "colours" / "ledger.sqlite")
    before = ledger.entries()
    notices: list[Notice] = []
    result = api.run(paused, notify=notices.append)
    started = {notice.step: notice.body["why"] for notice in notices if notice.kind == "started"}
    assert started["train long seed 0"] == "goes on after epoch 3 of 12"
    assert "train short seed 0" not in started, "it was finished"
    assert ledger.entries()[: len(before)] == before and ledger.verify() > len(before)
    assert set(result.verdicts) == {"lift"}


def test_a_paused_run_whose_states_cannot_be_read_is_refused_with_nothing_lost(paused: Path) -> None:
    for state in paused.parent.glob("runs/colours/*/results/state/*/state.bin"):
        state.write_text('{"of": "another version"}')
    results = {path: path.read_bytes() for path in paused.parent.glob("runs/colours/*/results/**/*") if path.is_file()}
    with pytest.raises(TrainingError, match="no saved state of this run can be read") as caught:
        api.run(paused)
    assert "preflight.json" in str(caught.value.hint)
    assert {path: path.read_bytes() for path in results} == results


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("novelty", {"a": 1}, "entry {} is of a kind that this version does not know: `novelty`"),
        ("step", {"step": "x", "key": "0"}, "entry {} cannot be read"),
    ],
    ids=["a kind of entry", "a body"],
)
def test_a_ledger_of_a_newer_version_is_refused_unchanged(
    study: Path, kind: str, body: Body, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(study.parent / "runs" / "colours" / "ledger.sqlite")
    with monkeypatch.context() as newer:
        newer.setattr("liftgate.ledger.chain.KINDS", [*KINDS, "novelty"])
        seq = ledger.append(kind, body).seq
    before = ledger.path.read_bytes()
    with pytest.raises(LedgerError, match=message.format(seq)) as caught:
        api.run(study)
    assert "version of Liftgate" in str(caught.value.hint)
    assert ledger.path.read_bytes() == before and ledger.verify() == seq
