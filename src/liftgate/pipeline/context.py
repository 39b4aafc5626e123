"""Context: the study, workspace, ledger, datasets and callbacks that all steps of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from liftgate.ledger.chain import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.notice import Notify, ignore_notice
from liftgate.progress import Progress, silent
from liftgate.study.records import Study

if TYPE_CHECKING:
    from liftgate.engines.dispatch import Dispatcher
    from liftgate.pipeline.datasets import StudyDatasets
    from liftgate.pipeline.training_runs import TrainingRuns


def no_reason() -> str:
    """Return an empty reason: do not stop."""
    return ""


def never() -> bool:
    """Return False: never pause."""
    return False


@dataclass(frozen=True, slots=True)
class Context:
    """One study with its workspace, ledger, datasets and the caller's callbacks."""

    study: Study
    workspace: Workspace
    ledger: Ledger
    datasets: StudyDatasets
    runs: TrainingRuns
    notify: Notify = ignore_notice
    should_stop: Callable[[], bool] = never
    """Whether the caller wants the run to pause"""
    time_limit: float | None = None
    """Seconds within which the run has to pause"""
    stop_reason: Callable[[], str] = no_reason
    """Returns why to pause at the next safe point; empty: continue. Raises Stopped when the run has to end at once."""
    progress: Progress = silent
    open_anyway: str | None = None
    """Reason to open a locked split beyond its budget; the results are then marked contaminated. None: refuse."""

    tasks: Dispatcher | None = None
    """Trainings and predictions on the study's engine; None: they run in this process, one after another"""

    over_budget: Callable[[], str] = no_reason
    """On an engine, returns why all its tasks have to pause: the budget is spent; empty: continue"""
    chains: dict[tuple[str, int], list[Any]] = field(default_factory=dict, init=False)
    """Arm and seed → the TrainStep of each stage, which several gates share; they hold this context, not a copy of it
    with changes"""

    def must_end(self) -> bool:
        """Raise Stopped when the run has to end at once; else return False: work without epochs is not paused."""
        self.stop_reason()
        return False
