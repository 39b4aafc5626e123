"""What goes wrong where several machines work on one study: drivers, clocks, many writers on one folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.engines.task import TaskResult, replace_file
from liftgate.errors import Stopped
from liftgate.ledger import Ledger
from liftgate.ledger.records import NoteEntry
from liftgate.ledger.results import RunEntry
from pipeline.gated import Gate, wait_until
from pipeline.test_engine_runs import overview, timeless

Write = Callable[..., Path]
LOCAL = {"use": "local", "workers": 2}


def test_a_spent_budget_pauses_every_task_of_the_engine_and_more_money_goes_on(one_arm: Write, gate: Gate) -> None:
    path = one_arm(engine=LOCAL, seeds=[0, 1], budget={"gpu_hours": 1e-9})
    gate.open()
    with pytest.raises(Stopped, match="the budget is spent"):
        api.run(path)
    found = overview(path)
    assert found is not None and found.counts.get("running", 0) == 0
    api.run(path, overrides={"budget.gpu_hours": "10"})
    runs = Ledger(path.parent / "runs/colours/ledger.sqlite").records(RunEntry)
    assert [(run.result.seed, run.result.epochs) for run in runs] == [(0, 6), (1, 6)]
    for run in runs:
        assert [row["epoch"] for row in run.result.curve] == [1, 2, 3, 4, 5, 6], "no epoch twice, none left out"


def test_a_budget_that_is_spent_in_a_training_pauses_it_cancels_what_waits_and_is_seen(
    one_arm: Write, gate: Gate
) -> None:
    path = one_arm(backend="gated:Costly", engine="local", seeds=[0, 1], budget={"gpu_hours": 1.5})
    seen: list[api.Status] = []
    shown: list[str] = []

    def watch() -> None:
        gate.wait_for_epoch(1)
        wait_until(lambda: (found := overview(path)) and found.running, "a running task")
        seen.extend(api.status([path]))
        shown.extend(str(passage.path) for passage in api.logs(path))
        gate.wait_until_told(to_pause=True)
        gate.let_pass(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(Stopped, match="the budget is spent"):
        api.run(path)
    watcher.join()
    (status,) = seen
    assert status.tasks is not None and dict(status.tasks.counts) == {"running": 1, "queued": 1}
    assert [task.name for task in status.tasks.running] == ["train long seed 0"]
    assert any(log.endswith("train.log") for log in shown)
    after = overview(path)
    assert after is not None and dict(after.counts) == {"paused": 2}
    events = sorted(run / "events.jsonl" for run in path.parent.glob("runs/colours/2*"))
    assert [one.is_file() for one in events] == [True, False], "what waited never began"
    assert not Ledger(path.parent / "runs/colours/ledger.sqlite").records(RunEntry)


def test_a_second_driver_on_a_study_is_refused_and_the_first_goes_on(one_arm: Write, gate: Gate) -> None:
    path = one_arm(engine=LOCAL, seeds=[0, 1])
    refused: list[str] = []

    def second() -> None:
        gate.wait_for_epoch(1)
        done = subprocess.run(
            [sys.executable, "-m", "liftgate", "run", str(path), "--engine", "local"], capture_output=True, text=True
        )
        refused.append(f"{done.returncode} {done.stderr}")
        gate.open()

    other = threading.Thread(target=second)
    other.start()
    api.run(path)
    other.join()
    assert refused[0].startswith("2 ") and "running" in refused[0]
    runs = Ledger(path.parent / "runs/colours/ledger.sqlite").records(RunEntry)
    assert [run.result.seed for run in runs] == [0, 1]


def test_a_node_whose_clock_is_off_by_two_days_changes_nothing(write_study: Write, tmp_path: Path) -> None:
    """Driver and workers of the first half are on it, and the files are dated by it; the second half is on this one."""
    flow = {"flow": ["train", "lift"]}
    expected = timeless(dict(api.run(write_study(**flow)).verdicts))
    (tmp_path / "runs").rename(tmp_path / "undisturbed")
    path = write_study(**flow, engine=LOCAL)
    words = [sys.executable, "-m", "liftgate", "run", str(path), "--set", "flow=[train]"]
    elsewhere = os.pathsep.join([str(Path(__file__).parent / "clock_off"), os.environ.get("PYTHONPATH", "")])
    for hours in (-48, 48):
        off = {**os.environ, "PYTHONPATH": elsewhere, "LIFTGATE_TEST_CLOCK_OFF": str(hours)}
        ran = subprocess.run(words, env=off, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
        moment = time.time() + 3600 * hours
        assert abs(datetime.fromisoformat(ledger.entries()[-1].time).timestamp() - moment) < 20 * 3600
        for file in (path.parent / "runs").rglob("*"):
            if file.is_file() and file.suffix not in (".sqlite", ".lock"):
                os.utime(file, (moment, moment))
        assert timeless(dict(api.run(path).verdicts)) == expected
        assert len(ledger.records(RunEntry)) == 2, "nothing was trained again"
        ledger.verify()
        (tmp_path / "runs").rename(tmp_path / f"runs of {hours}")


_WRITER = """
import sys, time
from pathlib import Path
from liftgate.engines.task import TaskResult
from liftgate.ledger import Ledger
from liftgate.ledger.records import NoteEntry
folder, number, end = Path(sys.argv[1]), int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
ledger, count = Ledger(folder / "ledger.sqlite"), 0
while time.monotonic() < end:
    ledger.add(NoteEntry(f"{number} {count}"))
    TaskResult(f"{number}-{count}", "done", 1.0, "x" * 2000).write(folder)
    count += 1
    time.sleep(0.02)
print(count)
"""


@pytest.mark.slow
def test_sixteen_writers_on_one_folder_lose_and_tear_nothing(tmp_path: Path) -> None:
    seconds = os.environ.get("LIFTGATE_WRITERS_SECONDS", "5")
    Ledger(tmp_path / "ledger.sqlite").add(NoteEntry("begun"))
    replace_file(tmp_path / "result.json", "{}")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(number), seconds], stdout=subprocess.PIPE, text=True
        )
        for number in range(16)
    ]
    seen: set[str] = set()
    while any(writer.poll() is None for writer in writers):
        if (result := TaskResult.read(tmp_path)) is not None:
            assert len(result.host) == 2000, "half a result was read"
            seen.add(result.attempt)
        time.sleep(0.005)
    said = [writer.communicate()[0] for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.verify()
    texts = [note.text for note in ledger.records(NoteEntry)]
    expected: list[Any] = [f"{number} {count}" for number, total in enumerate(said) for count in range(int(total))]
    assert len(texts) == len(set(texts)) and set(texts) == {"begun", *expected}
    assert seen
