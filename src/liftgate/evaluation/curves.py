"""Curves to draw: precision over recall, and precision, recall and F1 over confidence. Both at IoU 0.5, 101 points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import MatchTable
from liftgate.kernels.matching import RECALL_POINTS

_BIT = np.uint16(1)


def curves(table: MatchTable) -> dict[str, Any]:
    """`precision_recall`: mean over classes of the precision envelope; `confidence`: all classes counted together."""
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
        "precision_recall": {"recall": _points(RECALL_POINTS), "precision": _points(precision)},
        "confidence": _over_confidence(table.score[judged], right[judged], int(objects.sum())),
    }


def best_confidence(best: NDArray[np.float64]) -> dict[str, list[float | None]]:
    """How sure the model is of its best detection: quantiles over the images (n,) given, in steps of 5%."""
    share = np.linspace(0, 1, 21)
    values = np.quantile(best, share) if len(best) else np.full(len(share), np.nan)
    return {"quantile": _points(share), "value": _points(values)}


def _envelope(right: NDArray[np.bool_], total: int) -> NDArray[np.float64]:
    """Best precision at each recall point or beyond, of detections sorted by score."""
    true = np.cumsum(right)
    best = np.maximum.accumulate((true / np.arange(1, len(right) + 1))[::-1])[::-1]
    at = np.searchsorted(true / total, RECALL_POINTS)
    return np.append(best, 0.0)[at]


def _over_confidence(
    score: NDArray[np.float64], right: NDArray[np.bool_], objects: int
) -> dict[str, list[float | None]]:
    conf = np.linspace(0, 1, 101)
    order = np.argsort(-score, kind="stable")
    said = np.searchsorted(-score[order], -conf, side="right")  # detections with score ≥ conf
    true = np.concatenate([[0], np.cumsum(right[order])])[said]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(said > 0, true / np.maximum(said, 1), np.nan)
        recall = true / objects if objects else np.full(len(conf), np.nan)
        f1 = 2 * true / (said + objects) if objects else np.full(len(conf), np.nan)
    return {
        "conf": _points(conf),
        "precision": _points(precision),
        "recall": _points(recall),
        "f1": _points(f1),
    }


def _points(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]
