"""The match table: one model's detections matched to the truth once, from which every box metric is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes
from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.kernels.matching import (
    ALL_BITS,
    IOU_THRESHOLDS,
    box_similarity,
    boxes_with_sides,
    greedy_match,
    oks_similarity,
)
from liftgate.kernels.ordering import descending_keys, stable_order

Similarity = Literal["iou", "oks"]

# Inclusive at both ends, as in pycocotools: an object of exactly 32² pixels is small and medium.
SIZE_RANGES = {
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
SIZES = tuple(SIZE_RANGES)

MAX_DETECTIONS = {"iou": 100, "oks": 20}
"""AP and AR count the best this many detections of each image and class; rates at a threshold count all of them."""

_DETECTIONS_PER_PART = 1 << 16  # that are matched at once: similarities and boxes of a part take a few megabytes

_IMAGE_LEVEL_HINT = (
    "accuracy, detection rate and false-alarm rate of images need no boxes: liftgate.evaluation.image_level"
)


class RankedRows(NamedTuple):
    """Detections that AP counts in one size range, sorted as in the table; n of them."""

    start: NDArray[np.int64]
    """(K+1,) where the rows of each class begin"""
    image: NDArray[np.int32]
    """(n,) index into images"""
    hit: NDArray[np.uint16]
    """(n,) bit t: a true positive at IOU_THRESHOLDS[t]"""
    skip: NDArray[np.uint16]
    """(n,) bit t: neither right nor wrong"""
    rank: NDArray[np.int32]
    """(n,) 0 for the best detection of its image and class"""


class WeightedPositives(NamedTuple):
    """Objects that count in one size range under weightings of the units, kept for the metrics that share them."""

    unit: NDArray[np.int64]
    weights: NDArray[np.float64]
    number: NDArray[np.float64]
    """(K, L)"""


@dataclass(frozen=True, slots=True, eq=False)
class MatchTable:
    """Matched detections, sorted by class, then score (best first), image and position in the file.

    Shapes: n detections, m objects, A size ranges, K classes.
    """

    similarity: Similarity
    images: tuple[str, ...]
    """Ids of the truth's images"""
    classes: tuple[str, ...]
    start: NDArray[np.int64]
    """(K+1,) where the rows of each class begin"""
    image: NDArray[np.int32]
    """(n,) index into images"""
    score: NDArray[np.float64]
    rank: NDArray[np.int32]
    """(n,) 0 for the best detection of its image and class"""
    row: NDArray[np.int32]
    """(n,) row of the Predictions"""
    hit: NDArray[np.uint16]
    """(A, n) bit t: matched at IOU_THRESHOLDS[t] in this size range"""
    skip: NDArray[np.uint16]
    """(A, n) bit t: neither right nor wrong (matched to a crowd, or outside the size range)"""
    found: NDArray[np.int32]
    """(n,) row of the Labels that it is matched to at IoU 0.5, or −1"""
    label_image: NDArray[np.int64]
    """(m,) image of each object"""
    label_class: NDArray[np.int64]
    """(m,) class of each object"""
    counted: NDArray[np.bool_]
    """(A, m) whether the object counts in this size range"""
    limit: int
    """AP and AR count rows whose rank is below this"""
    _ranked: dict[str, RankedRows] = field(default_factory=dict, init=False, repr=False)
    _weighted: dict[str, WeightedPositives] = field(default_factory=dict, init=False, repr=False)

    def ranked(self, size: str) -> RankedRows:
        """Return the rows that AP counts in a size range, found once: every weighting of the table needs them."""
        if size not in self._ranked:
            a = SIZES.index(size)
            # Without rows that count at no threshold in this size range, and those beyond COCO's limit.
            live = (self.skip[a] != ALL_BITS) & (self.rank < self.limit)
            rows = np.flatnonzero(live)
            skip = self.skip[a][rows]
            start = np.searchsorted(rows, self.start).astype(np.int64)
            self._ranked[size] = RankedRows(start, self.image[rows], self.hit[a][rows] & ~skip, skip, self.rank[rows])
        return self._ranked[size]

    @property
    def cls(self) -> NDArray[np.int64]:
        """(n,) class of each detection."""
        return np.repeat(np.arange(len(self.classes)), np.diff(self.start))

    @property
    def beyond_limit(self) -> int:
        """Detections that AP and AR leave out, because their image and class have `limit` better ones."""
        return int((self.rank >= self.limit).sum())

    def limit_note(self) -> str:
        """Return the sentence that says what the limit cut; empty: nothing."""
        if not self.beyond_limit:
            return ""
        return (
            f"{self.beyond_limit:,} detections are beyond the best {self.limit} of their image and class: AP and AR "
            "leave them out, as COCO does; recall, precision and false positives at a threshold count them"
        )

    def positives(self, size: str, unit: NDArray[np.int64], n_units: int) -> NDArray[np.float64]:
        """Return (K, n_units) the number of objects that count, by class and by the unit of their image."""
        counted = self.counted[SIZES.index(size)]
        cell = self.label_class[counted] * n_units + unit[self.label_image[counted]]
        return np.bincount(cell, minlength=len(self.classes) * n_units).reshape(-1, n_units).astype(np.float64)

    def weighted_positives(
        self, size: str, unit: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return (K, L) the number of objects that count, by class, under each column of `weights` (U, L)."""
        known = self._weighted.get(size)
        if known is None or known.unit is not unit or known.weights is not weights:
            known = WeightedPositives(unit, weights, self.positives(size, unit, len(weights)) @ weights)
            self._weighted[size] = known
        return known.number


def match(
    truth: Dataset,
    predictions: Predictions,
    *,
    similarity: Similarity = "iou",
    sigmas: Sequence[float] | None = None,
    max_detections: int | None = None,
) -> MatchTable:
    """Match `predictions` to `truth`, which must name the same classes.

    Ties: equal scores keep the order of the images (numeric COCO id where all have one, else id as text), then that of
    the predictions file, as after a stable sort on −score. Images of the truth that were not predicted on
    count as empty; detections on images that the truth does not have must be removed before (`restrict_to_truth`).

    Every detection is matched, best first, so a limit does not change the matches of the detections that it keeps.

    Args:
        truth: the images and their objects.
        predictions: on these images, in these classes.
        similarity: `iou` of boxes, or `oks` of keypoints.
        sigmas: one for each keypoint; needed for `oks`.
        max_detections: best detections of each image and class that AP and AR count; default MAX_DETECTIONS.

    Raises:
        UsageError: no boxes, classes or images differ, a score is NaN, or keypoints or sigmas are missing for `oks`.
    """
    if predictions.image_level:
        raise UsageError("these are predictions of whole images: they have no boxes to match", hint=_IMAGE_LEVEL_HINT)
    _require_same_classes_and_images(truth, predictions)
    limit = MAX_DETECTIONS[similarity] if max_detections is None else max_detections
    place = {image.id: index for index, image in enumerate(truth.images)}
    index = np.array([place[id_] for id_ in predictions.images], dtype=np.int32)
    image = index[predictions.image] if len(predictions) else np.empty(0, dtype=np.int32)
    tie_rank, labels, n_images = _tie_ranks(truth), truth.labels, len(truth.images)
    ordered = _order_detections(predictions, tie_rank[image], n_images)
    label_cell = labels.cls * n_images + tie_rank[labels.image] if len(labels) else labels.cls
    label_order = np.argsort(label_cell, kind="stable").astype(np.int32)
    objects, object_boxes = (
        labels.take(label_order.astype(np.int64)),
        _with_sides(labels.boxes, labels.sides, label_order),
    )
    ranges, uncounted = np.array(list(SIZE_RANGES.values())), _uncounted(truth, labels, similarity)
    uncounted_sorted = np.ascontiguousarray(uncounted[:, label_order])
    if similarity == "oks":
        points, spread = _keypoints(truth, predictions, sigmas)
        of_objects = np.ascontiguousarray(objects.keypoints)
    hit, skip = (np.zeros((len(ranges), len(ordered.order)), dtype=np.uint16) for _ in range(2))
    found = np.zeros(len(ordered.order), dtype=np.int32)
    for part in _parts(ordered.cell):
        order, runs = ordered.order[part], _runs(ordered.cell[part], label_cell[label_order])
        width = runs[:, 3] - runs[:, 2]
        offsets = np.concatenate([[0], np.cumsum((runs[:, 1] - runs[:, 0]) * width)]).astype(np.int64)
        boxes, pairs = _with_sides(predictions.boxes, predictions.sides, order), np.zeros(offsets[-1])
        if similarity == "iou":
            box_similarity(boxes, object_boxes, objects.crowd, runs, offsets, pairs)
        else:
            oks_similarity(points[order], of_objects, object_boxes, objects.area, spread, runs, offsets, pairs)
        greedy_match(
            pairs, runs, offsets, boxes[:, 4] * boxes[:, 5], uncounted_sorted, objects.crowd, ranges, IOU_THRESHOLDS,
            ordered.place[part], np.empty(width.max(initial=0), dtype=np.int64),
            np.empty(width.max(initial=0), dtype=np.bool_), np.empty(len(order)), hit, skip, found,
        )  # fmt: skip
    found -= 1
    rows = ordered.rows
    return MatchTable(
        similarity=similarity,
        images=tuple(image.id for image in truth.images),
        classes=truth.classes,
        start=np.searchsorted(predictions.cls[rows], np.arange(len(truth.classes) + 1)).astype(np.int64),
        image=image[rows],
        score=predictions.scores[rows],
        rank=ordered.rank,
        row=rows,
        hit=hit,
        skip=skip,
        found=np.where(found >= 0, label_order[found] if len(label_order) else np.int32(-1), np.int32(-1)),
        label_image=labels.image,
        label_class=labels.cls,
        counted=~uncounted,
        limit=limit,
    )


class _DetectionOrder(NamedTuple):
    """The detections in the two orders that are needed: for matching, and in the table."""

    order: NDArray[np.int32]
    """Rows by class, image and score: the order of matching"""
    cell: NDArray[np.int64]
    """Class and image of each of `order`, as one number"""
    place: NDArray[np.int32]
    """Position of each of `order` in `rows`"""
    rows: NDArray[np.int32]
    """Rows by class and score: the order of the table"""
    rank: NDArray[np.int32]
    """Rank of each of `rows` within its image and class"""


def _order_detections(predictions: Predictions, tie: NDArray[np.int64], n_images: int) -> _DetectionOrder:
    """Order the detections of every image and class; `tie` (n,) is the rank of their images, to break ties."""
    best_first = stable_order(descending_keys(predictions.scores), stable_order(tie))
    order = stable_order(predictions.cls, stable_order(tie, best_first))
    cell = (predictions.cls * n_images + tie)[order]
    rank = _rank_within(cell)
    rows = stable_order(predictions.cls, best_first)
    rank_of, place_of = np.empty((2, len(predictions)), dtype=np.int32)
    rank_of[order], place_of[rows] = rank, np.arange(len(rows), dtype=np.int32)
    return _DetectionOrder(order, cell, place_of[order], rows, rank_of[rows])


def _parts(cell: NDArray[np.int64]) -> Iterator[slice]:
    """Divide the detections, sorted by `cell` (n,), into parts of whole cells that bound the memory of matching."""
    begin = 0
    while begin < len(cell):
        end = begin + _DETECTIONS_PER_PART
        if end < len(cell):
            end = int(np.searchsorted(cell, cell[end], side="left"))
            if end <= begin:  # one cell is larger than a part
                end = int(np.searchsorted(cell, cell[begin], side="right"))
        yield slice(begin, min(end, len(cell)))
        begin = end


def _with_sides(boxes: Boxes, file_sides: NDArray[np.float64] | None, order: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return (n, 6) boxes of the rows `order`, as `boxes_with_sides` writes them."""
    out = np.empty((len(order), 6))
    file_sides = np.empty((0, 2)) if file_sides is None else file_sides
    boxes_with_sides(np.ascontiguousarray(boxes), np.ascontiguousarray(file_sides), order, out)
    return out


def _require_same_classes_and_images(truth: Dataset, predictions: Predictions) -> None:
    if predictions.classes != truth.classes:
        raise UsageError("classes of predictions and truth differ", expected=truth.classes, got=predictions.classes)
    unknown = set(predictions.images) - {image.id for image in truth.images}
    if unknown:
        raise UsageError(
            f"{len(unknown)} predicted images are not in the truth, for example {min(unknown)!r}",
            where=truth.source,
            hint="were the predictions made on another split or data set?",
        )
    for name, values in (("score", predictions.scores), ("box", predictions.boxes)):
        if not (finite := np.isfinite(values)).all():
            bad = np.flatnonzero(~finite.all(axis=tuple(range(1, values.ndim))))
            raise UsageError(f"detection {bad[0]} has a {name} that is no number", got=values[bad[0]])


def _tie_ranks(truth: Dataset) -> NDArray[np.int64]:
    keys: list[Any] = [image.coco_id for image in truth.images]
    if not all(isinstance(key, int) for key in keys):
        keys = [str(image.id if key is None else key) for image, key in zip(truth.images, keys, strict=True)]
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return ranks


def _rank_within(cell: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the rank of each row within its run of equal cells."""
    index = np.arange(len(cell), dtype=np.int32)
    if not len(cell):
        return index
    first = np.concatenate([[True], cell[1:] != cell[:-1]])
    ranks: NDArray[np.int32] = index - np.maximum.accumulate(np.where(first, index, np.int32(0)))
    return ranks


def _runs(cell: NDArray[np.int64], label_cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (r, 4), a row per image and class with detections: first and last+1 detection, first and last+1 object."""
    if not len(cell):
        return np.empty((0, 4), dtype=np.int64)
    begin = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    end = np.append(begin[1:], len(cell))
    cells = cell[begin]
    first, last = np.searchsorted(label_cell, cells), np.searchsorted(label_cell, cells, side="right")
    return np.stack([begin, end, first, last], axis=1).astype(np.int64)


def _uncounted(truth: Dataset, labels: Labels, similarity: Similarity) -> NDArray[np.bool_]:
    """Return (A, m) which objects do not count: crowd, out of the size range, no labelled keypoints, VOC difficult.

    pycocotools overwrites a COCO file's `ignore` by `iscrowd`, so for COCO truth `ignore` has no effect here either.
    """
    ignored = labels.crowd if truth.format == "coco" else labels.crowd | labels.ignore
    if similarity == "oks" and labels.keypoints is not None:
        ignored = ignored | ~(labels.keypoints[:, :, 2] > 0).any(axis=1)
    return np.stack([ignored | (labels.area < low) | (labels.area > high) for low, high in SIZE_RANGES.values()])


def keypoints_of(truth: Dataset, predictions: Predictions) -> NDArray[np.float64] | None:
    """Return (n, K, 3) keypoints of the detections; None: boxes only. Without any detection, a pose truth decides."""
    if predictions.keypoints is None and not len(predictions) and truth.labels.keypoints is not None:
        return np.empty((0, *truth.labels.keypoints.shape[1:]))
    return predictions.keypoints


def _keypoints(
    truth: Dataset, predictions: Predictions, sigmas: Sequence[float] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = keypoints_of(truth, predictions)
    if truth.labels.keypoints is None or points is None:
        side = "truth" if truth.labels.keypoints is None else "predictions"
        raise UsageError(f"the {side} has no keypoints, which OKS needs", where=truth.source)
    count = truth.labels.keypoints.shape[1]
    if sigmas is None or len(sigmas) != count:
        raise UsageError(
            "OKS needs one sigma for each keypoint",
            expected=f"{count} sigmas",
            got="none" if sigmas is None else len(sigmas),
            hint="the choice changes the metric: give them with --sigmas or sigmas=",
        )
    if points.shape[1] != count:
        raise UsageError("keypoints differ", expected=f"{count} keypoints", got=points.shape[1])
    return points, np.asarray(sigmas, dtype=np.float64)
