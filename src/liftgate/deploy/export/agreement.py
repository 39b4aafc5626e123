"""How far an export's detections agree with its reference's, apart by kind: boxes, scores, classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from liftgate.boxes import iou
from liftgate.data.core.predictions import Predictions

SAME_PIXELS, SAME_SCORE = 0.05, 1e-4
"""Within these two detections count as the same"""
_PAIRED = 0.5
_RENAMED = 0.2
"""Mean score difference from which a class is not found under its own name; INT8 moves scores by up to 0.1"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Detections of a reference from a confidence on, each paired with the export's best at its place."""

    n_reference: int
    n_export: int
    """Of the export, from the same confidence on"""
    n_pairs: int
    """Reference detections with a partner: IoU of at least 0.5, of any class"""
    median_iou: float | None
    """Of the pairs; None: there are none"""
    low_iou: float | None
    """5% of the pairs are below"""
    offset: tuple[float, float] | None
    """Median difference of the pairs' centres, pixels of the model's input, x and y"""
    offset_error: tuple[float, float] | None
    """Standard error of these"""
    same_class: float | None
    """Share of the pairs"""
    renamed: tuple[tuple[str, str, int, int], ...]
    """(class, what the export calls it, how often, of how many pairs) where that is most often another class"""
    rank: float | None
    """Spearman's rank correlation of the pairs' scores; None: fewer than 10 pairs"""
    slope: float | None
    """Of the export's scores over the reference's"""
    image_rank: float | None
    """Rank correlation of the best score of each image and class, wherever the boxes are"""
    identical: bool
    """Whether all detections, of any confidence, are the same: 0 without a partner, boxes and keypoints within 0.05 px,
    scores within 1e-4, but for those that lie just where the list of an image ends; False where there are none"""
    ratio: float | None = None
    """Median of export's over reference's score of the same class at the same place; None: fewer than 10"""
    ratio_error: float | None = None
    """Standard error of it"""
    called: tuple[tuple[str, str, int, float, float], ...] = ()
    """(class, another, how many, mean score difference to the export's own class there, and to the other) of each class
    whose scores the export has under another name"""

    @property
    def paired(self) -> float | None:
        """Share of the reference's detections that have a partner; None: it has none."""
        return self.n_pairs / self.n_reference if self.n_reference else None


def compare_detections(
    reference: Predictions, export: Predictions, conf: float, input_pixel: Sequence[float] | None = None
) -> Agreement:
    """Return how far two models' detections on the same images agree.

    Args:
        reference: detections of the checkpoint.
        export: detections of the export, with the same classes.
        conf: the confidence from which detections are used.
        input_pixel: size of a pixel of the model's input in pixels of each image; None: 1.
    """
    strong = reference.scores >= conf
    first, second, overlap = pair_detections(reference, export, conf)
    centres = _centres(export, second) - _centres(reference, first)
    if input_pixel is not None:
        centres = centres / np.asarray(input_pixel)[reference.image[first], None]
    scores, others = reference.scores[first], export.scores[second]
    rows, there = _scores_there(reference, export, np.flatnonzero(strong))
    ratio, ratio_error = _ratio(reference, rows, there)
    return Agreement(
        n_reference=int(strong.sum()),
        n_export=int((export.scores >= conf).sum()),
        n_pairs=len(first),
        median_iou=float(np.median(overlap)) if len(first) else None,
        low_iou=float(np.quantile(overlap, 0.05)) if len(first) else None,
        offset=_two(np.median(centres, axis=0)) if len(first) else None,
        offset_error=_two(_error_of_median(centres)) if len(first) else None,
        same_class=float((reference.cls[first] == export.cls[second]).mean()) if len(first) else None,
        renamed=_renamed(reference, export, first, second),
        rank=_rank_correlation(scores, others),
        slope=_slope(scores, others),
        image_rank=_rank_correlation(_best(reference).ravel(), _best(export).ravel()),
        identical=are_identical(reference, export),
        ratio=ratio,
        ratio_error=ratio_error,
        called=_called(reference, rows, there),
    )


class Pairs(NamedTuple):
    """Detections of two models at the same places, of any class."""

    first: NDArray[np.int64]
    """Rows of the reference"""
    second: NDArray[np.int64]
    """Rows of the export"""
    overlap: NDArray[np.float64]
    """IoU, at least 0.5"""


def pair_detections(reference: Predictions, export: Predictions, conf: float) -> Pairs:
    """Return each detection of a reference from a confidence on with the export's best at its place.

    Args:
        reference: detections of the checkpoint.
        export: detections of the export on the same images.
        conf: the confidence from which detections of the reference are used.
    """
    pairs: list[tuple[int, int, float]] = []
    strong = reference.scores >= conf
    for image in range(len(reference.images)):
        mine = np.flatnonzero((reference.image == image) & strong)
        theirs = np.flatnonzero(export.image == image)
        pairs += _pairs(reference, export, mine, theirs)
    first, second, overlap = zip(*pairs, strict=True) if pairs else ((), (), ())
    return Pairs(np.array(first, dtype=np.int64), np.array(second, dtype=np.int64), np.array(overlap, dtype=np.float64))


def are_identical(one: Predictions, other: Predictions) -> bool:
    """Return whether both have the same detections, within 0.05 pixels and 1e-4 of score; nothing is not the same.

    A detection whose score is within 1e-4 of where the list of its image ends, at the least confidence or at the
    largest number of detections, may lie just beyond that end in the other.
    """
    if not len(one) or not len(other) or one.images != other.images:
        return False
    if (one.keypoints is None) != (other.keypoints is None):
        return False
    for image in range(len(one.images)):
        mine, theirs = (np.flatnonzero(each.image == image) for each in (one, other))
        if not _are_same(one, other, mine, theirs):
            return False
    return True


def _end(predictions: Predictions, rows: NDArray[np.int64]) -> float:
    """Return the score at which the list of an image's detections ends."""
    conf, most = (predictions.settings.get(name) for name in ("conf", "max_det"))
    end = float(conf) if isinstance(conf, int | float) else -1.0
    full = isinstance(most, int) and len(rows) >= most > 0
    return max(end, float(predictions.scores[rows].min())) if full else end


def _are_same(one: Predictions, other: Predictions, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> bool:
    end = max(_end(one, mine), _end(other, theirs)) + SAME_SCORE
    free = np.ones(len(theirs), dtype=np.bool_)
    for row in mine:
        near = (
            free
            & (other.cls[theirs] == one.cls[row])
            & (np.abs(other.scores[theirs] - one.scores[row]) <= SAME_SCORE)
            & (np.abs(other.boxes[theirs] - one.boxes[row]).max(axis=1) <= SAME_PIXELS)
        )
        if one.keypoints is not None and other.keypoints is not None:
            away = np.abs(other.keypoints[theirs, :, :2] - one.keypoints[row, :, :2])
            near &= away.max(axis=(1, 2), initial=0) <= SAME_PIXELS
        found = np.flatnonzero(near)
        if len(found):
            free[found[0]] = False
        elif one.scores[row] > end:
            return False
    return not (free & (other.scores[theirs] > end)).any()


def _pairs(
    reference: Predictions, export: Predictions, mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> list[tuple[int, int, float]]:
    # As many as the reference has, and some more: among hundreds of weak ones anything has a partner.
    most = max(2 * len(mine), len(mine) + 5)
    theirs = theirs[np.argsort(-export.scores[theirs], kind="stable")][:most]
    if not len(mine) or not len(theirs):
        return []
    overlaps = iou(reference.boxes[mine], export.boxes[theirs])
    free = np.ones(len(theirs), dtype=np.bool_)
    found = []
    for place in np.argsort(-reference.scores[mine], kind="stable"):
        there = np.flatnonzero(free & (overlaps[place] >= _PAIRED))
        if len(there):
            best = max(there.tolist(), key=lambda at: (float(export.scores[theirs[at]]), float(overlaps[place, at])))
            free[best] = False
            found.append((int(mine[place]), int(theirs[best]), float(overlaps[place, best])))
    return found


def _renamed(
    reference: Predictions, export: Predictions, first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[tuple[str, str, int, int], ...]:
    found = []
    for cls, name in enumerate(reference.classes):
        named = Counter(export.cls[second[reference.cls[first] == cls]].tolist())
        if not named:
            continue
        other, count = named.most_common(1)[0]
        if other != cls and count >= 3:
            found.append((name, export.classes[other], count, named.total()))
    return tuple(found)


def _scores_there(
    reference: Predictions, export: Predictions, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return rows of the reference and the export's (row, class) score at each one's place; 0: none of that class."""
    found = np.zeros((len(rows), len(reference.classes)))
    for image in np.unique(reference.image[rows]):
        mine, theirs = np.flatnonzero(reference.image[rows] == image), np.flatnonzero(export.image == image)
        overlaps = iou(reference.boxes[rows[mine]], export.boxes[theirs])
        for place, row in zip(mine, overlaps, strict=True):
            near = np.flatnonzero(row >= _PAIRED)
            near = near[np.argsort(row[near], kind="stable")]  # the nearest of a class is written last
            found[place, export.cls[theirs[near]]] = export.scores[theirs[near]]
    return rows, found


def _ratio(
    reference: Predictions, rows: NDArray[np.int64], there: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    own = there[np.arange(len(rows)), reference.cls[rows]]
    ratios = own[own > 0] / reference.scores[rows][own > 0]
    if len(ratios) < 10:
        return None, None
    return float(np.median(ratios)), float(_error_of_median(ratios[:, None])[0])


def _called(
    reference: Predictions, rows: NDArray[np.int64], there: NDArray[np.float64]
) -> tuple[tuple[str, str, int, float, float], ...]:
    away = np.abs(there - reference.scores[rows, None])
    found = []
    for cls in np.unique(reference.cls[rows]).tolist():
        means = away[reference.cls[rows] == cls].mean(axis=0)
        other = int(np.argmin(means))
        if other != cls and means[other] <= means[cls] / 3 and means[cls] >= _RENAMED:
            names, count = reference.classes, int((reference.cls[rows] == cls).sum())
            found.append((names[cls], names[other], count, float(means[cls]), float(means[other])))
    return tuple(found)


def _best(predictions: Predictions) -> NDArray[np.float64]:
    """Return the (images, classes) best score; 0 where there is none."""
    best = np.zeros((len(predictions.images), len(predictions.classes)))
    np.maximum.at(best, (predictions.image, predictions.cls), predictions.scores)
    return best


def _centres(predictions: Predictions, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    boxes = predictions.boxes[rows]
    centres: NDArray[np.float64] = (boxes[:, :2] + boxes[:, 2:]) / 2
    return centres


def _error_of_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    error: NDArray[np.float64] = 1.2533 * 1.4826 * spread / np.sqrt(len(values))
    return error


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    if len(one) < 10:
        return None
    first, second = rankdata(one), rankdata(other)
    if first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _slope(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    if len(one) < 10 or one.std() < 0.02:
        return None
    return float(np.polyfit(one, other, 1)[0])


def _two(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
