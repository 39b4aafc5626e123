"""The site: the tutorial's commands run as they stand, and every page of its menu is written."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from liftgate.backends.base import TrainJob
from liftgate.cli import VERBS, main
from liftgate.cli.data import SUBVERBS
from liftgate.testing.backends import write_tree
from liftgate.training import launch

ROOT = Path(__file__).parents[1]
MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"


def export_as_roboflow_does(folder: Path) -> None:
    """Lay a small data set out as train/, valid/ and test/ with images and labels, and frames of five videos."""
    source = write_tree(folder / "drawn", train=30, held_out=15).parent
    for split, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        for number, image in enumerate(sorted((source / "images").glob(f"{split}*"))):
            stem = f"{name}video{number % 5}_{number:03d}"
            for kind, path in (("images", image), ("labels", source / "labels" / f"{image.stem}.txt")):
                target = folder / "export" / name / kind / f"{stem}{path.suffix}"
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    document = {"train": "train/images", "val": "valid/images", "test": "test/images", "names": ["red", "blue"]}
    (folder / "export" / "data.yaml").write_text(yaml.safe_dump(document))


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_as_roboflow_does(tmp_path)
    (tmp_path / "scratch.yaml").write_text("{}\n")
    recipe = {"epochs": 1, "lr0": 0.0001}
    data = tmp_path / "drawn" / "data.yaml"
    job = TrainJob(str(tmp_path / "scratch.yaml"), data, recipe, 5, "detect", tmp_path / "v1" / "results")
    best = launch.train(job, backend="toy", folder=tmp_path / "v1", on_event=lambda event: None).best
    shutil.copy(best, tmp_path / "model.pt")
    changes = {"backend": "toy", "evaluation": "{imgsz: 64}", "ignore.weights.unreadable": "of the toy learner"}
    arms = ("smoke", "at_640", "at_416", "long_640", "long_416")
    changes |= {f"arms.{arm}.0.recipe": f"{{epochs: {2 + n}, lr0: 0.5}}" for n, arm in enumerate(arms)}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFTGATE_SET", "\n".join(f"{key}={value}" for key, value in changes.items()))
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ liftgate (.*)$", text, re.MULTILINE)
    assert len(commands) == 10
    for line in commands:
        command, _, expected = line.partition("    # exit ")
        code = main(shlex.split(command))
        wanted = {int(one) for one in re.findall(r"\d+", expected)} or {0}
        assert code in wanted, f"{command}: exit {code}\n{capsys.readouterr().err[-1500:]}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, str(ROOT / "docs" / "make_site.py"), str(folder)], check=True)
    return folder


def menu(entry: object) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    inside = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()
    return [page for one in inside for page in menu(one)]


def test_every_page_of_the_menu_is_written_and_every_guide_is_in_it(site: Path) -> None:
    listed = menu(yaml.safe_load((site / "mkdocs.yml").read_text())["nav"])
    assert [page for page in listed if not (site / "docs" / page).is_file()] == []
    guides = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert guides - set(listed) == set()
    assert len(listed) == len(set(listed))


def test_the_reference_has_every_verb_and_every_public_name(site: Path) -> None:
    import liftgate

    commands = (site / "docs/docs/reference/cli.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"## liftgate {verb}\n" not in commands] == []
    assert [verb for verb in SUBVERBS if f"### liftgate data {verb}\n" not in commands] == []
    names = (site / "docs/docs/reference/python.md").read_text(encoding="utf-8")
    public = set(liftgate.__all__) - {"data", "__version__"}
    assert [name for name in public if f"### {name}\n" not in names] == []


@pytest.mark.skipif(not MKDOCS.exists(), reason="`make docs` makes the site's environment")
def test_the_site_is_built_without_a_broken_link(site: Path) -> None:
    command = [str(MKDOCS), "build", "--strict", "--quiet", "-f", str(site / "mkdocs.yml")]
    subprocess.run(command, check=True)
    assert (site / "site" / "docs" / "tutorial.html").is_file()
