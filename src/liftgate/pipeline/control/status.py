"""Status: what can be told of a study from any shell, from files and the ledger alone, while it runs or afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from liftgate.errors import UsageError
from liftgate.ledger import Ledger
from liftgate.locks import LockOwner
from liftgate.pipeline import spending
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.status_file import RunStatus, read_now
from liftgate.pipeline.control.study_lock import holder, last_owner

State = Literal["running", "stopping", "paused", "stopped", "finished", "failed", "never ran"]


_DECISION = ("arm", "run", "epoch", "said", "reason")


@dataclass(frozen=True, slots=True)
class Status:
    """Where a study stands."""

    study: str
    folder: str
    state: State
    """`stopping`: running, and somebody asked it to stop"""
    reason: str = ""
    """Why it is stopping, paused or failed"""
    pid: int | None = None
    """The process that runs it"""
    host: str | None = None
    since: str | None = None
    """UTC, ISO 8601: when this process began"""
    step: str | None = None
    """The step that runs, or that it ended in"""
    epoch: int | None = None
    epochs: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """The last epoch's, on the validation split"""
    seconds_left: float | None = None
    """Of this step, at the last epoch's pace; early stopping may end it sooner"""
    hours: float = 0.0
    """Of training, finished or not, by the clock"""
    gpu_hours: float = 0.0
    """The same, counted once for each device of a run"""
    usd: float | None = None
    """At the rate of the study's budget; None: it gives no rate"""
    kwh: float | None = None
    """Energy of the GPUs while they trained; None: they told nothing"""
    expected: Sequence[Mapping[str, Any]] = ()
    """Expected trajectory of the training that runs, against actual: epoch, metric, low, high, actual, said"""
    said: Sequence[str] = ()
    """What decision points and the doctor said of it"""
    decisions: Sequence[Mapping[str, Any]] = ()
    """What decision points said of trainings that ended: arm, run, epoch, said, reason"""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """gate → the last verdict on it"""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def status_of(folder: Path, *, now: datetime | None = None) -> Status:
    """Return where the study stands whose results lie in `folder`.

    Raises:
        LedgerError: its ledger cannot be read.
    """
    ledger = Ledger(folder / "ledger.sqlite")
    live = read_now(folder)
    owner = holder(folder)
    state, reason = _state(folder, ledger, live, owner)
    spent = spending.spent(folder, ledger)
    rate = None if live is None else live.usd_per_hour
    epoch: Mapping[str, Any] = {} if live is None or state in ("finished", "never ran") else live.epoch
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
        epoch=epoch.get("epoch"),
        epochs=epoch.get("epochs"),
        metrics=epoch.get("metrics") or {},
        seconds_left=_left(live, epoch, now or datetime.now(UTC)) if running and live else None,
        hours=spent.hours,
        gpu_hours=spent.gpu_hours,
        usd=spent.usd(rate),
        kwh=spent.kwh,
        expected=() if live is None or state == "finished" else live.expected,
        said=() if live is None or state == "finished" else live.said,
        decisions=[{name: entry.body[name] for name in _DECISION} for entry in ledger.entries("decision")],
        verdicts={entry.body["gate"]: entry.body["word"] for entry in ledger.entries("verdict")},
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


def _state(folder: Path, ledger: Ledger, live: RunStatus | None, owner: LockOwner | None) -> tuple[State, str]:
    if owner is not None:
        wish = stop_request.read(folder, owner.pid)
        return ("running", "") if wish is None else ("stopping", str(wish).replace("stopped", "stops", 1))
    if live is None:
        walks = ledger.entries("flow")
        if not walks:
            return "never ran", ""
        ended = str(walks[-1].body["ended"])
        return ("paused", ended) if ended else ("finished", "")
    if live.state != "running":
        return live.state, live.reason
    # The kernel let go of the lock, yet the run never said how it ended: it was killed, or the machine went down.
    last = last_owner(folder)
    return "paused", last.describe_exit() if last else "its process is gone"


def _left(live: RunStatus, epoch: Mapping[str, Any], now: datetime) -> float | None:
    seconds = epoch.get("seconds")
    if not seconds:
        return None
    since = (now - datetime.fromisoformat(live.time)).total_seconds()
    begun = min(max(since, 0.0), float(seconds))  # of the epoch that runs; a clock that was set says nothing
    left = int(epoch["epochs"]) - int(epoch["epoch"])
    return max(float(seconds) * left - begun, 0.0)
