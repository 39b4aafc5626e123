"""An object store that fills up while a worker uses it: one line, no result that counts, and then it goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec")

from fsspec.implementations.local import LocalFileSystem

from engines.test_agent import handlers as handlers
from engines.test_agent import task as task
from liftgate.engines.agent import main, run_attempt
from liftgate.engines.mirror import TaskMirror
from liftgate.engines.slurm import AgentCall
from liftgate.engines.store import Store
from liftgate.engines.task import Task, TaskResult, last_error

pytestmark = pytest.mark.usefixtures("handlers")


@pytest.fixture
def url(task: Task, tmp_path: Path) -> str:
    """A store to which the driver has sent the task."""
    found = f"file://{tmp_path}/store"
    TaskMirror(Store(found), task.folder, task.key).publish(task, "mine")
    return found


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("writes", [("pipe_file",), ("put_file",), ("pipe_file", "put_file")], ids="+".join)
def test_a_store_that_is_full_when_the_results_come_ends_an_attempt_with_one_line_and_the_next_delivers(
    task: Task, url: str, writes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        for name in writes:
            patch.setattr(LocalFileSystem, name, full)
        assert main([str(task.folder), "mine", str(os.getppid()), url, task.key]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the object store is full") and "make room" in line
    assert Store(url).read(f"tasks/{task.key}/result.json") is None, "the driver takes nothing"
    assert run_attempt(task.folder, "mine", mirror=(url, task.key)).ending == "done"
    assert Store(url).read(f"tasks/{task.key}/result.json") is not None
    result = TaskResult.read(task.folder)
    assert result is not None and not result.unseen_outputs()


def test_a_job_of_a_cluster_that_cannot_send_its_results_says_so_in_a_line_of_its_log(
    task: Task, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(LocalFileSystem, "put_file", full)
    assert AgentCall(task.folder, "mine", (url, task.key))() == "lost"
    (line,) = capsys.readouterr().err.splitlines()
    log = tmp_path / "job.err"
    log.write_text(f"{line}\nsubmitit INFO - Job completed successfully\n")
    said = last_error([tmp_path / "none", log])
    assert said is not None and said.startswith("the object store is full") and "make room" in said
