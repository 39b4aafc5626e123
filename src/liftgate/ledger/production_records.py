"""Entries on a model in production: whether what it sees drifts, and each month that was labelled and decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from liftgate.ledger.records import LedgerRecord


@dataclass(frozen=True, slots=True)
class DriftedRow(LedgerRecord):
    """One statistic of one camera."""

    OMITTED: ClassVar[frozenset[str]] = frozenset({"low", "high", "p"})

    statistic: str
    camera: str
    word: Literal["drift", "no drift seen", "cannot tell"]
    before: float | None
    """Mean of the days; None: there are none"""
    after: float | None
    n_before: int
    """Days"""
    n_after: int
    low: float | None = None
    """Of the difference of the means"""
    high: float | None = None
    p: float | None = None
    """Adjusted for all rows"""


@dataclass(frozen=True, slots=True)
class DriftEntry(LedgerRecord):
    """What `liftgate drift` said of a period of production."""

    KIND: ClassVar[str] = "drift"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"since", "until", "new_frames", "threshold"})

    production: str
    reference: str
    answer: Literal["drift", "no drift seen", "cannot tell"]
    alpha: float
    n_images: int
    rows: tuple[DriftedRow, ...] = ()
    since: str | None = None
    until: str | None = None
    new_frames: tuple[str, ...] | None = None
    """Images unlike all of the reference; None: none were looked at, or it could not be told"""
    threshold: float | None = None

    def __str__(self) -> str:
        return f"{self.answer} in {self.production} against {self.reference}"
