"""PCK: the share of labelled keypoints that are predicted within a fraction of their object's box or torso size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import align
from liftgate.evaluation.match_table import MatchTable
from liftgate.evaluation.matching import keypoints_of, match
from liftgate.evaluation.metric_options import NORMALISERS as NORMALISERS
from liftgate.evaluation.metric_options import Normaliser as Normaliser
from liftgate.evaluation.metric_options import Pck as Pck
from liftgate.evaluation.resampling import units
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard


def pck(
    truth: Dataset, predictions: Predictions, which: Pck, *, level: float = 0.95, table: MatchTable | None = None
) -> Mapping[str, Interval]:
    """Return PCK of all keypoints (`all`) and of each keypoint by name, with intervals over groups.

    Every labelled keypoint counts; those of objects that no detection found (box IoU ≥ 0.5, any score) are misses.
    For the torso normaliser, objects without both torso keypoints labelled are left out.

    Args:
        truth: objects with keypoints.
        predictions: with keypoints.
        which: normaliser and fraction.
        level: of the intervals.
        table: the predictions matched by box, to reuse.

    Raises:
        UsageError: no keypoints, no such torso keypoints, or a fraction that is no positive number.
    """
    normaliser, fraction, torso = which
    if not 0 < fraction < math.inf:
        raise UsageError("PCK counts within a fraction of a length", expected="above 0", got=fraction)
    predictions = align(truth, predictions)
    labels = truth.labels
    points = keypoints_of(truth, predictions)
    if labels.keypoints is None or points is None or truth.keypoints is None:
        raise UsageError("PCK needs keypoints in truth and predictions", where=truth.source)
    lengths = _lengths(labels.boxes, labels.keypoints, normaliser, truth.keypoints.names, torso)
    table = match(truth, predictions) if table is None else table
    found = np.flatnonzero((table.found >= 0) & (table.skip[0] & np.uint16(1) == 0))
    detection = np.full(len(labels), -1, dtype=np.int64)
    detection[table.found[found]] = table.row[found]
    near = np.zeros(labels.keypoints.shape[:2], dtype=np.bool_)
    seen = detection >= 0
    offset = labels.keypoints[seen, :, :2] - points[detection[seen], :, :2]
    near[seen] = np.hypot(offset[..., 0], offset[..., 1]) <= fraction * lengths[seen, None]
    counted = (labels.keypoints[..., 2] > 0) & (table.counted[0] & np.isfinite(lengths))[:, None]
    groups = units(truth.groups, len(truth.images))
    group = groups.of_image[labels.image]

    def interval(columns: slice) -> Interval:
        trials = counted[:, columns].sum(axis=1)
        hits = (near & counted)[:, columns].sum(axis=1)
        k, n = (np.bincount(group, column, minlength=groups.count) for column in (hits, trials))
        return korn_graubard(k, n, level, n_images=len(truth.images))

    if not counted.any():
        raise UsageError("no labelled keypoint to measure", where=truth.source)
    names = {name: slice(i, i + 1) for i, name in enumerate(truth.keypoints.names) if counted[:, i].any()}
    return {name: interval(columns) for name, columns in {"all": slice(None), **names}.items()}


def _lengths(
    boxes: Boxes,
    keypoints: NDArray[np.float64],
    normaliser: Normaliser,
    names: tuple[str, ...],
    torso: tuple[str, str] | None,
) -> NDArray[np.float64]:
    sides = boxes[:, 2:] - boxes[:, :2]
    if normaliser == "box_diagonal":
        return np.asarray(np.hypot(sides[:, 0], sides[:, 1]))
    if normaliser == "max_side":
        return np.asarray(sides.max(axis=1))
    if torso is None or not set(torso) <= set(names):
        raise UsageError("torso names two keypoints", expected=f"two of {', '.join(names)}", got=torso)
    first, second = (keypoints[:, names.index(name)] for name in torso)
    length = np.hypot(*(first - second)[:, :2].T)
    return np.where((first[:, 2] > 0) & (second[:, 2] > 0), length, np.nan)
