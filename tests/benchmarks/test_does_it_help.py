"""benchmarks/does_it_help: each published ledger is untouched and of its study, and the page says what it holds."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main
from liftgate.errors import LedgerError
from liftgate.ledger import Ledger
from liftgate.ledger.records import FlowEntry, GateEntry, StudyEntry, VerdictEntry
from liftgate.ledger.results import RunEntry
from liftgate.study.study_file import load

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benchmarks" / "does_it_help"
STUDIES = sorted(HERE.glob("*.yaml"))
LEDGERS = sorted(HERE.glob("ledgers/*/ledger.sqlite"))
NUMBERS = {"check", "step", "run", "evaluation", "verdict"}
"""Kinds of entries that hold what was measured or found"""


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"does_it_help_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(path: Path) -> str:
    return path.parent.name if path.suffix == ".sqlite" else path.stem


@pytest.fixture
def copy(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of a published ledger: SQLite may write beside what it reads."""
    shutil.copytree(request.param.parent, tmp_path / request.param.parent.name)
    return tmp_path / request.param.parent.name / "ledger.sqlite"


every_ledger = pytest.mark.parametrize("copy", LEDGERS, ids=name_of, indirect=True)


def test_every_published_ledger_has_its_study_file() -> None:
    assert LEDGERS and {path.parent.name for path in LEDGERS} <= {path.stem for path in STUDIES}


@pytest.mark.parametrize("path", STUDIES, ids=name_of)
def test_a_study_asks_one_question_with_three_seeds_and_a_gate_that_answers(path: Path) -> None:
    study = load(path)
    assert study.name == path.stem
    assert study.seeds == (0, 1, 2)
    (gate,) = study.gates
    assert study.answer == gate.name
    assert gate.margin > 0 and gate.rule == "interval" and gate.level == 0.95


@every_ledger
def test_a_published_ledger_is_untouched(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = script("page").PAGE.read_text("utf-8")
    (head,) = re.findall(rf"^\| `{copy.parent.name}` \|.*`([0-9a-f]{{12}})` \|$", page, flags=re.MULTILINE)
    assert main(["ledger", "verify", str(copy), "--head", head, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


@every_ledger
def test_the_gate_of_the_study_file_was_recorded_before_any_number(copy: Path) -> None:
    study, ledger = load(HERE / f"{copy.parent.name}.yaml"), Ledger(copy)
    first, second, *_ = entries = ledger.entries()
    assert first.parse(StudyEntry).hash == study.content_hash()
    assert second.parse(GateEntry).gate_hash == study.gates[0].content_hash()
    assert len(ledger.records(GateEntry)) == 1
    assert min(entry.seq for entry in entries if entry.kind in NUMBERS) > second.seq


@every_ledger
def test_a_study_was_run_once_to_its_end_and_each_arm_with_each_seed_once(copy: Path) -> None:
    study, ledger = load(HERE / f"{copy.parent.name}.yaml"), Ledger(copy)
    (flow,) = ledger.records(FlowEntry)
    assert flow.ended == "" and flow.answer is not None
    runs = [(run.result.arm, run.result.seed) for run in ledger.records(RunEntry)]
    assert sorted(runs) == sorted((arm.name, seed) for arm in study.arms if arm.stages for seed in study.seeds)


@every_ledger
def test_a_published_ledger_is_small_and_names_no_folder_of_a_person(copy: Path) -> None:
    assert copy.stat().st_size < 1_000_000
    assert script("run").paths_outside(Ledger(copy), Path("/tmp/does_it_help")) == []
    assert sorted(path.name for path in LEDGERS[0].parent.iterdir()) == ["ledger.sqlite", "ledger.sqlite.head"]


def test_the_newest_ledger_names_no_folder_at_all(tmp_path: Path) -> None:
    shutil.copytree(HERE / "ledgers" / "bccd", tmp_path / "bccd")
    assert script("run").paths_outside(Ledger(tmp_path / "bccd" / "ledger.sqlite"), tmp_path) == []


def test_the_page_is_what_the_script_makes_of_the_ledgers() -> None:
    page = script("page")
    text = page.PAGE.read_text("utf-8")
    assert page.with_answers(text) == text
    assert {path.stem for path in STUDIES} <= set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))


@every_ledger
def test_the_figures_of_the_page_are_those_of_the_verdict_in_the_ledger(copy: Path) -> None:
    (verdict,) = Ledger(copy).records(VerdictEntry)
    found = verdict.evidence[0]
    (row,) = re.findall(
        rf"^\| `{copy.parent.name}` \|(.*)\|$", script("page").PAGE.read_text("utf-8"), flags=re.MULTILINE
    )
    word, arms, difference, method, images, groups, seeds, *_ = (cell.strip() for cell in row.split("|"))
    assert word == f"**{verdict.word}**" and seeds == "0, 1, 2"
    figures = [float(number) for number in re.findall(r"[-+]?\d+\.\d{4}", f"{arms} {difference}")]
    expected = [found["control"], found["treatment"], found["delta"], *found["interval"]]
    assert figures == pytest.approx(expected, abs=5.1e-5)
    assert method == f"{found['level']:.0%} {found['method']}"
    assert (images, groups.split()[0]) == (str(found["n_images"]), str(found["n_groups"]))


def test_a_ledger_that_names_a_persons_folder_is_not_published(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs" / "ledger.sqlite")
    ledger.append("note", {"text": "wrote /tmp/does_it_help/bccd/data.yaml and /home/ada/secret.pt, 3 a/b"})
    ledger.add(FlowEntry("0" * 64, (), {}, "", answer="PASS", answered_by="lift"))
    with pytest.raises(LedgerError, match="folders of this machine") as raised:
        script("run").publish(ledger, tmp_path / "published", Path("/tmp/does_it_help"))
    assert "/home/ada/secret.pt" in str(raised.value) and "data.yaml" not in str(raised.value)
    assert not (tmp_path / "published").exists()


def test_a_study_without_an_answer_is_not_published(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs" / "ledger.sqlite")
    ledger.add(FlowEntry("0" * 64, (), {}, "paused"))
    with pytest.raises(LedgerError, match="no answer yet"):
        script("run").publish(ledger, tmp_path / "published", tmp_path)


@pytest.mark.train
def test_the_digits_are_made_here_and_their_study_can_be_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr("liftgate.demo.demo_dataset.N_FRAMES", 2)  # of 8, for the time that it takes
    study = script("run").prepare("digits", tmp_path / "digits", None, None)
    assert main(["plan", str(study), "--json"]) == 0
    assert "train mosaic seed 2" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "folder"), [("bccd", "bccd"), ("coco_persons", "coco_cc"), ("dice", "dice")])
def test_a_study_of_public_data_can_be_planned(
    name: str, folder: str, fixtures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = fixtures / "weights" / "yolov8n_coco_recon.pt"
    (tmp_path / name).mkdir()
    if name == "dice":  # what `data duplicates` takes seconds for; has tests of its own
        images = sorted(path.relative_to(fixtures / "dice") for path in (fixtures / "dice").glob("images/*/*.jpg"))
        rows = "".join(f"data/{image.as_posix()},{image.stem}\n" for image in images)
        (tmp_path / name / "groups.csv").write_text(f"image,group\n{rows}")
    study = script("run").prepare(name, tmp_path / name, fixtures / folder, weights)
    capsys.readouterr()
    assert main(["plan", str(study), "--json"]) == 0
    assert "seed 2" in capsys.readouterr().out


def test_what_is_not_given_is_asked_for_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = script("run")
    sys_argv = ["run.py", "bccd", "--weights", str(tmp_path / "none.pt"), "--work", str(tmp_path)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", sys_argv)
        assert run.main() == 2
    (line, *_) = capsys.readouterr().err.splitlines()
    assert line.startswith("error:") and "--weights" in line
