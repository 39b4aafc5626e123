"""Costs: what training has cost so far, and a ceiling that stops it while it runs.

An hour is an hour of training, finished or not: what was paused or failed counts by the clock, of what was killed the
finished epochs do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from liftgate.errors import LedgerError, Stopped
from liftgate.ledger import Ledger
from liftgate.ledger.runs import RunFolder, folders
from liftgate.pipeline.context import Context
from liftgate.pipeline.pace import Pace
from liftgate.study.records import Budget
from liftgate.train.events import read_events


def hours(folder: Path, ledger: Ledger) -> float:
    """Return the hours of training in a study's folder, by its ledger and, of unfinished runs, by their events."""
    finished = {entry.body["run"]: run_seconds(entry.body) for entry in ledger.entries("run")}
    unfinished = sum(_unfinished_seconds(run) for run in folders(folder) if run.name not in finished)
    return (sum(finished.values()) + unfinished) / 3600


def run_seconds(run: Mapping[str, Any]) -> float:
    """Return how long a finished run trained, all attempts together, by whatever clock saw most of it.

    Of an attempt that was killed only the epochs' own clock tells; what comes between them only the wall's. Epochs that
    were taken over from a run that a decision had stopped count there.
    """
    theirs = float(run["facts"].get("continues", {}).get("seconds", 0.0))
    trained = max(float(run["facts"].get("seconds") or 0.0), epoch_seconds(run["curve"])) - theirs
    return max(trained, float(run.get("wall_seconds", 0.0)))


def epoch_seconds(epochs: Iterable[Mapping[str, Any]]) -> float:
    """Return the seconds of all epochs together."""
    return sum(float(epoch.get("seconds") or 0.0) for epoch in epochs)


def spent(context: Context) -> Mapping[str, float]:
    """Return hours, and money where a rate is known, that the training of a study has cost."""
    used = hours(context.workspace.folder, context.ledger)
    rate = context.study.budget.usd_per_hour
    return {"gpu_hours": used} if rate is None else {"gpu_hours": used, "usd": used * rate}


class Ceiling:
    """What is left of the budget when a stage begins; the clock runs against it.

    >>> now = 0.0
    >>> ceiling = Ceiling(Budget(gpu_hours=2.0), 1.0, clock=lambda: now)
    >>> ceiling.pace.seconds = 600
    >>> ceiling.reason()
    ''
    >>> now = 3100.0
    >>> ceiling.reason()
    'the budget is spent: 1.86 of 2 gpu_hours, and another epoch would pass it'
    """

    def __init__(self, budget: Budget, used: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`used`: hours of training so far."""
        self._budget = budget
        self._used = used
        self._clock = clock
        self._begun = clock()
        self.pace = Pace(clock)

    @classmethod
    def of(cls, context: Context, run: RunFolder | None) -> Ceiling:
        """Return the ceiling for a stage that begins, or goes on in `run`.

        Raises:
            Stopped: the budget is spent, or what is left of it does not pay for another epoch.
        """
        ceiling = cls(context.study.budget, hours(context.workspace.folder, context.ledger))
        epochs = [] if run is None else _epochs(run)
        if epochs:
            ceiling.pace.seconds = epoch_seconds(epochs[-1:])
        if reason := ceiling.reason():
            hint = "everything so far is kept; raise `budget:` to go on"
            raise Stopped(reason, where=context.study.source, hint=hint)
        return ceiling

    def reason(self) -> str:
        """Return why to pause at the next epoch boundary; empty: what is left pays for this epoch."""
        used = self._used + (self._clock() - self._begun) / 3600
        rate = self._budget.usd_per_hour
        for name, price in (("gpu_hours", 1.0), ("usd", rate)):
            ceiling = getattr(self._budget, name)
            if ceiling is None or price is None or price * (used + self.pace.seconds / 3600) < ceiling:
                continue
            more = "" if price * used >= ceiling else ", and another epoch would pass it"
            return f"the budget is spent: {price * used:.3g} of {ceiling:g} {name}{more}"
        return ""


def _unfinished_seconds(run: RunFolder) -> float:
    try:
        record = run.read()
    except LedgerError:
        return epoch_seconds(_epochs(run))
    theirs = float(record.facts.get("continues", {}).get("seconds", 0.0))
    return max(record.seconds or 0.0, epoch_seconds(_epochs(run)) - theirs)


def _epochs(run: RunFolder) -> list[Mapping[str, Any]]:
    try:
        return [event.body for event in read_events(run.path / "events.jsonl") if event.kind == "epoch"]
    except (OSError, ValueError, KeyError):
        return []  # a damaged folder costs nothing that could be counted
