"""`liftgate init` writes studies that load, and never over anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import liftgate.templates
from liftgate.cli import main
from liftgate.errors import UsageError
from liftgate.study.study_file import load
from liftgate.study.templates import TEMPLATES, TemplateInputs, write

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_loads_as_it_is(tmp_path: Path, template: str) -> None:
    study = load(write(tmp_path / "my study", template, TemplateInputs()))
    assert study.name == "my-study"
    assert {path.name for path in (tmp_path / "my study").iterdir()} == {"study.yaml", "README.md", "study.schema.json"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_loads_with_everything_filled_in(tmp_path: Path, template: str) -> None:
    data, more = tmp_path / "my: data's #1.json", tmp_path / "more"
    data.touch()
    more.mkdir()
    filling = TemplateInputs(
        data, more, weights="yolo11n.pt", cls='traffic light: "red"', groups=r"^(?P<group>[^_\"']+)_"
    )
    study = load(write(tmp_path / "here", template, filling))
    paths = {spec.path for spec in study.datasets}
    assert data.as_posix() in paths
    assert {spec.groups for spec in study.datasets} >= {r"^(?P<group>[^_\"']+)_"}
    assert {stage.weights for arm in study.arms for stage in arm.stages} <= {"yolo11n.pt", None, "yolov8m.pt"}


def test_measure_first_asks_whether_the_model_is_good_enough_and_trains_only_if_not(tmp_path: Path) -> None:
    study = load(write(tmp_path / "a", "measure-first", TemplateInputs(cls="bus")))
    assert study.datasets[0].keep == ("bus",)
    gate = study.gates[0]
    assert {(claim.metric, claim.at_least) for claim in gate.claims} == {
        ("recall", 0.95),
        ("best_confidence_median", 0.55),
    }
    assert not study.arm(gate.arm or "").stages
    first = next(step for step in study.flow if step.name == "train")
    lift = next(step for step in study.flow if step.name == "lift")
    assert first.when == lift.when == {gate.name: ("FAIL", "MARGINAL")}
    assert first.arms == ("tuned",), "the experiments come after the verdict"


@pytest.mark.parametrize("template", ["measure-first", "two-stage", "runbook"])
def test_a_held_out_set_of_its_own_has_a_gate_and_nothing_trains_on_it(tmp_path: Path, template: str) -> None:
    (tmp_path / "winter.json").touch()
    study = load(write(tmp_path / "a", template, TemplateInputs(held_out=(("winter", tmp_path / "winter.json"),))))
    assert study.dataset("winter").ratios == (0, 0, 1) and study.dataset("winter").lock == ("test",)
    (gate,) = [gate for gate in study.gates if gate.on == "winter.test"]
    assert gate.name in [step.name for step in study.flow]
    assert not any("winter" in (*stage.sources, stage.data) for arm in study.arms for stage in arm.stages)
    assert study.answer not in (None, gate.name)


def test_slices_are_those_that_were_asked_for(tmp_path: Path) -> None:
    study = load(write(tmp_path / "a", "measure-first", TemplateInputs(by="folder")))
    assert [gate.by for gate in study.gates if gate.name == "lift"] == ["folder"]


def test_measure_first_with_a_second_set_trains_on_nothing_that_it_measures(tmp_path: Path) -> None:
    for name in ("sample.json", "training.json"):
        (tmp_path / name).touch()
    study = load(
        write(tmp_path / "a", "measure-first", TemplateInputs(tmp_path / "sample.json", tmp_path / "training.json"))
    )
    assert study.dataset("sample").ratios == (0, 0, 1)
    assert {stage.data for arm in study.arms for stage in arm.stages} == {"training"}
    assert {gate.on for gate in study.gates} == {"sample.test", "training.val"}, "the experiments are judged on val"


def test_a_path_given_from_here_is_written_as_seen_from_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "yolo.pt").touch()
    monkeypatch.chdir(tmp_path)
    study = load(write(Path("deep/er"), "runbook", TemplateInputs(Path("data"), weights="yolo.pt")))
    assert study.datasets[0].path == "../../data"
    assert study.arms[0].stages[0].weights == "../../yolo.pt"


def test_a_csv_of_groups_or_slices_given_from_here_is_found_from_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "groups.csv").write_text("image,group\na.jpg,a\n")
    (tmp_path / "frames.csv").write_text("image,category\na.jpg,aisle\n")
    monkeypatch.chdir(tmp_path)
    inputs = TemplateInputs(groups="groups.csv", by="frames.csv#category")
    text = write(Path("deep"), "measure-first", inputs).read_text()
    assert "groups: ../groups.csv" in text and 'by: "../frames.csv#category"' in text
    text = write(Path("other"), "measure-first", TemplateInputs(groups="folder", by="later.csv#category")).read_text()
    assert "groups: folder" in text and "later.csv#category" in text and "../later" not in text, "words stay words"


@pytest.mark.parametrize("there", ["study.yaml", "README.md", "study.schema.json"])
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write(tmp_path, "runbook", TemplateInputs())
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert load(write(tmp_path, "runbook", TemplateInputs())).gates


@pytest.mark.parametrize(
    ("template", "filling", "said"),
    [
        ("mesure-first", TemplateInputs(), "did you mean measure-first?"),
        ("kilswitch", TemplateInputs(), "did you mean kill-switch?"),
        ("", TemplateInputs(), "expected measure-first, two-stage, runbook"),
        ("runbook", TemplateInputs(Path("/nowhere/data.yaml")), "no such data"),
        ("runbook", TemplateInputs(groups="fodler"), "did you mean folder?"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, template: str, filling: TemplateInputs, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "new", template, filling)
    assert said in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="a file, not a folder"):
        write(tmp_path / "a", "runbook", TemplateInputs())


def test_the_command_says_where_the_study_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "a"), "--template", "measure-first", "--class", "dog"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/a/study.yaml\n"
    assert "liftgate check" in said.err
    assert load(tmp_path / "a" / "study.yaml").datasets[0].keep == ("dog",)
    assert main(["init", str(tmp_path / "a"), "--template", "measure-first"]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert main(["init", str(tmp_path / "b"), "--template", "runbook", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == f"{tmp_path}/b/study.yaml"


@pytest.mark.parametrize(
    ("template", "words", "said"),
    [
        ("two-stage", ["--class", "dog"], "measure-first take it"),
        ("kill-switch", ["--class", "dog"], "no use for --class"),
        ("runbook", ["--more-data", "."], "no use for --more-data"),
        ("improve", ["--held-out", "winter=."], "no use for --held-out: got winter"),
        ("kill-switch", ["--by", "folder"], "no use for --by"),
        ("runbok", ["--more-data", "."], "did you mean runbook"),
    ],
)
def test_an_option_that_the_template_would_ignore_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], template: str, words: list[str], said: str
) -> None:
    assert main(["init", str(tmp_path / "a"), "--template", template, *words, "--json"]) == 2
    streams = capsys.readouterr()
    assert said in streams.err and not (tmp_path / "a").exists()
    error = json.loads(streams.out)
    assert error["exit_code"] == 2 and said in f"{streams.err}{error['error']['hint']}{error['error']['what']}"


STUDIES = sorted(path for path in EXAMPLES.glob("*.yaml") if "study:" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", STUDIES, ids=lambda path: path.name)
def test_every_example_loads_and_holds_no_path_of_a_machine(example: Path) -> None:
    study = load(example)
    assert not any(Path(spec.path).is_absolute() for spec in study.datasets)
    assert (example.parent / example.read_text().splitlines()[0].partition("$schema=")[2]).is_file()


def test_the_examples_are_there() -> None:
    assert {"bccd.yaml", "measure_first_coco.yaml"} <= {path.name for path in EXAMPLES.iterdir()}


def test_every_folder_of_templates_is_offered_and_nothing_else() -> None:
    folder = Path(liftgate.templates.__file__).parent
    assert sorted(TEMPLATES) == sorted(path.parent.name for path in folder.glob("*/study.yaml.j2"))
    assert [path.name for path in folder.glob("*.py")] == ["__init__.py"]
