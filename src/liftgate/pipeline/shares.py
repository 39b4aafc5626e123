"""Shares of a dataset's training groups, each a part of the next, that tell what more data would bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.errors import StudyError, UsageError
from liftgate.evaluation.more_data import require_near
from liftgate.hashing import content_hash
from liftgate.pipeline.context import Context
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.parts import PartDatasets, arm_of_parts
from liftgate.study.records import FlowStep, Study

ShareKind = Literal["new", "old", "all"]
_LEAST_GROUPS = 5
"""Groups that an interval needs"""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """A part of the training images; the other splits stay as they are."""

    kind: ShareKind
    """new: all images of some groups; old: some images of every group; all"""
    share: float
    dataset: Dataset
    kept: NDArray[np.bool_]
    """(n,) images that are trained on, validated on or measured on"""

    @property
    def part(self) -> str:
        """Its name, as a part of an arm."""
        return f"{'old-' if self.kind == 'old' else ''}share-{100 * self.share:g}"

    @property
    def trained(self) -> Dataset:
        """The images that are trained on."""
        train = np.array([image.split == "train" for image in self.dataset.images], dtype=np.bool_)
        return self.dataset.take(self.kept & train)

    def datasets(self, context: Context, name: str) -> PartDatasets:
        """Return the study's datasets, of this one only the part."""
        identity = content_hash([self.part, self.kept])
        return PartDatasets(context, name, lambda: self.dataset.take(self.kept), identity)


def require_shares(study: Study, datasets: StudyDatasets) -> None:
    """Refuse a study whose data cannot tell what its worth steps ask.

    Raises:
        UsageError: too few groups to part or to measure on, or more data are asked for than can be told.
    """
    for number, flow_step in enumerate(study.flow):
        if flow_step.name == "worth":
            make_shares(study, flow_step, datasets, where=study.place("flow", number))


def make_shares(study: Study, flow_step: FlowStep, datasets: StudyDatasets, where: object = None) -> list[Share]:
    """Return the shares that a worth step trains on, the smallest first; the last is all.

    Groups, and the images of a group, are taken in the order of their hashes: the same for every seed and machine, and
    fewer are a part of more.

    Args:
        study: the study.
        flow_step: its worth step.
        datasets: of the study.
        where: for errors.

    Raises:
        UsageError: as `require_shares`.
    """
    spec, name = flow_step.worth, arm_of_parts(study, flow_step).stages[0].data
    assert spec is not None
    dataset = datasets.dataset(name)
    place = where or study.source
    groups = len(set(datasets.truth(spec.on).groups))
    if groups < _LEAST_GROUPS:
        raise StudyError(
            f"{spec.on} has too few groups for an interval of {spec.metric}", where=place,
            expected=f"{_LEAST_GROUPS} groups or more", got=groups, hint="`on:` another split that is not locked",
        )  # fmt: skip
    kinds: list[ShareKind] = ["new", "old"] if spec.old_groups else ["new"]
    if spec.old_groups and all(image.group is None for image in dataset.images):
        raise StudyError("`old_groups` tells groups apart, and the dataset has none", where=place, hint="`groups:`")
    found = [_share(dataset, kind, share) for kind in kinds for share in spec.shares[:-1]]
    found.append(_share(dataset, "all", 1.0))
    for kind in kinds:
        sizes = [len(one.trained.images) for one in found if one.kind in (kind, "all")]
        if sizes != sorted(set(sizes)) or sizes[0] == 0:
            raise StudyError(
                f"{name} has too few training {'groups' if kind == 'new' else 'images'} for these shares", where=place,
                expected="each share larger than the one before", got=f"{', '.join(map(str, sizes))} images",
                hint="other `shares`, or more data",
            )  # fmt: skip
    try:
        require_near(len(found[-1].trained.images), spec.more)
    except UsageError as error:
        error.where = str(place)
        raise
    return found


def _share(dataset: Dataset, kind: ShareKind, share: float) -> Share:
    train = np.flatnonzero([image.split == "train" for image in dataset.images])
    kept = np.ones(len(dataset.images), dtype=np.bool_)
    kept[train] = False
    members: dict[str, list[int]] = {}
    for index in train.tolist():
        members.setdefault(dataset.images[index].key, []).append(index)
    if kind == "old":
        for images in members.values():
            ordered = sorted(images, key=lambda index: content_hash(dataset.images[index].id))
            kept[ordered[: max(1, round(share * len(images)))]] = True
    else:
        for key in sorted(members, key=content_hash)[: max(1, round(share * len(members)))]:
            kept[members[key]] = True
    return Share(kind, share, dataset, kept)
