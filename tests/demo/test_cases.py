"""Two cases of the demo tell what their projects found out too late, by runs and not by heart."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.demo import walkthrough
from liftgate.errors import UsageError


@pytest.fixture(autouse=True)
def light_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases need neither torch nor ultralytics."""
    for name in ("torch", "ultralytics"):
        monkeypatch.setitem(sys.modules, name, None)


def test_improve_finds_the_transposed_boxes_and_shows_what_they_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", str(tmp_path / "demo"), "--case", "improve", "--json"]) == 0
    streams = capsys.readouterr()
    told = json.loads(streams.out)
    assert told["verdicts"] == {"lift": "PASS"}
    assert told["details"]["lift"]["comparison"]["delta"] > 0.5
    story = streams.err
    assert story.index("labels.geometry") < story.index("No errors") < story.index("running  train")
    first, second = (line for line in story.splitlines() if line.strip().startswith("confidence 0."))
    assert first.split("recall")[1] != second.split("recall")[1], "one model, two figures"
    assert Path(told["report"]).is_file()


def test_kill_switch_finds_flip_idx_and_lets_no_control_s_work_pass_for_the_made_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", str(tmp_path / "demo"), "--case", "kill-switch", "--json"]) == 0
    streams = capsys.readouterr()
    told = json.loads(streams.out)
    assert told["verdicts"]["kill"] == "FAIL"
    sentence = told["details"]["kill"]["sentence"]
    assert "the gate says PASS, but the control explains it" in sentence
    assert told["details"]["made"]["comparison"]["delta"] < 0
    page = Path(told["report"]).read_text(encoding="utf-8")
    assert "“a”: trained on “made” and “real” (each image used twice)." in page and "“b”: trained on “real”" in page
    assert "pose.flip_idx" in streams.err and "by their names it is 1,0" in streams.err
    assert main(["demo", str(tmp_path / "demo"), "--case", "kill-switch", "--json"]) == 0
    assert "running" not in capsys.readouterr().err, "a second time nothing is done again"


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["demo", str(tmp_path), "--case", "improve"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unknown_case_names_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--case", "killswitch"]) == 2
    assert "did you mean kill-switch?" in capsys.readouterr().err


@pytest.mark.parametrize(("load", "said"), [(0.3, ""), (9.6, "This machine is busy (load 10 on 4 processors)")])
def test_a_busy_machine_is_said(load: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walkthrough.os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(walkthrough.os, "cpu_count", lambda: 4)
    note = walkthrough.busy_note()
    assert note.startswith(said) and bool(note) == bool(said)


def test_the_whole_demo_is_still_refused_without_its_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walkthrough.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="the extras demo, train"):
        walkthrough.run_demo(tmp_path / "demo", lambda line: None)
