"""Alignment: truth and predictions on the same images and classes, without images whose truth could not be read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unknown_truth
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError


class KnownTruth(NamedTuple):
    """The truth without images whose labels could not be read."""

    truth: Dataset
    left_out: frozenset[str]
    """Ids of the images without readable labels"""
    note: str
    """What was left out, as a sentence; empty: nothing"""


def known_truth(truth: Dataset) -> KnownTruth:
    """Return the truth without images whose labels were damaged, so that none of their objects could be read.

    Their objects are unknown: if they counted as empty, every detection on them would be a false positive.

    Raises:
        UsageError: no image is left.
    """
    unknown = unknown_truth(truth)
    if not unknown.any():
        return KnownTruth(truth, frozenset(), "")
    ids = [image.id for image, out in zip(truth.images, unknown.tolist(), strict=True) if out]
    if unknown.all():
        raise UsageError(
            "no object of the truth could be read", where=truth.source, expected="images whose labels can be read",
            got=f"{len(ids)} images whose labels cannot, such as {ids[0]!r}", hint="`liftgate check` shows why",
        )  # fmt: skip
    note = (
        f"{len(ids)} of {len(truth.images)} images of the truth are left out: no object of their labels could be read, "
        f"such as {ids[0]}"
    )
    return KnownTruth(truth.take(~unknown), frozenset(ids), note)


class CommonImages(NamedTuple):
    """Truth and predictions, restricted to the images that every source was run on."""

    truth: Dataset
    predictions: tuple[Predictions, ...]
    note: str | None
    """What was left out, in one sentence; None: nothing was"""


def on_common_images(truth: Dataset, *predictions: Predictions) -> CommonImages:
    """Restrict truth and predictions to the truth's images that every one of `predictions` lists.

    Which images a source was run on must not depend on what it detects: a source that skips hard images scores higher
    on the rest. The result therefore carries a note of what was left out.

    Raises:
        UsageError: they have no image in common.
    """
    listed = [set(one.images) for one in predictions]
    kept = np.array([all(image.id in seen for seen in listed) for image in truth.images], dtype=np.bool_)
    if not kept.any():
        counts = ", ".join(str(len(seen)) for seen in listed)
        raise UsageError(
            "no image that all of them were run on", where=truth.source, expected="images in common",
            got=f"{counts} images, of {len(truth.images)} in the truth",
        )  # fmt: skip
    if kept.all():
        return CommonImages(truth, predictions, None)
    who = {1: "the source", 2: "both"}.get(len(predictions), "all of them")
    note = f"restricted to the {kept.sum()} of {len(truth.images)} images that {who} predicted on"
    cut = truth.take(kept)
    return CommonImages(cut, tuple(restrict_to_truth(cut, one) for one in predictions), note)


def align(truth: Dataset, predictions: Predictions) -> Predictions:
    """Return the predictions on the truth's images, in the truth's classes.

    Raises:
        UsageError: the truth has no images, or some of them were not predicted on.
    """
    if not truth.images:
        raise UsageError("the truth has no images", where=truth.source, hint="is the split's name right?")
    if predictions.images == tuple(image.id for image in truth.images) and predictions.classes == truth.classes:
        return predictions
    chosen = restrict_to_truth(truth, predictions)
    missing = {image.id for image in truth.images} - set(chosen.images)
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(truth.images)} images were not predicted on, for example {min(missing)!r}",
            where=truth.source,
            hint="an image without detections must still be listed among the predictions' images; --common measures"
            " only images that were predicted on",
        )
    return chosen


def require_same_images(control: Predictions, treatment: Predictions, left_out: frozenset[str] = frozenset()) -> None:
    """Refuse to pair predictions that were made on different images or in different classes.

    Args:
        control: predictions of one model.
        treatment: predictions of the other.
        left_out: ids of images that do not count.

    Raises:
        UsageError: names how many images each lists, and one that only one of them has; or both lists of classes.
    """
    first, second = set(control.images) - left_out, set(treatment.images) - left_out
    if alone := first ^ second:
        example = min(alone)
        side = "control" if example in first else "treatment"
        raise UsageError(
            f"control and treatment were not predicted on the same images: {len(alone)} are in one only",
            expected="the same images",
            got=f"{len(first)} and {len(second)}, {len(first & second)} in both; {example!r} in the {side} alone",
            hint="--common compares them on the images that both predicted on" if first & second else None,
        )
    if set(control.classes) != set(treatment.classes):
        raise UsageError("classes of control and treatment differ", expected=control.classes, got=treatment.classes)


def restrict_to_truth(truth: Dataset, predictions: Predictions) -> Predictions:
    """Return the predictions on the truth's images only, in the truth's classes (by name).

    A model may have more classes than the truth (80 against 1) or none of them (an off-the-shelf model, which then
    finds nothing), and a predictions file may cover more than one split.

    Raises:
        UsageError: no image in common.
    """
    column = {name: i for i, name in enumerate(truth.classes)}
    to_class = np.array([column.get(name, -1) for name in predictions.classes], dtype=np.int64)
    wanted = {image.id for image in truth.images}
    kept = [id_ in wanted for id_ in predictions.images]
    if truth.images and not any(kept):
        raise UsageError(
            "predictions and truth have no image in common",
            expected=f"ids like {truth.images[0].id!r}",
            got=f"ids like {predictions.images[0]!r}" if predictions.images else "no image at all",
            hint="were they made on another split or data set?",
        )
    position = np.cumsum(kept) - 1
    image_kept = np.array(kept, dtype=np.bool_)
    classes = to_class[predictions.cls] if len(predictions) else predictions.cls
    rows = (classes >= 0) & (image_kept[predictions.image] if len(predictions) else np.empty(0, dtype=np.bool_))
    return Predictions(
        images=tuple(id_ for id_, keep in zip(predictions.images, kept, strict=True) if keep),
        classes=truth.classes,
        image=position[predictions.image[rows]] if len(predictions) else predictions.image,
        cls=classes[rows],
        boxes=predictions.boxes[rows],
        scores=predictions.scores[rows],
        keypoints=None if predictions.keypoints is None else predictions.keypoints[rows],
        settings=predictions.settings,
        sides=None if predictions.sides is None else predictions.sides[rows],
        notes=predictions.notes,
        guessed_numbering=predictions.guessed_numbering,
        has_boxes=predictions.has_boxes,
    )
