"""Status of a study, read from its files and ledger, while it runs or afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from liftgate.engines.base import Overview
from liftgate.errors import LiftgateError, UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import newest_answers
from liftgate.ledger.mistake_records import MistakesEntry
from liftgate.ledger.model_records import VersionEntry
from liftgate.ledger.records import DecisionEntry, FlowEntry, StudyEntry, VerdictEntry
from liftgate.ledger.results import ExpectedRow
from liftgate.ledger.worth_records import WorthEntry
from liftgate.locks import LockOwner
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.status_file import LastEpoch, RunStatus, read_overview, read_status
from liftgate.pipeline.control.study_lock import holder, last_owner
from liftgate.pipeline.training_runs import TrainingRuns

State = Literal["running", "stopping", "paused", "stopped", "finished", "failed", "never ran"]


@dataclass(frozen=True, slots=True)
class DecisionStatus:
    """A decision about a finished training."""

    arm: str
    run: str
    """Name of the run folder"""
    epoch: int
    said: str
    """continue, careful or stop"""
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """Status of a study."""

    study: str
    folder: str
    state: State
    """`stopping`: still running after a request to stop"""
    reason: str = ""
    """Why it is stopping, paused or failed"""
    pid: int | None = None
    """The process that runs it"""
    host: str | None = None
    since: str | None = None
    """UTC, ISO 8601: when this process started"""
    step: str | None = None
    """The current step, or the one that it ended in"""
    epoch: int | None = None
    epochs: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Metrics of the last epoch on the validation split"""
    seconds_left: float | None = None
    """Remaining seconds of this step, at the pace of the last epoch; early stopping may end it sooner"""
    hours: float = 0.0
    """Wall time of training, finished or not"""
    gpu_hours: float = 0.0
    """Wall time × devices"""
    usd: float | None = None
    """Cost at the rate of the study's budget; None: no rate"""
    kwh: float | None = None
    """Energy of the GPUs during training; None: unknown"""
    expected: tuple[ExpectedRow, ...] = ()
    """Expected trajectory of the current training, with actual values"""
    said: tuple[str, ...] = ()
    """Messages of its decision points and of the doctor"""
    decisions: tuple[DecisionStatus, ...] = ()
    """Decisions about trainings that ended"""
    answer: str | None = None
    """PASS, MARGINAL or FAIL: the last run's answer to the study's question; None: it did not get that far"""
    answered_by: str | None = None
    """The gate that decided it"""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """Gate → its last verdict"""
    mistakes: tuple[MistakesEntry, ...] = ()
    """Suspected mistakes in labels: the searches of the newest run"""
    worth: tuple[WorthEntry, ...] = ()
    """What more data would bring: the answers of the newest run"""
    tasks: Overview | None = None
    """Tasks on the engine that it runs on; None: it runs on none"""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def status_of(folder: Path, *, now: datetime | None = None, ledger: Ledger | None = None) -> Status:
    """Return the status of the study whose results are in `folder`.

    Args:
        folder: of the results.
        now: the time.
        ledger: that of the folder, where it was read before: its entries are not checked again.

    Raises:
        LedgerError: its ledger cannot be read.
    """
    ledger = ledger or Ledger(folder / "ledger.sqlite")
    live = read_status(folder)
    owner = holder(folder)
    runs = ledger.records(FlowEntry)
    state, reason = _state(folder, ledger, live, owner)
    spent = TrainingRuns(folder, ledger).spent()
    rate = None if live is None else live.usd_per_hour
    epoch = LastEpoch() if live is None or state in ("finished", "never ran") else live.epoch
    running = owner is not None
    return Status(
        study=folder.name,
        folder=str(folder),
        state=state,
        reason=reason,
        pid=owner.pid if owner else None,
        host=owner.host if owner else None,
        since=owner.since if owner else None,
        step=None if live is None or state == "finished" else live.step or None,
        epoch=epoch.epoch,
        epochs=epoch.epochs,
        metrics=epoch.metrics or {},
        seconds_left=_seconds_left(live, epoch, now or datetime.now(UTC)) if running and live else None,
        hours=spent.hours,
        gpu_hours=spent.gpu_hours,
        usd=spent.usd(rate),
        kwh=spent.kwh,
        expected=() if live is None or state == "finished" else live.expected,
        said=() if live is None or state == "finished" else live.said,
        decisions=tuple(
            DecisionStatus(one.arm, one.run, one.epoch, one.said, one.reason) for one in ledger.records(DecisionEntry)
        ),
        answer=runs[-1].answer if runs else None,
        answered_by=runs[-1].answered_by if runs else None,
        tasks=read_overview(folder) if running else None,
        verdicts={one.gate: one.word for one in ledger.records(VerdictEntry)},
        mistakes=newest_answers(ledger, MistakesEntry),
        worth=newest_answers(ledger, WorthEntry),
    )


def workspaces(folder: Path) -> list[Path]:
    """Return the result folders of studies at or below `folder`: itself, `runs/*`, or those of its sub-folders.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError("no such study or folder", where=folder)
    if _is_workspace(folder):
        return [folder]
    found = {path for pattern in ("*", "runs/*", "*/runs/*") for path in folder.glob(pattern) if _is_workspace(path)}
    return sorted(found)


def _is_workspace(folder: Path) -> bool:
    return (folder / "ledger.sqlite").is_file() or (folder / "now.json").is_file()


def is_registry(ledger: Ledger) -> bool:
    """Return whether a ledger has versions of models, and no study; False where it cannot be read."""
    try:
        return bool(ledger.entries(VersionEntry.KIND)) and not ledger.entries(StudyEntry.KIND)
    except (LiftgateError, OSError):
        return False


def _state(folder: Path, ledger: Ledger, live: RunStatus | None, owner: LockOwner | None) -> tuple[State, str]:
    if owner is not None:
        request = stop_request.read(folder, owner.pid)
        return ("running", "") if request is None else ("stopping", str(request).replace("stopped", "stops", 1))
    if live is None:
        runs = ledger.records(FlowEntry)
        if not runs and ledger.records(StudyEntry):
            return "paused", "how its run ended is not known: now.json is gone, or was changed"
        if not runs:
            return "never ran", ""
        ended = runs[-1].ended
        return ("paused", ended) if ended else ("finished", "")
    if live.state != "running":
        gone = "" if ledger.path.is_file() else "its ledger is gone: verdicts and what trainings cost are not known"
        return live.state, live.reason or gone
    # The lock is free, but the run did not write how it ended: it was killed, or the machine went down.
    last = last_owner(folder)
    return "paused", last.describe_exit() if last else "its process is gone"


def _seconds_left(live: RunStatus, epoch: LastEpoch, now: datetime) -> float | None:
    if not epoch.seconds or epoch.epoch is None or epoch.epochs is None:
        return None
    since = (now - datetime.fromisoformat(live.time)).total_seconds()
    elapsed = min(max(since, 0.0), epoch.seconds)  # seconds of the current epoch, robust to a changed clock
    return max(epoch.seconds * (epoch.epochs - epoch.epoch) - elapsed, 0.0)
