"""How trainings went, and what they cost: looked up in what the ledger has of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from liftgate.checks.finding import Finding
from liftgate.reporting.content import CostRow, RunContent, TrajectoryPoint
from liftgate.reporting.lineage import StepRecord

_TOTAL = "all training so far, as the budget and `liftgate status` count it"


def run_rows(trained: Iterable[StepRecord]) -> tuple[RunContent, ...]:
    """Return what was decided, expected and diagnosed of each training."""
    return tuple(_run(step) for step in trained)


def _run(step: StepRecord) -> RunContent:
    result = step.result
    return RunContent(
        name=step.name.removeprefix("train "),
        word=result.get("word", "FINISHED"),
        epochs=result["epochs"],
        best_epoch=result["facts"].get("best_epoch"),
        decisions=tuple(one["reason"] for one in result.get("decisions", ())),
        trajectory=tuple(TrajectoryPoint(**row) for row in result.get("expected", ())),
        findings=tuple(Finding(**_known(row)) for row in result.get("doctor", ())),
    )


def cost_rows(steps: Iterable[StepRecord], spent: Mapping[str, Any] | None, rate: float | None) -> tuple[CostRow, ...]:
    """Return what took a second or more, all steps together, and all training as the last run left it on record.

    A cached step is listed with what it took when it ran. Money is of training alone: a budget counts nothing else.

    Args:
        steps: of the last run.
        spent: hours and kwh of all training, as the ledger's last `flow` entry has them; None: an older ledger.
        rate: money per hour; None: nobody said.
    """
    taken = {step.name: (step, _seconds(step)) for step in steps}
    rows = [
        CostRow(name, seconds, seconds / 3600 * rate if rate is not None and step.kind == "train" else None)
        for name, (step, seconds) in taken.items()
        if seconds >= 1
    ]
    if rows:
        rows.append(CostRow("all steps of this run", sum(seconds for _, seconds in taken.values()), total=True))
    if spent is not None and spent["hours"] * 3600 >= 1:
        usd = None if rate is None else spent["hours"] * rate
        rows.append(CostRow(_TOTAL, spent["hours"] * 3600, usd, note=_energy(spent["kwh"]), total=True))
    return tuple(rows)


def _seconds(step: StepRecord) -> float:
    """Of a training that was paused: all attempts together."""
    attempts = float(step.result.get("wall_seconds", 0.0)) if step.kind == "train" else 0.0
    return max(step.seconds, attempts)


def _energy(kwh: float | None) -> str:
    return "" if kwh is None else f"{kwh:.3g} kWh of the GPUs"


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(Finding)}
    return {name: value for name, value in row.items() if name in names}
