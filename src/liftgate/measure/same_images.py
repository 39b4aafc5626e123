"""The same images for everybody: pairing demands it, and sources that looked at different ones can be cut to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liftgate.data.dataset import Dataset
from liftgate.data.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.measure.table import aligned


class Common(NamedTuple):
    """Truth and predictions on the images that every source looked at."""

    truth: Dataset
    predictions: tuple[Predictions, ...]
    note: str | None
    """What was left out, as a sentence; None: nothing"""


def on_common_images(truth: Dataset, *predictions: Predictions) -> Common:
    """Restrict truth and predictions to the truth's images that every one of `predictions` looked at.

    Which images a source was asked about must not depend on its answers: a source that skips hard images looks better
    on what is left. So the note travels with the result.

    Raises:
        UsageError: they have no image in common.
    """
    looked_at = [set(one.images) for one in predictions]
    kept = np.array([all(image.id in seen for seen in looked_at) for image in truth.images], dtype=np.bool_)
    if not kept.any():
        counts = ", ".join(str(len(seen)) for seen in looked_at)
        raise UsageError(
            "no image that all of them looked at", where=truth.source, expected="images in common",
            got=f"{counts} images, of {len(truth.images)} in the truth",
        )  # fmt: skip
    if kept.all():
        return Common(truth, predictions, None)
    who = {1: "the source", 2: "both"}.get(len(predictions), "all of them")
    note = f"restricted to the {kept.sum()} of {len(truth.images)} images that {who} looked at"
    cut = truth.take(kept)
    return Common(cut, tuple(aligned(cut, one) for one in predictions), note)


def demand_same_images(control: Predictions, treatment: Predictions) -> None:
    """Refuse to pair predictions on different images.

    Raises:
        UsageError: how many each looked at, and an image that only one of them has.
    """
    first, second = set(control.images), set(treatment.images)
    if alone := first ^ second:
        example = min(alone)
        side = "control" if example in first else "treatment"
        raise UsageError(
            f"control and treatment were not predicted on the same images: {len(alone)} are in one only",
            expected="the same images",
            got=f"{len(first)} and {len(second)}, {len(first & second)} in both; {example!r} in the {side} alone",
            hint="--common compares them on the images that both looked at" if first & second else None,
        )
    if set(control.classes) != set(treatment.classes):
        raise UsageError("classes of control and treatment differ", expected=control.classes, got=treatment.classes)
