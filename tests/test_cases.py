"""docs/cases.md: every command of the walks is run as it stands, and every line names what shows it."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from documented.extract import commands
from documented.table import not_run
from liftgate.backends.base import TrainJob
from liftgate.checks.rules import catalogue
from liftgate.cli import main
from liftgate.testing.backends import write_tree
from liftgate.training import launch

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
CASES = ("measure-first", "two-stage", "runbook", "improve", "kill-switch")
SHORT = "{epochs: 3, lr0: 0.5}"


def section(case: str) -> str:
    return PAGE.split(f"## {case}:")[1].split("\n## ")[0]


def walk(case: str) -> list[tuple[list[str], set[int]]]:
    """Words of each command, and the exit codes that the page expects."""
    found = []
    for line in re.findall(r"^\$ liftgate (.*)$", section(case), re.MULTILINE):
        command, _, expected = line.partition("    # exit ")
        codes = {int(code) for code in re.findall(r"\d+", expected)} or {0}
        found.append((shlex.split(command), codes))
    return found


def rows() -> list[list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:2] == "| "]
    return [row for row in cells if row[0] not in ("line", "---")]


def test_every_line_says_whether_it_works_and_names_the_test_that_shows_it() -> None:
    assert len(rows()) >= 60
    for line in rows():
        assert len(line) == 4, line
        assert re.match(r"yes$|partly: .", line[2]), line
        assert re.fullmatch(r"`[^`]+`(, `[^`]+`)*", line[3]), line
        for file, name in named_tests(line):
            assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), line


def named_tests(line: list[str]) -> list[tuple[str, str]]:
    """File and name of each test that a line names."""
    return [(file, name) for file, _, name in (one.partition("::") for one in re.findall(r"`([^`]+)`", line[3]))]


def test_every_command_of_a_line_is_run_by_the_tests_of_the_documentation_or_by_those_it_names() -> None:
    on_page = [one for one in commands() if one.page == "docs/cases.md"]
    for line in rows():
        for command in (one for one in on_page if f"`{one.text}`" in line[1]):
            left_out = not_run(command)
            if left_out is not None:
                named = [file for file, _ in named_tests(line)]
                texts = "".join((ROOT / file).read_text("utf-8") for file in (*named, left_out.instead))
                assert runs_verb(command.words[1:], texts), f"{command}: neither run nor by {named}, {left_out.instead}"


def runs_verb(words: list[str], texts: str) -> bool:
    """Whether tests call a verb, on the command line or by its function, and know all of its options."""
    options = [word for word in words if word.startswith("--")]
    if not all(re.search(rf"{one}\b|\b{one[2:].replace('-', '_')}\b", texts) for one in options):
        return False
    verb = [word for word in words[:2] if word.isalpha()]
    verb = verb if verb[0] in ("data", "models", "shadow") else verb[:1]
    typed = r"\W+".join(map(re.escape, verb))
    called = rf"\b(api|liftgate)\.\w*{verb[-1]}\w*\(|(?<![\w.])(?<!def ){verb[-1]}\("
    return re.search(rf"\[\W*{typed}\b|{called}", texts) is not None


@pytest.mark.parametrize(
    "text", ["subprocess.run([1])", "pool.check_output([])", "def evaluate(data): ...", "planning()"]
)
def test_what_only_sounds_like_a_verb_does_not_count(text: str) -> None:
    assert not any(runs_verb([verb], text) for verb in ("run", "check", "evaluate", "plan"))


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_a_page_of_what_it_cost_and_when_it_would_have_been_said(case: str) -> None:
    page = (ROOT / "docs" / "cases" / f"{case}.md").read_text("utf-8")
    told = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    found = [cells for cells in told if len(cells) == 4 and "`" in cells[3]]
    assert len(found) >= 4 and f"[{case}](cases/{case}.md)" in section(case)
    known = {rule.id for rule in catalogue()}
    assert set(re.findall(r"finding `([\w.]+)`", page)) <= known


def test_findings_that_are_named_exist() -> None:
    known = {rule.id for rule in catalogue()}
    named = {
        name for row in rows() for name in re.findall(r"`([a-z]+\.[a-z_]+)`", row[1]) if row[1].find("finding") >= 0
    }
    assert {name for name in named if not name.startswith("trace.") and not name.endswith((".yaml", ".json"))} <= known


def start_weights(folder: Path) -> None:
    """Weights of the toy learner after one short epoch, as model.pt."""
    (folder / "scratch.yaml").write_text("{}\n")
    recipe = {"epochs": 1, "lr0": 0.0001}
    data = write_tree(folder / "start", train=8, held_out=4)
    job = TrainJob(str(folder / "scratch.yaml"), data, recipe, 5, "detect", folder / "v1" / "results")
    best = launch.train(job, backend="toy", folder=folder / "v1", on_event=lambda event: None).best
    (folder / "model.pt").write_bytes(best.read_bytes())


def transpose(source: Path) -> None:
    """Write y before x in every label of a data set whose objects are no squares."""
    for label in (source.parent / "labels").iterdir():
        rows = [line.split() for line in label.read_text().splitlines()]
        label.write_text("".join(f"{c} {y} {x} {h} {w}\n" for c, x, y, w, h in rows))


def with_points(source: Path, flip_idx: list[int]) -> None:
    """Add a left and a right keypoint to every box."""
    for label in (source.parent / "labels").iterdir():
        rows = [[float(word) for word in line.split()] for line in label.read_text().splitlines()]
        label.write_text(
            "".join(f"{c:.0f} {x} {y} {w} {h} {x - w / 2} {y} 2 {x + w / 2} {y} 2\n" for c, x, y, w, h in rows)
        )
    keys = {"kpt_shape": [2, 3], "flip_idx": flip_idx, "kpt_names": {0: ["left_lamp", "right_lamp"]}}
    source.write_text(yaml.safe_dump(yaml.safe_load(source.read_text()) | keys))


def measure_first(folder: Path) -> Mapping[str, str]:
    write_tree(folder / "frames", train=24, held_out=10)
    write_tree(folder / "deployment", train=2, held_out=10, size=(104, 64))
    shutil.copy(ROOT / "examples" / "prices.yaml", folder)
    flow = "[check, baseline, good_enough, {step: train, arms: [tuned]}, lift, lift_deployment, report]"
    return {"arms.tuned.stages.0.recipe": SHORT, "arms.tuned.ablate": "{lr0: [0.1]}", "flow": flow}


def two_stage(folder: Path) -> Mapping[str, str]:
    write_tree(folder / "big", train=16, held_out=6, size=(80, 80))
    write_tree(folder / "bench", train=24, held_out=12)
    write_tree(folder / "car", train=2, held_out=10, size=(104, 64))
    stages = ("single.0", "two_stage.0", "two_stage.1")
    return {**{f"arms.{stage}.recipe": SHORT for stage in stages}, "seeds": "[0]"}


def runbook(folder: Path) -> Mapping[str, str]:
    write_tree(folder / "data", train=24, held_out=12)
    write_tree(folder / "winter", train=2, held_out=10, size=(104, 64))
    arms = ("smoke", "at_640", "at_416", "long_640", "long_416")
    recipes = {f"arms.{arm}.0.recipe": f"{{epochs: {2 + n}, lr0: 0.5}}" for n, arm in enumerate(arms)}
    return {**recipes, "datasets.data.ratios": "[0.5, 0.25, 0.25]"}


def improve(folder: Path) -> Mapping[str, str]:
    write_tree(folder / "first", train=24, held_out=12)
    write_tree(folder / "second", train=12, held_out=6, size=(80, 80))
    transpose(write_tree(folder / "transposed", train=60, held_out=12))
    changes = {f"arms.{arm}.0.recipe": SHORT for arm in ("phase1", "phase2", "smaller")}
    changes |= {f"arms.{arm}.0.decide": "[{at: 2, continue_if: mAP50 >= 0}]" for arm in ("phase1", "phase2")}
    changes |= {"arms.phase1.0.expect": "{2: [0.1, 0.2]}", "arms.smaller.0.weights": "../scratch.yaml"}
    return changes | {"datasets.data.ratios": "[0.4, 0.3, 0.3]"}


def kill_switch(folder: Path) -> Mapping[str, str]:
    write_tree(folder / "real", train=24, held_out=12)
    write_tree(folder / "made", train=12, held_out=6, size=(80, 80))
    with_points(write_tree(folder / "poses", train=24, held_out=12), flip_idx=[0, 1])
    changes = {f"arms.{arm}.0.recipe": SHORT for arm in ("a", "b", "made_only")}
    changes |= {"task": "detect", "select": "mAP50", "arms.a.0.data.1.take": "6", "arms.b.0.data.0.take": "6"}
    changes |= {"gates.kill.claims.0.metric": "mAP50", "gates.learnable.claims": "[{metric: mAP50, at_least: 0.5}]"}
    return changes | {f"gates.{gate}.metric": "mAP50" for gate in ("over_v1", "synthetic")}


FOLDERS: Mapping[str, Callable[[Path], Mapping[str, str]]] = {
    "measure-first": measure_first,
    "two-stage": two_stage,
    "runbook": runbook,
    "improve": improve,
    "kill-switch": kill_switch,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_commands_of_a_walk_run_as_they_stand(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start_weights(tmp_path)
    small = {"backend": "toy", "evaluation": "{imgsz: 64}", "ignore.weights.unreadable": "weights of the toy learner"}
    changes = {**small, **FOLDERS[case](tmp_path)}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFTGATE_SET", "\n".join(f"{key}={value}" for key, value in changes.items()))
    commands = walk(case)
    assert len(commands) >= 5
    for words, codes in commands:
        code = main(words)
        assert code in codes, f"{' '.join(words)}: exit {code}\n{capsys.readouterr().err[-1500:]}"
    runs = list(tmp_path.glob("*/runs/*/report.html"))
    assert len(runs) == 1, "each walk ends with a report"
    if case == "measure-first":
        names = {path.name for path in (tmp_path / "models" / "v0").iterdir()}
        assert {"yolov8n_lbzf_v0.pt", "eval_v0.json", "dataset_split_v0.csv", "model_card_v0.md"} <= names
