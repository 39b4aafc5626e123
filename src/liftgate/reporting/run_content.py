"""RunContent and CostRow: how the trainings of a report went, and what its steps took."""

from __future__ import annotations

from dataclasses import dataclass

from liftgate.checks.finding import Finding


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """One epoch of an expected trajectory, with the actual value."""

    epoch: int
    metric: str
    low: float
    high: float
    actual: float | None
    """None: not reached, or unknown"""
    outcome: str
    """`as expected`, `below`, `above`, `not reached` or `unknown`"""


@dataclass(frozen=True, slots=True)
class RunContent:
    """How one training went."""

    name: str
    """`two_stage stage 1 seed 0`"""
    word: str
    """FINISHED, CAREFUL or STOPPED"""
    epochs: int
    best_epoch: int | None = None
    decisions: tuple[str, ...] = ()
    """Results of its decision points, a sentence each"""
    trajectory: tuple[TrajectoryPoint, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Findings of `doctor`"""


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one step, or all of them (`total=True`), took."""

    label: str
    seconds: float
    usd: float | None = None
    """None: the rate is unknown, or the step is no training."""
    note: str = ""
    """`cached`, `2 CPU cores`, …"""
    total: bool = False
