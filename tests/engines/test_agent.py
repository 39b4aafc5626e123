"""The process beside a task works for its own attempt only, with the driver's inputs and versions."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from liftgate.backends.base import TrainJob
from liftgate.engines.agent import run_attempt
from liftgate.engines.task import Fence, Task, TaskResult
from liftgate.hashing import file_hash
from liftgate.testing.backends import write_tree
from liftgate.training.job import JobFile


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    data = write_tree(tmp_path / "scenes", train=8, held_out=4)
    start = tmp_path / "start.yaml"
    start.write_text("nc: 2\n")
    job = TrainJob(str(start), data, {"epochs": 2}, 0, "detect", tmp_path / "run" / "results")
    inputs = {str(path): file_hash(path) for path in (start, data)}
    found = Task("k", "train", tmp_path / "run", JobFile("train", "toy", job), inputs)
    found.write()
    Fence(found.folder).grant("mine")
    return found


def test_a_finished_attempt_names_the_hash_of_what_it_wrote(task: Task) -> None:
    result = run_attempt(task.folder, "mine")
    assert result.ending == "done"
    assert result == TaskResult.read(task.folder)
    assert set(result.outputs) == {str(path) for path in task.output_paths()}
    assert not result.unseen_outputs()


def test_an_attempt_that_is_over_does_nothing_and_leaves_its_successors_result(task: Task) -> None:
    successors = TaskResult("another", "done", 1.0)
    successors.write(task.folder)
    Fence(task.folder).grant("another")
    assert run_attempt(task.folder, "mine").ending == "paused"
    assert TaskResult.read(task.folder) == successors
    assert not (task.folder / "events.jsonl").exists()


def test_an_input_that_differs_on_this_machine_is_refused(task: Task) -> None:
    Path(task.work.job.weights).write_text("nc: 3\n")
    result = run_attempt(task.folder, "mine")
    assert result.ending == "failed"
    assert "an input of the task differs" in result.failed_event().what


@pytest.mark.parametrize("package", ["liftgate", "numpy", "ultralytics-of-tomorrow"])
def test_another_version_is_refused_by_name(task: Task, package: str) -> None:
    replace(task, versions={package: "0.0.1"}).write()
    result = run_attempt(task.folder, "mine")
    assert result.ending == "failed"
    said = result.failed_event()
    assert (said.what, said.expected) == (f"the worker has another {package}", "0.0.1")
    assert said.where and said.hint


def test_the_trainers_own_error_is_a_failure_and_no_loss(task: Task) -> None:
    job = replace(task.work.job, recipe={"epochs": 2, "lr": 1})
    replace(task, work=replace(task.work, job=job)).write()
    result = run_attempt(task.folder, "mine")
    assert result.ending == "failed"
    assert result.failure is not None
