"""Jobs that submitit runs go through its own submission, signal and requeue, here on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("submitit")

from liftgate.backends.base import TrainJob
from liftgate.engines.base import Resources, Submission
from liftgate.engines.dispatch import Dispatcher
from liftgate.engines.matching import MatchJob, write_arrays
from liftgate.engines.slurm import SlurmEngine
from liftgate.engines.task import Fence, Task, TaskResult
from liftgate.errors import TrainingError, UsageError
from liftgate.evaluation.cell_matching import MatchInputs
from liftgate.hashing import file_hash
from liftgate.testing.backends import write_tree
from liftgate.training.events import read_events
from liftgate.training.job import JobFile
from pipeline.gated import Gate, wait_until


def gated_task(folder: Path, tmp_path: Path, epochs: int = 4) -> Task:
    data = write_tree(tmp_path / "scenes", train=8, held_out=4)
    (tmp_path / "start.yaml").write_text("nc: 2\n")
    job = TrainJob(str(tmp_path / "start.yaml"), data, {"epochs": epochs}, 0, "detect", folder / "results")
    task = Task("k", "train", folder, JobFile("train", "gated:Gated", job))
    task.write()
    Fence(folder).grant("mine")
    return task


@pytest.mark.slow
def test_a_preempted_job_pauses_at_its_epoch_is_requeued_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFTGATE_TEST_GATE", str(tmp_path / "gate"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "pipeline"), prepend=":")
    gate, task = Gate(tmp_path / "gate"), gated_task(tmp_path / "run", tmp_path)
    engine = SlurmEngine(tmp_path / "engine", cluster="local")
    [handle] = engine.submit([Submission("train", task.folder, "mine", Resources())])
    gate.let_pass(1)
    gate.wait_for_epoch(2)
    for process in Path("/proc").glob("[0-9]*"):  # the job itself, as Slurm would signal it
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"submitit.core._submit" in words and str(tmp_path / "engine").encode() in words:
            os.kill(int(process.name), signal.SIGUSR2)
    gate.wait_until_told(to_pause=True)
    gate.let_pass(2)
    gate.wait_for_epoch(3)
    gate.open()
    wait_until(lambda: engine.poll([handle]) == ["ended"], "the end of the job")
    result = TaskResult.read(task.folder)
    assert result is not None
    assert (result.attempt, result.ending) == ("mine", "done")
    epochs = [event.to_body()["epoch"] for event in read_events(task.folder / "events.jsonl") if event.kind == "epoch"]
    assert epochs == [1, 2, 3, 4]
    assert any("is preempted" in path.read_text() for path in engine.logs(handle))
    engine.close()


def test_without_slurm_the_engine_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="the engine slurm cannot be used here") as error:
        SlurmEngine(tmp_path / "engine")
    assert "engine: local" in (error.value.hint or "")


def test_a_cancelled_job_gives_no_result_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFTGATE_TEST_GATE", str(tmp_path / "gate"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "pipeline"), prepend=":")
    gate, task = Gate(tmp_path / "gate"), gated_task(tmp_path / "run", tmp_path)
    engine = SlurmEngine(tmp_path / "engine", cluster="local")
    [handle] = engine.submit([Submission("train", task.folder, "mine", Resources())])
    gate.wait_for_epoch(1)
    engine.cancel([handle])
    gate.wait_until_told(to_pause=True)
    gate.open()
    wait_until(lambda: engine.poll([handle]) == ["ended"], "the end of the job")
    result = TaskResult.read(task.folder)
    assert result is None or result.ending == "paused"
    engine.close()


_NONE = np.empty(0, dtype=np.int64)
_BOXES, _SIDES, _POINTS = np.empty((0, 4)), np.empty((0, 2)), np.empty((0, 0, 3))
_OBJECTS = (_NONE, _NONE, _BOXES, _SIDES, _POINTS, np.empty(0), np.empty(0, dtype=np.bool_))
NOTHING = MatchInputs(
    _NONE, _NONE, np.empty(0), _BOXES, _SIDES, _POINTS, *_OBJECTS, np.empty((4, 0), dtype=np.bool_), np.empty(0)
)
FULL = """
import errno, pathlib
def full(path, *_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", str(path))
pathlib.Path.write_text = full
"""


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_workers_is_what_the_user_is_told_whatever_submitit_logs_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FULL)  # in the jobs alone: this process has begun
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=":")
    folder = tmp_path / "task"
    job = MatchJob(folder / "inputs.npz", folder / "matches.npz")
    write_arrays(job.data, NOTHING)
    engine = SlurmEngine(tmp_path / "engine", cluster="local")
    tasks = Dispatcher(engine)
    tasks.submit([Task("k", "match", folder, job, {str(job.data): file_hash(job.data)})])
    with pytest.raises(TrainingError, match="attempts in a row") as raised:
        tasks.wait("k", on_event=lambda event: None, stop=lambda: False)
    engine.close()
    logs = [Path(one) for one in str(raised.value.where).split(", ")]
    assert any(log.read_text().rstrip().endswith("successful completion") for log in logs), "submitit has the last line"
    assert "No space left on device" in (raised.value.got or "")
    assert "full" in (raised.value.got or "")
