"""Compute the agreement of annotators from the files of their label sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.data.agreement import draw_overlap
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import UsageError
from liftgate.evaluation.label_agreement import ComparedAnnotators, agreements
from liftgate.progress import Progress, silent
from liftgate.stats.interval import LEAST_LEVEL


def agree(
    paths: Sequence[str | Path],
    *,
    names: Sequence[str] | None = None,
    images: str | Path | None = None,
    groups: str | None = None,
    level: float = 0.95,
    iou: float = 0.5,
    missing_is_empty: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[ComparedAnnotators, ...]:
    """Compare every pair of two or more annotators' label sets, which need not be of one format.

    Args:
        paths: data.yaml, COCO JSON, Pascal VOC folder or CVAT XML of each annotator.
        names: names of the annotators, in order.
        images: folder of the images, where the labels do not name it.
        groups: regex with (?P<group>…), CSV with columns image,group, `folder`, `exif` or `name-time`.
        level: confidence level of the intervals.
        iou: least IoU at which two boxes are the same object.
        missing_is_empty: a frame without a label file has no objects; default: it is not labelled yet.
        seed: seed of the bootstrap intervals, which are shown in addition.
        progress: called during the work.

    Raises:
        DataError: a label set cannot be read, or they have no frame in common.
        UsageError: fewer than two label sets, a number out of range, or no frame that both have labelled.
    """
    if not LEAST_LEVEL <= level < 1:
        raise UsageError("level is out of range", expected=f"from {LEAST_LEVEL:g}, below 1", got=level)
    if not 0 < iou <= 1:
        raise UsageError("iou is out of range", expected="above 0, at most 1", got=iou)
    sets = _read([Path(path) for path in paths], names, images, groups, progress)
    return agreements(
        sets,
        rng=np.random.default_rng(seed),
        level=level,
        at_least=iou,
        missing_is_empty=missing_is_empty,
        progress=progress,
    )


def draw_overlap_of(
    path: Path,
    count: int,
    *,
    images: Path | None = None,
    groups: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Dataset:
    """Return the `count` images of a data set that a second person labels too, spread over its groups."""
    (dataset,) = _read([path], None, images, groups, progress)
    return draw_overlap(dataset, count, np.random.default_rng(seed))


def annotator_names(paths: Sequence[Path]) -> list[str]:
    """Return names of annotators: the shortest differing ends of the paths; a, b, c … if a path is given twice.

    >>> annotator_names([Path("ann/data.yaml"), Path("ben/data.yaml")])
    ['ann', 'ben']
    """
    parts = [path.absolute().with_suffix("").parts for path in paths]
    while len({part[-1] for part in parts}) == 1 and min(len(part) for part in parts) > 2:
        parts = [part[:-1] for part in parts]  # data.yaml in all of them: use the folder
    for depth in range(1, max(len(part) for part in parts) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [chr(ord("a") + place) for place in range(len(paths))]


def _read(
    paths: Sequence[Path],
    names: Sequence[str] | None,
    images: str | Path | None,
    groups: str | None,
    progress: Progress,
) -> list[Dataset]:
    called = annotator_names(paths) if names is None else names
    if len(called) != len(paths):
        raise UsageError("not every label set has a name", expected=len(paths), got=len(called))
    sets = [
        replace(read(path, images=None if images is None else Path(images), progress=progress), name=name)
        for path, name in zip(paths, called, strict=True)
    ]
    return sets if groups is None else [assign_groups(dataset, groups, base=Path.cwd()) for dataset in sets]
