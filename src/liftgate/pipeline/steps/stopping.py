"""Stopping: decision points that may stop a training, how it ended, and its expected trajectory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import StepEntry
from liftgate.ledger.results import EpochRow, ExpectedRow, TrainResult
from liftgate.study.records import Arm, EarlyKill, Expectation, Stage, Study
from liftgate.training import stopping_rules
from liftgate.training.stopping_rules import StoppingDecision, StoppingPoint

DEFAULT_EPOCHS = 100
"""Epochs of a recipe that does not name them: Ultralytics' own default"""


def decision_points(study: Study, ledger: Ledger, arm: Arm, number: int, data: str) -> list[StoppingPoint]:
    """Return the decision points of a stage, including those of the median rule where the study uses it.

    Args:
        study: the study.
        ledger: its ledger, for the trainings of other arms.
        arm: the arm that is trained.
        number: the stage, from 1.
        data: hash of what the stage trains on.
    """
    stage = arm.stages[number - 1]
    found = stopping_rules.decision_points(stage.decide, _planned_epochs(stage))
    if study.early_kill is not None:
        found += _median_points(study.early_kill, _peer_curves(ledger, arm.name, stage, number, data), stage)
    return found


def _planned_epochs(stage: Stage) -> int:
    epochs = stage.recipe.get("epochs", DEFAULT_EPOCHS)
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else DEFAULT_EPOCHS


def end_word(decisions: Sequence[StoppingDecision]) -> str:
    """Return how a training ended: FINISHED, CAREFUL or STOPPED."""
    said = {one.said for one in decisions}
    return "STOPPED" if "stop" in said else "CAREFUL" if "careful" in said else "FINISHED"


def expected_rows(stage: Stage, curve: Iterable[EpochRow]) -> list[ExpectedRow]:
    """Compare the expected trajectory with the actual one, one row per epoch that the study names.

    >>> stage = Stage("bench", expect=(Expectation(1, 0.1, 0.2), Expectation(9, 0.3, 0.4)))
    >>> [row.said for row in expected_rows(stage, [EpochRow({"epoch": 1, "metrics": {"mAP50": 0.05}})])]
    ['below', 'not reached']
    """
    rows = {row.epoch: row for row in curve}
    return [_expected_row(one, stage.watched, rows.get(one.epoch)) for one in stage.expect]


def _expected_row(one: Expectation, metric: str, row: EpochRow | None) -> ExpectedRow:
    actual = None if row is None else row.metrics.get(metric)
    if row is None or actual is None:
        return ExpectedRow(one.epoch, metric, one.low, one.high, actual, "not reached" if row is None else "unknown")
    said = "below" if actual < one.low else "above" if actual > one.high else "as expected"
    return ExpectedRow(one.epoch, metric, one.low, one.high, actual, said)


def _peer_curves(ledger: Ledger, arm: str, stage: Stage, number: int, data: str) -> list[list[float]]:
    """Return the curves of other arms in the same stage on the same data that were not stopped."""
    curves: dict[tuple[str, int], list[float]] = {}
    for entry in ledger.records(StepEntry):
        if entry.kind != "train" or entry.inputs["data"] != data:
            continue
        result = TrainResult.from_body(entry.result)
        if result.stage != number or result.arm == arm or result.word == "STOPPED":
            continue
        values = [row.metrics.get(stage.watched) for row in result.epoch_rows]
        known = [float(value) for value in values if value is not None]
        if known:
            curves[result.arm, result.seed] = known
    return list(curves.values())


def _median_points(rule: EarlyKill, curves: Sequence[Sequence[float]], stage: Stage) -> list[StoppingPoint]:
    if len(curves) < rule.runs:
        return []
    epochs = int(stage.recipe.get("epochs", DEFAULT_EPOCHS))
    return stopping_rules.median_points(stage.watched, curves, after=rule.after, epochs=epochs)
