"""Flip one bit somewhere in what a study left, and use it with every verb: noticed, repaired, or without effect?

    python -P benchmarks/damaged_files.py [--flips 1000] [--seed 1] [--fresh 20] [--limit SECONDS]

Needs nothing but Liftgate: the study is a small one on the toy backend. Each verb runs in a fork of this program, which
has Liftgate imported and has read nothing of the damaged file. In every 20th flip (`--fresh`) the commands `status`,
`doctor`, `evaluate`, `report` and `run` do it in interpreters of their own, and have to come to the same.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from liftgate import api
from liftgate.errors import LiftgateError, Stopped
from liftgate.pipeline.notice import Notice
from liftgate.testing.backends import write_tree


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
    truth = path.parent / "scenes" / "whole.yaml"
    found = [api.evaluate(truth, one, common=True).to_dict() for one in predictions_of(path)]
    return json.dumps(found, sort_keys=True)


def predictions_of(path: Path) -> list[Path]:
    return sorted((path.parent / "runs" / "colours" / "predictions").glob("*[0-9a-f].json"))


def report(path: Path) -> str:
    return page_and_tables(api.report(path).parent)


def page_and_tables(folder: Path) -> str:
    pages = [folder / "report.html", *sorted(file for file in (folder / "report").rglob("*") if file.is_file())]
    return "\n".join(page.read_bytes().decode("utf-8", "replace") for page in pages)


def doctor(path: Path) -> str:
    return "\n".join(json.dumps(api.doctor(run).to_dict()) for run in runs_of(path))


def runs_of(path: Path) -> list[Path]:
    return sorted((path.parent / "runs" / "colours").glob("2*"))


PAUSED = {"arms_long_0_recipe_epochs": "6"}
CHECK: dict[str, Verb] = {"check": lambda path: json.dumps(api.check(path).to_dict())}
"""Used in every fifth round, because it takes as long as all other readers together"""
VERBS: dict[str, Verb] = {
    "status": lambda path: json.dumps([one.to_dict() for one in api.status([path])]),
    "plan": lambda path: "\n".join(f"{line.step} {line.state} {line.why}" for line in api.plan(path)),
    "doctor": doctor,
    "evaluate": evaluate_all,
    "report": report,
    "run": run_again,
}
RARE: dict[str, Verb] = {"another margin": lambda path: run_again(path, gates_lift_margin="0.06")}
"""In every fifth round, because it checks the data again"""
WRITING = ("run", "another margin", "another recipe", "resume")
"""Verbs that write into the study: each begins with the same files, so that none meets what another mended or added"""
TRAINING: dict[str, Verb] = {
    "another recipe": lambda path: run_again(path, arms_short_0_recipe_epochs="2"),
    "resume": lambda path: run_again(path, **PAUSED),
}
"""Only for files that a training starts from, and in every fifth round, because they take seconds"""
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


class Crash(Exception):
    """A command ended with a traceback, or with an exit code that is none of its results."""


def command(path: Path, *words: str) -> str:
    """Run a command in an interpreter of its own and return what it printed as data.

    Raises:
        LiftgateError: it ended with an error and a hint.
        Crash: it ended in another way that is no result.
    """
    line = [sys.executable, "-P", "-m", "liftgate", *words]
    ran = subprocess.run(line, cwd=path.parent, capture_output=True, text=True, timeout=300)  # noqa: PLW1510
    if ran.returncode in (1, 2) and "hint:" in ran.stderr and "fault in liftgate" not in ran.stderr:
        raise LiftgateError(ran.stderr, hint="as printed")
    if ran.returncode not in (0, 3, 10, 11):
        raise Crash(f"{' '.join(words)}: exit code {ran.returncode}: {ran.stderr}")
    return ran.stdout


def report_command(path: Path) -> str:
    command(path, "report", str(path))
    return page_and_tables(path.parent / "runs" / "colours")


def run_command(path: Path) -> str:
    printed = json.loads(command(path, "run", str(path), "--json"))
    return re.sub(r"\d+(\.\d+)? ?(s|min|h)\b", "", json.dumps(printed["verdicts"], sort_keys=True))


def evaluate_command(path: Path) -> str:
    words = ["evaluate", "--truth", str(path.parent / "scenes" / "whole.yaml"), "--common", "--json", "--predictions"]
    return "".join(command(path, *words, str(one)) for one in predictions_of(path))


COMMANDS: dict[str, Verb] = {
    "liftgate status": lambda path: command(path, "status", str(path), "--json"),
    "liftgate doctor": lambda path: "".join(command(path, "doctor", str(run), "--json") for run in runs_of(path)),
    "liftgate evaluate": evaluate_command,
    "liftgate report": report_command,
    "liftgate run": run_command,
}
"""The same through the command line, in interpreters of their own"""
OUTCOMES = ("without effect", "noticed", "shown", "crashed")


def outcome(verb: str, use: Verb, path: Path, before: str) -> str:
    """Use a study of which one file is damaged; return one of OUTCOMES."""
    try:
        after = use(path)
    except LiftgateError:
        return "noticed"
    except Exception:
        traceback.print_exc()
        return "crashed"
    if after == before:
        return "without effect"
    if verb.endswith("status") and left_unknown(before, after):
        return "noticed"  # a value of now.json that the ledger has not is shown as unknown
    said = [line for line in after.splitlines() if line not in before.splitlines()]
    if verb == "plan" and any(" run " in line for line in said):
        return "noticed"  # the plan says which step runs again, and why
    return "shown"


def left_unknown(before: str, after: str) -> bool:
    """Return whether a status says the same but for values that it calls unknown."""
    (old,), (new,) = json.loads(before), json.loads(after)
    return old.keys() == new.keys() and all(new[name] in (old[name], None) for name in old)


def in_fork(verb: str, use: Verb, path: Path, before: str) -> str:
    """Return the outcome of a verb that a fork of this process runs: nothing that it remembers is there afterwards."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        found = "crashed"
        try:
            found = outcome(verb, use, path, before)
        finally:
            sys.stderr.flush()
            os._exit(OUTCOMES.index(found))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return OUTCOMES[code] if 0 <= code < len(OUTCOMES) else "crashed"


def used_by(verbs: dict[str, Verb], path: Path, before: dict[str, str], flip: Flip, kept: Kept) -> dict[str, str]:
    """Return verb → outcome, with the damage put back before each verb that writes; the study is whole afterwards."""
    found: dict[str, str] = {}
    flip.apply()
    for verb, use in verbs.items():
        if found and verb in WRITING:
            kept.restore()
            flip.apply()
        found[verb] = in_fork(verb, use, path, before[verb])
    kept.restore()
    return found


class Kept:
    """A copy of what the study left, to begin each flip from the same."""

    def __init__(self, folder: Path) -> None:
        self._places = [(folder / name, folder / "kept" / name) for name in ("runs", "cache")]
        for place, copy in self._places:
            shutil.copytree(place, copy, symlinks=True)

    def restore(self) -> None:
        for place, copy in self._places:
            shutil.rmtree(place)
            shutil.copytree(copy, place, symlinks=True)


class Flip:
    """One bit of one file, not through a link to another name of the file."""

    def __init__(self, folder: Path, name: str, dice: random.Random) -> None:
        found = sorted(file for file in folder.glob(TARGETS[name]) if file.is_file() and file.stat().st_size)
        self._file = dice.choice(found)
        self._data, times = bytearray(self._file.read_bytes()), self._file.stat()
        self._times = (times.st_atime_ns, times.st_mtime_ns) if name == "caches" else None
        place = dice.randrange(len(self._data))
        self._data[place] ^= 1 << dice.randrange(8)
        self.where = f"{self._file.relative_to(folder)} byte {place}"

    def apply(self) -> None:
        self._file.unlink(missing_ok=True)
        self._file.write_bytes(self._data)
        if self._times is not None:  # a cache that looks changed would not be read
            os.utime(self._file, ns=self._times)


def prepared(folder: Path) -> tuple[Path, Kept]:
    """Run the study, with a training that was paused; return it, and a copy of what it left."""
    path = study(folder)
    for use in (CHECK | VERBS | RARE).values():  # once before: the first evaluation compiles
        use(path)
    shutil.rmtree(path.parent / "runs")
    pause(path)
    api.run(path)
    return path, Kept(folder)


def flips(count: int, folder: Path, seed: int, fresh: int, limit: float) -> int:
    """Flip one bit, use it with every verb, again and again; return how often damage was shown or a verb crashed."""
    os.environ["XDG_CACHE_HOME"], os.environ["XDG_STATE_HOME"] = str(folder / "cache"), str(folder / "state")
    path, kept = prepared(folder)
    before: dict[str, str] = {}
    for part in (CHECK | VERBS | RARE | TRAINING, COMMANDS):
        for verb, use in part.items():
            if verb in WRITING:
                kept.restore()
            before[verb] = use(path)
        kept.restore()
    dice, begun = random.Random(seed), time.monotonic()
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in TARGETS}
    shown = unequal = asked_fresh = 0
    for number in range(count):
        if time.monotonic() - begun > limit:
            break
        name = list(TARGETS)[number % len(TARGETS)]
        flip = Flip(folder, name, dice)
        thorough = number // len(TARGETS) % 5 == 0
        used = (CHECK if thorough else {}) | VERBS | (RARE if thorough else {})
        used |= TRAINING if thorough and name in TRAINED_FROM else {}
        found = used_by(used, path, before, flip, kept)
        if fresh and number % fresh == 0:
            flip.apply()
            again = {verb: outcome(verb, use, path, before[verb]) for verb, use in COMMANDS.items()}
            different = [verb for verb, how in again.items() if how != found[verb.removeprefix("liftgate ")]]
            asked_fresh, unequal, found = asked_fresh + 1, unequal + bool(different), found | again
            if different:
                print(f"{flip.where}: {', '.join(different)} came to something else", flush=True)
            kept.restore()
        worst = max(found.values(), key=OUTCOMES.index)
        outcomes[name][worst] += 1
        if worst in ("shown", "crashed"):
            shown += 1
            print(f"{flip.where}: {', '.join(f'{verb} {how}' for verb, how in found.items())}", flush=True)
        if (number + 1) % 50 == 0:
            totals = sum(outcomes.values(), Counter[str]())
            print(f"after {number + 1} flips, {time.monotonic() - begun:.0f} s: {in_words(totals)}", flush=True)
    for name, totals in outcomes.items():
        print(f"flips in {name}: {in_words(totals)}")
    done = sum(totals.total() for totals in outcomes.values())
    print(f"{asked_fresh} flips also by commands in interpreters of their own: {unequal} came to something else")
    print(f"{done} flips, seed {seed}, {len(VERBS)} to {len(CHECK | VERBS | RARE | TRAINING)} verbs each,", end=" ")
    print(f"{time.monotonic() - begun:.0f} s: {shown} shown or crashed")
    return shown + unequal


def in_words(totals: Counter[str]) -> str:
    return ", ".join(f"{how} {times}" for how, times in sorted(totals.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fresh", type=int, default=20, help="every n-th flip also by commands; 0: none")
    parser.add_argument("--limit", type=float, default=86_400.0, help="seconds after which it ends")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        return min(flips(args.flips, Path(folder), args.seed, args.fresh, args.limit), 1)


if __name__ == "__main__":
    sys.exit(main())
