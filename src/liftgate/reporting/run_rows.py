"""Rows about trainings: how each went, and what the steps of a run cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from liftgate.checks.finding import Finding
from liftgate.ledger.last_run import TrainedStage
from liftgate.ledger.records import FindingRow, Spent, StepEntry
from liftgate.ledger.runs import part_of, step_of_parts
from liftgate.ledger.step_costs import StepCost, step_costs
from liftgate.reporting.run_content import CostRow, RunContent, TrajectoryPoint

_SHORTEST = 1.0
"""Seconds; a step that took less has no row"""
_ALL_STEPS = "all steps of this run"
_ALL_TRAINING = "all training so far, as the budget and `liftgate status` count it"


def run_rows(trained: Iterable[TrainedStage]) -> tuple[RunContent, ...]:
    """Return decisions, expected trajectory and diagnosis of each training; folds and shares of the data in one row."""
    rows: list[RunContent] = []
    parts: dict[tuple[str, str, int], list[TrainedStage]] = {}
    for one in trained:
        part = part_of(one.result.arm)
        if part is None:
            rows.append(_run_row(one))
        else:
            parts.setdefault((part.arm, part.kind, one.result.seed), []).append(one)
    return (*rows, *(_parts_row(*key, trainings) for key, trainings in parts.items()))


def _parts_row(arm: str, kind: str, seed: int, trained: Sequence[TrainedStage]) -> RunContent:
    results = [one.result for one in trained]
    findings: dict[str, list[Finding]] = {}
    for row in (row for result in results for row in result.doctor):
        findings.setdefault(row.id, []).append(as_finding(row))
    return RunContent(
        name=f"{arm} on {len(results)} {kind}, seed {seed}",
        word=", ".join(dict.fromkeys(result.word for result in results)),
        epochs=max(result.epochs for result in results),
        findings=tuple(
            replace(same[0], message=f"in {len(same)} of {len(results)} trainings, such as: {same[0].message}")
            for same in findings.values()
        ),
    )


def _run_row(trained: TrainedStage) -> RunContent:
    result = trained.result
    return RunContent(
        name=trained.step.name.removeprefix("train "),
        word=result.word,
        epochs=result.epochs,
        best_epoch=result.training_facts.best_epoch,
        decisions=tuple(decision.reason for decision in result.decisions),
        trajectory=tuple(
            TrajectoryPoint(row.epoch, row.metric, row.low, row.high, row.actual, row.said) for row in result.expected
        ),
        findings=tuple(as_finding(row) for row in result.doctor),
    )


def cost_rows(steps: Iterable[StepEntry], spent: Spent | None, usd_per_hour: float | None) -> tuple[CostRow, ...]:
    """Return what took a second or more, all steps together, and all training so far.

    What an arm took on all folds, or all shares, of its data is one row.

    Args:
        steps: of the last run.
        spent: all training, as the newest `flow` entry has it; None: an older ledger.
        usd_per_hour: None: unknown.
    """
    costs = step_costs(steps, usd_per_hour)
    rows = [CostRow(one.name, one.seconds, one.usd) for one in _together(costs.steps) if one.seconds >= _SHORTEST]
    if rows:
        rows.append(CostRow(_ALL_STEPS, costs.seconds, total=True))
    if spent is not None and spent.seconds >= _SHORTEST:
        note = "" if spent.kwh is None else f"{spent.kwh:.3g} kWh of the GPUs"
        rows.append(CostRow(_ALL_TRAINING, spent.seconds, spent.usd(usd_per_hour), note, total=True))
    return tuple(rows)


def _together(steps: Iterable[StepCost]) -> Iterable[StepCost]:
    """Yield the steps, those on parts of the data added up where the first of them stands."""
    rows: dict[object, StepCost] = {}
    for number, one in enumerate(steps):
        name = step_of_parts(one.name)
        key = number if name is None else name
        before = rows.get(key)
        usd = one.usd if before is None else None if before.usd is None or one.usd is None else before.usd + one.usd
        rows[key] = StepCost(name or one.name, one.seconds + (before.seconds if before else 0.0), usd)
    return rows.values()


def as_finding(row: FindingRow) -> Finding:
    """Return a recorded finding as `check` and `doctor` return it."""
    return Finding(row.id, row.severity, row.where, row.message, row.hint, row.data)
