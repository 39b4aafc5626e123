"""How long a user waits before anything happens: import, --help, a replay, against Python itself and `yolo help`.

    python benchmarks/startup.py [--runs 9] [--replay STUDY]

`--replay` takes a study that has run to its end and adds `liftgate run` of it: all is cached. Each command runs in
turn, A B A B …, as a process of its own; medians are printed, and the ratio to `python -c pass`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--replay", type=Path, metavar="STUDY", help="a study that is finished: to run it once more")
    args = parser.parse_args()
    runs = args.runs
    python = str(BIN / "python")
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "python -c 'import liftgate'": [python, "-c", "import liftgate"],
        "liftgate --help": [str(BIN / "liftgate"), "--help"],
        "liftgate explain": [str(BIN / "liftgate"), "explain"],
        "python -c 'import numpy'": [python, "-c", "import numpy"],
    }
    if (BIN / "yolo").exists():
        commands["yolo help"] = [str(BIN / "yolo"), "help"]
    if args.replay:
        commands["liftgate run, all cached"] = [str(BIN / "liftgate"), "run", str(args.replay)]
    for command in commands.values():
        seconds(command)  # warm the file cache
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            taken[name].append(seconds(command))
    base = statistics.median(taken["python -c pass"])
    print(f"{'command':<32}{'median s':>10}{'min':>8}{'max':>8}{'over python':>14}")
    for name, values in taken.items():
        middle = statistics.median(values)
        print(f"{name:<32}{middle:>10.3f}{min(values):>8.3f}{max(values):>8.3f}{middle - base:>+14.3f}")


if __name__ == "__main__":
    main()
