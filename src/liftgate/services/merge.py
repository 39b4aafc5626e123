"""Merge datasets, or mix them for one training, and write the result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from liftgate.data.core.counts import SplitCounts, describe
from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.filters import keep_keypoints
from liftgate.data.formats import yolo
from liftgate.data.formats.losses import Loss, images_left_out
from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.merging.class_rules import MergeRules, read_merge_rules
from liftgate.data.merging.merge import ClassMapping, Conflict, MergePlan, plan_merge
from liftgate.data.merging.merge import merge as merge_datasets
from liftgate.data.merging.mix import mix as mix_datasets
from liftgate.data.provenance.card import Card, build_card
from liftgate.data.provenance.declared_terms import known_terms, with_terms
from liftgate.data.provenance.licences import Terms, terms_of
from liftgate.files import write_bytes
from liftgate.progress import Progress, silent
from liftgate.services.dataset_source import ReadFaults, faults_of

MAPPING = "classes.csv"
"""File in a merged data set: the class that each class of each part became; empty: dropped"""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """Result of a merge, or of its plan."""

    classes: tuple[ClassMapping, ...]
    conflicts: tuple[Conflict, ...]
    emptied: Mapping[str, int]
    """data set → number of images that lose all their boxes, because their classes are dropped"""
    backgrounds: bool
    """Whether these images stay, as background images"""
    faults: ReadFaults
    files: tuple[Path, ...] = ()
    """Empty: nothing was written"""
    losses: tuple[Loss, ...] = ()
    mapping: Path | None = None
    terms: Terms | None = None
    n_images: int = 0
    """Number of images that were written"""
    n_objects: int = 0
    n_images_read: int = 0
    n_objects_read: int = 0

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        record: dict[str, object] = {
            "classes": [row.to_dict() for row in self.classes],
            "conflicts": [asdict(conflict) for conflict in self.conflicts],
            "emptied": dict(self.emptied),
            "backgrounds": self.backgrounds,
            "files": [str(path) for path in self.files],
            "losses": [asdict(loss) for loss in self.losses],
            **self.faults.to_dict(),
        }
        if self.terms is None:
            return record
        return record | {
            "mapping": str(self.mapping),
            "licence": self.terms.licence,
            "origin": self.terms.origin,
            "confidential": self.terms.confidential,
            "n_images": self.n_images,
            "n_objects": self.n_objects,
            "n_images_read": self.n_images_read,
            "n_objects_read": self.n_objects_read,
        }


@dataclass(frozen=True, slots=True)
class MixResult:
    """Result of a mix: a training tree from several data sets."""

    data_yaml: Path
    mapping: Path
    splits: tuple[SplitCounts, ...]
    training_entries: Mapping[str, int]
    """data set → entries of train.txt"""
    left_out: Mapping[str, int]
    """data set → number of val and test images that were left out"""
    emptied: Mapping[str, int]
    backgrounds: bool
    losses: tuple[Loss, ...]
    faults: ReadFaults

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "data_yaml": str(self.data_yaml),
            "mapping": str(self.mapping),
            "splits": [asdict(row) for row in self.splits],
            "n_training_entries": sum(self.training_entries.values()),
            "training_entries": dict(self.training_entries),
            "left_out": dict(self.left_out),
            "emptied": dict(self.emptied),
            "backgrounds": self.backgrounds,
            "losses": [asdict(loss) for loss in self.losses],
            **self.faults.to_dict(),
        }


def merge(
    parts: Sequence[str | Path],
    out: Path | str | None = None,
    *,
    to: str = "yolo",
    rules: Path | str | None = None,
    keep: Sequence[str] = (),
    backgrounds: bool = False,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> MergeResult:
    """Merge data sets by class name.

    Args:
        parts: paths, or `NAME=path`.
        out: a new folder; None: only return the mapping of classes and the conflicts.
        to: the format to write.
        rules: a YAML or CSV file (`read_merge_rules`).
        keep: only these of the resulting classes.
        backgrounds: keep images that lose all their boxes.
        accept: kinds of conflict to accept.
        progress: called while files are read and written.

    Raises:
        DataError: conflicts that are not accepted, or `out` is not empty.
    """
    planned = _plan(parts, rules, keep, backgrounds, progress)
    plan = planned.plan
    result = MergeResult(
        classes=plan.table(),
        conflicts=plan.conflicts,
        emptied=planned.emptied(),
        backgrounds=planned.backgrounds,
        faults=faults_of(*plan.datasets),
    )
    if out is None:
        return result
    merged = merge_datasets(plan, accept=accept, backgrounds=planned.backgrounds)
    card = planned.build_card(merged, f"liftgate data merge --to {to}")
    written = write_dataset(merged, to, Path(out), card, finish=_mapping_writer(plan), progress=progress)
    return replace(
        result,
        files=written.files,
        losses=written.losses,
        mapping=Path(out) / MAPPING,
        terms=terms_of(merged),
        n_images=written.n_images,
        n_objects=written.n_objects,
        n_images_read=sum(len(dataset.images) for dataset in plan.datasets),
        n_objects_read=sum(len(dataset.labels) for dataset in plan.datasets),
    )


def mix(
    parts: Sequence[str | Path],
    out: Path | str,
    *,
    repeats: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    held_out: str | None = None,
    rules: Path | str | None = None,
    keep: Sequence[str] = (),
    backgrounds: bool = False,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> MixResult:
    """Write one training tree from several data sets, with repeats or weights; val and test are never mixed.

    Args:
        parts: paths, or `NAME=path`.
        out: a new folder.
        repeats: data set → how often its training images are seen per epoch.
        weights: data set → its share of an epoch, instead of `repeats`.
        seed: seed of the draw for fractions of `weights`.
        held_out: the data set that val and test come from; None: the only one that has any.
        rules: as for `merge`.
        keep: as for `merge`.
        backgrounds: as for `merge`.
        accept: as for `merge`.
        progress: called while files are read and written.

    Raises:
        DataError: as `merge`; an unknown data set, weights that are not positive, or val or test in several sets
        without `held_out`.
    """
    planned = _plan(parts, rules, keep, backgrounds, progress)
    mixed = mix_datasets(
        planned.plan,
        repeats=repeats,
        weights=weights,
        seed=seed,
        held_out=held_out,
        accept=accept,
        backgrounds=planned.backgrounds,
    )
    words = [f"--repeat {name}={times}" for name, times in (repeats or {}).items()]
    words += [f"--weight {name}={weight:g}" for name, weight in (weights or {}).items()]
    words += [f"--seed {seed}"] if weights else []
    words += [f"--held-out {held_out}"] if held_out else []
    card = planned.build_card(mixed.dataset, " ".join(["liftgate data mix", *words]))
    left_out, losses = images_left_out(mixed.dataset, "yolo")
    written = mixed.dataset.take(~left_out)
    repeats = _listed_repeats(mixed.repeats, written)
    finish = _mapping_writer(planned.plan)
    document = yolo.write(
        written, Path(out), repeats=repeats, portable=True, card=card, finish=finish, progress=progress
    )
    seen = dict.fromkeys(planned.plan.names, 0)
    for image in written.images:
        if image.split == "train":
            seen[image.id.split("/", 1)[0]] += mixed.repeats.get(image.id, 1)
    return MixResult(
        data_yaml=document,
        mapping=Path(out) / MAPPING,
        splits=describe(written).splits,
        training_entries=seen,
        left_out=mixed.left_out,
        emptied=planned.emptied(),
        backgrounds=planned.backgrounds,
        losses=losses,
        faults=faults_of(*planned.plan.datasets),
    )


def _listed_repeats(repeats: Mapping[str, int], dataset: Dataset) -> dict[str, int]:
    known = {image.id for image in dataset.images}
    return {image: times for image, times in repeats.items() if image in known}


class _Planned(NamedTuple):
    """A plan, and what the card of its result needs."""

    plan: MergePlan
    terms: tuple[tuple[str, Terms], ...]
    """Of each data set"""
    backgrounds: bool
    words: str
    """Options of the command line, for the card"""
    hashes: Mapping[str, str]

    def emptied(self) -> dict[str, int]:
        """Return data set → number of images that lose all their boxes, without zeros."""
        masks = zip(self.plan.names, self.plan.emptied(), strict=True)
        return {name: count for name, mask in masks if (count := int(mask.sum()))}

    def build_card(self, dataset: Dataset, made_by: str) -> Card:
        return build_card(dataset, f"{made_by} {self.words}".strip(), parts=self.terms, hashes=self.hashes)


def _plan(
    parts: Sequence[str | Path],
    rules_file: Path | str | None,
    keep: Sequence[str],
    backgrounds: bool,
    progress: Progress,
) -> _Planned:
    path = None if rules_file is None else Path(rules_file)
    rules = read_merge_rules(path) if path else MergeRules()
    datasets = [_open(str(part), progress) for part in parts]
    for place, dataset in enumerate(datasets):
        if dataset.name in rules.keypoints:
            dataset = keep_keypoints(dataset, rules.keypoints[dataset.name])
        if path and dataset.name in rules.groups:
            dataset = assign_groups(dataset, rules.groups[dataset.name], base=path.parent)
        datasets[place] = dataset
    known = [known_terms(dataset, rules.declared.get(dataset.name)) for dataset in datasets]
    keep, backgrounds = tuple(keep) or rules.keep, backgrounds or rules.backgrounds
    plan = plan_merge(
        [with_terms(dataset, terms) for dataset, terms in zip(datasets, known, strict=True)],
        rules.datasets,
        everywhere=rules.everywhere,
        keep=keep,
        order=rules.order,
        progress=progress,
    )
    words = [f"--rules {path.name}"] if path else []
    words += [f"--keep {' '.join(keep)}"] if keep else []
    words += ["--backgrounds"] if backgrounds else []
    hashes = {path.name: rules.sha256} if path and rules.sha256 else {}
    return _Planned(plan, tuple(zip(plan.names, known, strict=True)), backgrounds, " ".join(words), hashes)


def _mapping_writer(plan: MergePlan) -> Callable[[Path], None]:
    """Return a function that writes the table of classes into a folder."""
    rows = [row.to_dict() for row in plan.table()]
    table = table_bytes(tuple(rows[0]), [tuple(row.values()) for row in rows])
    return lambda folder: write_bytes(folder / MAPPING, table)


def _open(part: str, progress: Progress) -> Dataset:
    name, _, path = part.rpartition("=")
    if name and not Path(part).exists():  # a path may hold an equals sign
        return replace(read(Path(path), progress=progress), name=name)
    return read(Path(part), progress=progress)
