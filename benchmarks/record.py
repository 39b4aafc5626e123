"""The record under attack: kills, many writers, flipped bytes, and what checking the chain costs.

    python -P benchmarks/record.py [--kills 1000] [--writers 16] [--seconds 180] [--flips 1000] [--entries 10000]

Needs nothing but Liftgate: the study is a small one on the toy backend. A count of 0 leaves a part out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from liftgate import api
from liftgate.errors import LiftgateError, Stopped
from liftgate.ledger import Ledger
from liftgate.ledger.chain import _SCHEMA, KINDS, _statements
from liftgate.pipeline.notice import Notice
from liftgate.testing.backends import write_tree


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


def study(folder: Path) -> Path:
    """Run a small study on the toy backend."""
    write_tree(folder / "scenes", train=12, held_out=6)
    names = yaml.safe_load((folder / "scenes" / "data.yaml").read_text())["names"]
    whole = {"path": ".", "train": "images", "val": "images", "names": names}
    (folder / "scenes" / "whole.yaml").write_text(yaml.safe_dump(whole))
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
        "budget": {"usd_per_hour": 2.0},
        "flow": ["check", "train", "lift"],
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    api.run(path)
    return path


def pause(path: Path) -> None:
    """Begin another training of the study, and pause it at its first epoch."""
    begun: list[object] = []
    overrides = {name.replace("_", "."): value for name, value in PAUSED.items()}

    def notify(notice: Notice) -> None:
        if notice.kind == "started" and notice.step.startswith("train long"):
            begun.append(notice)

    with contextlib.suppress(Stopped):
        api.run(path, overrides=overrides, notify=notify, should_stop=lambda: bool(begun))


Verb = Callable[[Path], str]
"""Uses a study and returns all that it shows, without what changes from call to call"""


def run_again(path: Path, **overrides: str) -> str:
    """Run the study again and return its verdicts, without durations."""
    result = api.run(path, overrides={name.replace("_", "."): value for name, value in overrides.items()})
    text = json.dumps([result.verdicts, result.exit_code], sort_keys=True)
    return re.sub(r"\d+(\.\d+)? ?(s|min|h)\b", "", text)


def evaluate_all(path: Path) -> str:
    """Evaluate the predictions of the study as a person does, with the file names of its folder."""
    found = sorted((path.parent / "runs" / "colours" / "predictions").glob("*[0-9a-f].json"))
    truth = path.parent / "scenes" / "whole.yaml"
    return json.dumps([api.evaluate(truth, one, common=True).to_dict() for one in found], sort_keys=True)


def report(path: Path) -> str:
    folder = api.report(path).parent
    pages = [folder / "report.html", *sorted(file for file in (folder / "report").rglob("*") if file.is_file())]
    return "\n".join(page.read_bytes().decode("utf-8", "replace") for page in pages)


def doctor(path: Path) -> str:
    runs = sorted((path.parent / "runs" / "colours").glob("2*"))
    return "\n".join(json.dumps(api.doctor(run).to_dict()) for run in runs)


CHECK: dict[str, Verb] = {"check": lambda path: json.dumps(api.check(path).to_dict())}
"""Used in every fifth round, because it takes as long as all other readers together"""
VERBS: dict[str, Verb] = {
    "status": lambda path: json.dumps([one.to_dict() for one in api.status([path])]),
    "plan": lambda path: "\n".join(f"{line.step} {line.state} {line.why}" for line in api.plan(path)),
    "doctor": doctor,
    "evaluate": evaluate_all,
    "report": report,
    "run": run_again,
    "another margin": lambda path: run_again(path, gates_lift_margin="0.06"),
}
"""Readers first: what runs again may mend a file"""
TRAINING: dict[str, Verb] = {
    "another recipe": lambda path: run_again(path, arms_short_0_recipe_epochs="2"),
    "resume": lambda path: run_again(path, **PAUSED),
}
"""Only for files that a training starts from, and in every fifth round, because they take seconds"""
PAUSED = {"arms_long_0_recipe_epochs": "6"}
TARGETS = {
    "ledger": "runs/colours/ledger.sqlite", "head": "runs/colours/ledger.sqlite.head",
    "tree": "runs/colours/trees/*/labels/*.txt", "lists of a tree": "runs/colours/trees/*/*.*",
    "split": "runs/colours/splits/*.csv", "predictions": "runs/colours/predictions/*[0-9a-f].json",
    "settings": "runs/colours/predictions/*.settings.json", "run.json": "runs/colours/2*/run.json",
    "results.csv": "runs/colours/2*/results/results.csv", "args.yaml": "runs/colours/2*/results/args.yaml",
    "weights": "runs/colours/2*/results/best.pt", "last weights": "runs/colours/2*/results/last.pt",
    "evaluations": "runs/colours/evaluations/*.json", "caches": "cache/liftgate/*.sqlite",
    "events": "runs/colours/2*/events.jsonl", "side-car": "runs/colours/2*/results/state/**/*",
    "any other": "runs/colours/**/*",
}  # fmt: skip


TRAINED_FROM = ("tree", "lists of a tree", "events", "side-car", "any other")


def flips(count: int, folder: Path, seed: int = 1, limit: float = 86_400.0) -> None:
    """Flip one bit somewhere in what a study left and use it with every verb; noticed, repaired, or without effect."""
    os.environ["XDG_CACHE_HOME"], os.environ["XDG_STATE_HOME"] = str(folder / "cache"), str(folder / "state")
    path, kept = study(folder), folder / "kept"
    for use in (CHECK | VERBS).values():  # once before: the first evaluation compiles
        use(path)
    shutil.rmtree(path.parent / "runs")
    pause(path)
    api.run(path)
    state = [folder / name for name in ("runs", "cache")]
    for each in state:
        shutil.copytree(each, kept / each.name, symlinks=True)

    def restore() -> None:
        for each in state:
            shutil.rmtree(each)
            shutil.copytree(kept / each.name, each, symlinks=True)

    before = {name: use(path) for name, use in (CHECK | VERBS | TRAINING).items()}
    restore()
    dice = random.Random(seed)
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in TARGETS}
    shown: list[str] = []
    begun = time.monotonic()
    for number in range(count):
        if time.monotonic() - begun > limit:
            break
        name, pattern = list(TARGETS.items())[number % len(TARGETS)]
        target = dice.choice(sorted(file for file in folder.glob(pattern) if file.is_file() and file.stat().st_size))
        data, place = bytearray(target.read_bytes()), 0
        place = dice.randrange(len(data))
        data[place] ^= 1 << dice.randrange(8)
        times = target.stat()
        target.unlink()  # not through a link to another name of the file
        target.write_bytes(data)
        if name == "caches":
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
        found: dict[str, str] = {}
        thorough = number // len(TARGETS) % 5 == 0
        used = (CHECK if thorough else {}) | VERBS | (TRAINING if thorough and name in TRAINED_FROM else {})
        for verb, use in used.items():
            found[verb] = outcome(verb, use, path, before[verb])
        worst = max(found.values(), key=["without effect", "noticed", "shown", "crashed"].index)
        outcomes[name][worst] += 1
        if worst in ("shown", "crashed"):
            verbs = [f"{verb} {how}" for verb, how in found.items() if how in ("shown", "crashed")]
            shown.append(f"{target.relative_to(folder)} byte {place}: {', '.join(verbs)}")
            print(shown[-1], flush=True)
        restore()
    seconds = time.monotonic() - begun
    for name, totals in outcomes.items():
        print(f"flips in {name}: " + ", ".join(f"{how} {times}" for how, times in sorted(totals.items())))
    done = sum(totals.total() for totals in outcomes.values())
    print(f"{done} flips, seed {seed}, {len(VERBS)} verbs each, {seconds:.0f} s: {len(shown)} shown")


def outcome(verb: str, use: Verb, path: Path, before: str) -> str:
    try:
        after = use(path)
    except LiftgateError:
        return "noticed"
    except Exception:
        traceback.print_exc()
        return "crashed"
    if after == before:
        return "without effect"
    said = [line for line in after.splitlines() if line not in before.splitlines()]
    if verb == "plan" and any(" run " in line for line in said):
        return "noticed"  # the plan says which step runs again, and why
    return "shown"


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
    for name, default in (("kills", 1000), ("writers", 16), ("seconds", 180), ("flips", 1000), ("entries", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--limit", type=float, default=86_400.0, help="seconds after which the flips end")
    parser.add_argument("--seed", type=int, default=1, help="of the flips")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parts: list[tuple[int, Callable[[Path], None]]] = [
        (args.entries, lambda folder: cost(args.entries, folder)),
        (args.kills, lambda folder: kills(args.kills, folder)),
        (args.writers, lambda folder: writers(args.writers, args.seconds, folder)),
        (args.flips, lambda folder: flips(args.flips, folder, args.seed, args.limit)),
    ]
    for count, part in parts:
        if count:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))


if __name__ == "__main__":
    main()
