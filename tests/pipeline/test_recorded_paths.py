"""A ledger names what lies beside its study by paths from the study's folder, so that it can be shown to anybody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.ledger import Ledger
from liftgate.ledger.records import CheckEntry, IgnoreEntry
from liftgate.ledger.results import RunEntry

Write = Callable[..., Path]


@pytest.mark.usefixtures("gate")
def test_no_entry_names_the_folder_of_the_study(write_study: Write) -> None:
    path = write_study(backend="gated:Wordy", ignore={"splits.small": "a test"})
    api.run(path)
    ledger = Ledger(path.parent / "runs" / "colours" / "ledger.sqlite")
    for entry in ledger.entries():
        assert str(path.parent) not in json.dumps(entry.body), entry.kind
    (check,) = ledger.records(CheckEntry)
    assert "scenes/data.yaml" in {row.where for row in check.findings}
    assert "scenes/data.yaml, test" in {row.where for row in ledger.records(IgnoreEntry)}
    for run in ledger.records(RunEntry):
        args = run.result.training_facts.arguments
        assert (args["model"], args["save_dir"]) == ("start.yaml", f"runs/colours/{run.result.run}/results")
        assert (path.parent / args["data"]).is_file()
