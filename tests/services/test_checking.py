"""`check` of a study goes on where one data set cannot be split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftgate import api
from liftgate.cli import main
from liftgate.errors import DataError
from liftgate.testing.backends import write_tree

STUDY = """
study: few
question: Is it good enough?
backend: toy
datasets: {scenes: {path: scenes/data.yaml, groups: '^(?P<group>train|val)', ratios: [0.5, 0.25, 0.25]}}
arms: {long: [{weights: start.yaml, data: scenes, recipe: {epochs: 6, lr0: 0.5}}]}
gates: {enough: {arm: long, on: scenes.test, claims: [{metric: recall, at_least: 0.5}]}}
flow: [check, train, enough]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose data have two groups for three splits, and three labels of a class that is not there."""
    source = write_tree(tmp_path / "scenes", train=12, held_out=6)
    (source.parent / "test.txt").unlink()
    source.write_text("".join(line for line in source.read_text().splitlines(True) if not line.startswith("test")))
    for label in sorted((tmp_path / "scenes" / "labels").glob("train*"))[:3]:
        label.write_text("7 0.5 0.5 0.1 0.1\n")
    (tmp_path / "start.yaml").write_text("nc: 2\n")
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def test_fewer_groups_than_splits_is_one_finding_among_the_others(study: Path) -> None:
    findings = {finding.id: finding for finding in api.check(study).findings if finding.severity == "error"}
    few = findings["splits.missing"]
    assert "fewer groups than splits: 2 for 3" in few.message
    assert "study.yaml:5" in few.where and "a finer rule for `groups`" in few.hint
    assert "classes.mismatch" in findings, "the labels are looked at all the same"
    assert [finding.id for finding in api.check(study).findings].count("splits.missing") == 1


def test_it_stops_check_as_a_finding_and_run_before_anything_is_written(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(study), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["ok"] is False
    with pytest.raises(DataError, match="fewer groups than splits"):
        api.run(study)
    assert not (study.parent / "runs" / "few" / "ledger.sqlite").exists()
