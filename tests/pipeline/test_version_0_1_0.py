"""A study that version 0.1.0 ran works on: its ledger verifies, and nothing that it had finished is done again."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from liftgate import api
from liftgate.ledger import Ledger
from liftgate.pipeline.notice import Notice

ARCHIVE = Path(__file__).parents[1] / "files" / "study-0.1.0.tar.gz"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Return the study.yaml of a small study on the toy backend, with the results that version 0.1.0 left."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "study" / "study.yaml"


def test_every_step_is_still_cached(study: Path) -> None:
    states = {line.step: line.state for line in api.plan(study)}
    assert {name: state for name, state in states.items() if state != "cached"} == {}
    assert len(states) > 8


def test_a_run_does_nothing_again_and_says_the_same(study: Path) -> None:
    ledger = Ledger(study.parent / "runs" / "colours" / "ledger.sqlite")
    before = ledger.entries()
    notices: list[Notice] = []
    result = api.run(study, notify=notices.append)
    assert [notice.step for notice in notices if notice.kind == "started"] == []
    assert ledger.entries() == before and ledger.verify() == len(before)
    assert {name: gate["word"] for name, gate in result.verdicts.items()} == {
        "good_enough": "MARGINAL",
        "lift": "MARGINAL",
    }


def test_status_and_report_read_it(study: Path) -> None:
    (status,) = api.status([study])
    assert (status.state, set(status.verdicts)) == ("finished", {"good_enough", "lift"})
    assert "good_enough" in api.report(study).read_text()
