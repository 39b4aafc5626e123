"""A study whose runs were deleted, moved or half-finished: every verb says what is missing and shows the rest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from liftgate.cli import main
from liftgate.live.page import render_page
from liftgate.live.read import places, read_board
from liftgate.testing.backends import write_tree

STAGE = {"weights": "start.yaml", "data": "scenes"}
STUDY = {
    "study": "colours",
    "question": "Does a longer training lift it?",
    "backend": "toy",
    "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
    "arms": {
        "short": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.0001}}],
        "long": [{**STAGE, "recipe": {"epochs": 2, "lr0": 0.5}}],
    },
    "gates": {"lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test"}},
    "flow": ["train", "lift"],
}
VERDICT = "In figures"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that ran."""
    folder = tmp_path_factory.mktemp("incomplete") / "project"
    write_tree(folder / "scenes", train=16, held_out=12)
    (folder / "start.yaml").write_text("nc: 2\n")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    assert main(["run", str(folder)]) in (0, 10, 11)
    return folder


def results(folder: Path) -> Path:
    return folder / "runs" / "colours"


def remove(*paths: Path) -> None:
    assert paths
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def half(*paths: Path) -> None:
    assert paths
    for path in paths:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


Damage = Callable[[Path], object]
SHOWN: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "all runs deleted": (lambda at: remove(*results(at).glob("2*")), ("The weights of short seed 0 are gone",)),
    "one run moved away": (
        lambda at: next(results(at).glob("2*_long*")).rename(at / "elsewhere"),
        ("The weights of long seed 0 are gone", "run.json and results/results.csv of long seed 0 are gone"),
    ),
    "no weights": (lambda at: remove(*results(at).glob("2*/results/best.pt")), ("The weights of long seed 0",)),
    "half a run.json": (lambda at: half(*results(at).glob("2*/run.json")), ("run.json of long seed 0 cannot be used",)),
    "no detections": (lambda at: remove(results(at) / "predictions"), ("The detections of long seed 0",)),
    "no evaluations": (lambda at: remove(results(at) / "evaluations"), ("The evaluation of long seed 0",)),
    "data moved away": (lambda at: (at / "scenes").rename(at / "moved"), ("Dataset scenes cannot be read",)),
    "the whole project moved": (lambda at: None, ()),
    "no status file": (lambda at: remove(results(at) / "now.json"), ()),
}
"""What is gone → sentences of the report, which shows the verdict all the same"""


@pytest.mark.parametrize("name", SHOWN)
def test_the_report_says_what_is_missing_and_shows_the_rest(
    name: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, sentences = SHOWN[name]
    folder = shutil.copytree(finished, tmp_path / "copy")
    damage(folder)
    assert main(["report", str(folder)]) == 0
    page = (results(folder) / "report.html").read_text()
    assert all(sentence in page for sentence in sentences) and VERDICT in page
    assert ("Missing or not finished" in page) == bool(sentences)
    capsys.readouterr()
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("colours: finished\n  lift ")
    assert "lift" in render_page(read_board(*places([folder])))
    code = main(["plan", str(folder)])
    told = capsys.readouterr()
    assert code == (2 if "data" in name else 0)
    expected = "no such file or folder" in told.err if code else told.out.count("cached") >= 1
    assert expected, told


@pytest.mark.parametrize("verb", ["status", "report", "plan", "run"])
def test_without_its_ledger_nothing_is_claimed_of_a_study(
    verb: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished, tmp_path / "copy")
    remove(results(folder) / "ledger.sqlite")
    assert main([verb, str(folder)]) == 1, "its head file says what was there"
    assert "hint: restore the file from a copy" in capsys.readouterr().err
    remove(results(folder) / "ledger.sqlite.head")
    if verb == "run":
        return  # it begins anew
    assert main([verb, str(folder)]) == (2 if verb == "report" else 0)
    told = capsys.readouterr()
    assert {"status": "its ledger is gone", "report": "ledger is gone", "plan": "never ran"}[
        verb
    ] in told.out + told.err
    assert "PASS" not in told.out and "FAIL" not in told.out


def test_without_results_or_study_the_way_there_is_named(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished, tmp_path / "copy")
    (folder / "study.yaml").rename(folder / "old.txt")
    for verb in ("plan", "report", "run"):
        assert main([verb, str(folder / "study.yaml")]) == 2
        assert "hint: `liftgate init DIR` writes one" in capsys.readouterr().err, "start.yaml is no study"
    assert main(["status", str(folder)]) == 0 and "finished" in capsys.readouterr().out
    (folder / "old.txt").rename(folder / "study.yaml")
    remove(folder / "runs")
    assert main(["status", str(folder)]) == 0 and capsys.readouterr().out == "colours: never ran\n"
    assert main(["report", str(folder)]) == 2
    assert "this study never ran" in capsys.readouterr().err


def test_run_makes_again_what_is_gone_and_the_report_misses_nothing(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "copy")
    remove(*results(folder).glob("2*_long*"))
    assert main(["run", str(folder)]) in (0, 10, 11)
    assert "Missing or not finished" not in (results(folder) / "report.html").read_text()
