"""Context: what all steps of one invocation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liftgate.ledger.chain import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.notice import Notify, ignore_notice
from liftgate.progress import Progress, silent
from liftgate.study.records import Study

if TYPE_CHECKING:
    from liftgate.pipeline.datasets import StudyDatasets


def no_reason() -> str:
    """Return no reason to stop."""
    return ""


def never() -> bool:
    """Return False: never pause."""
    return False


@dataclass(frozen=True, slots=True)
class Context:
    """One study, its folder, its ledger and its data."""

    study: Study
    workspace: Workspace
    ledger: Ledger
    datasets: StudyDatasets
    notify: Notify = ignore_notice
    should_stop: Callable[[], bool] = never
    """The caller's own reason to pause"""
    time_limit: float | None = None
    """Seconds after which the run must have paused"""
    stop_reason: Callable[[], str] = no_reason
    """Why to pause at the next safe point; empty: go on. Raises Stopped when the run has to end at once."""
    progress: Progress = silent
    open_anyway: str | None = None
    """Why a locked split may be opened beyond its budget; what is measured then is marked contaminated."""

    def must_end(self) -> bool:
        """Raise Stopped when the run has to end at once; False: work without epochs goes on to its end."""
        self.stop_reason()
        return False
