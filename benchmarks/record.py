"""The record under attack: kills, many writers, flipped bytes, and what checking the chain costs.

    python benchmarks/record.py [--kills 1000] [--writers 16] [--seconds 180] [--flips 1000] [--entries 10000]

Needs nothing but Liftgate: the study is a small one on the toy backend. A count of 0 leaves a part out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from liftgate import api
from liftgate.errors import LiftgateError
from liftgate.ledger import Ledger
from liftgate.testing.backends import write_tree

WRITER = """
import sys, time
from pathlib import Path
from liftgate.ledger import Ledger
path, who, end = Path(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
number = 0
while time.monotonic() < end:
    begun = time.monotonic()
    try:
        entry = Ledger(path).append("note", {"text": f"{who} {number}"})
        print("written", number, entry.seq, time.monotonic() - begun, flush=True)
    except Exception as error:
        print("denied", number, 0, 0, error, flush=True)
    number += 1
"""


def writer(path: Path, who: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), who, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def reports(output: str) -> list[list[str]]:
    """Return the whole lines that a writer printed, as words."""
    return [line.split(maxsplit=4) for line in output.splitlines() if len(line.split()) >= 4]


def audit(path: Path, outputs: dict[str, str]) -> tuple[int, int, int, float]:
    """Return entries, acknowledged entries that are lost, denied ones that are there, and the longest wait."""
    ledger = Ledger(path)
    ledger.verify()
    there = {str(entry.body["text"]) for entry in ledger.entries()}
    lost = denied = 0
    worst = 0.0
    for who, output in outputs.items():
        for word, number, _, seconds, *_ in reports(output):
            lost += word == "written" and f"{who} {number}" not in there
            denied += word == "denied" and f"{who} {number}" in there
            worst = max(worst, float(seconds))
    return len(there), lost, denied, worst


def kills(count: int, folder: Path) -> None:
    """Kill one of two writers at a random moment, again and again."""
    path, outputs = folder / "ledger.sqlite", dict[str, str]()
    random.seed(0)
    pair = [("a0", writer(path, "a0", 3600)), ("b0", writer(path, "b0", 3600))]
    for number in range(1, count + 1):
        who, process = pair.pop(0)
        assert process.stdout is not None
        first = process.stdout.readline()  # it is at work
        time.sleep(random.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        outputs[who] = first + process.communicate()[0]
        name = f"{'ab'[number % 2]}{number}"
        pair.append((name, writer(path, name, 3600)))
    for who, process in pair:
        process.send_signal(signal.SIGKILL)
        outputs[who] = process.communicate()[0]
    entries, lost, denied, _ = audit(path, outputs)
    print(f"{count} kills, 2 writers: {entries} entries, {lost} acknowledged lost, {denied} written but denied")


def writers(count: int, seconds: float, folder: Path) -> None:
    """Let many processes append at once."""
    path = folder / "ledger.sqlite"
    processes = {f"w{number}": writer(path, f"w{number}", seconds) for number in range(count)}
    outputs = {who: process.communicate()[0] for who, process in processes.items()}
    entries, lost, denied, worst = audit(path, outputs)
    errors = sum(words[0] == "denied" for output in outputs.values() for words in reports(output))
    print(f"{count} writers, {seconds:g} s: {entries} entries, {errors} errors, {lost} lost, {denied} denied,", end=" ")
    print(f"longest wait {worst:.2f} s")


def study(folder: Path) -> Path:
    """Run a small study on the toy backend."""
    write_tree(folder / "scenes", train=12, held_out=6)
    (folder / "start.yaml").write_text("nc: 2\n")
    stage = {"weights": "start.yaml", "data": "scenes"}
    scenes = {"path": "scenes/data.yaml", "licence": "CC0-1.0", "ratios": [0.5, 0.2, 0.3]}
    gate = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05}
    content = {
        "study": "colours",
        "question": "Does a longer training lift it?",
        "backend": "toy",
        "datasets": {"scenes": scenes},
        "arms": {name: [{**stage, "recipe": {"epochs": n}}] for name, n in (("short", 1), ("long", 3))},
        "gates": {"lift": gate},
        "flow": ["train", "lift"],
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    api.run(path)
    return path


def shown(path: Path) -> str:
    """Return everything that status, plan, report and doctor show, without what changes from call to call."""
    results = path.parent / "runs" / "colours"
    parts = [json.dumps(one.to_dict()) for one in api.status([path])]
    parts += [f"{line.step} {line.state}" for line in api.plan(path)]
    parts += [api.report(path).read_text()]
    parts += [json.dumps(api.doctor(run).to_dict()) for run in sorted(results.glob("2*"))]
    return "\n".join(parts)


def flips(count: int, folder: Path) -> None:
    """Flip one bit somewhere in what a study left and use it; noticed, repaired, or without effect."""
    path = study(folder)
    results = path.parent / "runs" / "colours"
    before, kept = shown(path), folder / "kept"
    shutil.copytree(results, kept, symlinks=True)
    patterns = {
        "ledger": "ledger.sqlite", "head": "ledger.sqlite.head", "tree": "trees/*/labels/*.txt",
        "list": "trees/*/train.txt", "split": "splits/*.csv", "predictions": "predictions/*[0-9a-f].json",
        "settings": "predictions/*.settings.json", "run.json": "2*/run.json", "results.csv": "2*/results/results.csv",
        "weights": "2*/results/best.pt",
    }  # fmt: skip
    random.seed(1)
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in patterns}
    for number in range(count):
        name, pattern = list(patterns.items())[number % len(patterns)]
        target = random.choice(sorted(file for file in results.glob(pattern) if file.stat().st_size))
        data = bytearray(target.read_bytes())
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        target.unlink()  # not through a link to another name of the file
        target.write_bytes(data)
        outcomes[name][outcome(lambda: shown(path), before)] += 1
        shutil.rmtree(results)
        shutil.copytree(kept, results, symlinks=True)
    for name, found in outcomes.items():
        print(f"flips in {name}: " + ", ".join(f"{how} {times}" for how, times in sorted(found.items())))


def outcome(use: Callable[[], str], before: str) -> str:
    try:
        return "without effect" if use() == before else "shown"
    except LiftgateError:
        return "noticed"


def cost(entries: int, folder: Path) -> None:
    """Time the first check of a long ledger, and one by an object that has checked it before."""
    path = folder / "ledger.sqlite"
    ledger = Ledger(path)
    while len(ledger.entries("")) == 0 or ledger.verify() < entries:
        for number in range(1000):
            ledger.append("note", {"text": f"entry {number}", "values": [number / 7] * 20})
    times = []
    for _ in range(5):
        fresh, begun = Ledger(path), time.process_time()
        _ = fresh.head
        first = time.process_time() - begun
        _ = fresh.head
        times.append((first, time.process_time() - begun - first))
    first, again = min(times)
    print(f"{entries} entries, {path.stat().st_size / 1e6:.1f} MB: first check {1e3 * first:.0f} ms,", end=" ")
    print(f"again {1e3 * again:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("kills", 1000), ("writers", 16), ("seconds", 180), ("flips", 1000), ("entries", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parts: list[tuple[int, Callable[[Path], None]]] = [
        (args.entries, lambda folder: cost(args.entries, folder)),
        (args.kills, lambda folder: kills(args.kills, folder)),
        (args.writers, lambda folder: writers(args.writers, args.seconds, folder)),
        (args.flips, lambda folder: flips(args.flips, folder)),
    ]
    for count, part in parts:
        if count:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))


if __name__ == "__main__":
    main()
