"""What does Liftgate add to a training? The same `yolo train`, with it and without it, alternating.

    python benchmarks/training.py [--repeat 3] [--epochs 10] [--images 200] [--imgsz 128]
                                 [--model tiny|FILE] [--device cpu]

The plain run is `command.sh`: what Liftgate writes beside each run so that it can be repeated without Liftgate, in the
same sealed environment. Reported: whole wall time, and start-up (from the call to the end of the first epoch, less the
mean of the other epochs); ratios of medians count. Each pair must end with the same results.csv (but for the time).
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from kill_loop import MODEL

from liftgate.backends.base import TrainJob
from liftgate.backends.sandbox import sandbox_environment
from liftgate.testing.backends import write_tree
from liftgate.training import launch
from liftgate.training.command import training_command

RECIPE = {
    "batch": 8,
    "nbs": 8,
    "optimizer": "AdamW",
    "lr0": 0.003,
    "warmup_epochs": 1,
    "close_mosaic": 3,
    "fliplr": 0.0,
}


class Timed(NamedTuple):
    wall: float
    startup: float
    cpu: float
    """processor seconds of parent and child: less affected by other users of the machine"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--imgsz", type=int, default=128)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tree = write_tree(folder / "tree", train=args.images, held_out=max(8, args.images // 10), size=(192, 160))
        (folder / "tiny.yaml").write_text(MODEL)
        weights = str(folder / "tiny.yaml") if args.model == "tiny" else str(Path(args.model).resolve())
        recipe = {**RECIPE, "epochs": args.epochs, "imgsz": args.imgsz}
        plain, ours = [], []
        for number in range(args.repeat):
            out = folder / f"run{number}" / "results"
            job = TrainJob(weights, tree, recipe, 0, "detect", out, args.device)
            for which in ("plain", "ours") if number % 2 == 0 else ("ours", "plain"):
                timed = with_liftgate(job) if which == "ours" else without_liftgate(job)
                (ours if which == "ours" else plain).append(timed)
                print(
                    f"{which:>6}: {timed.wall:6.1f} s, start-up {timed.startup:5.1f} s, processor {timed.cpu:6.1f} s",
                    flush=True,
                )
            by_hand = out.with_name("results-by-hand")
            print(
                f"        same results.csv: {curve(by_hand) == curve(out)}, load {os.getloadavg()[0]:.1f}", flush=True
            )
        summary("wall", plain, ours, 0)
        summary("start-up", plain, ours, 1)
        summary("processor", plain, ours, 2)


def with_liftgate(job: TrainJob) -> Timed:
    begun, used = time.monotonic(), processor()
    launch.train(job, backend="ultralytics", folder=job.out.parent, on_event=lambda event: None)
    return measured(time.monotonic() - begun, processor() - used, job.out)


def without_liftgate(job: TrainJob) -> Timed:
    script = job.out.parent / "command.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(training_command(job))
    where = sandbox_environment(job.out.parent / "home", os.environ)
    where["PATH"] = f"{Path(sys.executable).parent}:{where['PATH']}"
    begun, used = time.monotonic(), processor()
    with (job.out.parent / "by-hand.log").open("w") as log:
        subprocess.run(["sh", str(script)], env=where, check=True, stdout=log, stderr=subprocess.STDOUT)
    return measured(time.monotonic() - begun, processor() - used, job.out.with_name("results-by-hand"))


def processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def measured(wall: float, cpu: float, out: Path) -> Timed:
    with (out / "results.csv").open() as file:
        times = [float(row["time"]) for row in csv.DictReader(file)]
    return Timed(wall, wall - (times[-1] - times[0]) * len(times) / (len(times) - 1), cpu)


def curve(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "time"} for row in csv.DictReader(file)]


def summary(what: str, plain: list[Timed], ours: list[Timed], field: int) -> None:
    a, b = (statistics.median(timed[field] for timed in runs) for runs in (plain, ours))
    print(f"{what}: plain {a:.1f} s, with Liftgate {b:.1f} s, ratio {b / a:.3f}, difference {b - a:+.1f} s")


if __name__ == "__main__":
    main()
