"""Classes that a run never finds, by its predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diagnosis.traces import learned, write
from liftgate.cli import main
from liftgate.diagnosis import diagnose
from liftgate.errors import UsageError


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, Path]:
    """A run, and twenty images with one cup and one knife each."""
    names = ["cup", "knife"]
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(1, 21)],
        "categories": [{"id": c + 1, "name": name} for c, name in enumerate(names)],
        "annotations": [
            {"id": 2 * i + c, "image_id": i, "category_id": c + 1, "bbox": [10 + 40 * c, 10, 20, 20], "area": 400,
             "iscrowd": 0}
            for i in range(1, 21)
            for c in range(2)
        ],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    return write(tmp_path / "run", learned(60, 0.4, 8, np.random.default_rng(0))), tmp_path / "truth.json"


def _found(folder: Path, classes: list[int], score: float = 0.9) -> Path:
    """Predictions that find the object at place `c` as class `classes[c]`; 0: not at all."""
    rows = [
        {"image_id": i, "category_id": cls, "bbox": [10 + 40 * c, 10, 20, 20], "score": score}
        for i in range(1, 21)
        for c, cls in enumerate(classes)
        if cls
    ]
    (folder / "found.json").write_text(json.dumps(rows))
    return folder / "found.json"


def test_a_class_of_which_nothing_is_found_is_named_with_how_sure_that_is(
    tmp_path: Path, world: tuple[Path, Path]
) -> None:
    run, truth = world
    (diagnosis,) = diagnose([run], truth=truth, predictions=_found(tmp_path, [1, 0]))
    (finding,) = diagnosis.findings
    assert finding.id == "trace.class_never_found" and finding.message.startswith("knife: none of 20 objects")
    evidence = finding.data["evidence"]
    assert evidence["recall_at_most"] == pytest.approx(1 - 0.05 ** (1 / 20)) and evidence["taken_for"] == {}
    assert diagnose([run], truth=truth, predictions=_found(tmp_path, [1, 2], 0.002))[0].findings == ()


def test_a_class_that_is_taken_for_another_says_for_which(tmp_path: Path, world: tuple[Path, Path]) -> None:
    run, truth = world
    (finding,) = diagnose([run], truth=truth, predictions=_found(tmp_path, [1, 1]))[0].findings
    assert "found as cup (20 of 20)" in finding.hint


def test_the_command_takes_predictions_and_their_truth_together(
    tmp_path: Path, world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, truth = world
    found = _found(tmp_path, [1, 0])
    assert main(["doctor", str(run), "--truth", str(truth), "--predictions", str(found)]) == 0
    assert "knife" in capsys.readouterr().out
    with pytest.raises(UsageError, match="go together"):
        diagnose([run], predictions=found)
    assert main(["doctor", str(run), str(run), "--truth", str(truth), "--predictions", str(found)]) == 2
