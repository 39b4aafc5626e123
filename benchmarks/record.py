"""The ledger under attack: kills, many writers, and what checking the chain costs.

    python -P benchmarks/record.py [--kills 1000] [--writers 16] [--seconds 180] [--entries 10000]

Needs nothing but Liftgate. A count of 0 leaves a part out. For flipped bits in every file: damaged_files.py.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from liftgate.ledger import Ledger
from liftgate.ledger.chain import _SCHEMA, KINDS, _statements


class Writer:
    """A process that appends to a ledger and says in a file what was written and what was denied.

    A fork: a kill ends it like any other process, and it has no interpreter to start.
    """

    def __init__(self, path: Path, who: str, seconds: float) -> None:
        self.who = who
        self._said = path.with_name(f"{who}.txt")
        self._said.touch()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._append(path, time.monotonic() + seconds)
            finally:
                os._exit(0)

    def _append(self, path: Path, end: float) -> None:
        number = 0
        with self._said.open("w") as file:
            while time.monotonic() < end:
                begun = time.monotonic()
                try:
                    entry = Ledger(path).append("note", {"text": f"{self.who} {number}"})
                    print("written", number, entry.seq, time.monotonic() - begun, file=file, flush=True)
                except Exception as error:
                    print("denied", number, 0, 0, repr(error), file=file, flush=True)
                number += 1

    def wait_for_first(self) -> None:
        """Wait until it has written or been denied."""
        while not self._said.stat().st_size:
            time.sleep(0.002)

    def kill(self) -> str:
        """Kill it and return what it said."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> str:
        """Wait until it has ended and return what it said."""
        os.waitpid(self.pid, 0)
        return self._said.read_text()


def reports(output: str) -> list[list[str]]:
    """Return the whole lines that a writer printed, as words; a kill may cut the last one."""
    whole = output.split("\n")[:-1]
    return [line.split(maxsplit=4) for line in whole]


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
    pair = [Writer(path, "a0", 3600), Writer(path, "b0", 3600)]
    for number in range(1, count + 1):
        oldest = pair.pop(0)
        oldest.wait_for_first()  # it is at work
        time.sleep(random.uniform(0.0, 0.05))
        outputs[oldest.who] = oldest.kill()
        pair.append(Writer(path, f"{'ab'[number % 2]}{number}", 3600))
    outputs |= {each.who: each.kill() for each in pair}
    entries, lost, denied, _ = audit(path, outputs)
    print(f"{count} kills, 2 writers: {entries} entries, {lost} acknowledged lost, {denied} written but denied")


def writers(count: int, seconds: float, folder: Path) -> None:
    """Let many processes append at once."""
    path = folder / "ledger.sqlite"
    processes = [Writer(path, f"w{number}", seconds) for number in range(count)]
    outputs = {each.who: each.wait() for each in processes}
    entries, lost, denied, worst = audit(path, outputs)
    errors = sum(words[0] == "denied" for output in outputs.values() for words in reports(output))
    print(f"{count} writers, {seconds:g} s: {entries} entries, {errors} errors, {lost} lost, {denied} denied,", end=" ")
    print(f"longest wait {worst:.2f} s")


def cost(entries: int, folder: Path) -> None:
    """Time the first check of a long ledger, and one by an object that has checked it before."""
    path = folder / "ledger.sqlite"
    ledger = Ledger(path)
    with ledger._connection("rwc") as db:  # in one transaction: ten thousand syncs take minutes
        db.execute("BEGIN")
        for statement in _statements(_SCHEMA):
            db.execute(statement)
        for number in range(entries):
            body = {"text": f"entry {number}", "values": [number / 7] * 20}
            row = ledger._next_row(KINDS[number % len(KINDS)], body)
            cells = (cell.decode() for cell in row[1:6])
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", (row.seq, *cells))
            ledger._checked.append(row.hash)
        db.execute("COMMIT")
    ledger._head_file.write(ledger._checked)
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
    for name, default in (("kills", 1000), ("writers", 16), ("seconds", 180), ("entries", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parts: list[tuple[int, Callable[[Path], None]]] = [
        (args.entries, lambda folder: cost(args.entries, folder)),
        (args.kills, lambda folder: kills(args.kills, folder)),
        (args.writers, lambda folder: writers(args.writers, args.seconds, folder)),
    ]
    for count, part in parts:
        if count:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))


if __name__ == "__main__":
    main()
