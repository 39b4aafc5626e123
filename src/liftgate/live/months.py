"""Read the months of a study for the board: its runs beside each other, as `report --months` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.errors import LiftgateError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.model_records import VersionEntry
from liftgate.reporting.months import MonthContent, gather_months

SHOWN = 12
"""Newest months on the board; the page of `report --months` has all"""


@dataclass(frozen=True, slots=True)
class BoardMonths:
    """The newest runs of a study, newest first."""

    months: tuple[MonthContent, ...]
    n_earlier: int = 0
    """Runs before those that are shown"""


def read_months(ledger: Ledger, registries: Sequence[Path], usd_per_hour: float | None) -> BoardMonths | None:
    """Return a study's runs beside each other; None: it has not been run with two versions of its study.yaml.

    The same question run again is no second month: each month's data sets have names of their own in study.yaml.

    Args:
        ledger: of the study.
        registries: folders of registries of models; the one with versions of this study says which was in use.
        usd_per_hour: price of the machine; None: unknown.
    """
    found = gather_months(ledger, _registry_of(ledger, registries), usd_per_hour)
    if len({one.study_hash for one in found}) < 2:
        return None
    return BoardMonths(tuple(reversed(found[-SHOWN:])), max(len(found) - SHOWN, 0))


def _registry_of(ledger: Ledger, registries: Sequence[Path]) -> Ledger | None:
    """Return the ledger of the only registry that has versions of a study; None: no registry has, or several have."""
    having = [folder for folder in registries if _has_versions_of(ledger.path.resolve(), folder)]
    return Ledger(having[0] / "ledger.sqlite") if len(having) == 1 else None


def _has_versions_of(own: Path, folder: Path) -> bool:
    """Return whether a registry has a version that was registered from a study's ledger."""
    try:
        versions = Ledger(folder / "ledger.sqlite").records(VersionEntry)
        verdicts = [one.verdict for one in versions if one.verdict is not None]
    except (LiftgateError, OSError):
        return False  # the registry itself is shown with the reason
    return any((folder / one.ledger).resolve() == own for one in verdicts if one.ledger)
