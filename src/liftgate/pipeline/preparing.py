"""Prepare a study without running it: a folder for every training that is to come, with its preflight and command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.ledger.records import FindingRow
from liftgate.ledger.runs import write_report
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.study_lock import study_lock
from liftgate.pipeline.flow_plan import Planned, plan
from liftgate.pipeline.planning.auto_batch import open_batches
from liftgate.pipeline.steps.checking import CheckOutcome, check_study
from liftgate.pipeline.steps.training import train_steps


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A training that is prepared."""

    step: str
    """Name of the training, as `plan` has it"""
    folder: Path
    """With preflight.json and command.sh; `run` trains in it"""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Result of preparing a study."""

    ok: bool
    """Whether `run` would train: the check found no errors"""
    issues: tuple[FindingRow, ...]
    """Errors and warnings of the check"""
    runs: tuple[PreparedRun, ...]
    waiting: tuple[tuple[str, str], ...]
    """Trainings that are not prepared yet, and why: their turn depends on a verdict, or their batch is automatic"""


def prepare(context: Context) -> Preparation:
    """Check the study and write the folder of every training that is sure to come; nothing is trained or measured.

    Raises:
        UsageError: the study cannot run, or is running.
    """
    with study_lock(context.workspace.folder):
        lines = plan(context)  # what another driver made until now is seen
        checked = CheckOutcome.of(check_study(context))
        due = {line.step for line in lines if line.kind == "train" and line.state == "run"}
        waiting = [
            (line.step, line.why) for line in lines if line.state == "undecided" and line.step.startswith("train")
        ]
        waiting += [
            (name, "it trains on a part of the data, which is made when it runs") for name in _parts(context, lines)
        ]
        unsettled = {arm.name for arm, _, _ in open_batches(context)}
        runs: list[PreparedRun] = []
        for arm in context.study.arms:
            for seed in context.study.seeds:
                steps = [step for step in train_steps(context, arm, seed) if step.name in due]
                if steps and arm.name in unsettled:
                    waiting += [(step.name, "its batch is chosen by a trial when it runs") for step in steps]
                    continue
                runs += [PreparedRun(step.name, step.prepare(checked).path) for step in steps]
        write_report(context.workspace.folder)
    return Preparation(bool(checked.ok), checked.issues or (), tuple(runs), tuple(waiting))


def _parts(context: Context, lines: Sequence[Planned]) -> list[str]:
    """Return the trainings to come that belong to no arm: those on parts of the data."""
    study = context.study
    own = {step.name for arm in study.arms for seed in study.seeds for step in train_steps(context, arm, seed)}
    return [line.step for line in lines if line.kind == "train" and line.state == "run" and line.step not in own]
