"""Whether a model wants its channels in the other order: its detections on the same images, with them turned.

A model of the other order still finds most of what it should: nine tenths of the detections of COCO models, all of the
persons of a pose model. So each detection's error is compared with its error when the channels are turned, image by
image: sound exports, INT8 too, get worse by it on every image, and an image without colour says nothing.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import pair_detections
from liftgate.deploy.export.symptoms import FEW_PAIRS, Symptom

_LARGE = 0.15
"""Mean error that turning takes away and that is named by itself; that of sound INT8 exports is 0.05 to 0.1 in all"""
_SMALL = 0.03
"""Likewise, where the sign test over images agrees"""
_CHANCE = 0.002
"""Of the sign test: all of 9 images, 17 of 20"""


def channels_symptom(
    reference: Predictions, found: Predictions, turned: Predictions, conf: float, channels: str
) -> Symptom | None:
    """Return that a model wants its channels in the other order; None: it does not.

    Args:
        reference: detections of the checkpoint.
        found: of the export, with the channels as its card has them.
        turned: the same with the channels turned.
        conf: the confidence from which detections of the reference are used.
        channels: as the card has them.
    """
    before, after = (detection_errors(reference, one, conf) for one in (found, turned))
    if len(before) < FEW_PAIRS or after.mean() > before.mean() / 2:
        return None
    image = reference.image[reference.scores >= conf]
    gain = np.bincount(image, weights=before - after, minlength=len(reference.images))
    nearer, differing = int((gain > 0).sum()), int((gain != 0).sum())
    drop = float(before.mean() - after.mean())
    if drop < (_SMALL if _chance(nearer, differing) <= _CHANCE else _LARGE):
        return None
    word = "BGR" if channels == "RGB" else "RGB"
    message = (
        f"the model wants {word}: with the channels turned its {len(before)} detections are off by {after.mean():.2f} "
        f"of IoU and score, not by {before.mean():.2f} (means), and nearer on {nearer} of {differing} images"
    )
    return Symptom("contract.channels", message)


def detection_errors(reference: Predictions, export: Predictions, conf: float) -> NDArray[np.float64]:
    """Return how far an export is off at each detection of a reference from a confidence on, in their order.

    What is missing of the IoU with its partner, all of it where there is none of its class, and the difference of
    scores.

    Args:
        reference: detections of the checkpoint.
        export: detections of the export, with the same classes.
        conf: the confidence from which detections of the reference are used.
    """
    first, second, overlap = pair_detections(reference, export, conf)
    named_alike = reference.cls[first] == export.cls[second]
    errors = 1.0 + reference.scores
    differences = np.abs(reference.scores[first] - export.scores[second])
    errors[first] = np.where(named_alike, 1.0 - overlap, 1.0) + differences
    found: NDArray[np.float64] = errors[reference.scores >= conf]
    return found


def _chance(heads: int, tosses: int) -> float:
    """Return the probability of at least so many heads of a fair coin; 1 for no toss."""
    ways = sum(comb(tosses, more) for more in range(heads, tosses + 1))
    return float(ways / 2**tosses)
