"""A run is alone, can be watched and stopped from any shell, and pauses in time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate import api
from liftgate.errors import Stopped, UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.records import StudyEntry
from liftgate.locks import LockOwner
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.deadline import Deadline, parse_time_limit
from liftgate.pipeline.control.status import status_of, workspaces
from liftgate.pipeline.control.study_lock import holder, last_owner, study_lock
from pipeline.gated import Gate, wait_until
from processes import running

Write = Callable[..., Path]
Begin = Callable[..., "Future[api.RunResult]"]


@pytest.fixture
def begin(gate: Gate) -> Iterator[Begin]:
    """Return a function that runs a study in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda path, **options: pool.submit(api.run, path, **options)
        gate.open()  # a test that failed must not leave a training at the gate


def results(path: Path) -> Path:
    return path.parent / "runs" / "colours"


def rows(path: Path) -> list[int]:
    """Return the epochs of the one results.csv."""
    (table,) = results(path).glob("*/results/results.csv")
    return [int(line.split(",")[0]) for line in table.read_text().splitlines()[1:]]


def one(path: Path) -> api.Status:
    (status,) = api.status([path])
    return status


# stop, from any shell


def test_stop_pauses_after_the_epoch_says_who_asked_and_the_same_command_finishes(
    one_arm: Write, gate: Gate, begin: Begin
) -> None:
    path = one_arm()
    gate.let_pass(1)
    running = begin(path)
    gate.wait_for_epoch(2)
    during = wait_until(lambda: (s := one(path)).epoch == 2 and s, "epoch 2 in the status")
    assert (during.state, during.step, during.epochs, during.pid) == ("running", "train long seed 0", 6, os.getpid())
    assert during.seconds_left is not None and "mAP50" in during.metrics
    assert api.stop(path).state == "stopping"
    gate.wait_until_told(to_pause=True)
    gate.open()
    with pytest.raises(Stopped, match=r"stopped after this epoch, requested by .*@.* at 20"):
        running.result(60)
    paused = one(path)
    assert (paused.state, paused.pid, paused.epoch) == ("paused", None, 2)
    assert "requested by " in paused.reason
    ended = Ledger(results(path) / "ledger.sqlite").entries("flow")[-1].body["ended"]
    assert ended.startswith("stopped after this epoch, requested by ")
    assert api.run(path).exit_code == 0
    assert rows(path) == [1, 2, 3, 4, 5, 6]
    assert one(path).state == "finished" and one(path).verdicts == {"enough": "PASS"}


def test_never_mind_takes_a_request_back_before_the_epoch_ends(one_arm: Write, gate: Gate, begin: Begin) -> None:
    path = one_arm()
    running = begin(path)
    gate.wait_for_epoch(1)
    api.stop(path)
    gate.wait_until_told(to_pause=True)
    assert api.stop(path, "never mind").state == "running"
    gate.wait_until_told(to_pause=False)
    gate.open()
    assert running.result(60).exit_code == 0
    assert rows(path) == [1, 2, 3, 4, 5, 6]


def test_stop_now_does_not_wait_for_the_epoch_and_loses_no_finished_one(
    one_arm: Write, gate: Gate, begin: Begin
) -> None:
    path = one_arm()
    gate.let_pass(2)
    running = begin(path)
    gate.wait_for_epoch(3)
    api.stop(path, "now")
    with pytest.raises(Stopped, match="at once"):
        running.result(60)  # the gate is still closed: nobody waited for it
    (folder,) = results(path).glob("2*")
    assert json.loads((folder / "run.json").read_text())["state"] == "paused"
    gate.open()
    api.run(path)
    assert rows(path) == [1, 2, 3, 4, 5, 6]


def test_stop_of_a_study_that_does_not_run_says_so_and_leaves_nothing_behind(one_arm: Write) -> None:
    path = one_arm()
    for how in ("epoch", "now", "never mind"):
        with pytest.raises(UsageError, match="not running"):
            api.stop(path, how)  # type: ignore[arg-type]
    assert not results(path).exists()


def test_a_request_for_an_earlier_run_is_not_heard_by_a_later_one(tmp_path: Path) -> None:
    with study_lock(tmp_path):
        stop_request.request_stop(tmp_path, "now")
    assert stop_request.read(tmp_path, os.getpid()) is not None
    assert stop_request.read(tmp_path, os.getpid() + 1) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"when": "now"}', '{"surprise": 1}'])
def test_a_damaged_request_is_no_request(tmp_path: Path, text: str) -> None:
    (tmp_path / "stop.json").write_text(text)
    assert stop_request.read(tmp_path, os.getpid()) is None


# the time limit


def test_a_time_limit_ends_an_epoch_that_never_ends_and_the_run_goes_on_later(one_arm: Write, gate: Gate) -> None:
    path = one_arm()
    with pytest.raises(Stopped, match="time limit of 2 s") as stopped:
        api.run(path, time_limit=2.0)
    assert stopped.value.exit_code == 12
    assert one(path).state == "paused"
    gate.open()
    assert api.run(path, time_limit=3600).exit_code == 0
    assert rows(path) == [1, 2, 3, 4, 5, 6]


@given(
    epoch=st.floats(0.5, 1e4),
    fit=st.floats(0.5, 20),
    wobble=st.lists(st.floats(0.97, 1.0), min_size=22, max_size=22),
)
def test_a_deadline_pauses_at_the_last_boundary_that_can_be_reached(
    epoch: float, fit: float, wobble: list[float]
) -> None:
    limit, now = epoch * fit, 0.0
    end = limit - min(60.0, 0.05 * limit)
    deadline = Deadline(limit, clock=lambda: now)
    last = 0.0
    for number, share in enumerate(wobble, start=1):
        begun, asked = now, False
        for tick in range(51):  # it is asked all the time, also in the middle of an epoch
            now = begun + epoch * share * tick / 50
            if now >= end:
                assert number <= 2, "from the second epoch on it is known how long one takes"
                return
            asked = asked or bool(deadline.reason(last))
        if asked:
            assert now + 2.2 * epoch >= end, "another epoch would have fitted"
            return
        last = epoch * share
    raise AssertionError("it never paused")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("04:00:00", 14400),
        ("1-00:00:00", 86400),
        ("4h", 14400),
        ("90 min", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("3600", 3600),
        ("1.5h", 5400),
    ],
)
def test_time_limits_are_read_as_people_and_slurm_write_them(text: str, seconds: float) -> None:
    assert parse_time_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0h", "-4h", "4x", "h", "nan", "inf", "1:2", "4h3", "٤h", "4h4"])
def test_what_is_no_time_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time limit"):
        parse_time_limit(text)


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_an_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_time_limit(text) > 0


# leftovers


def test_the_next_run_deletes_what_a_killed_one_had_begun_to_write(write_study: Write) -> None:
    path = write_study(flow=["train"])
    api.run(path)
    folder = results(path)
    (run, _) = sorted(folder.glob("2*"))
    left = [
        folder / ".now.json.abc123.part",
        folder / ".ledger.sqlite.head.abc123.part",
        folder / "predictions" / ".long-test.json.abc123.part",
        run / ".run.json.abc123.part",
        run / "results" / "state.part",
        folder / "trees" / ".scenes-0123.77.part",
        folder / "scratch-abc123",
    ]
    kept = [folder / "notes.part", folder / ".report.html.abc123.part", run / "results" / "best.pt"]
    for leftover in left:
        leftover.parent.mkdir(exist_ok=True)
        leftover.touch() if leftover.name.startswith((".now", ".ledger", ".long", ".run")) else leftover.mkdir()
    for other in kept:
        other.touch()
    api.run(path)
    assert [leftover.name for leftover in left if leftover.exists()] == []
    assert all(other.exists() for other in kept), "a report may be written at this moment, and the rest is not ours"


# the lock


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that holds the lock of tmp_path."""
    code = (
        "import sys; from pathlib import Path; from liftgate.pipeline.control.study_lock import study_lock\n"
        "with study_lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_holder_is_known_while_it_lives_and_a_killed_one_holds_nothing(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    owner = holder(tmp_path)
    assert owner is not None and owner.pid == other.pid and owner.is_local
    with pytest.raises(UsageError, match="running already") as refused, study_lock(tmp_path):
        pass
    assert str(other.pid) in str(refused.value)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert holder(tmp_path) is None
    last = last_owner(tmp_path)
    assert last is not None and last.describe_exit() == f"process {other.pid} is gone"
    with study_lock(tmp_path) as owner:
        assert owner.pid == os.getpid()


def test_a_stale_lock_says_what_became_of_its_owner(tmp_path: Path) -> None:
    with study_lock(tmp_path) as mine:
        pass
    boot = mine.started.partition(":")[0]
    assert "another process's now" in replace(mine, started=f"{boot}:1").describe_exit()
    assert "restarted" in replace(mine, started="an-older-boot:1").describe_exit()
    assert "elsewhere" in replace(mine, host="elsewhere").describe_exit()


def test_a_stale_lock_with_a_living_pid_does_not_look_alive(tmp_path: Path) -> None:
    owner = LockOwner(os.getpid(), "an-older-boot:7", socket.gethostname(), "2026-01-01T00:00:00+00:00")
    (tmp_path / "lock").write_text(json.dumps(asdict(owner)))
    assert holder(tmp_path) is None


@pytest.mark.parametrize("text", ["", "4711", "{", '{"pid": 1}', "\x00\xff"])
def test_a_lock_file_that_says_nothing_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_text(text)
    assert holder(tmp_path) is None and last_owner(tmp_path) is None
    with study_lock(tmp_path):
        assert holder(tmp_path) is not None


def test_whoever_looks_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    enough, seen = threading.Event(), set[int]()

    def look() -> None:
        while not enough.is_set():
            if (owner := holder(tmp_path)) is not None:
                seen.add(owner.pid)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    began = 0
    try:
        for _ in range(50):
            with study_lock(tmp_path) as owner:
                began += owner.pid == os.getpid()
                while not seen:  # the first time somebody has to have seen it
                    time.sleep(0.001)
    finally:
        enough.set()
        for looker in lookers:
            looker.join()
    assert began == 50
    assert seen, "somebody looked while it was held"


# status


def test_a_refused_second_run_does_not_change_what_the_first_says(one_arm: Write, gate: Gate, begin: Begin) -> None:
    path = one_arm()
    running = begin(path)
    gate.wait_for_epoch(1)
    with pytest.raises(UsageError, match="running already"):
        api.run(path)
    assert one(path).state == "running"
    gate.open()
    running.result(60)


def test_a_killed_run_is_paused_and_its_status_says_that_the_process_is_gone(one_arm: Write, gate: Gate) -> None:
    path = one_arm(budget={"usd": 100, "usd_per_hour": 3600.0})  # a dollar a second
    gate.let_pass(2)
    command = [sys.executable, "-m", "liftgate", "run", str(path)]
    with running(command) as process:
        gate.wait_for_epoch(3)
        wait_until(lambda: one(path).epoch == 3, "epoch 3 in the status")
        process.kill()
    status = one(path)
    assert (status.state, status.epoch, status.pid) == ("paused", 3, None)
    assert status.reason == f"process {process.pid} is gone"
    assert status.usd == pytest.approx(status.gpu_hours * 3600) and status.gpu_hours > 0


def test_a_failed_run_says_why(one_arm: Write) -> None:
    path = one_arm()
    change: dict[str, str] = {"arms.long.0.recipe.epoch": "6"}
    with pytest.raises(UsageError):
        api.run(path, overrides=change)
    status = one(path)
    assert status.state == "failed" and status.reason


def test_a_study_that_never_ran_says_so(one_arm: Write) -> None:
    status = one(one_arm())
    assert (status.state, status.gpu_hours, status.verdicts) == ("never ran", 0.0, {})


def test_studies_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "project" / "runs" / name).mkdir(parents=True)
        (tmp_path / "project" / "runs" / name / "now.json").write_text("{}")
    (tmp_path / "project" / "runs" / "no-study").mkdir()
    expected = [tmp_path / "project" / "runs" / name for name in ("a", "b")]
    for place in (tmp_path, tmp_path / "project", tmp_path / "project" / "runs"):
        assert workspaces(place) == expected
    assert workspaces(expected[0]) == expected[:1]
    with pytest.raises(UsageError, match="no such"):
        workspaces(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="one study"):
        api.stop(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"state": 1, "unknown": 2}', "[]"])
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / "now.json").write_text(text)
    assert status_of(tmp_path).state == "never ran"


def test_a_clock_that_was_set_gives_no_nonsense(tmp_path: Path) -> None:
    epoch: dict[str, Any] = {"epoch": 2, "epochs": 6, "seconds": 10.0, "metrics": {}}
    for moment in ("2000-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"):
        (tmp_path / "now.json").write_text(json.dumps({"state": "running", "epoch": epoch, "time": moment}))
        with study_lock(tmp_path):
            left = status_of(tmp_path).seconds_left
        assert left is not None and 30 <= left <= 40


def test_a_run_whose_status_was_damaged_is_not_called_one_that_never_was(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").add(StudyEntry("0" * 64, "colours", "Does it help?"))
    (tmp_path / "now.json").write_text('{"state": "running"')
    assert status_of(tmp_path).state == "paused"
    assert "not known" in status_of(tmp_path).reason
