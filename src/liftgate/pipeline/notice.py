"""Notices: messages of a run to the calling program or the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NoticeKind = Literal["started", "cached", "done", "skipped", "event", "verdict"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One message of a run. Notices are not stored; the ledger and the run folders are the record."""

    kind: NoticeKind
    step: str
    body: Mapping[str, Any] = field(default_factory=dict)


Notify = Callable[[Notice], None]


def ignore_notice(notice: Notice) -> None:
    """Ignore the notice."""


def warning(step: str, message: str) -> Notice:
    """Return a warning about a step."""
    return Notice("event", step, {"kind": "warning", "message": message})
