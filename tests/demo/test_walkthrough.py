"""The demo's story: refuses what is not its own, and tells what really happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from liftgate.demo import walkthrough
from liftgate.errors import UsageError
from liftgate.study.study_file import load


def test_the_two_arms_differ_in_one_thing_and_it_is_declared() -> None:
    with resources.as_file(resources.files("liftgate.demo") / "files" / "study.yaml") as path:
        study = load(path)
    lift = study.gates[-1]
    control, treatment = (study.arm(str(name)).stages[0] for name in (lift.control, lift.treatment))
    assert (control.data, control.weights) == (treatment.data, treatment.weights)
    changed = {
        key for key in {*control.recipe, *treatment.recipe} if control.recipe.get(key) != treatment.recipe.get(key)
    }
    assert changed == {"fliplr"}
    assert lift.differ == ("recipe.fliplr",)


def test_a_folder_with_something_else_in_it_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not a demo's folder"):
        walkthrough.run_demo(tmp_path, lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="needs a folder"):
        walkthrough.run_demo(tmp_path / "file", lambda line: None)


def test_without_the_train_extra_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = walkthrough.importlib.util.find_spec
    monkeypatch.setattr(walkthrough.importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    with pytest.raises(UsageError, match="the extras demo, train"):
        walkthrough.run_demo(tmp_path / "demo", lambda line: None)
    assert not (tmp_path / "demo").exists()


def test_its_children_compute_in_one_thread_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with walkthrough.one_thread():
        assert os.environ["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with walkthrough.one_thread():
        assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(("low", "estimate", "high", "margin"), [(-0.3, -0.2, -0.1, 0.0), (0.1, 0.2, 0.3, 0.05)])
def test_an_interval_is_drawn_in_order(low: float, estimate: float, high: float, margin: float) -> None:
    line = walkthrough.interval_line(low, estimate, high, margin)
    assert line.index("├") < line.index("●") < line.index("┤")
    assert (line.index("┼") < line.index("├")) == (low > 0)


@pytest.mark.train
@pytest.mark.slow
def test_the_whole_story_ends_with_a_verdict_and_a_report_and_is_cached(tmp_path: Path) -> None:
    code = "from liftgate.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "demo", str(tmp_path / "demo"), "--json"]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert set(told["verdicts"]) == {"enough", "lift"}
    assert told["details"]["lift"]["comparison"]["n_groups"] == 18
    assert "splits.leak_group" in first.stderr
    assert Path(told["report"]).read_text(encoding="utf-8").count("<h1>") == 1
    again = subprocess.run(command, capture_output=True, text=True)
    assert json.loads(again.stdout)["verdicts"] == told["verdicts"]
    assert "running" not in again.stderr
