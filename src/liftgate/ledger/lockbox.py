"""The lockbox: a locked split may be looked at as often as was declared before, and each look is on record.

One opening is one gate (or other purpose) measuring one set of predictions on one locked split. The same look again,
out of the cache or in a repeated run, is no new one: nothing new can be learned from it.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liftgate import __version__
from liftgate.errors import Refused
from liftgate.ledger.chain import Entry, Ledger
from liftgate.study.records import Study


@dataclass(frozen=True, slots=True)
class Opening:
    """One look at a locked split."""

    dataset: str
    split: str
    number: int
    """1, 2, 3 … of this split, in this ledger"""
    budget: int
    """Openings that were declared when it was opened."""
    repeated: bool
    """The same look stood in the ledger already; nothing was written."""
    contaminated: bool
    """Opened beyond the budget: what is measured here was seen too often to stand for unseen data."""
    entry: str
    """Hash of the ledger's entry."""


class Lockbox:
    """Counts openings in a ledger.

    Args:
        ledger: where openings are recorded.
        budget: `dataset.split` → openings declared, for every locked split.
    """

    def __init__(self, ledger: Ledger, budget: Mapping[str, int]) -> None:
        self.ledger = ledger
        self.budget = budget

    @classmethod
    def of_study(cls, study: Study, ledger: Ledger) -> Lockbox:
        """Take the budget that the study declares."""
        return cls(ledger, declared_budget(study))

    def locks(self, dataset: str, split: str) -> bool:
        """Return whether this split is locked."""
        return f"{dataset}.{split}" in self.budget

    def open(self, dataset: str, split: str, purpose: str, subject_hash: str, *, reason: str | None = None) -> Opening:
        """Record a look at a locked split before it is taken.

        Args:
            dataset: name in the study.
            split: a split that `locks` says is locked.
            purpose: what for, such as the name of the gate.
            subject_hash: hash of what is measured (the predictions); the same purpose and subject again is no new look.
            reason: why it is opened beyond the budget; the opening is then marked contaminated.

        Raises:
            Refused: the budget is spent and no reason is given; nothing is recorded.
            KeyError: the split is not locked.
        """
        budget = self.budget[f"{dataset}.{split}"]
        same: list[Entry] = []

        def decide(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
            before = [entry for entry in entries if (entry.body["dataset"], entry.body["split"]) == (dataset, split)]
            same.extend(e for e in before if (e.body["purpose"], e.body["subject"]) == (purpose, subject_hash))
            if same:
                return None
            if len(before) >= budget and reason is None:
                raise Refused(
                    f"the lockbox of {dataset}.{split} is spent",
                    expected=f"at most {_times(budget)}, as declared",
                    got=f"one more after {_times(len(before))}",
                    where=self.ledger.path,
                    hint="measure on val; or open it with a reason, and the result is marked contaminated",
                )
            return {
                "dataset": dataset,
                "split": split,
                "purpose": purpose,
                "subject": subject_hash,
                "number": len(before) + 1,
                "budget": budget,
                "contaminated": len(before) >= budget,
                "reason": reason,
                "who": _user(),
                "liftgate": __version__,
            }

        entry = self.ledger.append_if("lockbox", decide) or same[0]
        return _opening(entry, repeated=bool(same))

    def openings(self) -> list[Opening]:
        """Return every opening so far, in order."""
        return [_opening(entry, repeated=False) for entry in self.ledger.entries("lockbox")]


def declared_budget(study: Study) -> dict[str, int]:
    """Return `dataset.split` → openings for every locked split of a study.

    Where the study does not say, each gate on the split may look once; a split that no gate asks for is never opened
    by the flow, and may be looked at once.
    """
    budget = {}
    for dataset in study.datasets:
        for split in dataset.lock:
            place = f"{dataset.name}.{split}"
            gates = sum(gate.on == place for gate in study.gates)
            budget[place] = dataset.openings.get(split, max(gates, 1))
    return budget


def _opening(entry: Entry, *, repeated: bool) -> Opening:
    body = entry.body
    return Opening(
        dataset=body["dataset"],
        split=body["split"],
        number=body["number"],
        budget=body["budget"],
        repeated=repeated,
        contaminated=body["contaminated"],
        entry=entry.hash,
    )


def _times(count: int) -> str:
    return "1 opening" if count == 1 else f"{count} openings"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        return f"uid {os.getuid()}"
