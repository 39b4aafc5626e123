"""Jobs that submitit runs go through its own submission, signal and requeue, here on this machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("submitit")

from liftgate.backends.base import TrainJob
from liftgate.engines.base import Resources, Submission
from liftgate.engines.slurm import SlurmEngine
from liftgate.engines.task import Fence, Task, TaskResult
from liftgate.errors import UsageError
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
