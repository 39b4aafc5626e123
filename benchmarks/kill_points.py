"""A kill at every operation by which Liftgate writes: each, one after another, in one command after another.

    PYTHONPATH=src:tests python -P benchmarks/kill_points.py [--only split,convert] [--every 3] [--keep FOLDER]

Each command of tests/every_verb.py runs twice on its material without a kill: what it wrote both times with the same
bytes has to be the same after a kill, too; of other files (with times in them) only the name. Then it is killed by
SIGKILL before its first operation (open, half a write, fsync, rename, link, unlink, new folder, statement of SQLite …),
before its second, and so on to its last; and its child processes at the first and the last operation of each function.
The same command then has to end as if nothing had been. What counts: another exit code, unless it refuses to replace
what is whole; another or a missing file; a leftover, also a second name of a file; a traceback; a ledger that does not
verify.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sqlite3
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from every_verb import COMMANDS

sys.path.append(str(Path(__file__).parent))  # behind the tests', whose `data` is another
from faulty_disk import Trial, api, prepared

OWN = ("cache/", "tmp/", "state/")
MOVING = re.compile(r"\.lock$|-wal$|-shm$|\.frames\.jsonl$")
"""What holds locks, what SQLite writes beside a database, a journal that gets an empty line"""
TIME = re.compile(r"\d{8}T\d{6}Z?")


def contents(folder: Path) -> dict[str, str]:
    """Return file → hash of what is in it, of a database its tables, of a registry's its counts too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = TIME.sub("TIME", path.relative_to(folder).as_posix())
        if name.startswith(OWN) or MOVING.search(name):
            continue
        while name in found:
            name += " again"
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.suffix == ".sqlite":
            found[name] = _schema(path)
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _schema(path: Path) -> str:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        found = database.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
        if path.with_name("registry.lock").exists():
            found += database.execute("SELECT kind, COUNT(*) FROM entries GROUP BY kind").fetchall()
        return str(found)


class Undisturbed(NamedTuple):
    """What a command does when nothing disturbs it."""

    code: int
    files: dict[str, str]
    """file → its hash, empty where two runs differ"""
    links: dict[str, int]
    """file → number of its names"""
    operations: int
    in_children: dict[str, int]


def links(folder: Path) -> dict[str, int]:
    found = ((path, path.lstat()) for path in folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): about.st_nlink for path, about in found if path.is_file()}


def undisturbed(trial: Trial, source: Path, command: list[str]) -> Undisturbed:
    seen = []
    for mode in ("", "kill"):
        trial.fresh(source)
        code, said = trial.run(command, mode, occurrence=0)
        if code in (1, 2) or "Traceback" in said:
            raise SystemExit(f"{command} ends with {code}: {said}")
        if not mode:
            trial.import_what_it_imported()
        seen.append(contents(trial.folder))
    first, second = seen
    assert set(first) == set(second), f"it writes other files each time: {sorted(set(first) ^ set(second))}"
    files = {name: digest if second[name] == digest else "" for name, digest in first.items()}
    lines = {kind: _places(trial, kind) for kind in ("main", "child")}
    return Undisturbed(code, files, links(trial.folder), sum(lines["main"].values()), dict(lines["child"]))


def _places(trial: Trial, kind: str) -> Counter[str]:
    return Counter(line for path in trial.home.glob(f"places-{kind}-*") for line in path.read_text().splitlines())


def difference(trial: Trial, usual: Undisturbed) -> list[str]:
    """Return how the files differ from those of a command that nothing disturbed."""
    found = contents(trial.folder)
    wrong = [f"missing: {name}" for name in usual.files.keys() - found.keys()]
    wrong += [f"left over: {name}" for name in found.keys() - usual.files.keys()]
    wrong += [
        f"other content: {name}" for name, digest in usual.files.items() if digest and found.get(name, digest) != digest
    ]
    names = links(trial.folder)
    wrong += [
        f"{names[name]} names: {name}" for name in usual.links.keys() & names.keys() if names[name] > usual.links[name]
    ]
    return sorted(wrong)


def try_kill(trial: Trial, source: Path, command: list[str], place: str, at: int, usual: Undisturbed) -> list[str]:
    """Kill a command at one operation, run it again, and return what is wrong then."""
    trial.fresh(source)
    code, said = trial.run(command, "kill", place, at)
    wrong = ["a traceback"] if "Traceback" in said or "fault in liftgate" in said else []
    if not (trial.home / "cut").exists():
        return [*wrong, f"it was not reached (exit {code})"]
    before = difference(trial, usual)
    again, said = trial.run(command)
    if again != usual.code and not (again == 2 and not before):
        wrong.append(f"then exit {again} instead of {usual.code}: {said.strip()[-400:]}")
    if "Traceback" in said or "fault in liftgate" in said:
        wrong.append("then a traceback")
    wrong += difference(trial, usual)
    for study in ("study.yaml", "done/study.yaml"):
        if (trial.folder / study).parent.joinpath("runs").is_dir():
            verified, said = trial.run(["ledger", "verify", study])
            wrong += [f"the ledger does not verify: {said[-200:]}"] if verified else []
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(COMMANDS), help="commands, with commas")
    parser.add_argument("--every", type=int, default=1, help="try every n-th operation")
    parser.add_argument("--at", type=int, help="try this operation alone, and print what it said")
    args = parser.parse_args()
    tried, bad = 0, 0
    with tempfile.TemporaryDirectory() as temporary, api() as url:
        source, trial = prepared(Path(temporary), url)
        for name in args.only.split(","):
            usual = undisturbed(trial, source, COMMANDS[name])
            points = [("", at) for at in range(1, usual.operations + 1)]
            points += [(place, at) for place, count in sorted(usual.in_children.items()) for at in sorted({1, count})]
            count, wrong = 0, 0
            for place, at in points[:: args.every] if args.at is None else [("", args.at)]:
                found = try_kill(trial, source, COMMANDS[name], place, at, usual)
                where = place or _last_place(trial)
                for text in found[:6]:
                    print(f"  {name}, number {at}, {where}: {text}", flush=True)
                count, wrong = count + 1, wrong + bool(found)
            print(f"{name}: {len(points)} points, {count} kills: {wrong} wrong", flush=True)
            tried, bad = tried + count, bad + wrong
    print(f"{tried} kills: {bad} wrong")
    return 1 if bad else 0


def _last_place(trial: Trial) -> str:
    lines = [path.read_text().splitlines() for path in trial.home.glob("places-main-*")]
    return lines[0][-1] if lines and lines[0] else ""


if __name__ == "__main__":
    raise SystemExit(main())
