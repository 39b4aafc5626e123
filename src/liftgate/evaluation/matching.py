"""Matching: one model's detections with the truth, once for all metrics, as a `MatchTable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.cell_matching import CellMatcher, Matches, MatchInputs, match_cells
from liftgate.evaluation.match_table import MAX_DETECTIONS, SIZE_RANGES, MatchTable, Similarity
from liftgate.kernels.ordering import descending_keys, stable_order

_IMAGE_LEVEL_HINT = (
    "accuracy, detection rate and false-alarm rate of images need no boxes: liftgate.evaluation.image_level"
)


def match(
    truth: Dataset,
    predictions: Predictions,
    *,
    similarity: Similarity = "iou",
    sigmas: Sequence[float] | None = None,
    max_detections: int | None = None,
    matcher: CellMatcher | None = None,
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
        matcher: finds the matches, as on other machines; None: this process.

    Raises:
        UsageError: no boxes, classes or images differ, a score is NaN, or keypoints or sigmas are missing for `oks`.
    """
    if predictions.image_level:
        raise UsageError("these are predictions of whole images: they have no boxes to match", hint=_IMAGE_LEVEL_HINT)
    _require_same_classes_and_images(truth, predictions)
    place = {image.id: index for index, image in enumerate(truth.images)}
    index = np.array([place[id_] for id_ in predictions.images], dtype=np.int32)
    image = index[predictions.image] if len(predictions) else np.empty(0, dtype=np.int32)
    inputs = _match_inputs(truth, predictions, image, similarity, sigmas)
    ordered = _order_detections(inputs)
    rows = ordered.rows
    if matcher is None:
        matches = match_cells(inputs, ordered.order, ordered.place)
    else:
        hit, skip, found = matcher(inputs)
        matches = Matches(hit[:, rows], skip[:, rows], found[rows])
    return MatchTable(
        similarity=similarity,
        images=tuple(image.id for image in truth.images),
        classes=truth.classes,
        start=np.searchsorted(predictions.cls[rows], np.arange(len(truth.classes) + 1)).astype(np.int64),
        image=image[rows],
        score=predictions.scores[rows],
        rank=ordered.rank,
        row=rows,
        hit=matches.hit,
        skip=matches.skip,
        found=matches.found,
        label_image=truth.labels.image,
        label_class=truth.labels.cls,
        counted=~inputs.uncounted,
        limit=MAX_DETECTIONS[similarity] if max_detections is None else max_detections,
    )


def _match_inputs(
    truth: Dataset,
    predictions: Predictions,
    image: NDArray[np.int32],
    similarity: Similarity,
    sigmas: Sequence[float] | None,
) -> MatchInputs:
    """Return what matching reads; `image` (n,) is the index of each detection's image in the truth."""
    tie_rank, labels, no_sides = _tie_ranks(truth), truth.labels, np.empty((0, 2))
    points, of_objects, spread = np.empty((0, 0, 3)), np.empty((0, 0, 3)), np.empty(0)
    if similarity == "oks":
        points, of_objects, spread = _keypoints(truth, predictions, sigmas)
    return MatchInputs(
        image=tie_rank[image],
        cls=predictions.cls,
        scores=predictions.scores,
        boxes=predictions.boxes,
        sides=no_sides if predictions.sides is None else predictions.sides,
        points=points,
        object_image=tie_rank[labels.image],
        object_cls=labels.cls,
        object_boxes=labels.boxes,
        object_sides=no_sides if labels.sides is None else labels.sides,
        object_points=of_objects,
        area=labels.area,
        crowd=labels.crowd,
        uncounted=_uncounted(truth, labels, similarity),
        sigmas=spread,
    )


class _DetectionOrder(NamedTuple):
    """The detections in the two orders that are needed: for matching, and in the table."""

    order: NDArray[np.int32]
    """Rows by class, image and score: the order of matching"""
    place: NDArray[np.int32]
    """Position of each of `order` in `rows`"""
    rows: NDArray[np.int32]
    """Rows by class and score: the order of the table"""
    rank: NDArray[np.int32]
    """Rank of each of `rows` within its image and class"""


def _order_detections(inputs: MatchInputs) -> _DetectionOrder:
    """Order the detections of every image and class."""
    best_first = stable_order(descending_keys(inputs.scores), stable_order(inputs.image))
    order = stable_order(inputs.cls, stable_order(inputs.image, best_first))
    rank = _rank_within(inputs.cls[order], inputs.image[order])
    rows = stable_order(inputs.cls, best_first)
    rank_of, place_of = np.empty((2, len(rows)), dtype=np.int32)
    rank_of[order], place_of[rows] = rank, np.arange(len(rows), dtype=np.int32)
    return _DetectionOrder(order, place_of[order], rows, rank_of[rows])


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


def _rank_within(cls: NDArray[np.int64], image: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the rank of each row within its run of one class and image."""
    index = np.arange(len(cls), dtype=np.int32)
    if not len(cls):
        return index
    first = np.concatenate([[True], (cls[1:] != cls[:-1]) | (image[1:] != image[:-1])])
    ranks: NDArray[np.int32] = index - np.maximum.accumulate(np.where(first, index, np.int32(0)))
    return ranks


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
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the keypoints of detections and objects, and the sigmas."""
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
    return points, truth.labels.keypoints, np.asarray(sigmas, dtype=np.float64)
