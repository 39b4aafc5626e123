"""Records read what is in a ledger and write the same bytes again, also for a ledger that version 0.1.0 wrote."""

from __future__ import annotations

import sqlite3
import tarfile
from pathlib import Path

import pytest

from liftgate.errors import LedgerError
from liftgate.ledger import KINDS, Entry, Ledger
from liftgate.ledger.chain import RECORDS
from liftgate.ledger.records import Body, DataEntry, LedgerRecord, NoteEntry, StepEntry, VerdictEntry
from liftgate.ledger.results import EvaluateResult, GateResult, PredictResult, RunEntry, TrainResult

OLD = Path(__file__).parents[1] / "files" / "study-0.1.0.tar.gz"
RESULTS: dict[str, type[LedgerRecord]] = {
    "train": TrainResult,
    "predict": PredictResult,
    "evaluate": EvaluateResult,
    "gate": GateResult,
}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A small study's ledger as version 0.1.0 left it."""
    folder = tmp_path_factory.mktemp("0.1.0")
    with tarfile.open(OLD) as archive:
        archive.extractall(folder, filter="data")
    return Ledger(folder / "study" / "runs" / "colours" / "ledger.sqlite")


def test_every_kind_has_a_record_and_every_record_a_kind() -> None:
    assert {record.KIND for record in RECORDS} == set(KINDS)


def test_a_ledger_of_version_0_1_0_verifies(old: Ledger) -> None:
    assert old.verify() == len(old.entries()) > 10


def test_every_entry_of_version_0_1_0_is_read_and_written_byte_for_byte(old: Ledger, tmp_path: Path) -> None:
    records = {record.KIND: record for record in RECORDS}
    copy = Ledger(tmp_path / "ledger.sqlite")
    for entry in old.entries():
        again = copy.add(entry.parse(records[entry.kind]))
        assert again.body == entry.body
        if entry.kind == "step" and (kind := RESULTS.get(entry.parse(StepEntry).kind)):
            result = entry.parse(StepEntry).result
            assert kind.from_body(result).to_body() == result
    assert _texts(copy) == _texts(old)


def _texts(ledger: Ledger) -> list[str]:
    db = sqlite3.connect(ledger.path)
    try:
        return [text for (text,) in db.execute("SELECT body FROM entries ORDER BY seq")]
    finally:
        db.close()


def test_records_are_read_by_their_class(old: Ledger) -> None:
    (data,) = old.records(DataEntry)
    assert data.split is not None and data.split.file.startswith("splits/")
    assert [row.split for row in data.splits] == ["train", "val", "test"]
    assert {verdict.word for verdict in old.records(VerdictEntry)} <= {"PASS", "MARGINAL", "FAIL"}
    for run in old.records(RunEntry):
        assert len(run.result.epoch_rows) == run.result.epochs
        assert run.result.trained_seconds >= run.result.training_facts.seconds > 0


@pytest.mark.parametrize(
    "body", [{}, {"text": 3}, {"text": "a", "measured": {"pace": "p"}}], ids=["missing", "type", "part"]
)
def test_an_entry_that_is_not_what_its_kind_says_is_named(body: Body) -> None:
    with pytest.raises(LedgerError, match="entry 7 cannot be read: note: "):
        Entry(7, "", "note", body, "", "").parse(NoteEntry)
