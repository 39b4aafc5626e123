"""A disk that is full, or that loses power, at every place where Liftgate writes.

    PYTHONPATH=src:tests python -P benchmarks/faulty_disk.py [--once] [--only run,convert] [--mode full,power]
    PYTHONPATH=src:tests python -P benchmarks/faulty_disk.py --sites

Each command of tests/every_verb.py runs once and every write, fsync, rename, new folder and change of a database that
it does is recorded with the function of Liftgate that asked for it: the list of places comes from the code. Then, for
each place, it runs again and there meets ENOSPC (`full`), or ends like a machine without power (`power`: what was not
synced to the disk is emptied). The same command once more has to end as it does on a sound disk. What counts: an error
without its hint, a traceback, another result afterwards, a ledger that does not verify, leftovers.

`--sites` only records, and writes benchmarks/write_sites.txt: every function of the source that writes, and the command
that reaches it. Commands run in forks of this program, which has imported what they import and read nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import psutil

import disk_faults
from disk_faults import PLAN, install_from_plan
from every_verb import ANSWER, API_URL, COMMANDS, write_material
from liftgate.cli import main as liftgate_main

HERE = Path(__file__).resolve().parent
MODULES = "modules.json"
SITES = HERE / "write_sites.txt"


class Trial:
    """A folder in which commands run on a faulty disk."""

    def __init__(self, folder: Path, api_url: str = "") -> None:
        self.folder, self.home, self.api_url = folder / "work", folder / "home", api_url
        self.home.mkdir(parents=True)
        script = "import importlib.util as u, pathlib\n"
        script += f"s = u.spec_from_file_location('disk_faults', {disk_faults.__file__!r})\n"
        script += "m = u.module_from_spec(s); s.loader.exec_module(m)\n"
        script += "m.install_from_plan(pathlib.Path(__file__).parent)\n"
        (self.home / "sitecustomize.py").write_text(script)

    def fresh(self, source: Path) -> None:
        """Begin again from a copy of the material, at the same path: ledgers know theirs."""
        _wait_for_all_in(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(source, self.folder, symlinks=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        for name in (*self.home.glob("dirty-*"), *self.home.glob("places-*"), *self.home.glob("cut")):
            name.unlink()

    def run(self, command: list[str], mode: str = "", place: str = "", occurrence: int = 1) -> tuple[int, str]:
        """Run a command in a fork, on a sound disk without a mode; return its exit code and what it said."""
        plan = {"root": str(self.folder), "mode": mode, "place": place, "occurrence": occurrence}
        (self.home / PLAN).write_text(json.dumps(plan))
        printed = self.home / "printed.txt"
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_command([self.api_url if word == API_URL else word for word in command], mode, printed)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code, printed.read_text("utf-8", "replace")

    def _become_command(self, command: list[str], mode: str, printed: Path) -> None:
        code = 70
        try:
            os.chdir(self.folder)
            handle = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # a test runner has put its own there
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            given = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
            os.environ["PYTHONPATH"] = os.pathsep.join([*([str(self.home)] if mode else []), *given])
            os.environ |= {f"XDG_{one.upper()}_HOME": str(self.folder / one) for one in ("cache", "state")}
            os.environ["TMPDIR"] = tempfile.tempdir = str(self.folder / "tmp")
            if mode:
                install_from_plan(self.home, child=False)
            code = liftgate_main(command)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if not mode:
                (self.home / MODULES).write_text(json.dumps(sorted(sys.modules)))
            os._exit(code)

    def import_what_it_imported(self) -> None:
        """Import what the last command on a sound disk did, so that the next fork has it."""
        for name in json.loads((self.home / MODULES).read_text()):
            if name.partition(".")[0] not in ("torch", "ultralytics", "__main__"):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)

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
        return [name for name in emptied if ".part" not in name and not name.startswith(("cache/", "tmp/"))]


def _wait_for_all_in(folder: Path) -> None:
    """Return when no process works in a folder, as one that was detached does: at most a minute later."""
    for _ in range(600):
        if not any(str(one.info["cwd"]).startswith(str(folder)) for one in psutil.process_iter(["cwd"])):
            return
        time.sleep(0.1)


@contextlib.contextmanager
def api() -> Iterator[str]:
    """Serve an API that finds the same in every image; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def problems(code: int, said: str, mode: str, cut: bool) -> list[str]:
    """Return what is wrong with how a command ended on a faulty disk."""
    found = []
    if "Traceback" in said or "this is a fault in liftgate" in said:
        found.append(f"traceback: {said.strip()[-300:]}")
    if mode == "full" and cut and code in (1, 2) and "make room" not in said:
        found.append(f"no hint: {said.strip().splitlines()[-1][:160] if said.strip() else 'nothing said'}")
    return found


def outputs(folder: Path) -> set[str]:
    """Return the files that a command wrote, without caches, logs and names with a time or hash."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.stat().st_size}
    own = ("cache/", "tmp/", "state/")
    return {
        name
        for name in found
        if not name.startswith(own) and not re.search(r"runs/|\d{8}|shadow/|\.lock|-wal|-shm", name)
    }


class Sound(NamedTuple):
    """How a command ends on a sound disk."""

    code: int
    outputs: set[str]
    places: dict[str, int]
    """place → how often"""


def recorded(trial: Trial, source: Path, name: str) -> Sound:
    """Run a command on a sound disk, and again to record where it writes."""
    trial.fresh(source)
    code, said = trial.run(COMMANDS[name])
    if code in (1, 2) or "Traceback" in said:
        raise SystemExit(f"{name} ends with {code} on a sound disk: {said}")
    trial.import_what_it_imported()
    written = outputs(trial.folder)
    trial.fresh(source)
    trial.run(COMMANDS[name], "record")
    return Sound(code, written, trial.places())


def try_place(trial: Trial, source: Path, name: str, mode: str, place: str, at: int, sound: Sound) -> list[str]:
    """Run a command with one fault, then once more on a sound disk; return what is wrong."""
    trial.fresh(source)
    code, said = trial.run(COMMANDS[name], mode, place, at)
    cut = (trial.home / "cut").exists()
    found = problems(code, said, mode, cut)
    if not cut and at == 1:
        found.append("the place was not reached")
    if mode == "power":
        emptied = trial.lose_unsynced()
        may_be_empty = (".log", ".lock", "events.jsonl")  # a line that was not synced is gone, and no more
        found += [f"emptied under its name: {name}" for name in emptied if not name.endswith(may_be_empty)]
    told = "make room" in said  # as by a watch, which goes on
    if mode == "full" and code == sound.code and not told and (missing := sound.outputs - outputs(trial.folder)):
        found.append(f"ended well, without {', '.join(sorted(missing)[:3])}")
    again, text = trial.run(COMMANDS[name])
    whole = not sound.outputs - outputs(trial.folder)
    done_before = code == sound.code and again == 2  # and is refused for that, as what is there is not replaced
    if again != sound.code and not (done_before and whole):
        found.append(f"then exit {again} instead of {sound.code}: {text.strip()[-300:]}")
    if "Traceback" in text or "fault in liftgate" in text:
        found.append("then a traceback")
    for ledger in ("study.yaml", "done/study.yaml"):
        if name.startswith("run") and (trial.folder / ledger).parent.joinpath("runs").is_dir():
            verified, text = trial.run(["ledger", "verify", ledger])
            if verified:
                found.append(f"the ledger does not verify: {text[-200:]}")
    left = [str(path.relative_to(trial.folder)) for path in trial.folder.rglob("*.part")]
    if left:
        found.append(f"left over: {', '.join(left[:3])}")
    return found


def prepared(folder: Path, api_url: str) -> tuple[Path, Trial]:
    """Write the material; return a copy of it, and the trial that works in its place."""
    trial = Trial(folder, api_url)
    trial.folder.mkdir()
    write_material(trial.folder)
    shutil.copytree(trial.folder, folder / "source", symlinks=True)
    return folder / "source", trial


def write_sites(trial: Trial, source: Path) -> None:
    """Record every command, and write which one reaches each function that writes."""
    reached: dict[str, str] = {}
    for name in COMMANDS:
        for place in recorded(trial, source, name).places:
            reached.setdefault(place.split(" ")[-1], name)
        print(f"{name}: {len(reached)} functions by now", flush=True)
    lines = [f"{place}\t{name}" for place, name in sorted(reached.items())]
    SITES.write_text("\n".join(lines) + "\n")


def own_places(name: str, places: dict[str, int]) -> dict[str, int]:
    """Return the places whose function is tried by this command, by benchmarks/write_sites.txt, once each."""
    rows = [line.split("\t") for line in SITES.read_text().splitlines()]
    own = {function for function, command in rows if command == name}
    return {place: 1 for place in places if place.split(" ")[-1] in own}


def try_all(trial: Trial, source: Path, name: str, mode: str, every: int, once: bool) -> tuple[int, list[str]]:
    """Try a command with a fault at each of its places, first and last time; return how often, and what is wrong."""
    sound = recorded(trial, source, name)
    places = own_places(name, sound.places) if once else sound.places
    chosen = [(place, at) for place, count in sorted(places.items()) for at in sorted({1, count})][::every]
    bad: list[str] = []
    for place, at in chosen:
        found = try_place(trial, source, name, mode, place, at, sound)
        bad += [f"  {name}, {mode}, {place} (number {at}): {text}" for text in found]
        for text in found:
            print(f"  {name}, {mode}, {place} (number {at}): {text}", flush=True)
    print(f"{name}: {len(sound.places)} places, {len(chosen)} times {mode}: {len(bad)} wrong", flush=True)
    return len(chosen), bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(COMMANDS), help="commands, with commas")
    parser.add_argument("--mode", default="full,power")
    parser.add_argument("--every", type=int, default=1, help="try every n-th place")
    parser.add_argument("--once", action="store_true", help="each function by one command alone, at its first time")
    parser.add_argument("--sites", action="store_true", help="only record, and write benchmarks/write_sites.txt")
    args = parser.parse_args()
    tried, bad = 0, 0
    with tempfile.TemporaryDirectory() as temporary, api() as url:
        source, trial = prepared(Path(temporary), url)
        if args.sites:
            write_sites(trial, source)
            return 0
        for name in args.only.split(","):
            for mode in args.mode.split(","):
                count, wrong = try_all(trial, source, name, mode, args.every, args.once)
                tried, bad = tried + count, bad + len(wrong)
    print(f"{tried} faults: {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
