"""The driver believes results on disk and nothing else: lost tasks are submitted again, finished ones never twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from liftgate.backends.base import PredictJob
from liftgate.backends.events import Event
from liftgate.engines.base import Capabilities, Engine, JobState, Submission
from liftgate.engines.dispatch import MAX_FRUITLESS, Dispatcher
from liftgate.engines.task import Ending, Fence, Task, TaskResult
from liftgate.errors import DataError, TrainingError
from liftgate.hashing import file_hash
from liftgate.training.job import JobFile


class HandEngine(Engine):
    """An engine whose jobs do what the test says, on a clock that the test's sleep moves."""

    def __init__(self, *, lag: float = 0.0) -> None:
        self.lag = lag
        self.now = 0.0
        self.submitted: list[Submission] = []
        self.states: dict[str, JobState] = {}
        self.cancelled: list[str] = []

    def capabilities(self) -> Capabilities:
        return Capabilities("hand", None, survives_driver=True, lag_seconds=self.lag)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        self.submitted += submissions
        self.states |= {one.attempt: "running" for one in submissions}
        return [one.attempt for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        return [self.states.get(handle, "unknown") for handle in handles]

    def cancel(self, handles: Sequence[str]) -> None:
        self.cancelled += handles
        self.states |= dict.fromkeys(handles, "ended")

    def dispatcher(self) -> Dispatcher:
        def sleep(seconds: float) -> None:
            self.now += max(seconds, 1.0)

        return Dispatcher(self, clock=lambda: self.now, sleep=sleep)

    def finish(self, task: Task, ending: Ending = "done", content: str = "{}") -> None:
        """Do what a worker does at the end of its attempt."""
        attempt = self.submitted[-1].attempt
        outputs = {}
        if ending == "done":
            for path in task.output_paths():
                path.write_text(content)
                outputs[str(path)] = file_hash(path)
        TaskResult(attempt, ending, 2.0, "elsewhere", outputs).write(task.folder)
        self.states[attempt] = "ended"


def a_task(folder: Path, key: str = "k") -> Task:
    job = PredictJob("w.pt", folder / "data.yaml", "test", "detect", folder / "found.json")
    return Task(key, "predict", folder, JobFile("predict", "toy", job))


def ignore(event: Event) -> None:
    pass


def never() -> bool:
    return False


def wait(tasks: Dispatcher, key: str = "k") -> TaskResult:
    return tasks.wait(key, on_event=ignore, stop=never)


def test_a_finished_task_gives_its_result(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    tasks.submit([task])
    engine.finish(task)
    assert wait(tasks).ending == "done"
    assert len(engine.submitted) == 1
    assert Task.read(tmp_path).work == task.work


def test_a_task_that_vanished_is_submitted_again_and_counts_the_time_of_both(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    engine.finish(task, "lost")
    tasks.poll()
    assert len(engine.submitted) == 2
    engine.finish(task)
    assert wait(tasks).seconds == 4.0


def test_a_task_that_vanishes_again_and_again_fails_and_nobody_may_go_on_with_it(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    with pytest.raises(TrainingError, match=f"{MAX_FRUITLESS} attempts in a row"):
        for _ in range(MAX_FRUITLESS + 1):
            engine.states[engine.submitted[-1].attempt] = "ended"
            engine.now += 10.0
            tasks.poll()
    assert len(engine.submitted) == MAX_FRUITLESS
    assert Fence(tmp_path).granted() == ""


def test_the_result_of_an_earlier_attempt_is_not_taken_for_that_of_this_one(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    TaskResult("an earlier one", "done", 1.0).write(tmp_path)
    tasks.submit([task])
    tasks.poll()
    assert tasks.result("k") is None


def test_an_output_that_comes_later_is_waited_for_and_compared(tmp_path: Path) -> None:
    engine, task = HandEngine(lag=60.0), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    engine.finish(task, content="as written")
    paths = task.output_paths()
    for path in paths:
        path.write_text("half")
    for _ in range(20):
        engine.now += 2.0
        tasks.poll()
        assert tasks.result("k") is None
    for path in paths:
        path.write_text("as written")
    assert wait(tasks).ending == "done"
    assert len(engine.submitted) == 1


def test_an_output_that_never_comes_is_no_result(tmp_path: Path) -> None:
    engine, task = HandEngine(lag=60.0), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    with pytest.raises(TrainingError, match="attempts in a row") as error:
        for _ in range(MAX_FRUITLESS):
            engine.finish(task)
            for path in task.output_paths():
                path.unlink()
            for _ in range(70):
                engine.now += 1.0
                tasks.poll()
    assert "do the machines share this folder?" in (error.value.hint or "")


def test_a_job_that_its_engine_does_not_know_for_a_while_is_not_lost(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    engine.states[engine.submitted[0].attempt] = "unknown"  # the accounting is behind
    for _ in range(100):
        engine.now += 5.0
        tasks.poll()
    assert len(engine.submitted) == 1
    engine.states[engine.submitted[0].attempt] = "running"
    engine.now += 1000.0
    tasks.poll()
    assert len(engine.submitted) == 1
    engine.finish(task)
    assert wait(tasks).ending == "done"


def test_a_killed_driver_finds_what_it_submitted_and_what_was_done_meanwhile(tmp_path: Path) -> None:
    engine = HandEngine()
    running, done = a_task(tmp_path / "a", "a"), a_task(tmp_path / "b", "b")
    first = engine.dispatcher()
    first.submit([running])
    first.submit([done])
    engine.finish(done)

    second = engine.dispatcher()
    second.submit([running, done])
    assert len(engine.submitted) == 2
    assert wait(second, "b").ending == "done"
    assert second.result("a") is None


def test_a_cancelled_array_is_submitted_again_as_one_batch_and_what_was_done_is_not(tmp_path: Path) -> None:
    """Somebody ends all jobs at once, queued and running, behind the driver's back."""
    engine = HandEngine()
    todo = [a_task(tmp_path / key, key) for key in "abc"]
    tasks = engine.dispatcher()
    tasks.submit(todo)
    first = [one.attempt for one in engine.submitted]
    engine.states[first[1]] = "queued"
    tasks.poll()
    for path in todo[0].output_paths():
        path.write_text("{}")
    outputs = {str(path): file_hash(path) for path in todo[0].output_paths()}
    TaskResult(first[0], "done", 2.0, "elsewhere", outputs).write(todo[0].folder)
    engine.states |= dict.fromkeys(first, "ended")
    for _ in range(5):
        engine.now += 10.0
        tasks.poll()
    assert [one.folder.name for one in engine.submitted[3:]] == ["b", "c"]
    assert {Fence(task.folder).granted() for task in todo[1:]} == {one.attempt for one in engine.submitted[3:]}
    late = TaskResult(first[1], "done", 1.0, "the cancelled job, after all")
    late.write(todo[1].folder)
    engine.now += 10.0
    tasks.poll()
    assert [tasks.result(key) is not None for key in "abc"] == [True, False, False]


def test_a_change_right_after_another_is_told_a_moment_later(tmp_path: Path) -> None:
    """A training that begins at once would otherwise be called queued until it ends."""
    engine, told = HandEngine(), list[dict[str, int]]()
    tasks = Dispatcher(engine, on_change=lambda now: told.append(dict(now.counts)), clock=lambda: engine.now)
    engine.now = 10.0
    tasks.submit([a_task(tmp_path)])
    for _ in range(20):
        engine.now += 0.1
        tasks.poll()
    assert told == [{"queued": 1}, {"running": 1}]


def test_others_are_submitted_when_a_task_has_ended_and_not_ten_times_a_second(tmp_path: Path) -> None:
    engine, asked = HandEngine(), list[float]()
    first, second = a_task(tmp_path / "a", "a"), a_task(tmp_path / "b", "b")
    tasks = engine.dispatcher()
    tasks.submit([second])
    tasks.submit([first])
    tasks.meanwhile = lambda: asked.append(engine.now)

    def stop() -> bool:
        if engine.now > 50.0 and tasks.result("a") is None:
            engine.finish(first)
        if engine.now > 100.0:
            engine.states[engine.submitted[0].attempt] = "queued"  # so that the pause need not wait for it
        return engine.now > 100.0

    tasks.wait("b", on_event=ignore, stop=stop)
    assert len(asked) == 2


def test_a_stop_cancels_what_waits_and_takes_what_is_done(tmp_path: Path) -> None:
    engine = HandEngine()
    waiting, done = a_task(tmp_path / "a", "a"), a_task(tmp_path / "b", "b")
    tasks = engine.dispatcher()
    tasks.submit([waiting])
    queued = engine.submitted[-1].attempt
    tasks.submit([done])
    engine.states[queued] = "queued"
    engine.finish(done)
    result = tasks.wait("a", on_event=ignore, stop=lambda: True)
    assert result.ending == "paused"
    assert engine.cancelled == [queued]
    assert Fence(waiting.folder).granted() == ""
    assert tasks.result("b") == TaskResult.read(done.folder)


def test_a_task_that_failed_raises_its_own_error(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    failure = {"type": "DataError", "what": "a picture is broken", "where": "7.png"}
    TaskResult(engine.submitted[0].attempt, "failed", 1.0, "there", failure=failure).write(tmp_path)
    with pytest.raises(DataError, match="a picture is broken") as error:
        wait(tasks)
    assert error.value.where == "7.png"


def test_a_half_written_result_is_no_result(tmp_path: Path) -> None:
    engine, task = HandEngine(), a_task(tmp_path)
    tasks = engine.dispatcher()
    tasks.submit([task])
    whole = json.dumps({"attempt": engine.submitted[0].attempt, "ending": "done", "seconds": 1.0})
    for length in range(len(whole)):
        (tmp_path / "result.json").write_text(whole[:length])
        engine.now += 1.0
        tasks.poll()
        assert tasks.result("k") is None


def test_a_cluster_that_takes_no_jobs_says_so(tmp_path: Path) -> None:
    class Full(HandEngine):
        def submit(self, submissions: Sequence[Submission]) -> NoReturn:
            raise TrainingError("the cluster takes no jobs")

    with pytest.raises(TrainingError, match="takes no jobs"):
        Full().dispatcher().submit([a_task(tmp_path)])
