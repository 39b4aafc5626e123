"""A locked test split inside a study, beside another study, and from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import liftgate
from liftgate import api
from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.errors import Refused
from liftgate.ledger.lockbox import locked_by

Write = Callable[..., Path]
LOCKED = {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "lock": ["test"]}}


def gate(metric: str) -> dict[str, object]:
    return {"arm": "long", "on": "scenes.test", "claims": [{"metric": metric, "at_least": 0.1}], "rule": "point"}


@pytest.fixture
def studied(write_study: Write) -> tuple[Write, Path]:
    """A study that has looked once at its locked test split."""
    arms = {"long": [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 2}}]}

    def write(**changes: object) -> Path:
        plain = {"datasets": LOCKED, "arms": arms, "gates": {"enough": gate("mAP50")}, "flow": ["train", "enough"]}
        return write_study(**{**plain, **changes})

    study = write()
    api.run(study)
    return write, study


def test_a_second_study_on_the_same_test_split_is_told_of_the_first(studied: tuple[Write, Path]) -> None:
    write, _ = studied
    with pytest.raises(Refused, match="one more after 1 opening, 1 of them by colours"):
        api.run(write(study="other"))
    twice = {"scenes": {**LOCKED["scenes"], "openings": {"test": 2}}}
    verdict = api.run(write(study="other", datasets=twice)).verdicts["enough"]
    (caveat,) = [caveat for caveat in verdict["caveats"] if "look number 2" in caveat]
    assert "1 of them by colours" in caveat and "flatter" in caveat


def test_labels_that_changed_after_the_look_are_refused(studied: tuple[Write, Path], tmp_path: Path) -> None:
    write, _ = studied
    twice = {"scenes": {**LOCKED["scenes"], "openings": {"test": 2}}}
    label = sorted((tmp_path / "scenes").rglob("test*.txt"))
    label = [path for path in label if path.parent.name == "labels"]
    label[0].write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(Refused, match="is not what it was when it was opened"):
        api.run(write(datasets=twice))
    verdict = api.run(write(datasets=twice), open_anyway="one label was wrong").verdicts["enough"]
    assert any(caveat.startswith("contaminated") for caveat in verdict["caveats"])


def test_a_lock_on_a_folder_is_on_the_data_set_in_it_and_not_on_one_below(write_study: Write, tmp_path: Path) -> None:
    write_study(datasets={"scenes": {**LOCKED["scenes"], "path": "scenes"}})
    test = read(tmp_path / "scenes" / "data.yaml").split("test")
    assert [(one.dataset, one.split) for one in locked_by(test, [tmp_path])] == [("scenes", "test")]
    below = replace(test, source=tmp_path / "scenes" / "other" / "data.yaml")
    assert locked_by(below, [tmp_path]) == []


def test_a_lock_holds_before_the_study_has_ever_run(
    write_study: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(datasets=LOCKED)
    truth, found = tmp_path / "scenes" / "data.yaml", tmp_path / "found.json"
    found.write_text("[]")
    words = ["evaluate", "--truth", str(truth), "--predictions", str(found), "--split"]
    assert main([*words, "test"]) == 2
    assert "these images are locked: scenes.test of the study colours" in capsys.readouterr().err
    assert main([*words, "val"]) == 0
    assert not (study.parent / "runs").exists(), "a refusal leaves nothing"
    assert main([*words, "test", "--open-anyway", "--reason", "the labels are checked by hand"]) == 0
    capsys.readouterr()
    assert main(["ledger", "show", str(study), "--kind", "lockbox", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["body"]["contaminated"] and entry["body"]["who"]


def test_the_command_line_refuses_images_that_a_study_locks(
    studied: tuple[Write, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, study = studied
    truth, found = tmp_path / "scenes" / "data.yaml", tmp_path / "found.json"
    found.write_text("[]")
    words = ["evaluate", "--truth", str(truth), "--predictions", str(found), "--split"]
    assert main([*words, "test"]) == 2
    error = capsys.readouterr().err
    assert "these images are locked: scenes.test of the study colours" in error and "--open-anyway --reason" in error
    assert main([*words, "val"]) == 0, "val is free"
    assert main([*words, "test", "--open-anyway"]) == 2, "without a reason"
    assert main([*words, "test", "--reason", "curious"]) == 2, "a reason opens nothing"
    capsys.readouterr()
    assert main([*words, "test", "--open-anyway", "--reason", "the labels are checked by hand", "--json"]) == 0
    said = capsys.readouterr()
    assert "contaminated" in said.err
    assert json.loads(said.out)["settings"]["contaminated"].endswith("opened anyway: the labels are checked by hand")
    assert main(["ledger", "show", str(study), "--kind", "lockbox", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["body"]["reason"] for entry in entries] == [None, "the labels are checked by hand"]
    compare = ["compare", "--truth", str(truth), "--control", str(found), "--treatment", str(found), "--split", "test"]
    assert main(compare) == 2
    with pytest.raises(Refused, match="these images are locked"):
        liftgate.compare(truth, found, found, split="test")
    with pytest.raises(Refused, match="these images are locked"):
        liftgate.evaluate(truth, found, split="test")
