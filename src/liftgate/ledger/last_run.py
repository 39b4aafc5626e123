"""Runs of a study as its ledger has them: the steps that each went through, with their results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from liftgate.ledger.chain import Ledger
from liftgate.ledger.mistake_records import MistakesEntry
from liftgate.ledger.records import FlowEntry, LedgerRecord, StepEntry
from liftgate.ledger.results import TrainResult
from liftgate.ledger.worth_records import WorthEntry

A = TypeVar("A", MistakesEntry, WorthEntry)


@dataclass(frozen=True, slots=True)
class TrainedStage:
    """A finished training."""

    step: StepEntry
    result: TrainResult


@dataclass(frozen=True, slots=True)
class LastRun:
    """The steps that a `flow` entry names, such as the newest, in the order in which they were recorded."""

    flow: FlowEntry | None
    """None: the study has not run."""
    steps: tuple[StepEntry, ...]

    def of_kind(self, kind: str) -> tuple[StepEntry, ...]:
        """Return the steps of one kind, such as `train` or `gate`."""
        return tuple(step for step in self.steps if step.kind == kind)

    def needs(self, step: StepEntry) -> tuple[StepEntry, ...]:
        """Return the steps of this run that a step rests on."""
        by_key = {one.key: one for one in self.steps}
        return tuple(by_key[key] for key in step.needs.values() if key in by_key)

    def all_needs(self, step: StepEntry) -> tuple[StepEntry, ...]:
        """Return the steps of this run that a step rests on, directly or not, each once."""
        found: dict[str, StepEntry] = {}
        waiting = [step]
        while waiting:
            new = [need for need in self.needs(waiting.pop()) if need.key not in found]
            found.update((need.key, need) for need in new)
            waiting += new
        return tuple(found.values())

    def gate(self, name: str) -> StepEntry | None:
        """Return the step of a gate; None: the run did not evaluate it."""
        return next((step for step in self.of_kind("gate") if step.name == name), None)

    @property
    def trained(self) -> tuple[TrainedStage, ...]:
        """All trainings."""
        return trained_stages(self.steps)


def read_last_run(ledger: Ledger) -> LastRun:
    """Return the newest run of a study.

    The ledger may hold many runs: a report shows one of them.
    """
    runs = read_runs(ledger)
    return runs[-1] if runs else LastRun(None, ())


def read_runs(ledger: Ledger) -> tuple[LastRun, ...]:
    """Return all runs of a study, oldest first, each with the newest result of every step that it names."""
    newest = {step.key: step for step in ledger.records(StepEntry)}
    runs = []
    for flow in ledger.records(FlowEntry):
        wanted = set(flow.steps)
        runs.append(LastRun(flow, tuple(step for key, step in newest.items() if key in wanted)))
    return tuple(runs)


def newest_answers(ledger: Ledger, record: type[A]) -> tuple[A, ...]:
    """Return what steps of the newest run found, and those since; not what a step found that the flow no longer has.

    Args:
        ledger: of a study.
        record: kind of entry, each of which names its step.
    """
    flows = ledger.entries(FlowEntry.KIND)
    steps, last = (set(flows[-1].parse(FlowEntry).steps), flows[-1].seq) if flows else (set(), 0)
    newest: dict[str, A] = {}
    for entry in ledger.entries(record.KIND):
        found = entry.parse(record)
        if found.step in steps or entry.seq > last:
            newest[found.step] = found
    return tuple(newest.values())


def trained_stages(steps: Sequence[StepEntry]) -> tuple[TrainedStage, ...]:
    """Return the trainings among steps."""
    return tuple(TrainedStage(step, TrainResult.from_body(step.result)) for step in steps if step.kind == "train")


@dataclass(frozen=True, slots=True)
class StepInputs(LedgerRecord):
    """What a step was given: hashes of files and data, and a training's recipe."""

    weights: str | None = None
    data: str | None = None
    recipe: dict[str, object] | None = None
