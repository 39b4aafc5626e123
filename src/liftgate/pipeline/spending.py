"""Costs: what training has cost so far, and a ceiling that stops it while it runs.

An hour is an hour of training, finished or not: what was paused or failed counts by the clock, of what was killed the
finished epochs do. Money goes by the clock, GPU hours by the clock of every device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from liftgate.backends.events import EpochReport, Event, StartedEvent
from liftgate.errors import LedgerError, Stopped, UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.runs import RunFolder, folders
from liftgate.pipeline.context import Context
from liftgate.pipeline.epoch_timer import EpochTimer
from liftgate.study.records import Budget
from liftgate.training.events import read_events
from liftgate.training.power import power_draw
from liftgate.training.ranks import count_devices


class Spent(NamedTuple):
    """What the training of a study has taken so far."""

    hours: float
    """By the clock: what a machine is paid by"""
    gpu_hours: float
    """The same, counted once for each device of a run"""
    kwh: float | None
    """Energy of the GPUs; None: they told nothing"""

    def usd(self, rate: float | None) -> float | None:
        """Return the money at a rate per hour; None: there is no rate."""
        return None if rate is None else self.hours * rate


def spent(folder: Path, ledger: Ledger) -> Spent:
    """Return what training has taken in a study's folder, by its ledger and, of unfinished runs, by their events."""
    parts = {entry.body["run"]: _of_finished(entry.body) for entry in ledger.entries("run")}
    for run in folders(folder):
        if run.name not in parts:
            parts[run.name] = _of_unfinished(run)
    known = [part.kwh for part in parts.values() if part.kwh is not None]
    return Spent(
        sum(part.hours for part in parts.values()),
        sum(part.gpu_hours for part in parts.values()),
        sum(known) if known else None,
    )


def beyond(budget: Budget, used: Spent, seconds: float, devices: int = 1) -> str:
    """Return which ceiling a plan passes, in a sentence; empty: none that can be foreseen.

    Args:
        budget: of the study.
        used: by the training so far.
        seconds: that the trainings of the plan will take, as far as that is known.
        devices: on how many each of them trains at once.

    >>> beyond(Budget(usd=200.0, usd_per_hour=0.8), Spent(0.0, 0.0, None), 300 * 3600)
    'training will come to about 240 of 200 usd: it will pause at the ceiling'
    """
    more, rate = seconds / 3600, budget.usd_per_hour or 0.0
    foreseen = {"gpu_hours": used.gpu_hours + devices * more, "usd": rate * (used.hours + more)}
    if used.kwh is not None and used.gpu_hours > 0:
        foreseen["kwh"] = used.kwh * (1 + devices * more / used.gpu_hours)
    for name, amount in foreseen.items():
        ceiling = getattr(budget, name)
        if ceiling is not None and amount > ceiling:
            return f"training will come to about {amount:.3g} of {ceiling:g} {name}: it will pause at the ceiling"
    return ""


def hours(folder: Path, ledger: Ledger) -> float:
    """Return the hours of training in a study's folder."""
    return spent(folder, ledger).hours


def _of_finished(run: Mapping[str, Any]) -> Spent:
    clock = run_seconds(run) / 3600
    own = run["curve"][int(run["facts"].get("continues", {}).get("epochs", 0)) :]
    return Spent(clock, clock * int(run["facts"].get("devices") or 1), _kwh(own))


def _kwh(epochs: Iterable[Mapping[str, Any]]) -> float | None:
    known = [float(epoch["energy_wh"]) for epoch in epochs if epoch.get("energy_wh") is not None]
    return sum(known) / 1000 if known else None


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


class Ceiling:
    """What is left of the budget when a stage begins; the clock runs against it.

    >>> now = 0.0
    >>> ceiling = Ceiling(Budget(gpu_hours=2.0), Spent(1.0, 1.0, None), clock=lambda: now)
    >>> ceiling.pace.seconds = 600
    >>> ceiling.reason()
    ''
    >>> now = 3100.0
    >>> ceiling.reason()
    'the budget is spent: 1.86 of 2 gpu_hours, and another epoch would pass it'
    """

    def __init__(
        self, budget: Budget, used: Spent, *, devices: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`used`: by the training so far; `devices`: on how many the stage trains at once."""
        self._budget, self._used, self._devices = budget, used, devices
        self._clock = clock
        self._begun = clock()
        self._kwh = self._last_kwh = 0.0
        self.pace = EpochTimer(clock)

    @classmethod
    def of(cls, context: Context, run: RunFolder | None) -> Ceiling:
        """Return the ceiling for a stage that begins, or goes on in `run`.

        Raises:
            Stopped: the budget is spent, or what is left of it does not pay for another epoch.
            UsageError: a ceiling of energy cannot be kept, for nobody tells what the GPUs draw.
        """
        study = context.study
        if study.budget.kwh is not None and power_draw(study.device) is None:
            hint = "leave `kwh` out: gpu_hours and usd can be kept on any machine"
            what = "a ceiling of energy cannot be kept here: nvidia-smi tells no power of the device"
            raise UsageError(what, where=study.source, got=f"device: {study.device}", hint=hint)
        used = spent(context.workspace.folder, context.ledger)
        ceiling = cls(study.budget, used, devices=count_devices(study.device))
        for epoch in [] if run is None else _epochs(run)[-1:]:
            ceiling.pace.seconds = float(epoch.get("seconds") or 0.0)
            ceiling._last_kwh = _kwh([epoch]) or 0.0
        if reason := ceiling.reason():
            hint = "everything so far is kept; raise `budget:` to go on"
            raise Stopped(reason, where=study.source, hint=hint)
        return ceiling

    def record(self, epoch: Mapping[str, Any]) -> None:
        """Take note of an epoch that is done."""
        self.pace.record(epoch.get("seconds"))
        self._last_kwh = _kwh([epoch]) or 0.0
        self._kwh += self._last_kwh

    def reason(self) -> str:
        """Return why to pause at the next epoch boundary; empty: what is left pays for this epoch."""
        hours, epoch = (self._clock() - self._begun) / 3600, self.pace.seconds / 3600
        rate = self._budget.usd_per_hour or 0.0
        now = {  # what is used, and what another epoch would take
            "gpu_hours": (self._used.gpu_hours + self._devices * hours, self._devices * epoch),
            "usd": (rate * (self._used.hours + hours), rate * epoch),
            "kwh": ((self._used.kwh or 0.0) + self._kwh, self._last_kwh),
        }
        for name, (used, more) in now.items():
            ceiling = getattr(self._budget, name)
            if ceiling is not None and used + more >= ceiling:
                passing = "" if used >= ceiling else ", and another epoch would pass it"
                return f"the budget is spent: {used:.3g} of {ceiling:g} {name}{passing}"
        return ""


def goes_on_after(folder: Path, key: str) -> str:
    """Say from where a training goes on that was paused or killed; empty: it has to begin.

    Args:
        folder: of the study's runs.
        key: of the training's step.
    """
    run = RunFolder.unfinished(folder, key)
    epochs = [] if run is None else _epochs(run)
    return f"goes on after epoch {epochs[-1]['epoch']} of {epochs[-1]['epochs']}" if epochs else ""


def _of_unfinished(run: RunFolder) -> Spent:
    clock = _unfinished_seconds(run) / 3600
    events = _events(run)
    devices = next((event.devices for event in events if isinstance(event, StartedEvent)), 1)
    return Spent(clock, clock * devices, _kwh(event.to_body() for event in events if isinstance(event, EpochReport)))


def _unfinished_seconds(run: RunFolder) -> float:
    try:
        record = run.read()
    except LedgerError:
        return epoch_seconds(_epochs(run))
    theirs = float(record.facts.get("continues", {}).get("seconds", 0.0))
    return max(record.seconds or 0.0, epoch_seconds(_epochs(run)) - theirs)


def _epochs(run: RunFolder) -> list[Mapping[str, Any]]:
    return [event.to_body() for event in _events(run) if isinstance(event, EpochReport)]


def _events(run: RunFolder) -> list[Event]:
    try:
        return read_events(run.path / "events.jsonl")
    except (OSError, ValueError, KeyError):
        return []  # a damaged folder costs nothing that could be counted
