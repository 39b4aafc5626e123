"""Calibration: expected calibration error (ECE) of the confidences, and the reliability curve.

A detection is right when it finds an object at IoU 0.5; those on crowds and ignored objects do not count. ECE is the
mean distance between confidence and precision over bins of confidence, weighted by detections (Guo et al. 2017; for
detectors Küppers et al. 2020). With n detections in B bins it is biased upwards by up to about sqrt(B / n), even for a
perfectly calibrated model. That is why it has no interval here: compare two models on the same images, and read
little into a value below the bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from liftgate.evaluation.match_table import MatchTable

BINS = 10
_BIT = np.uint16(1)  # IoU 0.5


def bin_edges(bins: int) -> tuple[float, ...]:
    """Return the edges of bins of equal width between 0 and 1.

    >>> bin_edges(4)
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    return tuple(edge / bins for edge in range(bins + 1))


def calibration(table: MatchTable, bins: int = BINS) -> dict[str, Any]:
    """Return `ece`, `n_detections` and, for each of `bins` bins of equal width, mean confidence, precision and count.

    A bin without detections has None for confidence and precision; without any detection `ece` is None too.
    """
    judged = table.skip[0] & _BIT == 0
    right = (table.hit[0] & _BIT != 0)[judged]
    score = table.score[judged]
    bin_of = np.clip((score * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        confidence = np.bincount(bin_of, score, minlength=bins) / count
        precision = np.bincount(bin_of, right, minlength=bins) / count
    gap = np.abs(confidence - precision)[count > 0]
    return {
        "ece": float(np.sum(gap * count[count > 0]) / len(score)) if len(score) else None,
        "n_detections": len(score),
        "confidence": [None if np.isnan(value) else round(float(value), 6) for value in confidence],
        "precision": [None if np.isnan(value) else round(float(value), 6) for value in precision],
        "n": [int(value) for value in count],
    }
