"""A month of six cameras in a production log: size, time to compact it, and to ask it about frames.

python benchmarks/production_log.py --rows 5000000 --folder month/

A folder that holds a month already is asked again, with the load of the machine beside the times.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from liftgate.data.production_log.compaction import HOURS, Retention, compact
from liftgate.data.production_log.live import INSERT, open_log
from liftgate.data.production_log.records import LoggedBox, LoggedImage, Quality, to_row

HOUR, HOURS_OF_MONTH, CAMERAS = 3600.0, 720, 6
START = 1_790_000_000.0 // HOUR * HOUR
_CHILD = """
import resource, sys, time
from liftgate.cli import main
begun, used = time.perf_counter(), time.process_time()
code = main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{code} {time.perf_counter() - begun:.2f} {time.process_time() - used:.2f} {peak:.0f}", file=sys.stderr)
"""


def rows_of_hour(hour: int, count: int, chance: random.Random) -> list[LoggedImage]:
    """Return one hour's rows: 0 to 5 boxes each, some of them yellow or red."""

    def box() -> tuple[float, float, float, float]:
        x, y = chance.uniform(0, 540), chance.uniform(0, 380)
        return round(x, 1), round(y, 1), round(x + chance.uniform(5, 100), 1), round(y + chance.uniform(5, 100), 1)

    qualities: tuple[Quality, ...] = ("green", "yellow", "red")
    rows = []
    for number in range(count):
        found = tuple(LoggedBox("cone", round(chance.random(), 4), box()) for _ in range(chance.randrange(6)))
        when, camera = START + hour * HOUR + number * HOUR / count, f"camera{number % CAMERAS}"
        quality = chance.choices(qualities, (90, 8, 2))[0]
        reasons: tuple[str, ...] = () if quality == "green" else ("low_confidence",)
        name = f"{camera}/{hour:04d}-{number:05d}.jpg"
        rows.append(LoggedImage(when, camera, name, "v0.1", 640, 480, 101.5, quality, reasons, found))
    return rows


def build(folder: Path, n_rows: int, chance: random.Random) -> float:
    """Write the log hour by hour, compacting after each; return the CPU seconds of compaction."""
    db, used, per_hour = open_log(folder, create=True), 0.0, n_rows // HOURS_OF_MONTH
    for hour in range(HOURS_OF_MONTH):
        db.execute("BEGIN")
        db.executemany(INSERT, map(to_row, rows_of_hour(hour, per_hour, chance)))
        db.execute("COMMIT")
        begun = time.process_time()
        compact(folder, now=START + (hour + 1) * HOUR)
        used += time.process_time() - begun
    db.close()
    return used


def ask(folder: Path, frames: Path, out: Path) -> None:
    """Print what `data sample` of these frames takes, in a process of its own."""
    words = ["data", "sample", str(frames), "--champion", str(folder), "--out", str(out), "--near", "-1"]
    done = subprocess.run([sys.executable, "-c", _CHILD, *words], capture_output=True, text=True, check=True)
    code, wall, cpu, peak = done.stderr.split("\n")[-2].split()
    load = os.getloadavg()[0]
    print(f"data sample: exit {code}, {wall} s wall, {cpu} s CPU, peak {peak} MB, load {load:.1f}", flush=True)


def write_frames(frames: Path, count: int, per_hour: int, chance: random.Random) -> None:
    """Write images whose names are in the log, of all hours."""
    for number in range(count):
        hour, image = chance.randrange(HOURS_OF_MONTH), chance.randrange(per_hour)
        path = frames / f"camera{image % CAMERAS}" / f"{hour:04d}-{image:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 48), number % 256).save(path)


def keep_less(folder: Path) -> None:
    """Print what retention by days, then by bytes deletes."""
    begun = time.perf_counter()
    done = compact(folder, Retention(days=10), now=START + HOURS_OF_MONTH * HOUR)
    print(f"retention of 10 days: {done.deleted_files} files deleted in {time.perf_counter() - begun:.2f} s")
    left = size_of(folder)
    compact(folder, Retention(n_bytes=left // 2), now=START + HOURS_OF_MONTH * HOUR)
    print(f"retention by bytes: {left / 1e6:.1f} MB, limit {left / 2e6:.1f} MB, left {size_of(folder) / 1e6:.1f} MB")


def size_of(folder: Path) -> int:
    return sum(one.stat().st_size for one in (folder / HOURS).iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="to keep the month in; without it, it is made and deleted")
    args = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        base = args.folder or Path(place)
        folder, frames, made = base / "log", base / "frames", base / "made.txt"
        if not made.exists():
            used, per_hour = build(folder, args.rows, chance), args.rows // HOURS_OF_MONTH
            made.write_text(f"{per_hour * HOURS_OF_MONTH:,} rows of a month, {CAMERAS} cameras: "
                            f"{len(list((folder / HOURS).iterdir()))} files, {size_of(folder) / 1e6:.0f} MB, "
                            f"compacted in {used:.0f} CPU s")  # fmt: skip
            write_frames(frames, args.frames, per_hour, chance)
        print(f"{made.read_text()}\n{args.frames} frames of all hours:", flush=True)
        for turn in range(3):
            ask(folder, frames, Path(place) / f"next{turn}.csv")
        if args.folder is None:
            keep_less(folder)


if __name__ == "__main__":
    main()
