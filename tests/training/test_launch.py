"""Launch: a child process that can be paused, killed or orphaned, and the same call that goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from liftgate.backends.base import Paused, TrainJob
from liftgate.backends.events import EpochReport, Event, StartedEvent
from liftgate.errors import TrainingError, UsageError
from liftgate.locks import FolderLock
from liftgate.testing.backends import write_tree
from liftgate.training import launch
from processes import running

EPOCHS = 150  # in memory an epoch takes 2 ms: a pause or a kill must find the run going


@pytest.fixture
def job(tmp_path: Path) -> TrainJob:
    """A toy training of half a second or more."""
    (tmp_path / "model.yaml").write_text("{}\n")
    tree = write_tree(tmp_path / "tree", train=6, held_out=3)
    return TrainJob(
        str(tmp_path / "model.yaml"),
        tree,
        {"epochs": EPOCHS, "patience": EPOCHS},
        0,
        "detect",
        tmp_path / "run" / "results",
    )


def _train(job: TrainJob, heard: list[Event] | None = None, **how: Any) -> launch.TrainOutcome:
    events = [] if heard is None else heard
    how.setdefault("on_event", events.append)
    return launch.train(job, backend="toy", folder=job.out.parent, **how)


def _epochs(events: list[Event]) -> list[int]:
    return [event.epoch for event in events if isinstance(event, EpochReport)]


def _children_of(folder: Path) -> list[int]:
    """Ids of worker processes of a run's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if b"liftgate.training.worker" in words and str(folder).encode() in words and state != "Z":
                found.append(int(entry.name))
    return found


def test_a_finished_run_says_where_its_weights_are_and_what_happened(job: TrainJob) -> None:
    outcome = _train(job)
    assert outcome.best.is_file()
    assert outcome.epochs == EPOCHS == len(outcome.reports)
    assert outcome.facts["backend"] == "toy"
    assert not outcome.cached


def test_nothing_of_the_crash_safety_is_left_when_it_is_done(job: TrainJob) -> None:
    folder = _train(job).folder
    assert not (folder / ".home").exists()
    assert not (job.out / "state").exists()


def test_a_killed_child_is_an_error_and_the_same_call_finishes_without_doubling_epochs(job: TrainJob) -> None:
    events: list[Event] = []

    def kill_after_three(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochReport) and event.epoch == 3:
            os.kill(_children_of(job.out.parent)[0], signal.SIGKILL)

    with pytest.raises(TrainingError, match="without a report"):
        _train(job, on_event=kill_after_three)
    outcome = _train(job, events)
    assert _epochs(events) == [report.epoch for report in outcome.reports] == list(range(1, EPOCHS + 1))
    rows = (job.out / "results.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, EPOCHS + 1))


def test_stop_pauses_and_the_same_call_goes_on(job: TrainJob) -> None:
    events: list[Event] = []
    with pytest.raises(Paused):
        _train(job, events, stop=lambda: len(_epochs(events)) >= 2)
    paused_at = len(_epochs(events))
    assert 2 <= paused_at < EPOCHS
    _train(job, events)
    assert _epochs(events) == list(range(1, EPOCHS + 1))
    resumed = [event.resumed_after for event in events if isinstance(event, StartedEvent)]
    assert resumed == [0, paused_at]


def test_the_log_is_appended_to_and_never_overwritten(job: TrainJob) -> None:
    job.out.parent.mkdir()
    (job.out.parent / "train.log").write_text("first attempt\n")
    _train(job)
    assert (job.out.parent / "train.log").read_text().startswith("first attempt\n")


def test_another_job_in_the_same_folder_is_refused(job: TrainJob) -> None:
    _train(job)
    other = TrainJob(job.weights, job.data, {"epochs": 2}, job.seed, job.task, job.out)
    with pytest.raises(UsageError, match="belongs to another run"):
        _train(other)


def test_two_processes_at_one_run_are_refused(job: TrainJob) -> None:
    job.out.parent.mkdir()
    lock = FolderLock(job.out.parent / "run.lock")
    assert lock.acquire() is not None
    with pytest.raises(UsageError, match="another process"):
        _train(job)
    lock.release()


def test_an_error_in_the_child_arrives_as_the_same_error(job: TrainJob) -> None:
    bad = TrainJob(job.weights, job.data, {"epoch": 3}, 0, "detect", job.out)
    with pytest.raises(UsageError, match="did you mean epochs"):
        _train(bad)


def test_damaged_start_weights_are_one_clear_error(job: TrainJob, tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 half a download")
    bad = TrainJob(str(tmp_path / "cut.pt"), job.data, {}, 0, "detect", job.out)
    with pytest.raises(UsageError, match="cannot be loaded"):
        _train(bad)


def test_a_listener_that_fails_leaves_nobody_training(job: TrainJob) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("the screen is gone")

    with pytest.raises(RuntimeError, match="screen"):
        _train(job, on_event=fail)
    assert not _children_of(job.out.parent)


def test_weights_deleted_after_the_end_are_said(job: TrainJob) -> None:
    _train(job).best.unlink()
    with pytest.raises(TrainingError, match="weights are gone"):
        _train(job)


# What follows runs a parent process of its own, because it is interrupted or killed.

_PARENT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from liftgate.backends.base import Paused, TrainJob
    from liftgate.training import launch
    weights, data, out, epochs, backend, stop = sys.argv[1:]
    job = TrainJob(weights, Path(data), {"epochs": int(epochs), "patience": int(epochs)}, 0, "detect", Path(out))
    kinds = []
    def on_event(event):
        kinds.append(event.kind)
        print(event.kind, event.to_body().get("message", ""), flush=True)
    try:
        launch.train(
            job, backend=backend, folder=Path(out).parent, on_event=on_event,
            stop=lambda: stop == "True" and "epoch" in kinds,
        )
    except Paused:
        sys.exit(75)
    """
)


def _parent(
    job: TrainJob, epochs: int, *, backend: str = "toy", stop: bool = False
) -> AbstractContextManager[subprocess.Popen[str]]:
    arguments = [job.weights, str(job.data), str(job.out), str(epochs), backend, str(stop)]
    tests = str(Path(__file__).parents[1])  # where `training.stubborn` is
    path = os.pathsep.join(filter(None, [tests, os.environ.get("PYTHONPATH")]))
    return running(
        [sys.executable, "-c", _PARENT, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _until(happens: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not happens():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def _expect(parent: subprocess.Popen[str], words: str) -> None:
    """Read what a parent prints up to a line that holds the words."""
    assert parent.stdout is not None
    assert any(words in line for line in parent.stdout), f"it ended without {words!r}"


def test_ctrl_c_pauses_at_the_epoch_boundary(job: TrainJob) -> None:
    with _parent(job, EPOCHS * 50) as parent:
        _expect(parent, "epoch")
        os.killpg(parent.pid, signal.SIGINT)
        parent.communicate(timeout=180)
    assert parent.returncode == 75
    assert launch.read_events(job.out.parent / "events.jsonl")[-1].kind == "paused"


def test_a_child_whose_parent_is_killed_pauses_and_the_next_call_waits_and_goes_on(job: TrainJob) -> None:
    epochs = EPOCHS * 5
    with _parent(job, epochs) as parent:
        _expect(parent, "epoch")
        parent.kill()
        parent.communicate()
    events: list[Event] = []
    long = TrainJob(job.weights, job.data, {"epochs": epochs, "patience": epochs}, 0, "detect", job.out)
    outcome = _train(long, events)
    assert outcome.epochs == epochs
    kinds = [event.kind for event in launch.read_events(job.out.parent / "events.jsonl")]
    assert kinds.count("paused") == 1, "the orphan paused instead of training on"
    assert [report.epoch for report in outcome.reports] == list(range(1, epochs + 1))


def test_an_orphan_pauses_even_if_nobody_comes(job: TrainJob) -> None:
    with _parent(job, EPOCHS * 50) as parent:
        _expect(parent, "epoch")
        parent.kill()
        parent.communicate()
    _until(lambda: not _children_of(job.out.parent), "the orphan to end")
    assert launch.read_events(job.out.parent / "events.jsonl")[-1].kind == "paused"


def test_a_second_ctrl_c_stops_a_stubborn_child_at_once(job: TrainJob) -> None:
    with _parent(job, EPOCHS, backend="training.stubborn:Stubborn") as parent:
        _expect(parent, "epoch")
        os.kill(parent.pid, signal.SIGINT)
        _expect(parent, "again")
        os.kill(parent.pid, signal.SIGINT)
        parent.communicate(timeout=180)
    assert parent.returncode == -signal.SIGINT
    assert not _children_of(job.out.parent)


def test_a_ctrl_c_after_a_stop_ends_a_stubborn_child_at_once(job: TrainJob) -> None:
    with _parent(job, EPOCHS, backend="training.stubborn:Stubborn", stop=True) as parent:
        _expect(parent, "asked and deaf")
        os.kill(parent.pid, signal.SIGINT)
        parent.communicate(timeout=180)
    assert parent.returncode == -signal.SIGINT
    assert not _children_of(job.out.parent)


def test_a_job_file_cut_short_by_a_full_disk_does_not_block_the_next_start(job: TrainJob) -> None:
    job.out.parent.mkdir()
    (job.out.parent / "train.json").write_text(json.dumps({"verb": "train"})[:8])
    assert _train(job).epochs == EPOCHS
