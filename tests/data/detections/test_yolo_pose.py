"""YOLO txt of a pose model: keypoints stand before the confidence, with a confidence of their own or without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Image, Keypoints, Labels
from liftgate.data.detections import read_predictions
from liftgate.errors import DataError
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.pck import Pck
from liftgate.evaluation.spec import EvaluationSpec


def poses() -> Dataset:
    """Two images of 200 × 100 pixels with one object each and two keypoints."""
    points = [[[60, 30, 2], [80, 40, 2]], [[60, 30, 2], [80, 40, 1]]]
    return Dataset(
        name="poses",
        root=Path(),
        source=Path("poses.yaml"),
        format="yolo",
        classes=("cow",),
        images=tuple(Image(f"{name}.jpg", Path(f"{name}.jpg"), 200, 100) for name in "ab"),
        labels=Labels.build([0, 1], [0, 0], [[50, 20, 90, 60]] * 2, keypoints=np.array(points, dtype=float)),
        keypoints=Keypoints(("head", "tail")),
    )


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_keypoints_with_and_without_their_own_confidence(tmp_path: Path) -> None:
    found = read_predictions(write(tmp_path, a="0 .35 .4 .2 .4 .3 .3 .9 .4 .4 .5 .8\n"), poses())
    assert found.scores.tolist() == [0.8] and found.boxes.tolist() == [[50, 20, 90, 60]]
    assert found.keypoints is not None and found.keypoints.tolist() == [[[60, 30, 0.9], [80, 40, 0.5]]]
    plain = read_predictions(write(tmp_path, a="0 .35 .4 .2 .4 .3 .3 .4 .4 .8\n"), poses())
    assert plain.keypoints is not None and plain.keypoints.tolist() == [[[60, 30, 1], [80, 40, 1]]]
    boxes = read_predictions(write(tmp_path, a="0 .35 .4 .2 .4 .8\n"), poses())
    assert boxes.keypoints is None


def test_they_are_measured_by_oks_and_pck(tmp_path: Path) -> None:
    row = "0 .35 .4 .2 .4 .3 .3 .9 .4 .4 .5 .8\n"
    data = poses()
    result = evaluate(
        data,
        read_predictions(write(tmp_path, a=row, b=row), data),
        EvaluationSpec(sigmas=0.05, pck=(Pck("max_side", 0.1),)),
    )
    assert result.metrics["OKS-mAP50"] == 1.0
    assert {name: one.estimate for name, one in result.pck["max_side=0.1"].items()} == {"all": 1, "head": 1, "tail": 1}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("0 .35 .4 .2 .4 .3 .3 .9 .4 .4 .5\n", r"(?s)number of columns.*2 keypoints.*save_conf=True"),
        ("0 .35 .4 .2 .4 .3 .3 .9 .8\n", r"number of columns"),
        ("0 .35 .4 .2 .4 .3 nan .9 .4 .4 .5 .8\n", r"a keypoint is no number"),
        ("0 .35 .4 .2 .4 .3 .3 .9 .4 .4 .5 .8\n0 .35 .4 .2 .4 .8\n", r"keypoints on some rows only .*a.txt:2"),
    ],
)
def test_rows_that_do_not_fit_the_keypoints_are_told(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_predictions(write(tmp_path, a=row), poses())
