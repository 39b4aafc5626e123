"""Find classes that a model never detects, from its predictions on a labelled split; curves do not show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from liftgate.boxes import iou
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.diagnosis.symptom import Symptom
from liftgate.evaluation.alignment import align
from liftgate.evaluation.matching import match

_MIN_COUNT = 10
"""Least objects of a class to report: with none of 10 found, the recall is below 0.26 at 95% confidence"""
_MIN_CONFIDENCE = 0.25  # confidence from which a detection of another class counts as a mix-up


def classes_never_found(truth: Dataset, predictions: Predictions, trained: Dataset | None = None) -> Iterator[Symptom]:
    """Report each class without a single object found at IoU 0.5, at any confidence.

    Args:
        truth: the labelled split.
        predictions: those of the run's model on it.
        trained: the training split; its number of labels distinguishes too few labels from wrong ones.
    """
    predictions = align(truth, predictions)
    table = match(truth, predictions)
    hit = table.found >= 0
    for index, name in enumerate(table.classes):
        objects = np.flatnonzero(table.counted[0] & (table.label_class == index))
        found = hit & (table.cls == index)
        if len(objects) < _MIN_COUNT or found.any():
            continue
        instead = _predicted_instead(truth, predictions, objects)
        labels = None if trained is None else int((trained.labels.cls == trained.classes.index(name)).sum())
        at_most = 1 - 0.05 ** (1 / len(objects))
        images = len(np.unique(table.label_image[objects]))
        yield Symptom(
            "trace.class_never_found",
            "warning",
            f"{name}: none of {len(objects)} objects on {images} images is found at IoU 0.5 at any confidence "
            f"(recall under {at_most:.2g} at 95%, each object counted as independent)",
            {
                "class": name,
                "objects": len(objects),
                "images": images,
                "recall_at_most": at_most,
                "labels_in_train": labels,
                "taken_for": dict(instead.most_common(3)),
            },
            tuple(_causes(name, labels, instead, len(objects))),
        )


def _predicted_instead(truth: Dataset, predictions: Predictions, objects: np.ndarray) -> Counter[str]:
    """Return class → objects whose most confident overlapping detection (IoU 0.5) has that class."""
    place = {id_: index for index, id_ in enumerate(predictions.images)}
    sure = predictions.scores >= _MIN_CONFIDENCE
    taken: Counter[str] = Counter()
    for row in objects:
        image = place[truth.images[truth.labels.image[row]].id]
        there = np.flatnonzero(sure & (predictions.image == image))
        over = there[iou(predictions.boxes[there], truth.labels.boxes[row : row + 1])[:, 0] >= 0.5]
        if len(over):
            taken[predictions.classes[predictions.cls[over[np.argmax(predictions.scores[over])]]]] += 1
    return taken


def _causes(name: str, labels: int | None, instead: Counter[str], objects: int) -> Iterator[str]:
    """Yield possible causes, the most likely first."""
    if labels == 0:
        yield f"train has no label of {name}: the split leaves it out"
        return
    if instead and instead.most_common(1)[0][1] >= objects / 2:
        other, times = instead.most_common(1)[0]
        yield f"it is found as {other} ({times} of {objects}): their names or numbers are mixed up, or they look alike"
    if labels is not None and 0 < labels < 100:
        yield f"train has {labels} labels of {name}: repeat its images in a mix, or label more"
    yield f"its labels lie elsewhere than its objects: look at ten of {name} by hand, or `liftgate check` on this class"
    if labels is None:
        yield f"few labels of {name} in train: `liftgate data stats` counts them"
