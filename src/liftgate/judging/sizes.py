"""How much each unit may contribute to the difference of two models, before anybody has looked: the size measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.core.predictions import Predictions
from liftgate.judging.pairing import AGREE, Units

LARGEST_WEIGHT = 40.0
"""No answer represents more than this many units"""
_LEAST_SPREAD = 0.35
"""Standard deviation of right or wrong that even a very sure detection is granted"""
_LEAST_LEVEL = 0.03
"""Variance of right or wrong that a very sure agreed pair is granted"""


def scores_of(units: Units, control: Predictions, treatment: Predictions) -> NDArray[np.float64]:
    """Return (n,) how likely each unit is right, by confidence alone.

    Of a pair the mean confidence of both. A detection without a partner is more likely right where the other model has
    a weak detection of the same class there, below the threshold: 1 − (1 − s)(1 − √r), where its confidence is r.
    """
    first = np.where(units.control >= 0, _take(control.scores, units.control), np.nan)
    second = np.where(units.treatment >= 0, _take(treatment.scores, units.treatment), np.nan)
    both = np.stack([first, second])
    counts = np.isfinite(both).sum(axis=0)
    score = np.asarray(np.nansum(both, axis=0) / np.maximum(counts, 1), dtype=np.float64)
    for rows, own, other in ((units.control, control, treatment), (units.treatment, treatment, control)):
        alone = np.flatnonzero((counts == 1) & (rows >= 0))
        asked = units.treatment if own is control else units.control
        weak = _support(own, rows[alone], other, np.setdiff1d(np.arange(len(other)), asked))
        score[alone] = 1 - (1 - score[alone]) * (1 - np.sqrt(weak))
    return score


def _support(
    own: Predictions, rows: NDArray[np.int64], other: Predictions, free: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (k,) the confidence of the surest free detection of the other model at each place; 0: none."""
    order = free[np.argsort(other.image[free], kind="stable")]
    images = np.arange(len(own.images) + 1)
    start = np.searchsorted(other.image[order], images)
    found = np.zeros(len(rows))
    for place, row in enumerate(rows.tolist()):
        image = int(own.image[row])
        near = order[start[image] : start[image + 1]]
        near = near[other.cls[near] == own.cls[row]]
        hits = iou(own.boxes[[row]], other.boxes[near])[0] >= AGREE
        found[place] = other.scores[near[hits]].max(initial=0.0)
    return found


def chance_of_difference(overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the assumed probability that one box of an agreed pair fits its object at IoU 0.5 and the other does not.

    It only steers the draw; what the audit finds decides. Measured: docs/judging.md.
    """
    return np.asarray(np.clip(2 * (1 - overlap) ** 3, 0.001, 0.5), dtype=np.float64)


def size_measure(units: Units, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the assumed standard deviation of each unit's contribution to the difference of two models.

    It is that of true positives; an agreed pair also has a part in the level of both, which tells in the difference of
    precision where the models make unequal numbers of detections.
    """
    spread = np.sqrt(np.clip(score * (1 - score), _LEAST_SPREAD**2, None))
    pair = (units.control >= 0) & (units.treatment >= 0)
    both = np.sqrt(chance_of_difference(units.overlap) + level_variance(units, score))
    return np.where(units.agreed, both, np.where(pair, 0.7, spread))


def level_variance(units: Units, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) the variance of what an agreed pair, right or wrong, does to the difference of precision.

    In true positives: with N detections of a model, TP of both change TP / N − TP' / N' by 1 / N − 1 / N'.
    """
    first, second = int((units.control >= 0).sum()), int((units.treatment >= 0).sum())
    unequal = 2 * (first - second) / max(1, first + second)
    right = 1 - (1 - score) ** 2  # likelier than what one model sees alone
    return np.asarray(unequal**2 * np.clip(right * (1 - right), _LEAST_LEVEL, None), dtype=np.float64)


def _take(values: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return values[np.maximum(rows, 0)] if len(values) else np.zeros(len(rows))
