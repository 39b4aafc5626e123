"""now.json: the current state of a run, or how it ended; engine.json: how its tasks on an engine stand."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from liftgate.documents import load_json
from liftgate.engines.base import Overview
from liftgate.files import write_json
from liftgate.hashing import content_hash
from liftgate.ledger.records import Body
from liftgate.ledger.results import EpochRow, ExpectedRow
from liftgate.pipeline.epoch_timer import EpochTimer
from liftgate.pipeline.notice import Notice
from liftgate.records import to_record

State = Literal["running", "paused", "stopped", "finished", "failed"]
_NAME = "now.json"
_ENGINE_NAME = "engine.json"
_MESSAGES = 20  # messages of decision points and the doctor that are kept


@dataclass(frozen=True, slots=True)
class LastEpoch:
    """The last epoch of the current training; all fields are empty before the first."""

    epoch: int | None = None
    epochs: int | None = None
    losses: Mapping[str, float | None] | None = None
    metrics: Mapping[str, float | None] | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Contents of now.json."""

    state: State = "running"
    """A killed run stays `running` here; the lock tells whether it still runs."""
    reason: str = ""
    """Why it paused or failed"""
    step: str = ""
    epoch: LastEpoch = LastEpoch()
    expected: tuple[ExpectedRow, ...] = ()
    """Epochs of the expected trajectory that the training has reached, with actual values"""
    said: tuple[str, ...] = ()
    """Messages of its decision points and of the doctor, the newest last"""
    usd_per_hour: float | None = None
    time: str = ""
    """UTC, ISO 8601: when this was written"""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `epoch` is empty before the first one."""
        return asdict(self) | ({"epoch": {}} if self.epoch == LastEpoch() else {})


class StatusWriter:
    """Keeps now.json up to date, with one write per step and epoch."""

    def __init__(self, folder: Path, usd_per_hour: float | None, timer: EpochTimer) -> None:
        self._timer = timer
        self._path = folder / _NAME
        self._status = RunStatus(usd_per_hour=usd_per_hour)
        self._write()

    def __call__(self, notice: Notice) -> None:
        """Update the file from a notice."""
        if notice.kind == "started":
            self._timer.reset()
            self._write(step=notice.step, epoch=LastEpoch(), expected=(), said=())
        elif notice.kind == "event":
            self._event(notice.body)

    def end(self, state: State, reason: str = "") -> None:
        """Write how the run ended."""
        self._write(state=state, reason=reason)

    def _event(self, body: Body) -> None:
        if body["kind"] == "epoch":
            row = EpochRow(body)
            seconds = self._timer.record(row.seconds)
            self._write(epoch=LastEpoch(row.epoch, row.epochs, row.losses, row.metrics, seconds))
        elif body["kind"] == "expected":
            self._write(expected=(*self._status.expected, ExpectedRow.from_body(body["row"])))
        elif "decision" in body or "finding" in body:
            self._write(said=(*self._status.said, body["message"])[-_MESSAGES:])

    def _write(self, **changes: Any) -> None:
        self._status = replace(self._status, time=datetime.now(UTC).isoformat(timespec="seconds"), **changes)
        with contextlib.suppress(OSError):  # on a full disk the training continues without a status
            content = json.loads(json.dumps(self._status.to_dict()))  # tuples become lists, as when read back
            write_json(self._path, content | {"sha256": content_hash(content)})


def read_status(folder: Path) -> RunStatus | None:
    """Return the last status that a run wrote; None: it never ran, or with another version, or the file is damaged."""
    try:
        content = load_json(folder / _NAME)
        written = content.pop("sha256", None)
        known = written in (None, content_hash(content))  # None: version 0.1.0 wrote no hash
        return to_record(content, RunStatus) if known else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def write_overview(folder: Path, overview: Overview) -> None:
    """Write how the tasks of an engine stand; on a full disk they go on without it."""
    with contextlib.suppress(OSError):
        write_json(folder / _ENGINE_NAME, asdict(overview))


def read_overview(folder: Path) -> Overview | None:
    """Return how the tasks of an engine stood when one of them last changed; None: there is no engine."""
    try:
        return to_record(load_json(folder / _ENGINE_NAME), Overview)
    except (OSError, ValueError):
        return None
