"""The toy backend keeps the contract, and learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy import ndimage

from liftgate.backends.base import TrainJob
from liftgate.backends.events import EpochReport, Event
from liftgate.backends.toy import Toy, connected_regions
from liftgate.errors import TrainingError, UsageError
from liftgate.testing.backends import BackendContract, write_tree


class TestToyKeepsTheContract(BackendContract):
    backend = "toy"
    # Long enough that a pause finds it running where a disk costs nothing: an epoch takes 2 ms in memory.
    recipe: ClassVar = {"epochs": 200, "patience": 200, "lr0": 0.2}


def _train(tree: Path, out: Path, **recipe: float) -> list[float]:
    events: list[Event] = []
    (tree.parent / "model.yaml").write_text("{}\n")
    job = TrainJob(str(tree.parent / "model.yaml"), tree, recipe, 0, "detect", out)
    Toy().train(job, events.append, lambda: False)
    return [event.metrics["mAP50"] for event in events if isinstance(event, EpochReport)]


def test_it_finds_most_rectangles_after_a_few_epochs(tmp_path: Path) -> None:
    curve = _train(write_tree(tmp_path / "tree"), tmp_path / "out", epochs=5)
    assert curve[-1] > 0.5


def test_a_learning_rate_near_zero_learns_less(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    assert _train(tree, tmp_path / "slow", epochs=3, lr0=1e-6)[-1] < _train(tree, tmp_path / "fast", epochs=3)[-1]


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    curve = _train(write_tree(tmp_path / "tree"), tmp_path / "out", epochs=50, patience=3, lr0=0.0)
    assert len(curve) == 1 + 3, "at a rate of 0 nothing improves on the first epoch"


def test_the_best_epoch_goes_by_the_metric_that_the_job_names(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    (tmp_path / "model.yaml").write_text("{}\n")
    job = TrainJob(str(tmp_path / "model.yaml"), tree, {"epochs": 8}, 0, "detect", tmp_path / "out", select="precision")
    events: list[Event] = []
    facts = Toy().train(job, events.append, lambda: False)
    curve = [event.metrics["precision"] for event in events if isinstance(event, EpochReport)]
    assert facts["best_epoch"] == curve.index(max(curve)) + 1
    with pytest.raises(UsageError, match="no such metric"):
        Toy().train(replace(job, select="mAP", out=tmp_path / "other"), events.append, lambda: False)


def test_pose_is_refused(tmp_path: Path) -> None:
    job = TrainJob("model.yaml", write_tree(tmp_path / "tree"), {}, 0, "pose", tmp_path / "out")
    with pytest.raises(UsageError, match="boxes only"):
        Toy().train(job, lambda event: None, lambda: False)


def test_where_no_saved_state_can_be_read_nothing_starts_over(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree")
    _train(tree, tmp_path / "out", epochs=2)
    states = sorted((tmp_path / "out" / "state").glob("*/state.bin"))
    for path in states:
        path.write_text('{"centroids": [], "of a later version": 1}')
    job = TrainJob(str(tmp_path / "model.yaml"), tree, {"epochs": 4}, 0, "detect", tmp_path / "out", resume=True)
    with pytest.raises(TrainingError, match="no saved state of this run can be read"):
        Toy().train(job, lambda event: None, lambda: False)
    assert sorted((tmp_path / "out" / "state").glob("*/state.bin")) == states


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.5, 0.6, 0.9, 1.0])
def test_regions_are_those_of_scipy(share: float) -> None:
    rng = np.random.default_rng(7)
    for shape in ((1, 1), (1, 9), (9, 1), (7, 5), (40, 64)):
        for _ in range(10):
            mask = rng.random(shape) < share
            labelled, places = connected_regions(mask)
            expected, _ = ndimage.label(mask)
            assert np.array_equal(labelled, expected)
            assert places == ndimage.find_objects(expected)
