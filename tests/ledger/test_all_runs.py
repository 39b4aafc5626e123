"""One table over the runs of all studies: what changed from one to the next, and the verdicts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from liftgate.ledger import Ledger
from liftgate.ledger.all_runs import write_all_runs
from liftgate.ledger.records import VerdictEntry
from liftgate.ledger.results import RunEntry, TrainResult
from liftgate.ledger.runs import RunFolder, write_report


def run(results: Path, study: str, minute: int, arm: str, **recipe: Any) -> RunFolder:
    when = datetime(2026, 11, 5, 14, minute, tzinfo=UTC)
    folder = RunFolder.create(results / study, arm, f"{study}{minute}", now=when, arm=arm)
    folder.write_preflight({"weights": "a" * 64, "data": "b" * 64, "seed": 0, "recipe": recipe})
    return folder


def test_rows_are_in_order_of_time_over_all_studies_and_name_what_changed(tmp_path: Path) -> None:
    run(tmp_path, "first", 1, "smoke", epochs=1, imgsz=416)
    run(tmp_path, "second", 2, "long", epochs=1, imgsz=640)
    run(tmp_path, "first", 3, "again", epochs=1, imgsz=640)
    run(tmp_path, "first", 4, "other", epochs=80, imgsz=640, fliplr=0.0)
    rows = [line for line in write_all_runs(tmp_path).read_text().splitlines() if line.startswith("| [2026")]
    assert [row.split("|")[2].strip() for row in rows] == ["first", "second", "first", "first"]
    assert [row.split("|")[-2].strip() for row in rows] == [
        "",
        "imgsz 416 → 640",
        "nothing",
        "epochs 1 → 80; fliplr – → 0",
    ]
    assert (tmp_path / "first").joinpath("../second").is_dir() and "(second/2026" in rows[1]


def test_the_newest_verdict_of_each_gate_says_what_became_better(tmp_path: Path) -> None:
    run(tmp_path, "first", 1, "smoke", epochs=1)
    ledger = Ledger(tmp_path / "first" / "ledger.sqlite")
    ledger.add(VerdictEntry("size", "h", "MARGINAL", "MARGINAL: not settled."))
    ledger.add(VerdictEntry("size", "h", "PASS", "PASS: mAP50 is 0.02 higher."))
    text = write_all_runs(tmp_path).read_text()
    assert "| first | size | PASS | mAP50 is 0.02 higher. |" in text and "MARGINAL" not in text


def test_trainings_on_parts_of_the_data_are_one_line_and_change_nothing_between_runs(tmp_path: Path) -> None:
    run(tmp_path, "first", 1, "large", epochs=3)
    for number in (1, 2, 3):
        fold = run(tmp_path, "first", 1 + number, f"large.fold-{number}-of-3", epochs=1)
        fold.write(replace(fold.read(), state="finished" if number < 3 else "paused", seconds=60.0))
    run(tmp_path, "first", 5, "large.share-25", epochs=3)
    run(tmp_path, "first", 6, "large.v2", epochs=3)
    text = write_all_runs(tmp_path).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| [2026")]
    assert [row.split("|")[3].strip() for row in rows] == ["large", "large.v2"]
    assert rows[1].split("|")[-2].strip() == "nothing"
    own = write_report(tmp_path / "first").read_text()
    assert own.count("| [2026") == 2
    for report, study in ((text, "first: "), (own, "")):
        folds, share = report.split("## On parts of the data\n\n")[1].split("\n\n")[0].splitlines()
        assert folds.startswith(f"- {study}large on 3 folds of its data, seed 0: 2 finished, 1 paused, ")
        assert "(20261105T140200Z_large.fold-1-of-3 to 20261105T140400Z_" in folds
        assert share.startswith(f"- {study}large on 1 share of its data, seed 0: 1 running (2026")


def test_a_run_that_cannot_be_read_is_a_row_and_no_end(tmp_path: Path) -> None:
    run(tmp_path, "first", 1, "smoke", epochs=1).record_path.write_text("{")
    run(tmp_path, "first", 2, "long", epochs=1).preflight.unlink()
    text = write_all_runs(tmp_path).read_text()
    assert "unreadable" in text and "not known: no readable preflight.json" in text


def trained(name: str) -> RunEntry:
    return RunEntry("key", TrainResult(name, "a", 1, 0, f"{name}/best.pt", f"{name}/last.pt", "0" * 64, 1, (), {}))


def test_runs_and_ledgers_that_are_gone_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    there = run(tmp_path, "first", 1, "a", epochs=1).name
    ledger = Ledger(tmp_path / "first" / "ledger.sqlite")
    for name in (there, "20261105T140900Z_a-seed-0"):
        ledger.add(trained(name))
    ledger.add(VerdictEntry("size", "h", "PASS", "PASS: mAP50 is 0.02 higher."))
    run(tmp_path, "second", 2, "b", epochs=1)
    run(tmp_path, "third", 3, "c", epochs=1)
    (tmp_path / "third" / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    text = write_all_runs(tmp_path).read_text()
    missing = text.split("## Missing")[1].split("## ")[0].strip().splitlines()
    assert [line.partition(":")[0] for line in missing] == ["- first", "- second", "- third"]
    assert "the folder of 20261105T140900Z_a-seed-0 (a, seed 0) is gone" in missing[0]
    assert "there is no ledger" in missing[1] and "cannot be read" in missing[2]
    assert "| first | size | PASS |" in text and text.count("| [2026") == 3
    (tmp_path / "third" / "ledger.sqlite").unlink()
    assert "third: there is no ledger" in write_all_runs(tmp_path).read_text()


def test_nothing_to_tell_is_an_empty_table(tmp_path: Path) -> None:
    assert "| run | study |" in write_all_runs(tmp_path).read_text()
