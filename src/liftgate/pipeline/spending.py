"""Spending: hours, GPU hours and energy that the training of a study has used, from its ledger and run folders.

All training counts, finished or not: paused and failed runs by wall time, killed ones by their finished epochs. Money
is by wall time; GPU hours are wall time × devices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from liftgate.backends.events import EpochReport, Event, StartedEvent
from liftgate.ledger.records import Spent
from liftgate.ledger.results import EpochRow, TrainingFacts, TrainResult
from liftgate.ledger.runs import RunFolder
from liftgate.training.events import read_events


def total(parts: Collection[Spent]) -> Spent:
    """Return the sum; energy that is unknown of a part is left out."""
    known = [part.kwh for part in parts if part.kwh is not None]
    used = sum(part.hours for part in parts), sum(part.gpu_hours for part in parts)
    return Spent(*used, sum(known) if known else None)


def epoch_seconds(rows: Iterable[EpochRow]) -> float:
    """Return the seconds of all epochs together."""
    return sum(row.seconds for row in rows)


def energy_kwh(rows: Iterable[EpochRow]) -> float | None:
    """Return the energy of all epochs together; None: unknown for all of them."""
    known = [row.energy_wh for row in rows if row.energy_wh is not None]
    return sum(known) / 1000 if known else None


def reported_epochs(run: RunFolder) -> list[EpochRow]:
    """Return the epochs that a run has reported so far."""
    return [EpochRow(event.to_body()) for event in _read_run_events(run) if isinstance(event, EpochReport)]


def resume_point(run: RunFolder | None) -> str:
    """Return in words after which epoch an unfinished training resumes; empty: it starts from the beginning."""
    rows = [] if run is None else reported_epochs(run)
    return f"goes on after epoch {rows[-1].epoch} of {rows[-1].epochs}" if rows else ""


def spent_by_finished(result: TrainResult) -> Spent:
    """Return what a run in the ledger has used."""
    clock = result.trained_seconds / 3600
    facts = result.training_facts
    return Spent(clock, clock * facts.devices, energy_kwh(result.epoch_rows[facts.continued_epochs :]))


def spent_by_unfinished(run: RunFolder) -> Spent:
    """Return what a run that is not in the ledger has used."""
    clock = _unfinished_seconds(run) / 3600
    devices = next((event.devices for event in _read_run_events(run) if isinstance(event, StartedEvent)), 1)
    return Spent(clock, clock * devices, energy_kwh(reported_epochs(run)))


def _unfinished_seconds(run: RunFolder) -> float:
    epochs = epoch_seconds(reported_epochs(run))
    if not run.record_path.is_file():
        return epochs  # killed while its folder was made
    record = run.read()
    return max(record.seconds or 0.0, epochs - TrainingFacts(record.facts).continued_seconds)


def _read_run_events(run: RunFolder) -> list[Event]:
    return read_events(run.path / "events.jsonl")
