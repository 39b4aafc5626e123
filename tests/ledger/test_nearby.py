"""What is looked at before a ledger is imported: whether there may be one that locks some images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from liftgate.ledger.nearby import is_of_a_study, may_be_locked

PROGRAM = """
import sys
import liftgate
liftgate.evaluate(sys.argv[1], sys.argv[2])
print(*(name for name in ("liftgate.ledger.chain", "sqlite3", "yaml", "llvmlite.binding") if name in sys.modules))
"""


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTGATE_LEDGER_INDEX", "off")


def test_without_a_ledger_nothing_is_locked(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [cat]")
    assert not may_be_locked([tmp_path])


@pytest.mark.parametrize("trace", ["ledger.sqlite", "ledger.sqlite.head"])
def test_a_ledger_or_what_is_left_of_one_may_lock(trace: str, tmp_path: Path) -> None:
    study = tmp_path / "runs/study"
    study.mkdir(parents=True)
    (study / trace).touch()
    assert may_be_locked([tmp_path])


def test_a_study_that_never_ran_may_lock(tmp_path: Path) -> None:
    (tmp_path / "study.yml").write_text("datasets: {a: {lock: [test]}}")
    assert may_be_locked([tmp_path])


def test_a_ledger_in_the_index_may_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTGATE_LEDGER_INDEX", "on")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "ledger.sqlite").touch()
    (tmp_path / "state/liftgate").mkdir(parents=True)
    (tmp_path / "state/liftgate/ledgers.txt").write_text(f"{tmp_path}/ledger.sqlite\n")
    assert may_be_locked([tmp_path / "elsewhere"])


def test_predictions_are_of_a_study_where_its_ledger_is(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    assert not is_of_a_study(tmp_path / "predictions/a.json")
    (tmp_path / "ledger.sqlite").touch()
    assert is_of_a_study(tmp_path / "predictions/a.json")
    assert not is_of_a_study(tmp_path / "a.json")


def test_measuring_files_with_no_ledger_around_imports_none(tmp_path: Path) -> None:
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 20, 20]}
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 64}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [box | {"id": 1, "area": 400, "iscrowd": 0}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "a.json").write_text(json.dumps([box | {"score": 0.9}]))
    program = [sys.executable, "-c", PROGRAM, "truth.json", "a.json"]
    done = subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
