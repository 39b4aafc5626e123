"""Datasets of a study: read once, with classes, groups and splits as the study declares them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unknown_truth
from liftgate.data.core.filters import keep_classes, rename_classes
from liftgate.data.core.fingerprint import fingerprint, image_signatures
from liftgate.data.formats import yolo
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.splits.folds import extend_split
from liftgate.data.splits.split import Split, TooFewGroups, make_split, read_split
from liftgate.errors import DataError, StudyError, UsageError
from liftgate.hashing import content_hash, file_hash, short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import DataEntry, FrozenSplit, SplitSummary
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.mixing import mix_hash, mixed
from liftgate.progress import Progress, silent
from liftgate.study.records import DatasetSpec, Stage, Study
from liftgate.suggestions import suggestion


class ChangedSplit(DataError):
    """A frozen split was changed since it was written."""


class StudyDatasets:
    """Reads the datasets of a study, each when it is first needed."""

    def __init__(self, study: Study, workspace: Workspace, progress: Progress = silent) -> None:
        self.study = study
        self._workspace = workspace
        self._progress = progress
        self._datasets: dict[str, Dataset] = {}
        self._splits: dict[str, Split] = {}
        self._fingerprints: dict[str, str] = {}
        self._left_out: dict[str, int] = {}

    def dataset(self, name: str) -> Dataset:
        """Return a dataset with its classes kept, groups assigned and split applied."""
        if name not in self._datasets:
            spec = self.study.dataset(name)
            self._datasets[name] = self._split(spec, self._read(spec))
        return self._datasets[name]

    def all(self) -> dict[str, Dataset]:
        """Return every dataset of the study by name."""
        return {spec.name: self.dataset(spec.name) for spec in self.study.datasets}

    def readable(self) -> tuple[dict[str, Dataset], dict[str, str]]:
        """Return the datasets that can be read, by name, and why each of the others cannot: a report needs none.

        Raises:
            ChangedSplit: a frozen split is not the one in the ledger, so that nothing says what was held out.
            LedgerError: the ledger was changed.
        """
        found: dict[str, Dataset] = {}
        unreadable: dict[str, str] = {}
        for spec in self.study.datasets:
            try:
                found[spec.name] = self.dataset(spec.name)
            except ChangedSplit:
                raise
            except (UsageError, OSError) as error:
                unreadable[spec.name] = error.what if isinstance(error, UsageError) else str(error.strerror)
        return found, unreadable

    def as_far_as_split(self) -> tuple[dict[str, Dataset], dict[str, TooFewGroups]]:
        """Return every dataset by name, and why some of them are not split: they have fewer groups than splits.

        For `check`, which finds other mistakes in them all the same.
        """
        found: dict[str, Dataset] = {}
        unsplit: dict[str, TooFewGroups] = {}
        for spec in self.study.datasets:
            try:
                found[spec.name] = self.dataset(spec.name)
            except TooFewGroups as error:
                whole = self._read(spec)
                found[spec.name] = whole.with_images([replace(image, split=None) for image in whole.images])
                unsplit[spec.name] = error
        return found, unsplit

    def fingerprint(self, name: str) -> str:
        """Return the hash of a dataset's pixels, labels, groups and splits."""
        if name not in self._fingerprints:
            self._fingerprints[name] = fingerprint(self.dataset(name), progress=self._progress)
        return self._fingerprints[name]

    def frozen_split(self, name: str) -> FrozenSplit | None:
        """Return file and SHA-256 of the split that `freeze` writes; None: the splits are the dataset's own."""
        self.dataset(name)
        split = self._splits.get(name)
        if split is None:
            return None
        path = self._frozen_split_path(self.study.dataset(name))
        return FrozenSplit(path.relative_to(self._workspace.folder).as_posix(), split.sha256)

    def freeze(self, name: str) -> None:
        """Write the frozen split of a dataset, where the study makes or names one, after its hash is in the ledger."""
        self.dataset(name)
        split, path = self._splits.get(name), self._frozen_split_path(self.study.dataset(name))
        if split is not None and (not path.is_file() or path.read_bytes() != split.to_csv()):
            split.write(path)

    def require_unchanged_images(self, name: str) -> None:
        """Refuse a dataset whose images were removed or changed since the run began.

        Labels are not checked again: training and evaluation use those that were read at the beginning.

        Raises:
            DataError: an image is missing or was changed.
        """
        if fingerprint(self.dataset(name), progress=self._progress) != self.fingerprint(name):
            where = self.study.folder / self.study.dataset(name).path
            hint = "bring them back, and the same command goes on; left as they are, it starts over on what is there"
            raise DataError(
                f"images of {name} went or changed during the run; nothing was kept", where=where, hint=hint
            )

    def require_gate_splits(self) -> None:
        """Refuse a gate on a split that its dataset does not have.

        Raises:
            StudyError: which gate, and what the dataset has.
        """
        for gate in self.study.gates:
            self._require_split(gate.on, self.study.place("gates", gate.name, "on"))

    def truth(self, on: str) -> Dataset:
        """Return the images of `dataset.split` that a gate is decided on.

        Raises:
            StudyError: when the dataset has no such split.
        """
        self._require_split(on, self.study.source)
        name, _, split = on.rpartition(".")
        return self.dataset(name).split(split)

    def left_out(self, places: Collection[str]) -> dict[str, int]:
        """Return how many images of each `dataset.split` are not measured because their labels could not be read.

        Args:
            places: those that are measured; those of which nothing is left out, or that are not there, are not named.
        """
        for place in places:
            name, _, split = place.rpartition(".")
            if place not in self._left_out and split in self.dataset(name).splits:
                self._left_out[place] = int(unknown_truth(self.truth(place)).sum())
        return {place: count for place in sorted(set(places)) if (count := self._left_out.get(place, 0))}

    def _require_split(self, on: str, where: object) -> None:
        name, _, split = on.rpartition(".")
        have = self.dataset(name).splits
        if split not in have:
            raise StudyError(
                f"dataset {name} has no split {split}",
                where=where,
                expected=", ".join(have) or "a dataset with splits",
                hint=suggestion(split, have) if have else "`ratios: [0.7, 0.15, 0.15]` make a split by group",
            )

    def describe(self, name: str) -> list[SplitSummary]:
        """Return a summary of each split of a dataset: counts, hashes, licence and origin."""
        dataset, spec = self.dataset(name), self.study.dataset(name)
        rows = []
        for split in dataset.splits or ("",):
            part = dataset.split(split) if split else dataset
            notes = [spec.licence or "no licence given", spec.origin]
            notes += ["confidential"] if spec.confidential else []
            notes += ["locked"] if split in spec.lock else []
            rows.append(
                SplitSummary(
                    split=split,
                    n_images=len(part.images),
                    n_groups=len(set(part.groups)),
                    n_objects=len(part.labels),
                    locked=split in spec.lock,
                    images=part.images_hash(),
                    marks="".join(sorted(image_signatures(part, self._progress))) if split in spec.lock else "",
                    truth=part.truth_hash(),
                    note=", ".join(notes),
                )
            )
        return rows

    def tree(self, name: str) -> Path:
        """Return the data.yaml of a dataset's training tree (links to images, and label files), written once."""
        folder = self._workspace.folder / "trees" / f"{name}-{short(self.fingerprint(name))}"
        data_yaml = folder / "data.yaml"
        if not yolo.is_intact(data_yaml):
            self.require_unchanged_images(
                name
            )  # an image removed since would be missing in the tree, for later runs too
            yolo.write(self.dataset(name), folder)
        return data_yaml

    def training_hash(self, stage: Stage) -> str:
        """Return the hash of what a stage trains on and is validated on."""
        return mix_hash(stage, self.fingerprint) if stage.mix else self.fingerprint(stage.data)

    def training_tree(self, stage: Stage) -> Path:
        """Return the data.yaml of the tree that a stage trains on; for a mix, images are repeated in its list."""
        if not stage.mix:
            return self.tree(stage.data)
        folder = self._workspace.folder / "trees" / f"mix-{short(self.training_hash(stage))}"
        data_yaml = folder / "data.yaml"
        if yolo.is_intact(data_yaml):
            return data_yaml
        for name in dict.fromkeys((*stage.sources, stage.data)):
            self.require_unchanged_images(name)
        made = mixed(stage, self.dataset, progress=self._progress)
        return yolo.write(made.dataset, folder, repeats=made.repeats)

    @contextlib.contextmanager
    def _naming_study_key(self, spec: DatasetSpec, key: str) -> Iterator[None]:
        """Add the key of the study to an error about its data."""
        try:
            yield
        except DataError as error:
            if self.study.places:
                place = f"from {self.study.place('datasets', spec.name, key)}"
                error.where = f"{error.where}, {place}" if error.where else place
            raise

    def _read(self, spec: DatasetSpec) -> Dataset:
        folder = self.study.folder
        images = None if spec.images is None else folder / spec.images
        with self._naming_study_key(spec, "path"):
            dataset = read(folder / spec.path, images=images, name=spec.name, progress=self._progress)
        dataset = replace(dataset, origin=spec.origin, licence=spec.licence, confidential=spec.confidential)
        if spec.rename:
            with self._naming_study_key(spec, "rename"):
                dataset = rename_classes(dataset, spec.rename)
        if spec.keep is not None:
            with self._naming_study_key(spec, "keep"):
                dataset = keep_classes(dataset, spec.keep)
        if spec.groups is not None:
            with self._naming_study_key(spec, "groups"):
                dataset = assign_groups(dataset, spec.groups, base=folder)
        return dataset

    def _split(self, spec: DatasetSpec, dataset: Dataset) -> Dataset:
        if spec.split is None and spec.ratios is None:
            return dataset
        with self._naming_study_key(spec, "split" if spec.split else "ratios"):
            if spec.split is not None:
                split = read_split(self.study.folder / spec.split)
                applied = split.apply(dataset)
            else:  # images that are missing for now keep their place in the frozen split
                split = self._split_by_ratios(spec, dataset)
                applied = split.restricted({image.id for image in dataset.images}).apply(dataset)
        self._splits[spec.name] = split
        return applied

    def _require_recorded(self, frozen: Path) -> None:
        """Refuse a frozen split that was changed since it was written.

        Raises:
            ChangedSplit: its SHA-256 is not in the ledger.
        """
        place = frozen.relative_to(self._workspace.folder).as_posix()
        entries = Ledger(self._workspace.ledger).records(DataEntry)
        known = [entry.split.sha256 for entry in entries if entry.split is not None and entry.split.file == place]
        if known and (found := file_hash(frozen)) not in known:
            hint = "restore it from a copy, or delete it: the next run makes a new split, which is another test set"
            what = "the frozen split was changed: it is not the one in the ledger"
            raise ChangedSplit(what, where=frozen, expected=short(known[-1]), got=short(found), hint=hint)

    def _split_by_ratios(self, spec: DatasetSpec, dataset: Dataset) -> Split:
        """Return the split by `ratios`.

        Images of a frozen split stay in it: corrected labels, added images and images that were missing for a while do
        not move a test image into train.
        """
        ratios, frozen = spec.ratios or (), self._frozen_split_path(spec)
        if not frozen.is_file():
            return make_split(dataset, ratios, spec.split_seed)
        self._require_recorded(frozen)
        try:
            return extend_split(read_split(frozen), dataset, ratios, spec.split_seed)
        except DataError as error:
            error.hint = f"the split was frozen in {frozen}; without that file a new one is made"
            raise

    def _frozen_split_path(self, spec: DatasetSpec) -> Path:
        """Return the file of a dataset's frozen split; its name depends on the rule that makes the split."""
        rule = [spec.ratios, spec.split_seed, spec.groups]
        suffix = f"-{short(content_hash(rule))}" if spec.split is None else ""
        return self._workspace.folder / "splits" / f"{spec.name}{suffix}.csv"
