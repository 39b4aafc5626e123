"""What a busy machine, and other processes on it, must not change: the figures and the detections of a model."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from pathlib import Path

import pytest

from backends.tiny import RECIPE, write_model
from liftgate.backends.base import PredictJob, TrainJob
from liftgate.testing.backends import write_tree
from liftgate.training import launch

_ABSENT = importlib.util.find_spec("ultralytics") is None
pytestmark = [pytest.mark.train, pytest.mark.slow, pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")]

_FAST_CLOCK = """
import time
clock, start = time.time, time.time()
time.time = lambda: start + 1e5 * (clock() - start)
"""
"""A second of computing that takes a day: no suppression of boxes ends within its time"""


def figures_and_detections(folder: Path, tree: Path) -> tuple[list[list[str]], bytes]:
    """Train a little, predict, and return the rows of results.csv without times, and the detections."""
    weights = str(write_model(folder.parent / "tiny.yaml"))
    job = TrainJob(weights, tree, {**RECIPE, "epochs": 2}, 0, "detect", folder / "results", "cpu")
    best = launch.train(job, backend="ultralytics", folder=folder, on_event=lambda event: None).best
    out = folder / "predictions.json"
    predicted = PredictJob(str(best), tree, "test", "detect", out, {"imgsz": 64}, "cpu")
    launch.predict(predicted, backend="ultralytics", folder=folder, on_event=lambda event: None)
    with (folder / "results" / "results.csv").open() as lines:
        rows = [[value for name, value in row.items() if "time" not in name] for row in csv.DictReader(lines)]
    return rows, out.read_bytes()


def test_figures_and_detections_do_not_hang_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = write_tree(tmp_path / "tree", train=8, held_out=6)
    usual = figures_and_detections(tmp_path / "usual", tree)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_FAST_CLOCK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    assert figures_and_detections(tmp_path / "busy", tree) == usual
    assert len(json.loads(usual[1])) > 20, "there are boxes to suppress"


def test_a_label_cache_that_another_process_removes_meanwhile_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.data import dataset, utils

    from liftgate.backends.ultralytics.validator import share_label_caches

    monkeypatch.setattr(dataset, "save_dataset_cache_file", utils.save_dataset_cache_file)
    cache = tmp_path / "train.cache"
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path == cache or exists(path))  # it was there a moment ago
    with pytest.raises(FileNotFoundError):
        dataset.save_dataset_cache_file("", cache, {"labels": []}, "1")
    share_label_caches()
    dataset.save_dataset_cache_file("", cache, {"labels": [1]}, "1")
    assert utils.load_dataset_cache_file(cache) == {"labels": [1], "version": "1"}
    assert list(tmp_path.iterdir()) == [cache]
