"""A disk that is full, or that loses power, at every place where Liftgate writes.

    python -P benchmarks/faulty_disk.py [--every 1] [--only run,convert] [--mode full,power]

Each command runs once and every write, fsync, rename, new folder and change of a database that it does is recorded with
the line of Liftgate that asked for it: the list of places comes from the code. Then, for each place, it runs again and
there meets ENOSPC (`full`), or ends like a machine without power (`power`: what was not synced to the disk is emptied).
The same command once more has to end as it does on a sound disk. What counts: an error without its hint, a traceback,
another result afterwards, a ledger that does not verify, leftovers.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import errno
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from liftgate.paths import lexical

HERE = Path(__file__).resolve().parent
PLAN = "plan.json"
POWER_CUT = 97
"""Exit code of a process that lost power"""


class FaultyDisk:
    """Replaces the ways in which Python code writes files below a folder."""

    def __init__(self, home: Path, root: str, mode: str, place: str, occurrence: int) -> None:
        self.home, self.root, self.mode, self.place, self.occurrence = home, root, mode, place, occurrence
        self.seen = 0
        self.dirty: set[tuple[int, int]] = set()

    def ask(self, what: str, path: object) -> None:
        """Record one operation on a path, and fail there if this is the place."""
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
        if not str(lexical(Path(name))).startswith(self.root):
            return
        caller = _caller(sys._getframe(1))
        place = f"{what} {caller}"
        if self.mode == "record":
            with _real_open(self.home / f"places-{os.getpid()}.txt", "a") as file:
                file.write(f"{place}\n")
        if place != self.place:
            return
        self.seen += 1
        if self.mode == "power" and self.seen == self.occurrence:
            with _real_open(self.home / f"dirty-{os.getpid()}.json", "w") as file:
                json.dump(sorted(self.dirty), file)
            _touch(self.home / "cut")
            os._exit(POWER_CUT)
        if self.mode == "full" and self.seen >= self.occurrence:  # a disk that is full stays so
            _touch(self.home / "cut")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    def mark(self, handle: int, *, synced: bool) -> None:
        """Remember whether the bytes of an open file would survive."""
        with contextlib.suppress(OSError):
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode):
                (self.dirty.discard if synced else self.dirty.add)((found.st_dev, found.st_ino))


_real_open = open


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _caller(frame: FrameType | None) -> str:
    """Return file and function of Liftgate that asked for an operation; not the one that writes for all."""
    found = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if "/liftgate/" in name:
            found = f"{name.rpartition('/liftgate/')[2]}:{frame.f_code.co_name}"
            if not found.startswith(("files.py", "locks.py")):
                return found
        frame = frame.f_back
    return found


def install(disk: FaultyDisk) -> None:
    """Replace open, fsync, rename and the like in this process."""
    _patch_open(disk)
    _patch_os(disk)
    _patch_sqlite(disk)


def _path_of(handle: int) -> str:
    return str(Path(f"/proc/self/fd/{handle}").readlink())


def _patch_open(disk: FaultyDisk) -> None:
    class File(io.FileIO):
        def write(self, data: Any) -> int:
            disk.ask("write", self.shown)
            written = super().write(data)
            disk.mark(self.fileno(), synced=False)
            return written or 0

    def opened(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
               newline: Any = None, closefd: bool = True, opener: Any = None) -> Any:  # fmt: skip
        if not set(mode) & set("wax+"):
            return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        shown = _path_of(file) if isinstance(file, int) else file
        disk.ask("open", shown)
        raw = File(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        raw.shown = shown  # type: ignore[attr-defined]
        disk.mark(raw.fileno(), synced=False)
        if "b" in mode and buffering == 0:
            return raw
        buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    builtins.open = io.open = opened  # type: ignore[assignment]


def _patch_os(disk: FaultyDisk) -> None:
    real = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "mkdir", "link", "sync", "open")}

    def fsync(handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        disk.ask("fsync", _path_of(number))
        real["fsync"](handle)
        disk.mark(number, synced=True)

    def sync() -> None:
        disk.ask("sync", disk.root)
        disk.dirty.clear()

    def new(path: Any, flags: int, *rest: Any, **how: Any) -> int:
        if flags & os.O_CREAT and how.get("dir_fd") is None:
            disk.ask("create", path)
        return int(real["open"](path, flags, *rest, **how))

    def two(name: str) -> Any:
        def call(source: Any, target: Any, **how: Any) -> None:
            disk.ask(name, target)
            real[name](source, target, **how)

        return call

    def mkdir(path: Any, *rest: Any, **how: Any) -> None:
        disk.ask("mkdir", path)
        real["mkdir"](path, *rest, **how)

    os.fsync, os.sync, os.mkdir, os.open = fsync, sync, mkdir, new
    os.rename, os.replace, os.link = two("rename"), two("replace"), two("link")


def _patch_sqlite(disk: FaultyDisk) -> None:
    connect = sqlite3.connect

    class Database(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> Any:
            if re.match(r"\s*(INSERT|CREATE|BEGIN IMMEDIATE|COMMIT)", sql):
                try:
                    disk.ask(f"sqlite {sql.split()[0]}", str(self.shown))
                except OSError:
                    raise _sqlite_full() from None
            return super().execute(sql, *values)

    def connected(path: Any, *rest: Any, **how: Any) -> Any:
        made = connect(path, *rest, **{"factory": Database} | how)
        made.shown = re.sub(r"^file:|\?.*", "", str(path))
        return made

    sqlite3.connect = connected  # type: ignore[assignment]


def _sqlite_full() -> sqlite3.OperationalError:
    """Return SQLite's own error on a full disk."""
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode, full.sqlite_errorname = 13, "SQLITE_FULL"
    return full


def install_from_plan(home: Path) -> None:
    """Install what a plan asks for in this process; called by `sitecustomize` of every process of a trial."""
    plan = json.loads((home / PLAN).read_text())
    install(FaultyDisk(home, **plan))


STUDY = {
    "study": "colours",
    "question": "Does a longer training lift it?",
    "backend": "toy",
    "datasets": {
        "scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "ratios": [0.5, 0.2, 0.3], "lock": ["test"]}
    },
    "arms": {
        name: [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": n}}] for name, n in (("a", 1), ("b", 3))
    },
    "gates": {"lift": {"metric": "mAP50", "treatment": "b", "control": "a", "on": "scenes.test", "margin": 0.05}},
    "flow": ["check", "train", "lift"],
}  # fmt: skip
COMMANDS: dict[str, list[str]] = {
    "run": ["run", "study.yaml"],
    "check": ["check", "scenes/data.yaml", "--page", "page.html"],
    "fix": ["check", "scenes/data.yaml", "--fix", "fixed"],
    "convert": ["data", "convert", "scenes/data.yaml", "--to", "coco", "--out", "coco"],
    "yolo": ["data", "convert", "scenes/data.yaml", "--to", "yolo", "--out", "yolo"],
    "voc": ["data", "convert", "scenes/data.yaml", "--to", "voc", "--out", "voc"],
    "cvat": ["data", "convert", "scenes/data.yaml", "--to", "cvat", "--out", "cvat"],
    "split": ["data", "split", "scenes/data.yaml", "--ratios", "0.5", "0.2", "0.3", "--out", "split.csv"],
    "merge": ["data", "merge", "scenes/data.yaml", "more/data.yaml", "--out", "merged"],
    "mix": ["data", "mix", "scenes/data.yaml", "more/data.yaml", "--out", "mixed"],
    "snapshot": ["data", "snapshot", "scenes/data.yaml", "--out", "manifest.json"],
    "sample": ["data", "sample", "scenes/images", "--budget", "4", "--out", "sample.csv", "--copy", "chosen"],
    "stats": ["data", "stats", "scenes/data.yaml", "--out", "stats.html"],
    "duplicates": ["data", "duplicates", "scenes/data.yaml", "--page", "pairs.html"],
    "init": ["init", "new", "--template", "two-stage"],
}


class Trial:
    """A folder in which commands run on a faulty disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "work", folder / "home"
        self.home.mkdir(parents=True)
        script = "import importlib.util as u, pathlib\n"
        script += f"s = u.spec_from_file_location('faulty_disk', {str(HERE / 'faulty_disk.py')!r})\n"
        script += "m = u.module_from_spec(s); s.loader.exec_module(m)\n"
        script += "m.install_from_plan(pathlib.Path(__file__).parent)\n"
        (self.home / "sitecustomize.py").write_text(script)

    def fresh(self, source: Path) -> None:
        """Begin again from a copy of the material."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(source, self.folder, symlinks=True)
        for name in (*self.home.glob("dirty-*"), *self.home.glob("places-*"), *self.home.glob("cut")):
            name.unlink()

    def run(self, command: list[str], mode: str = "", place: str = "", occurrence: int = 1) -> tuple[int, str]:
        """Run a command, on a sound disk without a mode; return its exit code and what it said."""
        given = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*([str(self.home)] if mode else []), *given])}
        environment |= {"XDG_CACHE_HOME": str(self.folder / "cache"), "XDG_STATE_HOME": str(self.folder / "state")}
        plan = {"root": str(self.folder), "mode": mode, "place": place, "occurrence": occurrence}
        (self.home / PLAN).write_text(json.dumps(plan))
        ran = subprocess.run(  # noqa: PLW1510
            [sys.executable, "-P", "-m", "liftgate", *command], cwd=self.folder, env=environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return ran.returncode, ran.stdout + ran.stderr

    def places(self) -> dict[str, int]:
        """Return place → how often, of the command that was recorded."""
        lines = [line for path in self.home.glob("places-*.txt") for line in path.read_text().splitlines()]
        return dict(Counter(lines))

    def lose_unsynced(self) -> list[str]:
        """Empty the files whose bytes had not been synced when the power went; return those with their final names."""
        lost = {tuple(pair) for path in self.home.glob("dirty-*.json") for pair in json.loads(path.read_text())}
        emptied = []
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                found = path.stat()
                if (found.st_dev, found.st_ino) in lost and found.st_size:
                    os.truncate(path, 0)
                    emptied.append(str(path.relative_to(self.folder)))
        return [name for name in emptied if ".part" not in name and not name.startswith("cache/")]


def material(folder: Path) -> None:
    """Write what the commands read."""
    import yaml

    from liftgate.testing.backends import write_tree

    write_tree(folder / "scenes", train=12, held_out=6)
    write_tree(folder / "more", train=4, held_out=2)
    for name in ("scenes", "more"):
        document = yaml.safe_load((folder / name / "data.yaml").read_text())
        (folder / name / "data.yaml").write_text(yaml.safe_dump(document | {"path": "."}))
    (folder / "start.yaml").write_text("nc: 2\n")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))


def problems(code: int, said: str, mode: str, cut: bool) -> list[str]:
    """Return what is wrong with how a command ended on a faulty disk."""
    found = []
    if "Traceback" in said or "this is a fault in liftgate" in said:
        found.append("traceback")
    if mode == "full" and cut and code == 1 and "make room on the disk" not in said:
        found.append(f"no hint: {said.strip().splitlines()[-1][:160] if said.strip() else 'nothing said'}")
    return found


def try_place(trial: Trial, source: Path, name: str, mode: str, place: str, at: int, sound: int) -> list[str]:
    """Run a command with one fault, then once more on a sound disk; return what is wrong."""
    trial.fresh(source)
    code, said = trial.run(COMMANDS[name], mode, place, at)
    cut = (trial.home / "cut").exists()
    found = problems(code, said, mode, cut)
    if not cut and at == 1:
        found.append("the place was not reached")
    if mode == "power":
        emptied = trial.lose_unsynced()
        found += [f"emptied under its name: {name}" for name in emptied if not name.endswith((".log", ".lock"))]
    again, text = trial.run(COMMANDS[name])
    refused = "no existing file is replaced" in text or "is there" in text or "not overwritten" in text
    if again != sound and not (refused and code in (0, 1, sound)):
        found.append(f"then exit {again} instead of {sound}: {text.strip()[-300:]}")
    if "Traceback" in text or "fault in liftgate" in text:
        found.append("then a traceback")
    if name == "run":
        verified, text = trial.run(["ledger", "verify", "study.yaml"])
        if verified:
            found.append(f"the ledger does not verify: {text[-200:]}")
    left = [str(path.relative_to(trial.folder)) for path in trial.folder.rglob("*.part")]
    if left:
        found.append(f"left over: {', '.join(left[:3])}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(COMMANDS), help="commands, with commas")
    parser.add_argument("--mode", default="full,power")
    parser.add_argument("--every", type=int, default=1, help="try every n-th place")
    args = parser.parse_args()
    bad: list[str] = []
    tried = 0
    with tempfile.TemporaryDirectory() as temporary:
        source, trial = Path(temporary) / "source", Trial(Path(temporary))
        source.mkdir()
        material(source)
        for name in args.only.split(","):
            trial.fresh(source)
            sound, _ = trial.run(COMMANDS[name])
            trial.fresh(source)
            trial.run(COMMANDS[name], "record")
            places = trial.places()
            for mode in args.mode.split(","):
                chosen = [(place, at) for place, count in sorted(places.items()) for at in sorted({1, count})][
                    :: args.every
                ]
                wrong = 0
                for place, at in chosen:
                    found = try_place(trial, source, name, mode, place, at, sound)
                    tried += 1
                    wrong += bool(found)
                    bad += [f"{name}, {mode}, {place} (number {at}): {text}" for text in found]
                    for text in found:
                        print(f"  {name}, {mode}, {place} (number {at}): {text}", flush=True)
                print(
                    f"{name}: exit {sound}, {len(places)} places, {len(chosen)} times {mode}: {wrong} wrong",
                    flush=True,
                )
    print(f"{tried} faults: {len(bad)} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
