"""liftgate status, logs and stop: what they print and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main
from pipeline.gated import Gate, wait_until
from processes import running

Write = Callable[..., Path]


def test_a_study_that_never_ran_and_one_that_is_finished(
    one_arm: Write, gate: Gate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one_arm()
    assert main(["status", str(path)]) == 0
    assert capsys.readouterr().out == "colours: never ran\n"
    gate.open()
    assert main(["run", str(path)]) == 0
    capsys.readouterr()
    monkeypatch.chdir(path.parent)
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("colours: finished\n  enough PASS\n")
    assert main(["status", "--json"]) == 0
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert (study["study"], study["state"], study["verdicts"]) == ("colours", "finished", {"enough": "PASS"})
    assert main(["logs", str(path)]) == 0
    assert "train.log" in capsys.readouterr().err


def test_a_finished_study_whose_ledger_was_deleted_says_what_is_no_longer_known(
    one_arm: Write, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_arm()
    gate.open()
    assert main(["run", str(path)]) == 0
    for file in (path.parent / "runs" / "colours").glob("ledger.sqlite*"):
        file.unlink()
    capsys.readouterr()
    assert main(["status", str(path)]) == 0
    said = capsys.readouterr().out
    assert "its ledger is gone: verdicts and what trainings cost are not known" in said
    assert "PASS" not in said and "FAIL" not in said


def test_an_empty_folder_has_no_studies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == "" and "no study has run here" in said.err
    assert main(["status", str(tmp_path / "nowhere")]) == 2


def test_status_logs_and_stop_while_it_runs(one_arm: Write, gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    path = one_arm()
    assert main(["run", str(path), "--detach"]) == 0
    gate.wait_for_epoch(1)
    said = wait_until(lambda: _status(path, capsys, "epoch 1 of 6"), "epoch 1 in the status")
    assert "colours: running (process " in said and "train long seed 0" in said
    follow = [sys.executable, "-m", "liftgate", "logs", str(path), "-f", "--lines", "100"]
    with running(follow, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as following:
        assert main(["stop", str(path)]) == 0
        assert "stops after this epoch" in capsys.readouterr().out
        assert "stops after this epoch, requested by " in (_status(path, capsys, "stopping") or "")
        assert main(["stop", str(path), "--never-mind"]) == 0
        gate.wait_until_told(to_pause=False)
        gate.let_pass(1)
        gate.wait_for_epoch(2)
        assert main(["stop", str(path), "--now", "--json"]) == 0
        assert '"state": "stopping"' in capsys.readouterr().out
        out, _ = following.communicate(timeout=60)  # it ends when the run does
    assert following.returncode == 0
    assert "running  train long seed 0" in out and "2 of 6" in out
    assert _status(path, capsys, "paused: stopped at once")
    assert main(["stop", str(path)]) == 2


def test_logs_show_the_last_lines_of_each_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "now.json").write_text("{}")
    (tmp_path / "run.log").write_text("".join(f"line {i}\n" for i in range(100_000)) + "half")
    for name, text in (("20260101T000000Z_old", "old\n"), ("20260102T000000Z_new", "10%\r100%\nnew \xe4\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.log").write_bytes(text.encode("latin-1"))
    assert main(["logs", str(tmp_path), "--lines", "2"]) == 0
    assert capsys.readouterr().out == "line 99998\nline 99999\n100%\nnew \N{REPLACEMENT CHARACTER}\n"
    assert main(["logs", str(tmp_path), "--lines", "0", "-f"]) == 0, "nobody runs it: there is nothing to follow"
    assert capsys.readouterr().out == ""
    assert main(["logs", str(tmp_path), "--lines", "1", "--json"]) == 0
    assert [log["lines"] for log in json.loads(capsys.readouterr().out)["logs"]] == [
        ["line 99999"], ["new \N{REPLACEMENT CHARACTER}"],
    ]  # fmt: skip
    assert main(["logs", str(tmp_path), "--lines", "-1"]) == 2
    assert main(["logs", str(tmp_path), "-f", "--json"]) == 2


def _status(path: Path, capsys: pytest.CaptureFixture[str], wanted: str) -> str:
    """Return what status prints, or nothing while it does not say what is wanted."""
    capsys.readouterr()
    assert main(["status", str(path)]) == 0
    said: str = capsys.readouterr().out
    return said if wanted in said else ""
