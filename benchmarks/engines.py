"""What an engine's driver costs: time a task, memory and time of many queued tasks, and tiny tasks on the local pool.

    python -P benchmarks/engines.py [--tasks 1000] [--queued 10000] [--tiny 0]

The first two use an engine that finishes a task by writing its result, so that what is timed is the driver: task.json,
attempt, job.json, and reading and hashing the outputs. `--tiny N` runs N tasks that do nothing on the local pool with 2
workers; each starts two Python processes. A count of 0 leaves a part out.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from liftgate.backends.base import PredictJob
from liftgate.backends.events import Event
from liftgate.engines.base import Capabilities, JobState, Submission
from liftgate.engines.dispatch import Dispatcher
from liftgate.engines.local import LocalEngine
from liftgate.engines.task import Task, TaskResult
from liftgate.hashing import file_hash
from liftgate.training.job import JobFile


class InstantEngine:
    """An engine whose tasks end as soon as they begin; with `idle`, they stay queued for ever."""

    def __init__(self, *, idle: bool = False) -> None:
        self.idle = idle

    def capabilities(self) -> Capabilities:
        return Capabilities("instant", None, survives_driver=True, lag_seconds=0.0)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        for one in [] if self.idle else submissions:
            outputs = Task.read(one.folder).output_paths()
            for path in outputs:
                path.write_text("[]")
            hashes = {str(path): file_hash(path) for path in outputs}
            TaskResult(one.attempt, "done", 0.0, outputs=hashes).write(one.folder)
        return [one.attempt for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        return ["queued" if self.idle else "ended"] * len(handles)

    def cancel(self, handles: Sequence[str]) -> None:
        pass

    def logs(self, handle: str) -> list[Path]:
        return []

    def queue_length(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def tasks_in(folder: Path, n: int, backend: str = "toy") -> list[Task]:
    found = []
    for number in range(n):
        place = folder / f"{number:07d}"
        place.mkdir(parents=True)
        job = PredictJob("w.pt", folder / "data.yaml", "test", "detect", place / "found.json")
        found.append(Task(f"k{number}", f"predict {number}", place, JobFile("predict", backend, job)))
    return found


def ignore(event: Event) -> None:
    pass


def wait_for_all(tasks: Dispatcher, keys: Sequence[str]) -> None:
    for key in keys:
        tasks.wait(key, on_event=ignore, stop=lambda: False)


def driver(folder: Path, n: int) -> str:
    """Time the driver alone, one task after another and as one batch."""
    todo = tasks_in(folder / "driver", n)
    begun, cpu = time.monotonic(), time.process_time()
    tasks = Dispatcher(InstantEngine())
    tasks.submit(todo)
    wait_for_all(tasks, [task.key for task in todo])
    wall, cpu = time.monotonic() - begun, time.process_time() - cpu
    return f"driver: {n:,} tasks, {1000 * wall / n:.1f} ms a task by the clock, {1000 * cpu / n:.2f} ms of CPU"


def queued(folder: Path, n: int) -> str:
    """Submit tasks that stay queued, and look at all of them once."""
    todo = tasks_in(folder / "queued", n)
    tasks = Dispatcher(InstantEngine(idle=True))
    begun, cpu = time.monotonic(), time.process_time()
    tasks.submit(todo)
    submitted, cpu = time.monotonic() - begun, time.process_time() - cpu
    begun = time.monotonic()
    tasks.poll()
    looked = time.monotonic() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"queued: {n:,} tasks submitted in {submitted:.1f} s ({cpu:.1f} s of CPU), "
        f"one look at all of them {1000 * looked:.0f} ms, {memory:.0f} MB of memory in all"
    )


def tiny(folder: Path, n: int) -> str:
    """Run tasks that end at once with an error of their own: what is timed is the two processes of each."""
    todo = tasks_in(folder / "tiny", n, backend="no such backend")
    engine = LocalEngine(workers=2)
    begun = time.monotonic()
    tasks = Dispatcher(engine)
    tasks.submit(todo)
    results: list[TaskResult] = []
    while len(results) < n:
        tasks.poll()
        results = [result for task in todo if (result := tasks.result(task.key)) is not None]
        time.sleep(0.01)
    wall = time.monotonic() - begun
    ideal = sum(result.seconds for result in results) / 2
    engine.close()
    return f"tiny: {n:,} tasks on 2 workers in {wall:.1f} s; ideal {ideal:.1f} s: {ideal / wall:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--tiny", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for part, n in ((driver, options.tasks), (queued, options.queued), (tiny, options.tiny)):
            if n:
                print(part(Path(name), n), flush=True)


if __name__ == "__main__":
    sys.exit(main())
