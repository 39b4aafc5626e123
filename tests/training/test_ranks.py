"""Several devices: one process for each, that learn in step; the first alone reports, and nobody waits for the dead."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from backends.tiny import RECIPE, write_model
from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import EpochReport, Event
from liftgate.errors import TrainingError
from liftgate.testing.backends import write_tree
from liftgate.training import launch
from liftgate.training.events import read_events

_ABSENT = importlib.util.find_spec("ultralytics") is None
pytestmark = [pytest.mark.train, pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainJob:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    tree = write_tree(tmp_path / "tree", train=8, held_out=4)
    recipe = {**RECIPE, "epochs": 4, "mosaic": 0.0, "workers": 0}
    weights = str(write_model(tmp_path / "tiny.yaml"))
    return TrainJob(weights, tree, recipe, 0, "detect", tmp_path / "run" / "results", "0,1")


def _train(job: TrainJob, **how: Any) -> launch.TrainOutcome:
    how = {"on_event": lambda event: None, **how}
    return launch.train(job, backend="backends.two_cpus:TwoCpus", folder=job.out.parent, **how)


def _ranks(folder: Path) -> list[int]:
    """Processes that work on the job in `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"liftgate.training." in words and str(folder / "train.json").encode() in words:
            found.append(int(entry.name))
    return found


@pytest.mark.slow
def test_two_ranks_lose_and_repeat_no_epoch_across_a_kill_and_leave_nobody_behind(job: TrainJob) -> None:
    folder = job.out.parent

    def kill(event: Event) -> None:
        if isinstance(event, EpochReport) and event.epoch == 2:
            assert len(_ranks(folder)) == 2
            (worker,) = [pid for pid in _ranks(folder) if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            os.kill(worker, signal.SIGKILL)

    with pytest.raises(TrainingError, match="without a report"):
        _train(job, on_event=kill)
    outcome = _train(job)
    assert [report.epoch for report in outcome.reports] == [1, 2, 3, 4]
    with (job.out / "results.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]
    assert (outcome.facts["devices"], outcome.facts["exact_resume"]) == (2, False)
    assert outcome.facts["images"] == {"train": 8, "val": 4}
    assert outcome.best.is_file() and _ranks(folder) == []


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_run_with_a_word_and_not_with_silence(
    job: TrainJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTGATE_TEST_RANK_DIES", "1")
    with pytest.raises(TrainingError, match="rank 1 of the training on 2 devices ended with code 7"):
        _train(job)
    assert _ranks(job.out.parent) == []


@pytest.mark.slow
def test_two_ranks_pause_at_an_epoch_and_go_on(job: TrainJob) -> None:
    seen: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, EpochReport):
            seen.append(int(event.epoch))

    with pytest.raises(Paused):
        _train(job, on_event=note, stop=lambda: bool(seen))
    assert _ranks(job.out.parent) == [] and seen[-1] < 4
    _train(job, on_event=note)
    assert seen == [1, 2, 3, 4]
    assert read_events(job.out.parent / "events.jsonl")[-1].kind == "done"
