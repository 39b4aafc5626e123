"""Options for reading a dataset, shared by all verbs on data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict, Unpack

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import fault_counts, fault_line, unread_images
from liftgate.data.core.filters import emptied_images, keep_classes, keep_keypoints
from liftgate.data.formats.read import is_dataset, read
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.provenance.declared_terms import DeclaredTerms, known_terms, with_terms
from liftgate.data.sampling.frames import MANIFEST, unlabelled_dataset
from liftgate.data.splits.split import read_split
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A dataset on disk, with options for reading it."""

    path: Path | str
    images: Path | str | None = None
    groups: str | None = None
    split: Path | str | None = None
    """A frozen split CSV; None: the source's own splits"""
    keep: Sequence[str] | None = None
    declared: DeclaredTerms | None = None
    """Licence, origin, consent and confidentiality as the user declares them"""
    keypoints: Sequence[str] | None = None
    """Only these keypoints, in this order"""
    backgrounds: bool = True
    """Whether images stay that lose all their boxes by `keep`"""

    def open(self, progress: Progress = silent, *, unlabelled: bool = False) -> Dataset:
        """Return the dataset with its terms, classes, groups and split.

        Args:
            progress: called while files are read.
            unlabelled: accept unlabelled frames (a frames.csv, or a folder with one).

        Raises:
            DataError: it cannot be read, or one of the options does not fit it.
        """
        return self.open_and_count(progress, unlabelled=unlabelled)[0]

    def open_and_count(self, progress: Progress = silent, *, unlabelled: bool = False) -> tuple[Dataset, int]:
        """Return the dataset as `open` does, and how many images lose all their boxes by `keep`."""
        path, emptied = Path(self.path), 0
        if unlabelled and _is_frames(path):
            dataset = unlabelled_dataset(path, progress=progress)
        else:
            images = None if self.images is None else Path(self.images)
            dataset = read(path, images=images, progress=progress)
        dataset = with_terms(dataset, known_terms(dataset, self.declared))
        if self.keep is not None:
            before, dataset = dataset, keep_classes(dataset, self.keep)
            lost = emptied_images(before, dataset)
            emptied = int(lost.sum())
            dataset = dataset if self.backgrounds else dataset.take(~lost)
        if self.keypoints is not None:
            dataset = keep_keypoints(dataset, self.keypoints)
        if self.groups is not None:
            dataset = assign_groups(dataset, self.groups, base=Path.cwd())
        return (dataset if self.split is None else read_split(Path(self.split)).apply(dataset)), emptied


class SourceOptions(TypedDict, total=False):
    """Options for reading a dataset: the fields of `DatasetSource` except its path."""

    images: Path | str | None
    groups: str | None
    split: Path | str | None
    keep: Sequence[str] | None
    declared: DeclaredTerms | None
    keypoints: Sequence[str] | None
    backgrounds: bool


def source_of(data: Path | str | DatasetSource, **options: Unpack[SourceOptions]) -> DatasetSource:
    """Return `data` as a DatasetSource, with `options` instead of its own.

    >>> source_of("set/data.yaml", groups="folder").groups
    'folder'
    """
    source = data if isinstance(data, DatasetSource) else DatasetSource(data)
    return replace(source, **options)


def read_dataset(
    data: Path | str | DatasetSource, *, progress: Progress = silent, **options: Unpack[SourceOptions]
) -> Dataset:
    """Read a dataset of any format.

    Args:
        data: data.yaml, COCO JSON, Pascal VOC folder, CVAT XML or zip.
        progress: called while files are read.
        **options: how to read `data` (see `SourceOptions`).

    Raises:
        DataError: it cannot be read, or one of the options does not fit it.
    """
    return source_of(data, **options).open(progress)


@dataclass(frozen=True, slots=True)
class ReadFaults:
    """Faults in the sources of a verb. Rows that readers left out are in no result."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """kind of fault → how often it occurs"""
    unread_images: Sequence[str] = ()
    """Ids of images with labels from which no object could be read"""
    lines: Sequence[str] = ()
    """One sentence for each source that has faults"""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"faults": dict(self.counts), "unread_images": list(self.unread_images)}


def faults_of(*datasets: Dataset) -> ReadFaults:
    """Return the faults of one or several datasets, and the images whose labels could not be read."""
    faults = [fault for dataset in datasets for fault in dataset.faults]
    unread = [
        image.id
        for dataset in datasets
        for image, mark in zip(dataset.images, unread_images(dataset).tolist(), strict=True)
        if mark
    ]
    lines = [line for dataset in datasets if (line := fault_line(dataset))]
    return ReadFaults(fault_counts(faults), unread, lines)


def _is_frames(path: Path) -> bool:
    """Return whether a path is a frames.csv or a folder with one; a bare folder of images may be a mistake."""
    return path.suffix.lower() == ".csv" or ((path / MANIFEST).is_file() and not is_dataset(path))
