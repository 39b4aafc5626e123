"""liftgate ledger show / verify."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.ledger import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.study.study_file import load

STUDY = """
study: one
question: q
datasets: {bench: {path: data.yaml}}
arms: {a: {weights: a.pt}}
flow: [check]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def ledger(study: Path) -> Ledger:
    now = datetime(2026, 11, 5, 12, tzinfo=UTC)
    times = iter([now, now - timedelta(days=1)])
    ledger = Ledger(Workspace(load(study)).ledger, clock=lambda: next(times))
    ledger.append("note", {"text": "hello"})
    ledger.append("verdict", {"sentence": "PASS: it is better", "word": "PASS"})
    return ledger


def test_the_ledger_lies_in_the_studys_runs_folder(study: Path, ledger: Ledger) -> None:
    assert ledger.path == study.parent / "runs" / "one" / "ledger.sqlite"


@pytest.mark.parametrize("by_study", [True, False])
def test_show_lists_what_happened(
    study: Path, ledger: Ledger, by_study: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "show", str(study if by_study else ledger.path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("hello") and "2026-11-05T12:00:00Z" in first
    assert second.endswith("PASS: it is better (the clock went back)")


def test_show_as_json_and_by_kind(study: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "show", str(study), "--json", "--kind", "verdict"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["hash"] == ledger.head and entry["body"]["word"] == "PASS"


def test_verify_an_untouched_ledger(study: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify", str(study)]) == 0
    assert capsys.readouterr().out == f"untouched: 2 entries, head {ledger.head[:12]}\n"
    assert main(["ledger", "verify", str(study), "--head", ledger.head, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["ledger", "verify", str(study), "--head", "f" * 64]) == 1


def test_verify_a_touched_ledger_names_the_entry(
    study: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    db = sqlite3.connect(ledger.path)
    db.execute("DROP TRIGGER no_update")
    db.execute("""UPDATE entries SET body = '{"text":"hallo"}' WHERE seq = 1""")
    db.commit()
    db.close()
    assert main(["ledger", "verify", str(study)]) == 1
    assert "entry 1 was changed" in capsys.readouterr().err


def test_a_study_that_never_ran_has_no_ledger(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "show", str(study)]) == 2
    assert "there is no ledger yet" in capsys.readouterr().err
    assert not (study.parent / "runs").exists()


@pytest.mark.parametrize("words", [["show"], [], ["show", "--kind", "nothing", "x"]])
def test_bad_words_are_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", *words]) == 2
    assert "hint: liftgate ledger" in capsys.readouterr().err
