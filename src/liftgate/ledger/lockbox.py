"""Lockbox: limits how often a locked split may be evaluated, and records every opening in the ledger.

An opening is one gate (or other purpose) that measures one set of predictions on one locked split. Repeating the same
measurement, from the cache or in another run, is no new opening, as nothing new can be learned from it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate._version import __version__
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.fingerprint import file_hashes, name_signature
from liftgate.data.core.image_identity import SoughtImages
from liftgate.errors import LedgerError, LiftgateError, Refused
from liftgate.hashing import short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.locked_images import read_locked_images
from liftgate.ledger.nearby import indexed_ledgers, ledgers_in, names_a_lock, nearby_folders
from liftgate.ledger.records import Body, DataEntry, LockboxEntry, SplitSummary

if TYPE_CHECKING:
    from liftgate.study.records import Study


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of a locked split."""

    dataset: str
    split: str
    number: int
    """1, 2, 3 … of this split, in this ledger"""
    budget: int
    """Openings that were declared when it was opened."""
    repeated: bool
    """The same opening was in the ledger already; nothing was written."""
    contaminated: bool
    """Opened beyond the budget, now or before: results on this split no longer count as results on unseen data."""
    entry: str
    """Hash of the ledger's entry."""
    elsewhere: tuple[str, ...] = ()
    """Other studies that had opened it before; `number` counts their openings too."""


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
        """Return the lockbox with the budget that the study declares."""
        return cls(ledger, declared_budget(study))

    def locks(self, dataset: str, split: str) -> bool:
        """Return whether this split is locked."""
        return f"{dataset}.{split}" in self.budget

    def open(
        self, dataset: str, split: str, purpose: str, subject_hash: str, *, truth: str = "", reason: str | None = None
    ) -> Opening:
        """Record an opening of a locked split, before anything is measured on it.

        Openings by other studies of the same truth count, where their ledgers lie in the same results folder; where one
        of these cannot be verified, how often it was opened is not known, and that counts as beyond the budget.

        Args:
            dataset: name in the study.
            split: a split for which `locks` returns True.
            purpose: why, such as the name of the gate.
            subject_hash: hash of the predictions; the same purpose and subject again is no new opening.
            truth: hash of the labels that the predictions are measured against.
            reason: why it is opened beyond the budget; the opening is then marked contaminated.

        Raises:
            Refused: the budget is spent, the split is another one than was opened before, or a ledger of the same
                results folder cannot be verified, and no reason is given; nothing is recorded.
            KeyError: the split is not locked.
        """
        budget = self.budget[f"{dataset}.{split}"]
        same: list[Entry] = []
        elsewhere, unverified = self._openings_elsewhere(truth)

        def decide(entries: Sequence[Entry]) -> Body | None:
            openings = [(entry, entry.parse(LockboxEntry)) for entry in entries]
            openings = [(entry, one) for entry, one in openings if (one.dataset, one.split) == (dataset, split)]
            before = [one for _, one in openings]
            same.extend(entry for entry, one in openings if (one.purpose, one.subject) == (purpose, subject_hash))
            if same:
                return None
            count = len(before) + len(elsewhere)
            swapped = next((one.truth for one in before if truth and one.truth not in (None, truth)), None)
            if reason is None:
                self._require_same_truth(f"{dataset}.{split}", swapped, truth)
                self._require_budget(f"{dataset}.{split}", count, budget, elsewhere)
                for one in unverified:
                    raise one.refusal()
            return LockboxEntry(
                dataset=dataset,
                split=split,
                purpose=purpose,
                subject=subject_hash,
                truth=truth,
                number=count + 1,
                elsewhere=tuple(elsewhere),
                budget=budget,
                contaminated=count >= budget
                or swapped is not None
                or bool(unverified)
                or any(one.contaminated for one in before),
                reason=reason,
                who=_user(),
                liftgate=__version__,
            ).to_body()

        entry = self.ledger.append_if(LockboxEntry.KIND, decide) or same[0]
        return _opening(entry, repeated=bool(same))

    def _require_budget(self, place: str, count: int, budget: int, elsewhere: Sequence[str]) -> None:
        if count < budget:
            return
        others = f", {len(elsewhere)} of them by {', '.join(dict.fromkeys(elsewhere))}" if elsewhere else ""
        raise Refused(
            f"the lockbox of {place} is spent",
            expected=f"at most {_openings_text(budget)}, as declared",
            got=f"one more after {_openings_text(count)}{others}",
            where=self.ledger.path,
            hint="measure on val; or open it with a reason, and the result is marked contaminated",
        )

    def _require_same_truth(self, place: str, before: str | None, now: str) -> None:
        if before is not None:
            raise Refused(
                f"{place} is not what it was when it was opened: images, labels or classes changed",
                expected=short(before), got=short(now), where=self.ledger.path,
                hint="bring the old files back, or name the new test set as a data set of its own; or open it with a"
                " reason, and the result is marked contaminated",
            )  # fmt: skip

    def _openings_elsewhere(self, truth: str) -> tuple[list[str], list[UnverifiedLedger]]:
        """Return the study of every opening of this truth in neighbouring ledgers, and the damaged ledgers."""
        found: list[str] = []
        unverified: list[UnverifiedLedger] = []
        folder = self.ledger.path.resolve().parent.parent
        around = ledgers_in(folder, "*") if truth else []
        # Only a folder `runs/` holds nothing but studies; elsewhere files next to a ledger may be of any kind.
        in_results = "runs" in (folder.name, self.ledger.path.absolute().parent.parent.name)
        # Resolved: a symbolic link to a results folder is no second study.
        for path in sorted({path.resolve() for path in around}):
            if path != self.ledger.path.resolve():
                try:
                    openings = [one for one in Ledger(path).records(LockboxEntry) if one.truth == truth]
                    found += [path.parent.name] * len(openings)
                except LedgerError as error:
                    if in_results and not Ledger(path).is_foreign():
                        unverified.append(UnverifiedLedger(path, error))
        return found, unverified

    def openings(self) -> list[Opening]:
        """Return every opening so far, in order."""
        return [_opening(entry, repeated=False) for entry in self.ledger.entries("lockbox")]


def declared_budget(study: Study) -> dict[str, int]:
    """Return `dataset.split` → openings for every locked split of a study.

    By default each gate on the split may open it once, and a split without a gate may be opened once.
    """
    budget = {}
    for dataset in study.datasets:
        for split in dataset.lock:
            place = f"{dataset.name}.{split}"
            gates = sum(gate.on == place for gate in study.gates)
            budget[place] = dataset.openings.get(split, max(gates, 1))
    return budget


class LockedSplit(NamedTuple):
    """A split that some study has locked."""

    ledger: Ledger
    study: str
    dataset: str
    split: str
    n_images: int
    """How many of the given images are in it"""

    def share(self, dataset: Dataset) -> str:
        """Return `12 of 40 are in ` where only some of the dataset's images are locked, else nothing."""
        return "" if self.n_images == len(dataset.images) else f"{self.n_images} of {len(dataset.images)} are in "

    def refusal(self, dataset: Dataset, hint: str) -> Refused:
        """Return the error for a command that would measure on these images."""
        place = f"{self.dataset}.{self.split} of the study {self.study}"
        return Refused(f"these images are locked: {self.share(dataset)}{place}", where=self.ledger.path, hint=hint)


class UnverifiedLedger(NamedTuple):
    """A ledger that is damaged or cannot be read: its locks and openings are unknown."""

    path: Path
    error: LedgerError

    def __str__(self) -> str:
        what = self.error.what + (f", {self.error.where}" if self.error.where not in (None, str(self.path)) else "")
        return f"the ledger of the study {self.path.parent.name} cannot be verified ({what}): its locks are not known"

    def refusal(self, *, open_anyway: bool = True) -> Refused:
        """Return the error for a command that would measure without knowing these locks.

        Args:
            open_anyway: whether the command accepts a reason to continue.
        """
        hint = f"`liftgate ledger verify {self.path}` says what is wrong; {self.error.hint or 'restore it from a copy'}"
        hint += '; or --open-anyway --reason "…", and the result is marked contaminated' if open_anyway else ""
        return Refused(str(self), where=self.path, hint=hint)


class LockSearch(NamedTuple):
    """The locks that hold some images."""

    locked: list[LockedSplit]
    unverified: list[UnverifiedLedger]
    """Ledgers that were to be searched too, and could not be"""


def require_unlocked(dataset: Dataset, hint: str) -> None:
    """Refuse images that a study near the current folder or near the data has locked.

    Raises:
        Refused: which split of which study; or a ledger cannot be verified.
    """
    for found in locked_by(dataset, nearby_folders(dataset)):
        raise found.refusal(dataset, hint)


def locked_by(dataset: Dataset, folders: Iterable[Path]) -> list[LockedSplit]:
    """Return the locked splits that hold any of these images, see `search_locks`.

    Raises:
        Refused: none is found, and a ledger that was to be searched cannot be verified.
    """
    locked, unverified = search_locks(dataset, folders)
    if unverified and not locked:
        raise unverified[0].refusal(open_anyway=False)
    return locked


def search_locks(dataset: Dataset, folders: Iterable[Path]) -> LockSearch:
    """Return the locked splits that hold any of these images, and the ledgers that cannot be verified.

    Searched are the ledgers in `runs/` of the folders and those of this user's index; for studies that never ran, the
    study files in the folders. Images are recognised by content, see `image_identity`. Files of another kind that have
    the name of a ledger are skipped.
    """
    unverified: list[UnverifiedLedger] = []
    found: dict[tuple[Path, str, str], LockedSplit] = {}
    by_name: dict[str, Path] = {}
    sought, places = SoughtImages(dataset), list(folders)
    ledgers = [path for folder in places for path in ledgers_in(folder, "runs/*")]
    indexed = {path.resolve() for path in indexed_ledgers()}
    for path in dict.fromkeys((*(path.resolve() for path in ledgers), *sorted(indexed))):
        ledger = Ledger(path)
        try:
            newest = {entry.dataset: entry for entry in ledger.records(DataEntry)}
            for name, data in newest.items():
                for row in (row for row in data.splits if row.locked):
                    by_name = by_name or {name_signature(image): image.path for image in dataset.images}
                    content = read_locked_images(path.parent, name, row.split, data.fingerprint, row.identities)
                    same = 0 if content is None else int(content.shared_with(sought).sum())
                    if shared := max(same, _count_shared_images(by_name, row, dataset)):
                        found[path, name, row.split] = LockedSplit(ledger, path.parent.name, name, row.split, shared)
        except LedgerError as error:
            if path in indexed or not ledger.is_foreign():
                unverified.append(UnverifiedLedger(path, error))
    for path in (path for folder in places for path in sorted(folder.glob("*.y*ml"))):
        for locked in _locks_in_study_file(path, dataset):
            found.setdefault((locked.ledger.path.resolve(), locked.dataset, locked.split), locked)
    return LockSearch(list(found.values()), unverified)


def _count_shared_images(by_name: Mapping[str, Path], row: SplitSummary, dataset: Dataset) -> int:
    """Return how many images are in a locked split: same id and size and, where both have files, same bytes."""
    if row.marks is None:  # a ledger of a version without marks
        return len(dataset.images) if row.images == dataset.images_hash() else 0
    marks = [row.marks[at : at + 24] for at in range(0, len(row.marks), 24)]
    alike = [(by_name[mark[:12]], mark[12:]) for mark in marks if mark[:12] in by_name]
    hashes = file_hashes([path for path, _ in alike])
    pairs = zip(hashes, alike, strict=True)
    return sum(hash_ is None or "-" in bytes_ or hash_.startswith(bytes_) for hash_, (_, bytes_) in pairs)


def _locks_in_study_file(path: Path, dataset: Dataset) -> Iterator[LockedSplit]:
    """Yield the locks of a study file on splits of the dataset itself, which are known before any run."""
    if not names_a_lock(path):
        return
    from liftgate.ledger.workspace import Workspace  # here: reading a study costs more than measuring a small file
    from liftgate.study.study_file import is_study, load

    if not is_study(path):
        return
    with contextlib.suppress(LiftgateError):  # errors in another study's file are not reported here
        study = load(path)
        for spec in study.datasets:
            named, source = (study.folder / spec.path).resolve(), dataset.source.resolve()
            # The file itself or the folder whose data set it is; another set further below is another set.
            if spec.lock and (named in (source, source.parent) or named / "annotations" == source.parent):
                ledger = Ledger(Workspace(study).ledger)
                for split, count in Counter(image.split for image in dataset.images).items():
                    if split in spec.lock:
                        yield LockedSplit(ledger, study.name, spec.name, str(split), count)


def open_outside_study(locked: LockedSplit, purpose: str, subject: str, truth: str, reason: str) -> Opening:
    """Record in its ledger that a command outside the study opens a locked split, which always contaminates it."""
    box = Lockbox(locked.ledger, {f"{locked.dataset}.{locked.split}": 0})
    return box.open(locked.dataset, locked.split, purpose, subject, truth=truth, reason=reason)


def _opening(entry: Entry, *, repeated: bool) -> Opening:
    one = entry.parse(LockboxEntry)
    return Opening(
        dataset=one.dataset,
        split=one.split,
        number=one.number,
        budget=one.budget,
        repeated=repeated,
        contaminated=one.contaminated,
        entry=entry.hash,
        elsewhere=one.elsewhere,
    )


def _openings_text(count: int) -> str:
    return "1 opening" if count == 1 else f"{count} openings"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container the user id may have no name
        return f"uid {os.getuid()}"
