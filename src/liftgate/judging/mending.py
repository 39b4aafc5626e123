"""Labels without the mistakes that a review accepted; the originals stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Labels, stack_labels
from liftgate.errors import DataError, UsageError
from liftgate.hashing import short
from liftgate.judging.review import Review, ReviewItem


def mend(dataset: Dataset, review: Review, accepted: Sequence[ReviewItem]) -> Dataset:
    """Return the data set with accepted mistakes undone: labels deleted, renamed, drawn anew by the model, or added.

    Args:
        dataset: the labels that were reviewed.
        review: the questions.
        accepted: those that are mistakes.

    Raises:
        DataError: the labels were changed since the review.
        UsageError: labels with keypoints, which no box of a model replaces.
    """
    if dataset.truth_hash() != review.truth:
        raise DataError(
            "the labels were changed since the review", where=dataset.source, expected=short(review.truth),
            got=short(dataset.truth_hash()), hint="review the labels as they are now: check --predictions --review",
        )  # fmt: skip
    if dataset.labels.keypoints is not None:
        raise UsageError("labels with keypoints cannot be mended by boxes", where=dataset.source)
    place = {image.id: index for index, image in enumerate(dataset.images)}
    number = {name: index for index, name in enumerate(dataset.classes)}
    labels = dataset.labels
    cls, boxes, kept = labels.cls.copy(), labels.boxes.copy(), np.ones(len(labels), dtype=np.bool_)
    missing = [one for one in accepted if one.kind == "missing"]
    for one in accepted:
        if one.kind == "missing":
            continue
        row = _row(labels, place[one.image], number[one.label], one.label_box)
        if one.kind == "spurious":
            kept[row] = False
        elif one.kind == "class":
            cls[row] = number[one.model]
        else:
            boxes[row] = one.model_box
    moved = (boxes != labels.boxes).any(axis=1)
    area = np.where(moved, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), labels.area)
    table = replace(labels, cls=cls, boxes=boxes, area=area, sides=None).take(kept)
    if missing:
        table = stack_labels([table, _added(missing, place, number)])
        table = table.take(np.argsort(table.image, kind="stable"))
    return replace(dataset, labels=table)


def images_with(dataset: Dataset, accepted: Sequence[ReviewItem]) -> Dataset:
    """Return the images on which something was accepted, for a person to look at again."""
    named = {one.image for one in accepted}
    return dataset.take(np.array([image.id in named for image in dataset.images], dtype=np.bool_))


def _row(labels: Labels, image: int, cls: int, box: tuple[float, ...]) -> int:
    found: NDArray[np.int64] = np.flatnonzero(
        (labels.image == image) & (labels.cls == cls) & (labels.boxes == np.array(box)).all(axis=1)
    )
    return int(found[0])  # the labels are those of the review


def _added(missing: Sequence[ReviewItem], place: Mapping[str, int], number: Mapping[str, int]) -> Labels:
    boxes = np.array([one.model_box for one in missing], dtype=np.float64)
    return Labels.build([place[one.image] for one in missing], [number[one.model] for one in missing], boxes)
