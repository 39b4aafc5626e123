"""Kill a small CPU training again and again: does it end with the same bits as one that was left alone?

    python benchmarks/kill_loop.py [--kills 100] [--epochs 300] [--points] [--folder DIR]

1. random: kill -9 of the child at random moments (loading, training, validating, writing), same call again, until the
   asked number of kills is reached; then it may finish.
2. points (--points): one kill at each named point: before and after the CSV row, the checkpoint, the side-car's
   state, its rename, the epoch's report, and around the strip of the optimizer at the end.

Counted each time: epochs that were reported and are gone, epochs that stand twice, artifacts that cannot be read,
and whether the final weights and results.csv (but for its time column) equal those of the run that was left alone.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liftgate.backends.base import Event, TrainJob
from liftgate.errors import TrainingError
from liftgate.testing.backends import write_tree
from liftgate.train import launch

HERE = Path(__file__).resolve().parent
MODEL = """
nc: 2
depth_multiple: 0.33
width_multiple: 0.125
backbone: [[-1, 1, Conv, [64, 3, 2]], [-1, 1, Conv, [128, 3, 2]], [-1, 3, C2f, [128, True]],
           [-1, 1, Conv, [256, 3, 2]], [-1, 6, C2f, [256, True]], [-1, 1, Conv, [512, 3, 2]], [-1, 6, C2f, [512, True]]]
head: [[-1, 1, nn.Upsample, [None, 2, nearest]], [[-1, 4], 1, Concat, [1]], [-1, 3, C2f, [256]],
       [[9, 6], 1, Detect, [nc]]]
"""
# 4 batches an epoch and a step every 5: gradients wait across epochs; cosine; mosaic closes near the end
RECIPE = {"imgsz": 64, "batch": 4, "nbs": 20, "optimizer": "SGD", "lr0": 0.01, "cos_lr": True, "close_mosaic": 5}
RECIPE |= {"plots": False, "patience": 0}
POINTS = (
    *("before row", "after row", "before checkpoint", "inside checkpoint", "after checkpoint"),
    *("before side-car", "inside side-car", "before rename", "after rename", "before report", "after report"),
    *("before strip", "inside strip", "after strip"),
)
POINT = "LIFTGATE_KILL_POINT"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--points", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        tree = write_tree(folder / "tree")
        (folder / "tiny.yaml").write_text(MODEL)

        def job(name: str, epochs: int) -> TrainJob:
            out = folder / name / "results"
            return TrainJob(str(folder / "tiny.yaml"), tree, {**RECIPE, "epochs": epochs}, 0, "detect", out, "cpu")

        if args.kills:
            left_alone = run(job("alone", args.epochs))
            killed = random_kills(job("killed", args.epochs), args.kills, random.Random(args.seed))
            report(f"{args.kills} random kills of {args.epochs} epochs", left_alone, killed)
        if args.points:
            left_alone = run(job("alone-short", 6))
            for point in POINTS:
                killed = kill_at(job(point.replace(" ", "-"), 6), point)
                report(f"kill at: {point}", left_alone, killed)


def run(job: TrainJob, on_event: Callable[[Event], None] = lambda event: None, backend: str = "ultralytics") -> Any:
    return launch.train(job, backend=backend, folder=job.out.parent, on_event=on_event)


def random_kills(job: TrainJob, kills: int, dice: random.Random) -> launch.TrainOutcome:
    done, reported, broken, begun = 0, set[int](), list[str](), time.monotonic()
    while done < kills:
        # a third of the kills hit the start-up, the others one to some epochs
        delay = dice.uniform(0.0, 1.5)

        timers: list[threading.Timer] = []
        seen: list[int] = []

        def kill_after(seconds: float, timers: list[threading.Timer] = timers) -> None:
            timers.append(threading.Timer(seconds, kill_worker, [job]))
            timers[-1].start()

        def on_event(event: Event, delay: float = delay, seen: list[int] = seen, kill: Any = kill_after) -> None:
            if event.kind == "epoch":
                reported.add(event.body["epoch"])
                if not seen:
                    kill(delay)
                seen.append(event.body["epoch"])

        early = dice.random() < 0.33
        if early:
            kill_after(dice.uniform(0.1, 5.0))
        try:
            outcome = run(job, on_event)
        except TrainingError as error:
            assert "without a word" in str(error), error
            done += 1
        else:
            print(f"finished after {done} kills: fewer than asked for, give more --epochs")
            return outcome
        finally:
            for timer in timers:
                timer.cancel()
        broken += unreadable(job)
        lost = reported - epochs_on_record(job)
        if done % 10 == 0 or lost or broken:
            print(f"{done} kills, epoch {max(reported, default=0)}, lost {sorted(lost)}, unreadable {broken}, "
                  f"{time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
    return run(job)


def kill_at(job: TrainJob, point: str) -> launch.TrainOutcome:
    os.environ[POINT] = point
    os.environ["PYTHONPATH"] = str(HERE)
    try:
        run(job, backend="kill_loop:Dying")
        raise AssertionError(f"nobody died at {point!r}")
    except TrainingError as error:
        assert "without a word" in str(error), error
    finally:
        del os.environ[POINT]
    return run(job, backend="kill_loop:Dying")


def kill_worker(job: TrainJob) -> None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"liftgate.train.worker" in words and str(job.out.parent / "train.json").encode() in words:
            os.kill(int(entry.name), signal.SIGKILL)


def epochs_on_record(job: TrainJob) -> set[int]:
    return {
        event.body["epoch"] for event in launch.read_events(job.out.parent / "events.jsonl") if event.kind == "epoch"
    }


def unreadable(job: TrainJob) -> list[str]:
    """Files in their final place that are no whole archives; the kill may not leave any."""
    bad = []
    places = [
        *job.out.glob("weights/*.pt"),
        *job.out.glob("state/epoch-*/*.bin"),
        *job.out.glob("state/epoch-*/weights/*"),
    ]
    for path in places:
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    bad.append(str(path))
        except zipfile.BadZipFile:
            bad.append(str(path))
    return bad


def report(what: str, left_alone: launch.TrainOutcome, killed: launch.TrainOutcome) -> None:
    a, b = curve(left_alone.out), curve(killed.out)
    epochs = [row["epoch"] for row in b]
    same = all(
        identical(left_alone.out / "weights" / name, killed.out / "weights" / name) for name in ("best.pt", "last.pt")
    )
    events = [body["epoch"] for body in killed.epoch_events]
    print(
        f"{what}: epochs {len(epochs)} of {len(a)}, twice {len(epochs) - len(set(epochs))}, "
        f"reports in order {events == list(range(1, len(a) + 1))}, results.csv equal {a == b}, "
        f"weights bit-identical {same}",
        flush=True,
    )


def curve(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "time"} for row in csv.DictReader(file)]


def identical(a: Path, b: Path) -> bool:
    import torch

    states = [torch.load(path, map_location="cpu", weights_only=False)["model"].state_dict() for path in (a, b)]
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


class Dying:
    """The Ultralytics backend, which kills itself at one named point of epoch 3, or at the end."""

    name = "dying"

    def __init__(self) -> None:
        from liftgate.backends.ultralytics import Ultralytics

        self._inner = Ultralytics()

    def train(self, job: TrainJob, emit: Callable[[Event], None], should_stop: Callable[[], bool]) -> Any:
        point = os.environ.get(POINT)
        if point:
            emit = _arm(point, emit)
        return self._inner.train(job, emit, should_stop)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _around(holder: Any, name: str, before: str, after: str, point: str, due: Callable[..., bool]) -> None:
    inner = getattr(holder, name)

    def wrapped(*args: Any, **how: Any) -> Any:
        if point == before and due(*args):
            _die()
        value = inner(*args, **how)
        if point == after and due(*args):
            _die()
        return value

    setattr(holder, name, wrapped)


def _arm(point: str, emit: Callable[[Event], None]) -> Callable[[Event], None]:
    from ultralytics.engine import trainer as engine

    from liftgate.backends import sidecar, ultralytics

    def third(trainer: Any, *_: object) -> bool:
        return bool(trainer.epoch == 2)

    _around(engine.BaseTrainer, "save_metrics", "before row", "after row", point, third)
    _around(ultralytics._Resumable, "save_model", "before checkpoint", "after checkpoint", point, third)
    _around(engine.BaseTrainer, "save_model", "", "inside checkpoint", point, third)
    _around(sidecar, "prepare", "before side-car", "", point, lambda out, epoch, *_: epoch == 3)
    _around(sidecar, "finish", "", "before report", point, lambda out, epoch, *_: epoch == 3)
    _around(sidecar, "_sync", "", "inside side-car", point, lambda path: "part-00003" in str(path))
    _around(Path, "rename", "before rename", "after rename", point, lambda path, target: "epoch-00003" in str(target))
    _around(ultralytics._Resumable, "final_eval", "before strip", "after strip", point, lambda trainer: True)
    _around(engine, "strip_optimizer", "", "inside strip", point, lambda *_: True)

    def reporting(event: Event) -> None:
        emit(event)
        if point == "after report" and event.kind == "epoch" and event.body["epoch"] == 3:
            _die()

    return reporting


if __name__ == "__main__":
    sys.exit(main())
