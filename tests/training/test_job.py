"""When a job that comes again is the same job: its folder may have moved, its parts may not have changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from liftgate.backends.base import TrainJob
from liftgate.training.job import JobFile


def job(folder: str, **changes: Any) -> JobFile:
    at = Path(folder)
    plain = TrainJob(
        str(at / "start.pt"), at / "runs/trees/a/data.yaml", {"epochs": 3}, 0, "detect", at / "runs/one/results"
    )
    return JobFile("train", "toy", replace(plain, **changes))


def test_it_is_the_same_after_a_pause_and_whatever_may_stop_it() -> None:
    assert job("/study").same_as(job("/study", resume=True, reported=2, decide=({"at": 1},)))


def test_it_is_the_same_in_a_study_folder_that_was_moved() -> None:
    assert job("/old").same_as(job("/new"))


def test_weights_in_a_place_of_their_own_stay_there_when_the_study_moves() -> None:
    cached = "/cache/weights/yolov8n.pt"
    assert job("/old", weights=cached).same_as(job("/other/depth/new", weights=cached))
    assert job("/old", weights="yolov8n.yaml").same_as(job("/new", weights="yolov8n.yaml"))


@pytest.mark.parametrize(
    "changes",
    [{"recipe": {"epochs": 4}}, {"seed": 1}, {"task": "pose"}, {"select": "mAP50"}, {"weights": "/study/other.pt"},
     {"data": Path("/study/runs/trees/b/data.yaml")}],
)  # fmt: skip
def test_another_recipe_seed_or_file_is_another_job(changes: dict[str, Any]) -> None:
    assert not job("/study").same_as(job("/study", **changes))
    assert not job("/study").same_as(replace(job("/study"), backend="ultralytics"))


def test_it_survives_being_written_down(tmp_path: Path) -> None:
    job("/study").write(tmp_path / "train.json")
    assert JobFile.read(tmp_path / "train.json").same_as(job("/study"))
