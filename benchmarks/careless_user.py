"""A careless user: random commands, two at once, kills, and random damage of files, from a seed.

    python -P benchmarks/careless_user.py [--steps 1000] [--seed 0]

After each step: no traceback, a known exit code, an error with its hint where a command failed. The ledger verifies
unless it was itself the file that was damaged; then it is refused, and brought back from a copy.
"""

from __future__ import annotations

import argparse
import contextlib
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
from typing import Any

import yaml

from liftgate.testing.backends import write_tree

EXPECTED = (0, 1, 2, 3, 10, 11, 12, -signal.SIGKILL)
LEDGER = "runs/colours/ledger.sqlite"


def material(folder: Path) -> None:
    """Write a small study on the toy backend and what else the commands read."""
    for name, count in (("scenes", 12), ("more", 4)):
        write_tree(folder / name, train=count, held_out=4)
        document = yaml.safe_load((folder / name / "data.yaml").read_text())
        (folder / name / "data.yaml").write_text(yaml.safe_dump(document | {"path": "."}))
    (folder / "start.yaml").write_text("nc: 2\n")
    stage = {"weights": "start.yaml", "data": "scenes"}
    study: dict[str, Any] = {
        "study": "colours",
        "question": "Does a longer training lift it?",
        "backend": "toy",
        "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "ratios": [0.5, 0.2, 0.3]}},
        "arms": {name: [{**stage, "recipe": {"epochs": n}}] for name, n in (("a", 1), ("b", 3))},
        "gates": {"lift": {"metric": "mAP50", "treatment": "b", "control": "a", "on": "scenes.test", "margin": 0.05}},
        "flow": ["check", "train", "lift"],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


class Careless:
    """One user, one folder, one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.history: list[str] = []
        self._environment = os.environ | {
            "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")
        }  # fmt: skip

    def step(self) -> None:
        """Do one thing."""
        actions: list[tuple[int, Callable[[], None]]] = [
            (10, self.command), (2, self.two_at_once), (2, self.kill), (4, self.damage), (1, self.delete),
        ]  # fmt: skip
        action = self.dice.choices([one for _, one in actions], [weight for weight, _ in actions])[0]
        self.done[action.__name__] += 1
        action()

    def words(self) -> list[str]:
        """Return a command, of those that read and those that write."""
        margin, epochs = self.dice.choice(("0.05", "0.06", "0.3")), self.dice.randint(1, 4)
        out = f"out{self.dice.randint(0, 3)}"
        some = self.some_file() or self.folder / "nothing"
        return self.dice.choice([
            ["run", "study.yaml"], ["run", "study.yaml", "--set", f"gates.lift.margin={margin}"],
            ["run", "study.yaml", "--set", f"arms.b.0.recipe.epochs={epochs}"],
            ["plan", "study.yaml"], ["status", "study.yaml"], ["report", "study.yaml"], ["check", "study.yaml"],
            ["logs", "study.yaml"], ["stop", "study.yaml"], ["ledger", "verify", "study.yaml"],
            ["ledger", "show", "study.yaml"], ["doctor", str(some)], ["doctor", str(some.parent.parent)],
            ["check", "scenes/data.yaml", "--fix", out], ["check", str(some)],
            ["data", "convert", "scenes/data.yaml", "--to", self.dice.choice(("yolo", "coco", "voc", "cvat")),
             "--out", out],
            ["data", "stats", "more/data.yaml", "--out", f"{out}.html"],
            ["data", "sample", "scenes/images", "--budget", "3", "--out", f"{out}.csv", "--copy", out],
            ["data", "snapshot", "more/data.yaml", "--out", f"{out}.json"],
            ["evaluate", "--truth", "scenes/data.yaml", "--predictions", str(some), "--common"],
        ])  # fmt: skip

    def some_file(self) -> Path | None:
        """Return any file that is there."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return self.dice.choice(found) if found else None

    def start(self, words: list[str]) -> subprocess.Popen[str]:
        """Start a command."""
        self.history.append(" ".join(words))
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "liftgate", *words], cwd=self.folder, env=self._environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str], words: list[str]) -> None:
        """Wait for a command and judge how it ended."""
        try:
            _, said = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.wrong.append(f"{' '.join(words)}: did not end")
            return
        self.codes[process.returncode] += 1
        ended = said.strip().splitlines()
        if "Traceback" in said or "fault in liftgate" in said or process.returncode not in EXPECTED:
            self.wrong.append(f"{' '.join(words)}: exit {process.returncode}, {said[-600:]}")
        elif process.returncode == 1 and words[0] != "status" and not any("hint:" in line for line in ended):
            self.wrong.append(f"{' '.join(words)}: no hint, {' | '.join(ended[-2:])}")

    def command(self) -> None:
        """Run one command to its end."""
        words = self.words()
        self.finish(self.start(words), words)

    def two_at_once(self) -> None:
        """Run two commands side by side."""
        pair = [(words, self.start(words)) for words in (self.words(), self.words())]
        for words, process in pair:
            self.finish(process, words)

    def kill(self) -> None:
        """Kill a command, and what it started, somewhere in its work."""
        words = self.words()
        process = self.start(words)
        time.sleep(self.dice.uniform(0.1, 3.0))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self.finish(process, words)

    def damage(self) -> None:
        """Damage a file, and bring the ledger back if it was that one."""
        path = self.some_file()
        if path is None or path.name in ("study.yaml", "start.yaml"):
            return
        name = str(path.relative_to(self.folder))
        before = path.read_bytes()
        data = bytearray(before)
        how = self.dice.choice(("flip", "cut", "empty", "text"))
        if how == "flip" and data:
            data[self.dice.randrange(len(data))] ^= 1 << self.dice.randrange(8)
        elif how == "cut":
            del data[self.dice.randrange(len(data) + 1) :]
        else:
            data = bytearray(b"" if how == "empty" else b"{]\x00\xff not this\n")
        path.unlink()
        path.write_bytes(data)
        self.history.append(f"({how} {name})")
        for _ in range(2):
            self.command()
        if name.startswith((LEDGER, "scenes/", "more/")):  # what only a copy brings back
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(before)
            self.history.append(f"(restored {name})")

    def delete(self) -> None:
        """Delete a file or folder of the results."""
        found = sorted(path for path in self.folder.glob("runs/colours/*") if not path.name.startswith("ledger.sqlite"))
        if found:
            path = self.dice.choice(found)
            self.history.append(f"(delete {path.relative_to(self.folder)})")
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def verify(self) -> None:
        """Check the ledger."""
        if (self.folder / LEDGER).exists():
            words = ["ledger", "verify", "study.yaml"]
            process = self.start(words)
            _, said = process.communicate()
            if process.returncode:
                self.wrong.append(f"the ledger does not verify: {said[-400:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "home"
        folder.mkdir()
        material(folder)
        user = Careless(folder, args.seed)
        for number in range(1, args.steps + 1):
            known = len(user.wrong)
            user.step()
            if number % 20 == 0:
                user.verify()
                print(f"{number} steps, {sum(user.codes.values())} commands, {len(user.wrong)} wrong", flush=True)
            for text in user.wrong[known:]:
                print(f"step {number}: {text}\n  after: {'; '.join(user.history[-6:])}", flush=True)
        user.verify()
    counts = ", ".join(f"{name} {count}" for name, count in sorted(user.done.items()))
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(user.codes.items()))
    print(f"{args.steps} steps ({counts}), seed {args.seed}, exit codes {codes}, {time.monotonic() - begun:.0f} s")
    print(f"{len(user.wrong)} wrong")
    return 1 if user.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
