"""ONNX files of Ultralytics' own exporter, without a card: checked, and measured at every batch that they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import liftgate
from liftgate.backends.sandbox import sandbox_environment
from liftgate.cli import main

pytest.importorskip("ultralytics")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxslim")

from deploy.colours import write_images
from deploy.tiny_checkpoint import write_checkpoint

pytestmark = [pytest.mark.train, pytest.mark.xdist_group("exports")]
QUICK = {"blocks": 1, "seconds": 0.02, "threads": 1}

_SCRIPT = """
import shutil, sys
from ultralytics import YOLO
for name, batch, dynamic, nms in (("one", 1, False, False), ("four", 4, False, False), ("any", 1, True, False),
                                  ("nms", 1, False, True)):
    shutil.copy(sys.argv[1], f"{name}.pt")
    YOLO(f"{name}.pt").export(format="onnx", imgsz=64, batch=batch, dynamic=dynamic, nms=nms)
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one.onnx, four.onnx, any.onnx and nms.onnx of a detector of cats and dogs."""
    folder = tmp_path_factory.mktemp("theirs")
    checkpoint = write_checkpoint(folder / "tiny")
    environment = sandbox_environment(folder / "home", os.environ)
    command = [sys.executable, "-P", "-c", _SCRIPT, str(checkpoint)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.parametrize("name", ["one", "four", "any"])
def test_only_where_it_comes_from_is_open(theirs: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(theirs / f"{name}.onnx"), "--json"]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["id"] == "model.contract" and "the weights that it was made from" in finding["message"]


def test_where_its_numbers_end_is_said_of_suppression_inside(theirs: Path) -> None:
    said = [one.message for one in liftgate.check(theirs / "nms.onnx").findings]
    assert any("suppression is inside the file" in one for one in said)
    assert any("the confidence below which the file gives no detection" in one for one in said)


@pytest.mark.parametrize(
    ("name", "calls"),
    [("one", {1: 1, 2: 2, 8: 8}), ("any", {1: 1, 2: 1, 8: 1}), ("four", {8: 2}), ("nms", {1: 1, 2: 2, 8: 8})],
)
def test_each_batch_that_it_can_be_given_is_measured(theirs: Path, name: str, calls: dict[int, int]) -> None:
    (model,) = liftgate.bench(theirs / f"{name}.onnx", batches=(1, 2, 8), **QUICK).models  # type: ignore[arg-type]
    assert {one.batch: one.calls_per_request for one in model.batches} == calls
    assert all(one.ms_per_image.estimate > 0 for one in model.batches)
    skipped = any("batch 1, 2 not measured: the input is 64 × 64, batch 4" in note for note in model.notes)
    assert skipped == (name == "four")


def test_a_file_that_takes_none_of_the_batches_is_one_error(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", str(theirs / "four.onnx"), "--batch", "1,2", "--blocks", "1", "--seconds", "0.02"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1 and "takes none of the batches" in said and "batch 4" in said


def test_they_find_what_the_checkpoint_finds(theirs: Path) -> None:
    write_images(theirs / "set", 4, size=(96, 80))
    truth = liftgate.predict(theirs / "one.pt", theirs / "set/images/test", imgsz=64, conf=0.25).predictions
    assert len(truth) > 10
    for name in ("one", "any"):
        found = liftgate.predict(theirs / f"{name}.onnx", theirs / "set/images/test", conf=0.25).predictions
        assert len(found) == len(truth) and abs(found.boxes - truth.boxes).max() <= 0.05, name
