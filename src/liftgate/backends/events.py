"""Events that a backend reports while it trains or predicts: one class per kind, one JSON line per event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self, TypeAlias

Json: TypeAlias = Mapping[str, Any]
"""A JSON object as it is read from a file or written to one"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventBase:
    """Base of all events: fields become the keys of the JSON body."""

    kind: ClassVar[str]
    omitted_if_none: ClassVar[frozenset[str]] = frozenset()
    """Fields that are omitted from the body where they are None"""
    extra: Json = field(default_factory=dict)
    """Further facts of one backend, merged into the body"""

    def to_body(self) -> dict[str, Any]:
        """Return the body of the JSON line."""
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "extra"}
        known = {name: value for name, value in named.items() if value is not None or name not in self.omitted_if_none}
        return known | dict(self.extra)

    @classmethod
    def from_body(cls, body: Json) -> Self:
        """Return the event of a JSON body; keys without a field become `extra`."""
        names = {one.name for one in fields(cls)} - {"extra"}
        known = {name: value for name, value in body.items() if name in names}
        return cls(**known, extra={name: value for name, value in body.items() if name not in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedEvent(_EventBase):
    """The backend is set up and begins to train; `extra` has its versions."""

    kind: ClassVar[str] = "started"
    message: str = "training"
    resumed_after: int = 0
    """Last epoch that an earlier attempt finished; 0: from the start"""
    devices: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport(_EventBase):
    """A finished epoch; NaN values are None."""

    kind: ClassVar[str] = "epoch"
    omitted_if_none: ClassVar[frozenset[str]] = frozenset({"power_w", "energy_wh"})
    epoch: int
    """from 1"""
    epochs: int = 0
    """number of epochs in the recipe"""
    losses: Mapping[str, float | None] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """on val: mAP50, mAP50-95, precision, recall; of keypoints pose_mAP50 …"""
    fitness: float | None = None
    """value that selects the best epoch"""
    lr: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    peak_memory_mb: float | None = None
    power_w: float | None = None
    """mean of the epoch over all GPUs together"""
    energy_wh: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningEvent(_EventBase):
    """Something about the run that the user should know."""

    kind: ClassVar[str] = "warning"
    omitted_if_none: ClassVar[frozenset[str]] = frozenset({"fact", "finding"})
    message: str
    fact: str | None = None
    """Its kind, for programs: batch_halved, nan_reload, dropped_images, versions, classes"""
    finding: Json | None = None
    """A finding of the doctor, as `Finding.to_dict` has it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent(_EventBase):
    """A line for the log."""

    kind: ClassVar[str] = "log"
    omitted_if_none: ClassVar[frozenset[str]] = frozenset({"decision"})
    message: str
    decision: Json | None = None
    """A stopping decision, as `StoppingDecision.to_dict` has it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedEvent(_EventBase):
    """The job was paused and can be resumed."""

    kind: ClassVar[str] = "paused"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneEvent(_EventBase):
    """The job is done; `extra` has the facts for the record, as the backend returned them."""

    kind: ClassVar[str] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEvent(_EventBase):
    """The job failed."""

    kind: ClassVar[str] = "failed"
    type: str
    """Class name of the error"""
    what: str
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None


Event: TypeAlias = StartedEvent | EpochReport | WarningEvent | LogEvent | PausedEvent | DoneEvent | FailedEvent
Emit: TypeAlias = Callable[[Event], None]

_KINDS: Mapping[str, type[Event]] = {
    one.kind: one for one in (StartedEvent, EpochReport, WarningEvent, LogEvent, PausedEvent, DoneEvent, FailedEvent)
}


def read_event(kind: str, body: Json) -> Event:
    """Return the event of a JSON line; an unknown kind becomes a LogEvent.

    >>> read_event("epoch", {"epoch": 3, "metrics": {"mAP50": 0.5}}).epoch
    3
    """
    if kind in _KINDS:
        return _KINDS[kind].from_body(body)
    return LogEvent(message=str(body.get("message", kind)), extra={"kind": kind})
