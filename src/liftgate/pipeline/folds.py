"""Folds of a dataset by group, so that every label is compared with a model that has not seen its group.

Locked images take no part: neither they, nor other images of their groups, nor copies of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.fingerprint import file_hashes
from liftgate.data.splits.folds import make_folds
from liftgate.errors import StudyError
from liftgate.hashing import content_hash
from liftgate.pipeline.context import Context
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.parts import PartDatasets, arm_of_parts
from liftgate.study.records import DatasetSpec, FlowStep, Study
from liftgate.study.vocabulary import DEFAULT_FOLDS

HELD_OUT = "held_out"
"""Split of the images that a fold's model has not seen"""
_VAL_SHARE = 5
"""Of one group alone every fifth image validates"""


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Folds of one dataset."""

    dataset: Dataset
    """All its images"""
    fold: NDArray[np.int64]
    """(n,) fold of every image, from 0; −1: it takes no part"""
    count: int

    def training(self, number: int) -> Dataset:
        """Return the images of one fold's training: train and val of the other folds, and its own as HELD_OUT."""
        dataset = self.dataset.take(self.fold >= 0)
        held = self.fold[self.fold >= 0] == number
        splits = [HELD_OUT if out else "train" for out in held]
        for index in _validating(dataset, held):
            splits[index] = "val"
        images = [replace(image, split=split) for image, split in zip(dataset.images, splits, strict=True)]
        return dataset.with_images(images)

    @property
    def identity(self) -> str:
        """Hash of which image is in which fold."""
        return content_hash([self.count, [image.id for image in self.dataset.images], self.fold])

    def datasets(self, context: Context, name: str, number: int) -> PartDatasets:
        """Return the study's datasets with this one split as the training of a fold has it."""
        return PartDatasets(context, name, lambda: self.training(number), f"fold {number} of {self.identity}")


def require_folds(study: Study, datasets: StudyDatasets) -> None:
    """Refuse a study whose data cannot be dealt to the folds of its mistakes steps.

    Raises:
        StudyError: more folds than groups, or too few images to train on.
    """
    for number, flow_step in enumerate(study.flow):
        if flow_step.name == "mistakes":
            make_fold_plan(study, flow_step, datasets, where=study.place("flow", number))


def make_fold_plan(study: Study, flow_step: FlowStep, datasets: StudyDatasets, where: object = None) -> Folds:
    """Deal the open groups of a mistakes step's dataset to its folds; the same groups always go to the same fold.

    Args:
        study: the study.
        flow_step: its mistakes step.
        datasets: of the study.
        where: for errors.

    Raises:
        StudyError: more folds than groups, or too few images to train on.
    """
    name, count = arm_of_parts(study, flow_step).stages[0].data, flow_step.folds or DEFAULT_FOLDS
    dataset, spec = datasets.dataset(name), study.dataset(name)
    open_ = open_images(dataset, spec)
    part = dataset.take(open_)
    groups = len(set(part.groups))
    if count > groups:
        hint = "fewer `folds`" if groups > 2 else "label mistakes need three groups that are not locked"
        raise StudyError(
            f"more folds than groups of {name} that are not locked", where=where or study.source,
            expected=f"2 to {groups} folds" if groups > 2 else "more groups", got=count, hint=hint,
        )  # fmt: skip
    unsplit = part.with_images([replace(image, split=None) for image in part.images])
    number = {id_: fold for fold, split in enumerate(make_folds(unsplit, count))
              for id_, word in split.assignment.items() if word == "val"}  # fmt: skip
    fold = np.array([number.get(image.id, -1) for image in dataset.images], dtype=np.int64)
    if len(part.images) - np.bincount(fold[open_]).max() < 2:  # one trains, another validates
        raise StudyError(f"{name} has too few images to train folds", where=where or study.source, got=len(part.images))
    return Folds(dataset, fold, count)


def open_images(dataset: Dataset, spec: DatasetSpec) -> NDArray[np.bool_]:
    """Return the mask of the images that may take part.

    Those are in a split, where the dataset has splits, and are neither locked, nor of a group with locked ones, nor
    copies of these, byte for byte.
    """
    used = used_images(dataset)
    locked = np.array([image.split in spec.lock for image in dataset.images], dtype=np.bool_)
    if not locked.any():
        return used
    hashes = file_hashes([image.path for image in dataset.images])
    shut = {hash_ for hash_, out in zip(hashes, locked, strict=True) if out and hash_}
    groups = {image.key for image, out in zip(dataset.images, locked, strict=True) if out}
    free = [image.key not in groups and hash_ not in shut for image, hash_ in zip(dataset.images, hashes, strict=True)]
    return np.asarray(used & np.array(free, dtype=np.bool_))


def used_images(dataset: Dataset) -> NDArray[np.bool_]:
    """Return the mask of the images that the study uses: where a dataset has splits, those in one."""
    any_split = bool(dataset.splits)
    return np.array([image.split is not None or not any_split for image in dataset.images], dtype=np.bool_)


def _validating(dataset: Dataset, held: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the images of the other folds that choose the best epoch.

    Those of the study's own val; where none is left, or nothing else, the smallest group; of a single group every
    fifth image.
    """
    rest = np.flatnonzero(~held)
    own = np.array([index for index in rest if dataset.images[index].split == "val"], dtype=np.int64)
    if 0 < len(own) < len(rest):
        return own
    groups = Counter(dataset.images[index].key for index in rest)
    if len(groups) == 1:
        return rest[::_VAL_SHARE]
    smallest = min(groups, key=lambda key: (groups[key], key))
    return np.array([index for index in rest if dataset.images[index].key == smallest], dtype=np.int64)
