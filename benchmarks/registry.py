"""The registry under attack: two processes promote and roll back at once, and one of them is killed, again and again.

    python benchmarks/registry.py [--kills 100]

Needs nothing but Liftgate: the study is a small one on the toy backend. After every kill the ledger's chain is checked,
the champions are counted, and every promotion that a process reported is looked for.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

import liftgate
from liftgate.errors import LiftgateError
from liftgate.ledger import Ledger
from liftgate.ledger.model_records import PromotionEntry
from liftgate.testing.backends import write_tree

WORKER = """
import random, sys
import liftgate
from liftgate.errors import UsageError
registry, versions = sys.argv[1], sys.argv[3:]
random.seed(int(sys.argv[2]))
liftgate.list_models(registry=registry), liftgate.promote, liftgate.rollback  # imported before the first kill
print("ready", flush=True)
while True:
    try:
        if random.random() < 0.4:
            done = liftgate.rollback(random.choice([*versions, None]), registry=registry)
        else:
            done = liftgate.promote(random.choice(versions), registry=registry)
    except UsageError as error:
        assert "go back" in error.what or "before the present" in error.what, error
        continue
    if done.changed:
        print("done", done.entry, flush=True)
"""


class Found(NamedTuple):
    """What the kills left."""

    kills: int
    promotions: int
    """Entries of promotions and rollbacks in the end"""
    reported: int
    """Of these, how many a process reported before it was killed"""
    broken: int
    """Times that the chain, a file or the order of champions was not whole"""
    lost: int
    """Reported promotions that are not in the ledger"""
    more_or_fewer_champions: int
    """Times that there was not exactly one"""
    seconds: float


def start(registry: Path, seed: int) -> subprocess.Popen[str]:
    versions = [one.version for one in liftgate.list_models(registry=registry)]
    command = [sys.executable, "-c", WORKER, str(registry), str(seed), *versions]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def kill_loop(registry: Path, kills: int, seed: int = 0) -> Found:
    """Kill one of two processes that promote and roll back, `kills` times, and look after each."""
    random.seed(seed)
    liftgate.promote("v0", registry=registry)
    begun, broken, wrong = time.monotonic(), 0, 0
    pair = [start(registry, 1), start(registry, 2)]
    outputs: list[str] = []
    try:
        for number in range(kills):
            process = pair.pop(0)
            assert process.stdout is not None
            first = process.stdout.readline()  # it has changed the champion once, and works on the next change
            time.sleep(random.uniform(0, 0.15))
            process.kill()
            outputs.append(first + process.communicate()[0])
            broken += not is_whole(registry)
            wrong += sum(one.is_champion for one in liftgate.list_models(registry=registry)) != 1
            pair.append(start(registry, 3 + number))
    finally:
        for process in pair:
            process.kill()
            outputs.append(process.communicate()[0])
    there = {entry.hash for entry in Ledger(registry / "ledger.sqlite").entries(PromotionEntry.KIND)}
    lines = [line for output in outputs for line in output.splitlines(keepends=True)]
    reported = {line.split()[1] for line in lines if line.startswith("done ") and line.endswith("\n")}
    broken += not is_whole(registry)
    return Found(kills, len(there), len(reported), broken, len(reported - there), wrong, time.monotonic() - begun)


def is_whole(registry: Path) -> bool:
    """Return whether chain and files are untouched, and every change names the champion before it."""
    try:
        if damages := liftgate.verify_models(registry=registry).damages:
            print("broken:", *damages)
            return False
    except LiftgateError as error:
        print(f"broken: {error}")
        return False
    champion = None
    for one in Ledger(registry / "ledger.sqlite").records(PromotionEntry):
        if one.replaces != champion or one.version == champion:
            print(f"broken: {one}, after {champion}")
            return False
        champion = one.version
    return True


def make_registry(folder: Path) -> Path:
    """Run a small study and register three versions of it."""
    write_tree(folder / "scenes", train=24, held_out=12)
    (folder / "start.yaml").write_text("nc: 2\n")
    stage = {"weights": "start.yaml", "data": "scenes"}
    study = {
        "study": "colours",
        "question": "Does a longer training lift it?",
        "backend": "toy",
        "datasets": {"scenes": {"path": "scenes/data.yaml"}},
        "arms": {
            "short": [{**stage, "recipe": {"epochs": 1, "lr0": 0.0001}}],
            "long": [{**stage, "recipe": {"epochs": 6, "lr0": 0.5}}],
        },
        "gates": {
            "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05}
        },
        "flow": ["train", "lift"],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    liftgate.run(folder / "study.yaml")
    for version in ("v0", "v0.1", "v0.2"):
        liftgate.add_model(folder / "study.yaml", registry=folder / "models", version=version)
    return folder / "models"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_loop(make_registry(Path(folder)), args.kills)
    print(f"{found.kills} kills in {found.seconds:.0f} s")
    print(f"{found.promotions} promotions and rollbacks, {found.reported} of them reported before the kill")
    print(f"not exactly one champion: {found.more_or_fewer_champions}; broken: {found.broken}; lost: {found.lost}")


if __name__ == "__main__":
    main()
