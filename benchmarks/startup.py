"""How long a user waits before anything happens: import, --help, status, a replay; beside Python and `yolo help`.

    python benchmarks/startup.py [--runs 9] [--study STUDY] [--replay STUDY]

`--study` names a study that has run: `liftgate status` of it. `--replay` takes one that has run to its end and adds
`liftgate run` of it: all is cached. Each command runs in turn, A B A B …, as a process of its own. Printed are medians
of wall-clock and processor time, and the ratio of processor time to `python -c pass`: a busy machine changes the
first and hardly the others. PYTHONPATH chooses the version that is measured.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent


class Cost(NamedTuple):
    wall: float
    cpu: float


def cost(command: list[str]) -> Cost:
    """Seconds of one process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--study", type=Path, metavar="STUDY", help="a study that has run: its status")
    parser.add_argument("--replay", type=Path, metavar="STUDY", help="a study that is finished: to run it once more")
    args = parser.parse_args()
    python = str(BIN / "python")
    liftgate = [python, "-m", "liftgate"]
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "python -c 'import numpy'": [python, "-c", "import numpy"],
        "python -c 'import liftgate'": [python, "-c", "import liftgate"],
        "python -c 'import liftgate.api'": [python, "-c", "import liftgate.api"],
        "liftgate --help": [*liftgate, "--help"],
        "liftgate explain": [*liftgate, "explain"],
    }
    if (BIN / "yolo").exists():
        commands["yolo help"] = [str(BIN / "yolo"), "help"]
    if args.study:
        commands["liftgate status STUDY"] = [*liftgate, "status", str(args.study)]
    if args.replay:
        commands["liftgate run, all cached"] = [*liftgate, "run", str(args.replay)]
    for command in commands.values():
        cost(command)  # warm the file cache
    taken: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(args.runs):
        for name, command in commands.items():
            taken[name].append(cost(command))
    base = statistics.median(one.cpu for one in taken["python -c pass"])
    print(f"{'command':<34}{'wall s':>8}{'cpu s':>8}{'min':>8}{'max':>8}{'× python':>10}")
    for name, costs in taken.items():
        cpu = sorted(one.cpu for one in costs)
        middle = statistics.median(cpu)
        wall = statistics.median(one.wall for one in costs)
        print(f"{name:<34}{wall:>8.3f}{middle:>8.3f}{cpu[0]:>8.3f}{cpu[-1]:>8.3f}{middle / base:>10.1f}")


if __name__ == "__main__":
    main()
