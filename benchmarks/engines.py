"""What an engine's driver costs: time a task, memory and time of many queued tasks, and tiny tasks on the local pool.

    python -P benchmarks/engines.py [--tasks 1000] [--queued 10000] [--plan 10000] [--study 1000] [--ledger 100000]
                                    [--tiny 0] [--match 0]
        [--scratch FOLDER]

The first two and `--study` use an engine that finishes a task by writing its result, so that what is timed is the
driver: task.json, attempt, job.json, and reading and hashing the outputs. `--study N` runs a whole study of N trainings
on it: run folders, preflight.json, the ledger, REPORT.md; its first and its last tenth are timed by themselves, which
shows what grows. `--plan N` plans a study of N trainings and predictions. `--ledger N` reads a ledger of N entries.
`--tiny N` runs N tasks that do nothing on the local pool with 2 workers; each starts two Python processes.
`--match N` matches N detections in this process, and in two tasks on the local pool with 2 workers. A count of 0 leaves
a part out.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import yaml

from liftgate import api
from liftgate.backends.base import PredictJob, TrainJob
from liftgate.backends.events import DoneEvent, EpochReport, Event, StartedEvent
from liftgate.engines.base import Capabilities, Engine, JobState, Submission
from liftgate.engines.dispatch import Dispatcher
from liftgate.engines.local import LocalEngine
from liftgate.engines.task import Task, TaskResult
from liftgate.evaluation.cell_matching import MatchInputs, match_by_row
from liftgate.hashing import file_hash
from liftgate.ledger import Ledger
from liftgate.ledger.entry import Row
from liftgate.ledger.records import NoteEntry
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.steps.matching import SplitMatching
from liftgate.study.records import EngineSpec
from liftgate.testing.backends import write_tree
from liftgate.training.events import EventFile
from liftgate.training.job import JobFile


class InstantEngine(Engine):
    """An engine whose tasks end as soon as they begin; with `idle`, they stay queued for ever."""

    def __init__(self, *, idle: bool = False) -> None:
        self.idle = idle

    def capabilities(self) -> Capabilities:
        return Capabilities("instant", None, survives_driver=True, lag_seconds=0.0)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        for one in [] if self.idle else submissions:
            task = Task.read(one.folder)
            outputs = task.output_paths()
            if isinstance(task.job, TrainJob):
                train_nothing(task.job, one.folder)
            else:
                for path in outputs:
                    path.write_text("[]")
            hashes = {str(path): file_hash(path) for path in outputs}
            TaskResult(one.attempt, "done", 0.0, outputs=hashes).write(one.folder)
        return [one.attempt for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        return ["queued" if self.idle else "ended"] * len(handles)

    def cancel(self, handles: Sequence[str]) -> None:
        pass


def train_nothing(job: TrainJob, folder: Path) -> None:
    """Leave what a training of one epoch leaves."""
    (job.out / "weights").mkdir()
    for name in ("weights/best.pt", "weights/last.pt", "results.csv", "args.yaml"):
        (job.out / name).write_text(f"{job.seed}")
    metrics = {"mAP50": 0.5, "mAP50-95": 0.3, "precision": 0.6, "recall": 0.4}
    epoch = EpochReport(epoch=1, epochs=1, losses={"box": 1.0}, metrics=metrics, fitness=0.3, lr={}, seconds=1.0)
    file = EventFile(folder / "events.jsonl")
    for event in (StartedEvent(), epoch, DoneEvent(extra={"epochs": 1, "best_epoch": 1, "seconds": 1.0})):
        file.emit(event)


def a_study(folder: Path, seeds: int, flow: Sequence[str]) -> Path:
    """Write a study of one arm with so many seeds, on one tiny data set."""
    write_tree(folder / "scenes", train=4, held_out=4)
    (folder / "start.yaml").write_text("nc: 2\n")
    stage = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 1}}
    gate = {"metric": "mAP50", "treatment": "arm", "control": "arm", "on": "scenes.test", "margin": 0.05}
    study = {
        "study": "many",
        "question": "What does a driver cost?",
        "backend": "toy",
        "seeds": list(range(seeds)),
        "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
        "arms": {"arm": [stage], "other": [{**stage, "recipe": {"epochs": 2}}]},
        "gates": {"lift": {**gate, "control": "other"}},
        "flow": list(flow),
        "engine": "local",
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


def planned(folder: Path, n: int) -> str:
    """Plan a study: two arms, each trained and predicted with every seed."""
    path = a_study(folder / "plan", n // 4, ["train", "lift"])
    begun, cpu = time.monotonic(), time.process_time()
    lines = api.plan(path)
    wall, cpu = time.monotonic() - begun, time.process_time() - cpu
    tasks = sum(line.kind in ("train", "predict") for line in lines)
    return f"plan: {tasks:,} tasks in {wall:.1f} s ({cpu:.1f} s of CPU), {peak_mb():.0f} MB of memory in all"


def whole_study(folder: Path, n: int) -> str:
    """Run a study of trainings on an engine that finishes them at once."""
    path = a_study(folder / "study", n // 2, ["train"])
    times: list[float] = []

    def note(notice: Notice) -> None:
        if notice.kind == "done":
            times.append(time.process_time())

    with mock.patch("liftgate.pipeline.engine.open_engine", lambda spec, folder: InstantEngine()):
        begun, cpu = time.monotonic(), time.process_time()
        api.run(path, notify=note)
    wall, cpu = time.monotonic() - begun, time.process_time() - cpu
    first, last = (some[-1] - some[0] for some in (times[: n // 10], times[-n // 10 :]))
    begun = time.process_time()
    api.status(path)
    status = time.process_time() - begun
    begun = time.process_time()
    api.plan(path)
    again = time.process_time() - begun
    each = 1000 / (n // 10 - 1)
    return (
        f"study: {n:,} trainings, {1000 * wall / n:.1f} ms each by the clock, {1000 * cpu / n:.1f} ms of CPU; "
        f"taking a result: {first * each:.1f} ms of CPU in the first tenth, {last * each:.1f} in the last; "
        f"then status {status:.2f} s and plan {again:.2f} s of CPU; {peak_mb():.0f} MB of memory in all"
    )


def ledger_reads(folder: Path, n: int) -> str:
    """Read a ledger that was read before, as a driver does after every task."""
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.add(NoteEntry("the first"))
    grow(ledger, n - 1)
    begun = time.process_time()
    assert len(ledger.entries("note")) == n
    whole = time.process_time() - begun
    begun = time.process_time()
    for _ in range(10):
        ledger.entries("note", after=n - 1)
    read = (time.process_time() - begun) / 10
    begun = time.process_time()
    ledger.add(NoteEntry("the last"))
    return (
        f"ledger: {n:,} entries, all read and checked {whole:.2f} s of CPU; what is new {1000 * read:.1f} ms, "
        f"an entry added {1000 * (time.process_time() - begun):.1f} ms"
    )


def grow(ledger: Ledger, n: int) -> None:
    """Add notes as `append` does, in one transaction."""
    db = sqlite3.connect(ledger.path)
    previous = ledger.head.encode()
    for seq in range(2, n + 2):
        body = json.dumps({"text": f"note {seq}"}, sort_keys=True, separators=(",", ":")).encode()
        row = Row(seq, b"2026-11-30T00:00:00.000000+00:00", b"note", body, previous, b"", 1)
        previous = row.content_hash()
        db.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
            (seq, *(cell.decode() for cell in row[1:5]), previous.decode()),
        )
    db.commit()
    db.close()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
    return (
        f"queued: {n:,} tasks submitted in {submitted:.1f} s ({cpu:.1f} s of CPU), "
        f"one look at all of them {1000 * looked:.0f} ms, {peak_mb():.0f} MB of memory in all"
    )


class TimedEngine(LocalEngine):
    """The local pool, with the seconds from the start to the end of each process that it ran."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.lifetimes: list[float] = []

    def _start(self, submission: Submission, slot: int) -> subprocess.Popen[bytes]:
        begun = time.monotonic()
        process = super()._start(submission, slot)

        def wait() -> None:
            process.wait()
            self.lifetimes.append(time.monotonic() - begun)

        threading.Thread(target=wait, daemon=True).start()
        return process


def tiny(folder: Path, n: int) -> str:
    """Run tasks that end at once with an error of their own: what is timed is the two processes of each."""
    todo = tasks_in(folder / "tiny", n, backend="no such backend")
    engine = TimedEngine(workers=2)
    begun = time.monotonic()
    tasks = Dispatcher(engine)
    tasks.submit(todo)
    results: list[TaskResult] = []
    while len(results) < n:
        tasks.poll()
        results = [result for task in todo if (result := tasks.result(task.key)) is not None]
        time.sleep(0.01)
    wall = time.monotonic() - begun
    busy, reported = sum(engine.lifetimes) / 2, sum(result.seconds for result in results) / 2
    engine.close()
    return (
        f"tiny: {n:,} tasks on 2 workers in {wall:.1f} s; two that are never idle {busy:.1f} s: {busy / wall:.2f}; "
        f"without the start of each task's first process {reported:.1f} s: {reported / wall:.2f}"
    )


def detections(n: int) -> MatchInputs:
    """Return n detections as in COCO: 95 on each image, and 7 objects, of 80 classes."""
    rng = np.random.default_rng(0)
    m = -(-n // 95) * 7
    of_objects = np.arange(m) // 7
    corner, size = rng.uniform(0, 500, (m, 2)), rng.uniform(8, 200, (m, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    cls = rng.integers(0, 80, m)
    near = rng.integers(0, m, n)
    return MatchInputs(
        image=of_objects[near], cls=cls[near], scores=rng.random(n), boxes=boxes[near] + rng.normal(0, 8, (n, 4)),
        sides=np.empty((0, 2)), points=np.empty((0, 0, 3)), object_image=of_objects, object_cls=cls,
        object_boxes=boxes, object_sides=np.empty((0, 2)), object_points=np.empty((0, 0, 3)),
        area=size.prod(axis=1), crowd=np.zeros(m, dtype=np.bool_), uncounted=np.zeros((4, m), dtype=np.bool_),
        sigmas=np.empty(0),
    )  # fmt: skip


def matched(folder: Path, n: int) -> str:
    """Match detections here and in two tasks."""
    match_by_row(detections(1000))  # loads the kernels
    inputs = detections(n)
    begun, cpu = time.monotonic(), time.process_time()
    whole = match_by_row(inputs)
    here, cpu = time.monotonic() - begun, time.process_time() - cpu
    engine, spec = LocalEngine(workers=2), EngineSpec(workers=2, detections_per_task=-(-n // 2))
    begun, own = time.monotonic(), time.process_time()
    matcher = SplitMatching(
        Dispatcher(engine), spec, "match", "match", folder / "match", on_event=ignore, stop=lambda: False
    )
    parts = matcher(inputs)
    split, own = time.monotonic() - begun, time.process_time() - own
    engine.close()
    same = all(np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))
    return (
        f"match: {n:,} detections here {here:.2f} s ({cpu:.2f} s of CPU), in two tasks {split:.2f} s (the driver "
        f"{own:.2f} s of CPU), {'equal' if same else 'DIFFERENT'}; {peak_mb():.0f} MB of memory in all"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--plan", type=int, default=10_000)
    parser.add_argument("--study", type=int, default=1000)
    parser.add_argument("--ledger", type=int, default=100_000)
    parser.add_argument("--tiny", type=int, default=0)
    parser.add_argument("--match", type=int, default=0)
    parser.add_argument("--scratch", type=Path, help="where it works; default: the folder of temporary files")
    options = parser.parse_args()
    parts = (
        (driver, options.tasks),
        (queued, options.queued),
        (planned, options.plan),
        (whole_study, options.study),
        (ledger_reads, options.ledger),
        (tiny, options.tiny),
        (matched, options.match),
    )
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        for part, n in parts:
            if n:
                print(part(Path(name), n), flush=True)


if __name__ == "__main__":
    sys.exit(main())
