"""Spending: hours, GPU hours and energy that the training of a study has used, from its ledger and run folders.

All training counts, finished or not: paused and failed runs by wall time, killed ones by their finished epochs. Money
is by wall time; GPU hours are wall time × devices.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from liftgate.backends.events import EpochReport, Event, StartedEvent
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import Spent
from liftgate.ledger.results import EpochRow, RunEntry, TrainingFacts, TrainResult
from liftgate.ledger.runs import RunFolder, run_folders
from liftgate.training.events import read_events


def spent(folder: Path, ledger: Ledger) -> Spent:
    """Return what training has used in a study's folder: finished runs from the ledger, others from their events."""
    parts = {entry.result.run: _spent_by_finished(entry.result) for entry in ledger.records(RunEntry)}
    for run in run_folders(folder):
        if run.name not in parts:
            parts[run.name] = _spent_by_unfinished(run)
    known = [part.kwh for part in parts.values() if part.kwh is not None]
    return Spent(
        sum(part.hours for part in parts.values()),
        sum(part.gpu_hours for part in parts.values()),
        sum(known) if known else None,
    )


def hours(folder: Path, ledger: Ledger) -> float:
    """Return the hours of training in a study's folder."""
    return spent(folder, ledger).hours


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


def resume_point(folder: Path, key: str) -> str:
    """Return in words after which epoch an unfinished training resumes; empty: it starts from the beginning.

    Args:
        folder: folder of the study's runs.
        key: key of the train step.
    """
    run = RunFolder.unfinished(folder, key)
    rows = [] if run is None else reported_epochs(run)
    return f"goes on after epoch {rows[-1].epoch} of {rows[-1].epochs}" if rows else ""


def _spent_by_finished(result: TrainResult) -> Spent:
    clock = result.trained_seconds / 3600
    facts = result.training_facts
    return Spent(clock, clock * facts.devices, energy_kwh(result.epoch_rows[facts.continued_epochs :]))


def _spent_by_unfinished(run: RunFolder) -> Spent:
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
