"""Calibration: of detections that say 0.8, are eight in ten right? Expected calibration error and the curve behind it.

Right means: found an object at IoU 0.5. Detections on crowds and ignored objects are neither. ECE is the mean distance
of confidence and precision over bins of confidence, weighted by detections (Guo et al. 2017; for detectors Küppers et
al. 2020). Of n detections in B bins it is too high by up to about sqrt(B / n) even for a perfect model, which is why it
has no interval here: two models on the same images can be compared, the number alone says little below that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from liftgate.evaluation.match_table import MatchTable

BINS = 10
_BIT = np.uint16(1)  # IoU 0.5


def calibration(table: MatchTable, bins: int = BINS) -> dict[str, Any]:
    """`ece`, `n_detections` and, for each bin of equal width, its mean confidence, precision and number.

    Bins without a detection have null for both; without any detection ECE is null too.
    """
    judged = table.skip[0] & _BIT == 0
    right = (table.hit[0] & _BIT != 0)[judged]
    score = table.score[judged]
    place = np.clip((score * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        said = np.bincount(place, score, minlength=bins) / count
        was = np.bincount(place, right, minlength=bins) / count
    gap = np.abs(said - was)[count > 0]
    return {
        "ece": float(np.sum(gap * count[count > 0]) / len(score)) if len(score) else None,
        "n_detections": len(score),
        "confidence": [None if np.isnan(value) else round(float(value), 6) for value in said],
        "precision": [None if np.isnan(value) else round(float(value), 6) for value in was],
        "n": [int(value) for value in count],
    }
