"""Context: what every step of one invocation shares, and how it tells whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from liftgate.ledger import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.progress import Progress, silent
from liftgate.study.records import Study

if TYPE_CHECKING:
    from liftgate.pipeline.datasets import StudyDatasets  # with numpy, which `status` does without

NoticeKind = Literal["started", "cached", "done", "skipped", "event", "verdict"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that whoever watches a run may want to see. It is not stored: the ledger and the run folders are."""

    kind: NoticeKind
    step: str
    body: Mapping[str, Any] = field(default_factory=dict)


def nobody(notice: Notice) -> None:
    """Watch nothing."""


def no_reason() -> str:
    """Never find a reason to stop."""
    return ""


def never() -> bool:
    """Never ask a training to pause."""
    return False


@dataclass(frozen=True, slots=True)
class Context:
    """One study, its folder, its ledger and its data."""

    study: Study
    workspace: Workspace
    ledger: Ledger
    datasets: StudyDatasets
    notify: Callable[[Notice], None] = nobody
    should_stop: Callable[[], bool] = never
    """The caller's own wish to pause"""
    time_limit: float | None = None
    """Seconds after which the run must have paused"""
    stop_reason: Callable[[], str] = no_reason
    """Why to pause at the next safe point, whoever asked for it; empty: go on. Raises Stopped when it may not wait."""
    progress: Progress = silent
    open_anyway: str | None = None
    """Why a locked split may be opened beyond its budget; what is measured then is marked contaminated."""

    def at_once(self) -> bool:
        """Raise Stopped when the run may not wait for a safe point; False: work without epochs goes on to its end."""
        self.stop_reason()
        return False
