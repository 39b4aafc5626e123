"""`check STUDY --fix`: mended copies of the data sets that need it, and a study.yaml that uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from checks.small_set import SmallSet
from liftgate.cli import main
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.study.study_file import load

STUDY = r"""
study: two
question: Does more data help?
datasets:
  small: {path: small/data.yaml, groups: '^(?P<group>[a-z]+\d)', ratios: [0.6, 0.2, 0.2], split_seed: 3, lock: [test],
          licence: CC0-1.0}
  sound: {path: sound/data.yaml, licence: CC0-1.0}
arms:
  control: [{weights: start.pt, data: small, recipe: {epochs: 3}}]
  treatment: [{weights: yolov8n.pt, data: [{dataset: small}, {dataset: sound}], val: small, recipe: {epochs: 3}}]
gates:
  lift: {metric: mAP50, treatment: treatment, control: control, on: small.test, differ: [data, weights]}
flow: [check, train, lift]
backend: toy
"""


@pytest.fixture
def study(sound: Path, small: SmallSet) -> Path:
    SmallSet(sound, small.root.with_name("sound"))
    (small.root.parent / "start.pt").write_bytes(b"weights")
    path = small.root.parent / "study.yaml"
    path.write_text(STUDY)
    return path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "runs" not in path.parts}


def test_what_needs_mending_is_copied_and_the_rest_is_led_back_to(study: Path, small: SmallSet) -> None:
    small.add_row("0 0.5 0.5 1.1 0.2")
    small.keys(download="import os")
    before = contents(study.parent)
    out = study.parent / "work" / "mended"
    main(["check", str(study), "--fix", str(out), "--select", "labels,data,classes"])
    assert {path: data for path, data in contents(study.parent).items() if path in before} == before

    old, new = load(study), load(out / "study.yaml")
    assert new.dataset("sound").path == "../../sound/data.yaml"
    assert new.arm("control").stages[0].weights == "../../start.pt"
    assert new.arm("treatment").stages[0].weights == "yolov8n.pt"
    assert (new.gates, new.flow, new.seeds, new.dataset("small").lock) == (old.gates, old.flow, old.seeds, ("test",))
    assert {path.name for path in out.iterdir() if path.name != "runs"} == {"study.yaml", "small"}
    assert {one["id"] for one in json.loads((out / "small" / "mended.json").read_text())["changes"]} == {
        "labels.out_of_range",
        "data.download_key",
    }


def test_groups_and_splits_are_those_that_the_study_made(study: Path, small: SmallSet) -> None:
    small.add_row("0 0.5 0.5 1.1 0.2")
    out = study.parent / "mended"
    assert main(["check", str(study), "--fix", str(out), "--select", "labels"]) == 0
    old, new = (load(path) for path in (study, out / "study.yaml"))
    was, now = (StudyDatasets(one, Workspace(one)).dataset("small") for one in (old, new))
    assert {Path(image.id).name: (image.split, image.group) for image in was.images} == {
        Path(image.id).name: (image.split, image.group) for image in now.images
    }
    assert len(now.labels) == len(was.labels) + 1, "the row over the edge is back"


def test_sound_data_are_not_copied(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = study.parent / "mended"
    assert main(["check", str(study), "--fix", str(out), "--select", "labels"]) == 0
    assert "nothing was written" in capsys.readouterr().err
    assert not out.exists()


def test_nothing_is_written_over(study: Path, small: SmallSet) -> None:
    small.add_row("0 0.5 0.5 1.1 0.2")
    assert main(["check", str(study), "--fix", str(study.parent)]) == 2
    assert yaml.safe_load(study.read_text()) == yaml.safe_load(STUDY)
