"""Run folders: one for each run, never used twice, and a report that is only what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from liftgate.errors import LedgerError
from liftgate.files import write_json
from liftgate.ledger.results import EpochRow, TrainingFacts
from liftgate.ledger.runs import RunFolder, run_folders, write_report

WHEN = datetime(2026, 11, 5, 14, 3, 9, tzinfo=UTC)
CURVE = [
    EpochRow({"epoch": 1, "metrics": {"mAP50": 0.4}}),
    EpochRow({"epoch": 2, "metrics": {"mAP50": 0.826, "mAP50-95": 0.55}}),
]
FACTS = TrainingFacts({"best_epoch": 2, "seconds": 145.2, "device": "cpu"})


def test_a_new_run_has_a_sortable_name_and_says_what_it_is(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "single seed 0", "k" * 64, now=WHEN, arm="single", seed=0)
    assert run.name == "20261105T140309Z_single-seed-0"
    assert run.results.is_dir()
    record = run.read()
    assert (record.state, record.arm, record.key, record.created) == (
        "running",
        "single",
        "k" * 64,
        "2026-11-05T14:03:09+00:00",
    )


@pytest.mark.parametrize("label", ["../../etc/passwd", "", "...", "a/b\0c", "ü" * 300, "-rf"])
def test_no_label_leaves_the_runs_folder(tmp_path: Path, label: str) -> None:
    run = RunFolder.create(tmp_path / "runs", label, "k", now=WHEN)
    assert run.path.parent == tmp_path / "runs"
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert run.read().label == label


def test_two_runs_in_the_same_second_get_two_folders_in_order(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "a", str(n), now=WHEN).name for n in range(3)]
    assert len(set(names)) == 3
    assert [folder.read().key for folder in run_folders(tmp_path)] == ["0", "1", "2"]


def test_processes_at_once_never_share_a_folder(tmp_path: Path) -> None:
    script = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from liftgate.ledger.runs import RunFolder\n"
        "now = datetime(2026, 11, 5, tzinfo=UTC)\n"
        "for n in range(10): print(RunFolder.create(Path(sys.argv[1]), 'a', 'k', now=now).name)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    names = [name for maker in makers for name in maker.communicate()[0].split()]
    assert len(names) == len(set(names)) == 30


def test_a_folder_that_was_killed_while_it_was_made_stands_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "20261105T140309Z_a" / "results").mkdir(parents=True)
    run = RunFolder.create(tmp_path, "a", "k", now=WHEN)
    assert run.name == "20261105T140309Z_a_002"
    assert "| unreadable |" in write_report(tmp_path).read_text()
    with pytest.raises(LedgerError, match="no readable run"):
        RunFolder(tmp_path / "20261105T140309Z_a").read()


def test_a_run_has_no_name_before_it_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the middle would otherwise leave an unreadable run in every report."""
    seen: list[list[RunFolder]] = []

    def write(path: Path, value: object) -> None:
        seen.append(list(run_folders(tmp_path)))
        write_json(path, value)

    monkeypatch.setattr("liftgate.ledger.runs.write_json", write)
    RunFolder.create(tmp_path, "a", "k", now=WHEN)
    assert seen == [[]]
    assert [path.name for path in tmp_path.iterdir()] == ["20261105T140309Z_a"]


def test_finishing_keeps_the_metrics_of_the_best_epoch_and_writes_a_summary(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "single seed 3", "k" * 64, now=WHEN, arm="single", seed=3)
    record = run.finish(CURVE, FACTS, weights="e" * 64)
    assert record == run.read()
    assert (record.state, record.best_epoch, record.metrics["mAP50"]) == ("finished", 2, 0.826)
    assert (record.seconds, record.weights, record.facts) == (145.2, "e" * 64, {"device": "cpu"})
    summary = run.summary.read_text()
    for words in ("# single seed 3", "seed 3: finished", "| mAP50 | 0.826 |", "2 min 25 s", "k" * 64, "e" * 64):
        assert words in summary


def test_a_run_is_not_finished_before_its_summary_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path, "a", "k", now=WHEN)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("liftgate.ledger.runs.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        run.finish(CURVE, FACTS)
    assert run.read().state == "running"


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a", "k", now=WHEN)
    run.fail(RuntimeError("out of\nmemory"))
    assert "- error: out of memory" in run.summary.read_text()


def test_the_command_can_be_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "a", "k", now=WHEN)
    run.write_command("echo trained")
    assert os.access(run.command, os.X_OK)
    assert subprocess.run([run.command], capture_output=True, text=True).stdout == "trained\n"


def test_the_report_is_the_same_bytes_each_time_and_comes_from_the_folders_alone(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "a|b", "k" * 12, now=WHEN, arm="single", stage=2, seed=1)
    RunFolder.create(tmp_path, "b", "q" * 64, now=WHEN, arm="single", seed=3).finish(CURVE, FACTS)
    (tmp_path / "predictions").mkdir()
    text = write_report(tmp_path).read_text()
    assert write_report(tmp_path).read_text() == text
    assert text.splitlines()[2:] == [
        "| run | arm | stage | seed | state | epochs | best epoch | mAP50 | mAP50-95 | time | hash |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| [20261105T140309Z_a-b](20261105T140309Z_a-b/) | single | 2 | 1 | running | – | – | – | – | – "
        "| kkkkkkkkkkkk |",
        "| [20261105T140309Z_b](20261105T140309Z_b/) | single | 1 | 3 | finished | 2 | 2 | 0.826 | 0.55 | 2 min 25 s "
        "| qqqqqqqqqqqq |",
        "",
        "Metrics are of the validation split at the best epoch, as the trainer reports them.",
    ]
