"""Suspected mistakes in labels that a study found with models that have not seen them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from liftgate.ledger.records import LedgerRecord


@dataclass(frozen=True, slots=True)
class MistakeRow(LedgerRecord):
    """One suspected mistake."""

    kind: str
    """missing, spurious, class or box"""
    image: str
    """Id of the image"""
    group: str
    label: str
    """Class of the label; empty: there is none"""
    model: str
    """Class that the model sees; empty: none"""
    box: tuple[float, ...]
    """Of the label, else of the model: left, top, right, bottom in pixels"""
    suspicion: float
    """At most about the share of mistakes where the evidence is like this"""


@dataclass(frozen=True, slots=True)
class MistakesEntry(LedgerRecord):
    """How many labels of a dataset are suspected to be mistakes, as `mistakes` of a flow found them."""

    KIND: ClassVar[str] = "mistakes"

    step: str
    """Key of the mistakes step; the step has the ranked places"""
    dataset: str
    arm: str
    """Whose weights and recipe trained the folds"""
    seed: int
    folds: int
    n_images: int
    """Images that were predicted by a model that had not seen them, and whose labels are known"""
    n_groups: int
    n_labels: int
    n_found: int
    """Of these labels, those that a model finds, at IoU 0.5 and confidence 0.25"""
    n_locked: int
    """Images that took no part, because they, their group or a copy of them is locked"""
    flagged: Mapping[str, int]
    """Kind → how many are suspected enough to be reported; a kind that is left out: not known, labels are too few"""
    predictions: str
    """`Predictions.content_hash()` of all folds together"""
    notes: tuple[str, ...]
    """What limits the search, in sentences"""

    @property
    def text(self) -> str:
        """The result in a sentence."""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.flagged.items()))
        count = f"{sum(self.flagged.values()):,} suspected label mistakes ({kinds})"
        if "class" not in self.flagged:
            count = f"suspected mistakes are not known, labels are too few ({kinds} to look at),"
        locked = f"; {self.n_locked:,} locked images took no part" if self.n_locked else ""
        return (
            f"{self.dataset}: {count} among {self.n_labels:,} labels of {self.n_images:,} images in {self.n_groups:,} "
            f"groups, each seen by a model of {self.arm} that was trained on the other groups ({self.folds} folds, "
            f"seed {self.seed}) and finds {self.n_found:,} of them{locked}; no label was changed"
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """The result in a sentence, and below it what limits it."""
        return (self.text, *(f"  note: {note}" for note in self.notes))


@dataclass(frozen=True, slots=True)
class MistakesResult(MistakesEntry):
    """Result of a mistakes step: the most suspicious places as well."""

    KIND: ClassVar[str] = ""

    file: str
    """Predictions of all folds, COCO results, relative to the folder of the ledger"""
    truth: str
    """`Dataset.truth_hash()` of the labels that were looked at"""
    n_ranked: int
    """All places with any suspicion, of which `rows` has the first"""
    rows: tuple[MistakeRow, ...]
    """The most suspicious first"""

    def entry(self) -> MistakesEntry:
        """Return it without the places."""
        return MistakesEntry.from_body(self.to_body())
