"""Step costs: time and money that the steps of a run took, for reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from liftgate.ledger.records import StepEntry
from liftgate.ledger.results import TrainResult


@dataclass(frozen=True, slots=True)
class StepCost:
    """Time and cost of one step."""

    name: str
    seconds: float
    usd: float | None
    """None: no rate is given, or the step is no training, the only cost that a budget counts"""


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Time and cost of the steps of a run."""

    steps: tuple[StepCost, ...]
    seconds: float
    """Of all steps together"""


def step_costs(steps: Iterable[StepEntry], usd_per_hour: float | None) -> StepCosts:
    """Return what each step took when it ran, even if its result was cached in this run.

    Args:
        steps: of one run.
        usd_per_hour: price of the machine; None: unknown.
    """
    newest = {step.key: step for step in steps}  # not by name: gates may share one for different evaluations
    costs = tuple(_step_cost(step, usd_per_hour) for step in newest.values())
    return StepCosts(costs, sum(cost.seconds for cost in costs))


def _step_cost(step: StepEntry, usd_per_hour: float | None) -> StepCost:
    if step.kind != "train":
        return StepCost(step.name, step.seconds, None)
    attempts = TrainResult.from_body(step.result).wall_seconds  # of a training that was paused: all of them
    paid = attempts or step.seconds  # as the budget counts; a step also writes its tree, which costs no money there
    return StepCost(
        step.name, max(step.seconds, attempts), None if usd_per_hour is None else paid / 3600 * usd_per_hour
    )
