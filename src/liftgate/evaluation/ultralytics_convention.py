"""Metrics by the formulas of Ultralytics' validator, from the same matches, to explain differences from COCO.

The differences: the area under the precision-recall curve is a trapezoid over 101 interpolated points instead of
the mean of 101 steps; precision and recall are read at the confidence where the mean F1 over classes, smoothed, is
highest; every detection of an image counts, not the best 100 of each class. Matching is greedy by score as in COCO
(since 8.4; before, by IoU). Ultralytics compares boxes in the letterboxed image in single precision, so a pair close
to a threshold may differ: values agree to 1e-4, not to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import MatchTable
from liftgate.kernels.matching import RECALL_POINTS

_CONFIDENCES = np.linspace(0, 1, 1000)
_SMOOTHING = 101  # points of the box filter: a tenth of the confidences


def as_ultralytics(table: MatchTable) -> dict[str, float | None]:
    """Return mAP50-95, mAP50, precision and recall of `model.val()`, with the prefix `ultralytics_`.

    Crowds and ignored objects are not part of the data that Ultralytics reads, so detections on them count as false.
    All values are None where there is no truth.
    """
    objects = np.bincount(table.label_class[table.counted[0]], minlength=len(table.classes))
    classes = [class_curves(table, int(k), int(objects[k])) for k in np.flatnonzero(objects)]
    names = ("ultralytics_mAP50-95", "ultralytics_mAP50", "ultralytics_precision", "ultralytics_recall")
    if not classes:
        return dict.fromkeys(names)
    ap, precision, recall = (np.stack(column) for column in zip(*classes, strict=True))
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(_smooth(f1.mean(axis=0))))
    values = (ap.mean(), ap[:, 0].mean(), precision[:, best].mean(), recall[:, best].mean())
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def class_curves(
    table: MatchTable, k: int, objects: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (10,) AP, and (1000,) precision and recall over confidence at IoU 0.5, of one class.

    Args:
        table: detections matched by box.
        k: index of the class.
        objects: number of its objects, at least 1.
    """
    rows = slice(table.start[k], table.start[k + 1])
    score, hit = table.score[rows], table.hit[0, rows] & ~table.skip[0, rows]
    if not len(score):
        return np.zeros(10), np.zeros(len(_CONFIDENCES)), np.zeros(len(_CONFIDENCES))
    # In a run of false positives only the last one changes the curve, just before recall rises.
    found = hit != 0
    bends = np.flatnonzero(found | np.append(found[1:], True))
    true = np.cumsum((hit[bends, None] >> np.arange(10)) & 1, axis=0)
    recall, precision = true / objects, true / (bends + 1)[:, None]
    ap = trapezoid_areas(recall.T, precision.T)
    at_half = np.cumsum(hit & 1)
    over_precision = np.interp(-_CONFIDENCES, -score, at_half / np.arange(1, len(score) + 1), left=1)
    over_recall = np.interp(-_CONFIDENCES, -score, at_half / objects, left=0)
    return ap, over_precision, over_recall


def trapezoid_areas(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T,) areas under precision-recall curves, (T, n) each, by Ultralytics' 101 points."""
    first, last = np.zeros((len(recall), 1)), np.ones((len(recall), 1))
    x = np.concatenate([first, recall, recall[:, -1:], last], axis=1)
    envelope = np.concatenate([last, precision, first, first], axis=1)
    envelope = np.maximum.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
    points = [np.interp(RECALL_POINTS, *curve) for curve in zip(x, envelope, strict=True)]
    return np.asarray(np.trapezoid(points, RECALL_POINTS))


def _smooth(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the curve after a box filter, padded with its first and last value."""
    padded = np.pad(curve, _SMOOTHING // 2, mode="edge")
    return np.convolve(padded, np.full(_SMOOTHING, 1 / _SMOOTHING), mode="valid")
