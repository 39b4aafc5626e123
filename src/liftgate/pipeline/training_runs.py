"""Trainings of a study: their run folders and their entries in the ledger, each read once.

A driver of ten thousand tasks asks for the run of every one. Looking through all folders and entries each time would
grow with the square of their number. Only the process that holds the study's lock makes run folders and writes their
run.json, so it need not look for what others did.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from liftgate.errors import LedgerError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import Spent
from liftgate.ledger.results import EpochRow, RunEntry, TrainResult
from liftgate.ledger.runs import UNFINISHED, RunFolder, State, run_folders, write_report
from liftgate.pipeline.spending import reported_epochs, spent_by_finished, spent_by_unfinished, total

_REST = 20  # writing REPORT.md takes a twentieth of the time at most


class RecordedRun(NamedTuple):
    """A finished run, as the ledger has it."""

    name: str
    step: str
    """Key of its step"""
    stage: tuple[str, int]
    """Arm, and number of the stage"""
    seed: int
    word: str
    spent: Spent
    entry: int
    """Its number in the ledger"""


class OpenRun(NamedTuple):
    """A run that the ledger does not have yet."""

    spent: Spent
    last_epoch: EpochRow | None
    """While it runs"""


class TrainingRuns:
    """What a driver knows of the trainings of its study."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger
        self._by_key: dict[str, list[RunFolder]] | None = None
        self._unreadable: list[RunFolder] = []
        self._recorded: list[RecordedRun] = []
        self._by_step: dict[str, RecordedRun] = {}
        self._names: set[str] = set()
        self._read_to = 0
        self._open: dict[str, tuple[object, OpenRun]] = {}
        self.begun: set[str] = set()
        """Names of the folders whose preflight.json and command.sh this process has written"""
        self._next_report, self._report_due = 0.0, False

    def create(self, label: str, key: str, **known: Any) -> RunFolder:
        """Create a run folder; see `RunFolder.create`."""
        made = RunFolder.create(self._folder, label, key, **known)
        self._folders().setdefault(key, []).append(made)
        return made

    def unfinished(self, key: str) -> RunFolder | None:
        """Return the newest unfinished folder of the run `key`, to resume it; see `newest`."""
        return self.newest(key, UNFINISHED)

    def newest(self, key: str, states: Sequence[State] = get_args(State)) -> RunFolder | None:
        """Return the newest folder of the run `key` in one of the states; None: there is none.

        Raises:
            LedgerError: its run.json, or that of a newer run, cannot be read or was changed.
        """
        alike: list[RunFolder] = [*self._folders().get(key, ()), *self._unreadable]
        for run in sorted(alike, key=lambda one: one.name, reverse=True):
            if not run.record_path.is_file():
                continue  # removed meanwhile
            record = run.read()
            if record.key == key and record.state in states:
                return run
        return None

    def recorded(self) -> list[RecordedRun]:
        """Return the runs in the ledger, in its order."""
        for entry in self._ledger.entries(RunEntry.KIND, after=self._read_to):
            run = entry.parse(RunEntry)
            result, self._read_to = run.result, entry.seq
            stage, spent = (result.arm, result.stage), spent_by_finished(result)
            one = RecordedRun(result.run, run.step, stage, result.seed, result.word, spent, entry.seq)
            self._recorded.append(one)
            self._by_step[run.step] = one
            self._names.add(result.run)
        return self._recorded

    def result(self, step: str) -> TrainResult | None:
        """Return the newest result of a step in the ledger; None: it has none."""
        self.recorded()
        one = self._by_step.get(step)
        return None if one is None else self._ledger.entry(one.entry).parse(RunEntry).result

    def spent(self) -> Spent:
        """Return what all trainings have used: those in the ledger, and others by their events."""
        finished = {one.name: one.spent for one in self.recorded()}
        return total([*finished.values(), *(one.spent for one in self._open_runs())])

    def last_epochs(self) -> list[EpochRow]:
        """Return the last epoch of each run that runs now."""
        self.recorded()
        return [one.last_epoch for one in self._open_runs() if one.last_epoch is not None]

    def write_report(self) -> None:
        """Write REPORT.md, or leave it for later where it was written a moment ago."""
        self._report_due = True
        if time.monotonic() >= self._next_report:
            self.write_due_report()

    def write_due_report(self) -> None:
        """Write REPORT.md where it was left for later."""
        if self._report_due:
            begun = time.monotonic()
            write_report(self._folder)
            self._report_due = False
            now = time.monotonic()
            self._next_report = now + _REST * (now - begun)

    def _folders(self) -> dict[str, list[RunFolder]]:
        if self._by_key is None:
            self._by_key = {}
            for run in run_folders(self._folder):
                if not run.record_path.is_file():
                    continue  # killed while it was created: nothing to resume; REPORT.md shows it
                try:
                    self._by_key.setdefault(run.read().key, []).append(run)
                except LedgerError:
                    self._unreadable.append(run)
        return self._by_key

    def _open_runs(self) -> Iterator[OpenRun]:
        """Yield the runs that the ledger does not have; one whose files did not change is not read again."""
        for run in run_folders(self._folder):
            if run.name in self._names:
                self._open.pop(run.name, None)
                continue
            files = _signature(run.record_path), _signature(run.path / "events.jsonl")
            known = self._open.get(run.name)
            if known is None or known[0] != files:
                state: State | None = run.read().state if run.record_path.is_file() else None
                rows = reported_epochs(run)
                last = rows[-1] if rows and state == "running" else None
                known = self._open[run.name] = files, OpenRun(spent_by_unfinished(run), last)
            yield known[1]


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
