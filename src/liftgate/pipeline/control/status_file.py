"""now.json: what a run does at the moment and how it ended, for whoever looks from another shell."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from liftgate.files import write_json
from liftgate.pipeline.context import Notice
from liftgate.pipeline.epoch_timer import EpochTimer

State = Literal["running", "paused", "stopped", "finished", "failed"]
_NAME = "now.json"
_SAID = 20  # lines that are kept of what was said


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What now.json holds."""

    state: State = "running"
    """A run that was killed says `running` for ever: the lock tells."""
    reason: str = ""
    """Why it paused or failed"""
    step: str = ""
    epoch: Mapping[str, Any] = field(default_factory=dict)
    """The last epoch's: epoch, epochs, losses, metrics, seconds"""
    expected: Sequence[Mapping[str, Any]] = ()
    """Epochs of the expected trajectory that the training has reached, and what they were"""
    said: Sequence[str] = ()
    """What its decision points and the doctor said of the training, the newest last"""
    usd_per_hour: float | None = None
    time: str = ""
    """UTC, ISO 8601: when this was written"""


class StatusWriter:
    """Keeps now.json up to date: one small write for each step and epoch."""

    def __init__(self, folder: Path, usd_per_hour: float | None, pace: EpochTimer) -> None:
        self._pace = pace
        self._path = folder / _NAME
        self._now = RunStatus(usd_per_hour=usd_per_hour)
        self._write()

    def __call__(self, notice: Notice) -> None:
        """Take note of what whoever watches is told."""
        if notice.kind == "started":
            self._pace.reset()
            self._write(step=notice.step, epoch={}, expected=(), said=())
        elif notice.kind == "event" and notice.body["kind"] == "epoch":
            shown = ("epoch", "epochs", "losses", "metrics")
            seconds = self._pace.record(notice.body.get("seconds"))
            self._write(epoch={**{name: notice.body.get(name) for name in shown}, "seconds": seconds})
        elif notice.kind == "event" and notice.body["kind"] == "expected":
            self._write(expected=(*self._now.expected, notice.body["row"]))
        elif notice.kind == "event" and ("decision" in notice.body or "finding" in notice.body):
            self._write(said=(*self._now.said, notice.body["message"])[-_SAID:])

    def end(self, state: State, reason: str = "") -> None:
        """Say how the run ended."""
        self._write(state=state, reason=reason)

    def _write(self, **changes: Any) -> None:
        self._now = replace(self._now, time=datetime.now(UTC).isoformat(timespec="seconds"), **changes)
        with contextlib.suppress(OSError):  # a full disk: a training must not end for want of a note about it
            write_json(self._path, asdict(self._now))


def read_now(folder: Path) -> RunStatus | None:
    """Return what a run last said of itself; None: it never ran, or not with this version."""
    try:
        return RunStatus(**json.loads((folder / _NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
