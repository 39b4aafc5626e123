"""A shared folder without locks, with locks that always say yes, or of another user."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.test_read_only import without_rights
from engines.test_agent import handlers as handlers
from engines.test_agent import task as task
from engines.test_dispatch import HandEngine
from liftgate.backends.base import TrainJob
from liftgate.backends.events import EpochReport
from liftgate.engines.agent import main, run_attempt
from liftgate.engines.task import Fence, Task, TaskResult
from liftgate.errors import TrainingError, os_error_hint
from liftgate.locks import FolderLock, waiting_lock
from liftgate.testing.backends import write_tree
from liftgate.training.events import read_events
from liftgate.training.job import JobFile
from pipeline.gated import Gate

LYING = (
    "import fcntl, sys\nfcntl.flock = fcntl.lockf = lambda *_: None\n"
    "from liftgate.engines.agent import main\nsys.exit(main(sys.argv[1:]))"
)


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lock of this process fails, as on a network file system without its lock service."""

    def fail(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", fail)
    monkeypatch.setattr(fcntl, "lockf", fail)


@pytest.mark.usefixtures("no_locks")
def test_a_lock_that_cannot_be_taken_is_an_error_that_names_its_file_and_never_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()

    def hold() -> None:
        with waiting_lock(path):
            pass

    for work in (FolderLock(path).acquire, FolderLock(path).holder, hold):
        with pytest.raises(OSError) as raised:
            work()
        assert raised.value.errno == errno.ENOLCK and raised.value.filename == str(path)
        assert "no locks that work" in os_error_hint(raised.value)


@pytest.mark.usefixtures("no_locks")
def test_a_worker_without_locks_fails_with_the_reason_and_trains_nothing(task: Task) -> None:
    result = run_attempt(task.folder, "mine")
    assert result.ending == "failed"  # and not lost: another attempt would end like it
    assert "No locks available" in result.failed_event().what
    assert "no locks that work" in (result.failed_event().hint or "")
    assert not (task.folder / "results").exists()


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Task, Gate]]:
    """A training of three epochs that waits after each until the test lets it pass."""
    monkeypatch.setenv("LIFTGATE_TEST_GATE", str(tmp_path / "gate"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[1])])
    )
    data = write_tree(tmp_path / "scenes", train=8, held_out=4)
    start = tmp_path / "start.yaml"
    start.write_text("nc: 2\n")
    job = TrainJob(str(start), data, {"epochs": 3, "lr0": 0.5}, 0, "detect", tmp_path / "run" / "results")
    found = Task("k", "train", tmp_path / "run", JobFile("train", "pipeline.gated:Gated", job))
    found.write()
    gate = Gate(tmp_path / "gate")
    yield found, gate
    gate.open()


def start(task: Task, attempt: str) -> subprocess.Popen[bytes]:
    """Start an attempt on a machine whose locks always say yes."""
    return subprocess.Popen([sys.executable, "-P", "-c", LYING, str(task.folder), attempt])


def test_where_locks_always_say_yes_the_attempt_that_is_over_pauses_and_each_epoch_is_there_once(
    gated: tuple[Task, Gate],
) -> None:
    task, gate = gated
    Fence(task.folder).grant("first")
    first = start(task, "first")
    gate.wait_for_epoch(1)
    Fence(task.folder).grant("second")
    second = start(task, "second")
    gate.wait_until_told(to_pause=True)
    gate.open()
    assert (first.wait(120), second.wait(120)) == (0, 0)
    result = TaskResult.read(task.folder)
    assert result is not None and (result.attempt, result.ending) == ("second", "done")
    assert not result.unseen_outputs()
    epochs = [event.epoch for event in read_events(task.folder / "events.jsonl") if isinstance(event, EpochReport)]
    assert epochs == [1, 2, 3]


def test_a_folder_of_another_user_ends_an_attempt_with_one_line_that_the_driver_shows(
    task: Task, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    task.folder.chmod(0o555)
    try:
        assert without_rights(lambda: sys.exit(main([str(task.folder), "mine"]))).rstrip().endswith("SystemExit: 1")
    finally:
        task.folder.chmod(0o755)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ") and str(task.folder) in line and "run as its owner" in line
    assert sorted(path.name for path in task.folder.iterdir()) == ["attempt", "task.json"]

    log = tmp_path / "job.log"
    log.write_text(f"slurmstepd: begun\n{line}\n")
    engine = HandEngine()
    engine.logs = lambda handle: [log]  # type: ignore[method-assign]
    tasks = engine.dispatcher()
    tasks.submit([task])
    with pytest.raises(TrainingError, match="attempts in a row") as raised:
        while True:
            engine.states[engine.submitted[-1].attempt] = "ended"
            engine.now += 10.0
            tasks.poll()
    assert raised.value.where == str(log) and raised.value.got == line.removeprefix("error: ")
