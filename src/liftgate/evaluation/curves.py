"""Curves at IoU 0.5, with 101 points: precision over recall, and precision, recall and F1 over confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import MatchTable
from liftgate.kernels.matching import RECALL_POINTS
from liftgate.kernels.ordering import sample_quantiles

_BIT = np.uint16(1)


def curves(table: MatchTable) -> dict[str, Any]:
    """Return `precision_recall`, the mean precision envelope over classes, and `confidence`, of all classes pooled."""
    judged = table.skip[0] & _BIT == 0
    right = judged & (table.hit[0] & _BIT != 0)
    objects = np.bincount(table.label_class[table.counted[0]], minlength=len(table.classes))
    envelopes = [
        _envelope(right[first:last][judged[first:last]], total)
        for first, last, total in zip(table.start[:-1], table.start[1:], objects, strict=True)
        if total > 0
    ]
    precision = np.mean(envelopes, axis=0) if envelopes else np.full(len(RECALL_POINTS), np.nan)
    return {
        "precision_recall": {"recall": _json_points(RECALL_POINTS), "precision": _json_points(precision)},
        "confidence": _by_confidence(table.score[judged], right[judged], int(objects.sum())),
    }


def best_confidence(best: NDArray[np.float64]) -> dict[str, list[float | None]]:
    """Return the quantiles, in steps of 5%, of the best confidence of each image (n,)."""
    share = np.linspace(0, 1, 21)
    values = sample_quantiles(best, share) if len(best) else np.full(len(share), np.nan)
    return {"quantile": _json_points(share), "value": _json_points(values)}


def _envelope(right: NDArray[np.bool_], total: int) -> NDArray[np.float64]:
    """Return (101,) the precision envelope at RECALL_POINTS, of detections sorted by score."""
    true = np.cumsum(right)
    best = np.maximum.accumulate((true / np.arange(1, len(right) + 1))[::-1])[::-1]
    at = np.searchsorted(true / total, RECALL_POINTS)
    return np.append(best, 0.0)[at]


def _by_confidence(
    score: NDArray[np.float64], right: NDArray[np.bool_], objects: int
) -> dict[str, list[float | None] | list[int]]:
    """Return precision, recall, F1 and their counts at 101 confidence thresholds, of all classes pooled."""
    conf = np.linspace(0, 1, 101)
    reached = np.searchsorted(conf, score, side="right")  # how many of the thresholds each score reaches
    n_detections, true = (np.cumsum(_count(one)[::-1])[::-1][1:] for one in (reached, reached[right]))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(n_detections > 0, true / np.maximum(n_detections, 1), np.nan)
        recall = true / objects if objects else np.full(len(conf), np.nan)
        f1 = 2 * true / (n_detections + objects) if objects else np.full(len(conf), np.nan)
    return {
        "conf": _json_points(conf),
        "precision": _json_points(precision),
        "recall": _json_points(recall),
        "f1": _json_points(f1),
        "n_right": true.tolist(),
        "n_detections": n_detections.tolist(),
        "n_objects": [objects] * len(conf),
    }


def _count(reached: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(reached, minlength=102)


def _json_points(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]
