"""Kill a small CPU training again and again: does it end with the same bits as one that was left alone?

    python benchmarks/kill_loop.py [--kills 100] [--epochs 300] [--recipe sgd,adamw,musgd] [--points] [--folder DIR]

1. random: kill -9 of the child at random moments (loading, training, validating, writing), same call again, until it
   finishes; then another training, until the asked number of kills is reached. Once for each recipe.
2. points (--points): one kill at each named point: before and after the CSV row, the checkpoint, the side-car's
   state, its rename, the epoch's report, and around the strip of the optimizer at the end.

Counted each time: epochs that were reported and had to be trained again, epochs that stand twice, artifacts that cannot
be read, and whether the final weights (best.pt and last.pt, their EMA) and results.csv (but for its time column) equal
those of the run that was left alone. It ends with a table in Markdown, and exit code 1 when a line is not as promised.
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
from typing import Any, NamedTuple

from liftgate.backends import sidecar
from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, EpochReport, Event, StartedEvent
from liftgate.errors import TrainingError
from liftgate.testing.backends import write_tree
from liftgate.training import launch

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
COMMON = {"imgsz": 64, "batch": 4, "plots": False}
# 4 batches an epoch; a step every 5 lets gradients wait across epochs
RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "SGD", "lr0": 0.01, "nbs": 20, "cos_lr": True, "close_mosaic": 5, "patience": 0},
    "adamw": {"optimizer": "AdamW", "lr0": 0.005, "nbs": 4, "close_mosaic": 20, "mosaic": 0.5, "patience": 25},
    "musgd": {"optimizer": "MuSGD", "lr0": 0.01, "batch": 5, "nbs": 10, "warmup_epochs": 4.5, "patience": 0},
}
POINTS = (
    *("before row", "after row", "before checkpoint", "inside checkpoint", "after checkpoint"),
    *("before side-car", "inside side-car", "before rename", "after rename", "before report", "after report"),
    *("before strip", "inside strip", "after strip"),
)
POINT = "LIFTGATE_KILL_POINT"


class Line(NamedTuple):
    """What one killed run came to, against one that was left alone."""

    what: str
    kills: int
    epochs: int
    lost: int
    twice: int
    unreadable: int
    same_curve: bool
    same_weights: bool

    @property
    def kept(self) -> bool:
        """Whether it is as promised."""
        return not (self.lost or self.twice or self.unreadable) and self.same_curve and self.same_weights

    def __str__(self) -> str:
        same = " | ".join("yes" if each else "**no**" for each in (self.same_curve, self.same_weights))
        return (
            f"| {self.what} | {self.kills} | {self.epochs} | {self.lost} | {self.twice} | {self.unreadable} | {same} |"
        )


COLUMNS = ("what", "kills", "epochs", "lost", "twice", "unreadable", "same results.csv", "same bits")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--recipe", default="sgd", help=f"of {', '.join(RECIPES)}; several with commas")
    parser.add_argument("--points", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        tree = write_tree(folder / "tree")
        (folder / "tiny.yaml").write_text(MODEL)

        def job(name: str, which: str, epochs: int) -> TrainJob:
            out = folder / name / "results"
            recipe = {**COMMON, **RECIPES[which], "epochs": epochs}
            return TrainJob(str(folder / "tiny.yaml"), tree, recipe, 0, "detect", out, "cpu")

        for which in args.recipe.split(",") if args.kills else ():
            left_alone = run(job(f"alone-{which}", which, args.epochs))
            dice, missing, begun = random.Random(args.seed), args.kills, time.monotonic()
            while missing:
                tally = Tally(job(f"killed-{which}-{missing}", which, args.epochs))
                tally.kill_at_random(missing, dice)
                missing -= tally.kills
                lines.append(tally.against(left_alone, f"{RECIPES[which]['optimizer']}, at random moments"))
                print(lines[-1], f"{missing} kills to go, {time.monotonic() - begun:.0f} s", flush=True)
        if args.points:
            left_alone = run(job("alone-short", "sgd", 6))
            for point in POINTS:
                tally = Tally(job(point.replace(" ", "-"), "sgd", 6), backend="kill_loop:Dying")
                tally.kill_at(point)
                lines.append(tally.against(left_alone, f"SGD, {point}"))
                print(lines[-1], flush=True)
    print("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", *lines, sep="\n")
    return 0 if all(line.kept for line in lines) else 1


def run(job: TrainJob, on_event: Emit = lambda event: None, backend: str = "ultralytics") -> Any:
    return launch.train(job, backend=backend, folder=job.out.parent, on_event=on_event)


class Tally:
    """A run that is killed again and again, and what was seen after each kill."""

    def __init__(self, job: TrainJob, backend: str = "ultralytics") -> None:
        self.job, self.backend = job, backend
        self.kills = self.reported = 0
        self.lost = 0
        """Epochs that had been reported and were not in the state that the next attempt went on from"""
        self.unreadable: set[str] = set()
        self.outcome: launch.TrainOutcome | None = None

    def attempt(self, on_epoch: Callable[[], None] = lambda: None) -> bool:
        """Run once; whether it came to its end."""

        def on_event(event: Event) -> None:
            if isinstance(event, StartedEvent):
                self.lost += max(self.reported - event.resumed_after, 0)
            if isinstance(event, EpochReport):
                self.reported = event.epoch
                on_epoch()

        try:
            self.outcome = run(self.job, on_event, self.backend)
        except TrainingError as error:
            assert "without a report" in str(error), error
            self.kills += 1
        self.unreadable |= set(unreadable(self.job))
        return self.outcome is not None

    def kill_at_random(self, kills: int, dice: random.Random) -> None:
        begun = time.monotonic()
        while self.kills < kills:
            # A third of the kills hit the start-up, the others the first epochs after it.
            with Killer(self.job) as killer:
                if dice.random() < 0.33:
                    killer.after(dice.uniform(0.1, 8.0))
                delay = dice.uniform(0.0, 1.5)
                if self.attempt(lambda killer=killer, delay=delay: killer.after(delay)):  # type: ignore[misc]
                    return
            if self.kills % 10 == 0 or self.lost or self.unreadable:
                said = f"{self.kills} kills, epoch {self.reported}, lost {self.lost}"
                print(f"{said}, unreadable {sorted(self.unreadable)}, {time.monotonic() - begun:.0f} s", flush=True)
        self.attempt()

    def kill_at(self, point: str) -> None:
        os.environ[POINT] = point
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *([before] if before else [])])
        try:
            assert not self.attempt(), f"no process died at {point!r}"
            del os.environ[POINT]
            self.attempt()
        finally:
            os.environ.pop(POINT, None)
            os.environ["PYTHONPATH"] = before or ""

    def against(self, left_alone: launch.TrainOutcome, what: str) -> Line:
        assert self.outcome is not None
        wanted, curve = read_curve(left_alone.out), read_curve(self.outcome.out)
        rows = [int(row["epoch"]) for row in curve]
        events = [report.epoch for report in self.outcome.reports]
        twice = len(rows) - len(set(rows)) + len(events) - len(set(events))
        lost = self.lost + len(set(range(1, len(wanted) + 1)) - (set(rows) & set(events)))
        pairs = [
            [each.out / "weights" / name for each in (left_alone, self.outcome)] for name in ("best.pt", "last.pt")
        ]
        same = all(identical(*pair) for pair in pairs)
        return Line(what, self.kills, len(rows), lost, twice, len(self.unreadable), curve == wanted, same)


class Killer:
    """Kills a run's child once, some time after `after` is called."""

    def __init__(self, job: TrainJob) -> None:
        self._job = job
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Killer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def after(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = threading.Timer(seconds, kill_worker, [self._job])
            self._timer.start()


def kill_worker(job: TrainJob) -> None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"liftgate.training.worker" in words and str(job.out.parent / "train.json").encode() in words:
            os.kill(int(entry.name), signal.SIGKILL)


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
    for generation in sidecar.generations(job.out):
        damage, curve = generation.damage(), generation.folder / "results.csv"
        if damage or not curve.is_file():
            bad.append(f"{generation.folder}: {damage or 'no results.csv'}")
            continue
        with curve.open() as file:
            rows = list(csv.DictReader(file))
        if [int(row["epoch"]) for row in rows] != list(range(1, generation.epoch + 1)) or None in rows[-1].values():
            bad.append(str(generation.folder / "results.csv"))
    return bad


def read_curve(out: Path) -> list[dict[str, str]]:
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
        from liftgate.backends.ultralytics.backend import Ultralytics

        self._inner = Ultralytics()

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Any:
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


def _arm(point: str, emit: Emit) -> Emit:
    from ultralytics.engine import trainer as engine

    from liftgate.backends import sidecar
    from liftgate.backends.ultralytics.trainer import ResumableTrainerMixin

    def third(trainer: Any, *_: object) -> bool:
        return bool(trainer.epoch == 2)

    _around(engine.BaseTrainer, "save_metrics", "before row", "after row", point, third)
    _around(ResumableTrainerMixin, "save_model", "before checkpoint", "after checkpoint", point, third)
    _around(engine.BaseTrainer, "save_model", "", "inside checkpoint", point, third)
    _around(sidecar, "prepare", "before side-car", "", point, lambda out, epoch, *_: epoch == 3)
    _around(sidecar, "finish", "", "before report", point, lambda out, epoch, *_: epoch == 3)
    _around(sidecar, "_sync", "", "inside side-car", point, lambda path: "part-00003" in str(path))
    _around(Path, "rename", "before rename", "after rename", point, lambda path, target: "epoch-00003" in str(target))
    _around(ResumableTrainerMixin, "final_eval", "before strip", "after strip", point, lambda trainer: True)
    _around(engine, "strip_optimizer", "", "inside strip", point, lambda *_: True)

    def reporting(event: Event) -> None:
        emit(event)
        if point == "after report" and isinstance(event, EpochReport) and event.epoch == 3:
            _die()

    return reporting


if __name__ == "__main__":
    sys.exit(main())
