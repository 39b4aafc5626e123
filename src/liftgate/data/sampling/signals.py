"""Score every frame for every reason by the logs: 0 … 1, NaN where the reason does not hold.

Arrays and records only, no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.sampling.records import CandidateFrame, FrameEntry, Reason

Scores = NDArray[np.float64]

_IOU = 0.5
_UNKNOWN = 0.5  # confidence of a frame without predictions


def reason_scores(
    frames: Sequence[CandidateFrame],
    champion: Mapping[int, FrameEntry],
    challenger: Mapping[int, FrameEntry],
    *,
    conf: float,
    low: float,
    new_looks: Mapping[int, float] | None = None,
) -> dict[Reason, Scores]:
    """Return reason → (n,) scores, for every reason that the logs have evidence for.

    red, yellow        the log's own flag; higher with lower confidence
    low_confidence     the frame's confidence is below `low`; 1 − confidence
    disagreement       share of both models' boxes without a match of the same class at IoU 0.5
    new_look           farther from every training image than these are from each other; the distance, largest 1
    hard_negative      a detection where a person found nothing, or only in this one of three consecutive frames
    hard_positive      no detection where a person found something, or only in this one of three consecutive frames
    """
    n = len(frames)
    confidence = np.array([_confidence(champion.get(index), conf) for index in range(n)])
    doubt = 1 - np.where(np.isnan(confidence), _UNKNOWN, confidence)
    found: dict[Reason, Scores] = {}
    for flag in ("red", "yellow"):
        flagged = np.array([_has_quality(champion.get(index), flag) for index in range(n)], dtype=np.bool_)
        if flagged.any():
            found[flag] = np.where(flagged, doubt, np.nan)
    if not np.isnan(confidence).all():
        found["low_confidence"] = np.where(confidence < low, doubt, np.nan)
    both = [
        (index, champion[index], challenger[index]) for index in range(n) if index in champion and index in challenger
    ]
    if any(a.has_boxes and b.has_boxes for _, a, b in both):
        found["disagreement"] = np.full(n, np.nan)
        for index, a, b in both:
            if a.has_boxes and b.has_boxes:
                share = disagreement_share(a, b, conf)
                found["disagreement"][index] = share if share > 0 else np.nan
    if new_looks:
        found["new_look"] = np.full(n, np.nan)
        farthest = max(new_looks.values())
        for index, distance in new_looks.items():
            found["new_look"][index] = distance / farthest if farthest > 0 else 1.0
    negative, positive = _hard_scores(frames, champion, conf)
    for reason, scores in (("hard_negative", negative), ("hard_positive", positive)):
        if scores is not None:
            found[reason] = scores  # type: ignore[index]
    return found


def disagreement_share(a: FrameEntry, b: FrameEntry, conf: float) -> float:
    """Return the share of all boxes at or above `conf` without a match of the same class at IoU 0.5; 0 without boxes.

    Boxes are matched by overlap, largest first, whatever their classes: two models that give one object different
    classes disagree about two boxes, as two do that detect different objects.
    """
    boxes_a, classes_a = _detections_at(a, conf)
    boxes_b, classes_b = _detections_at(b, conf)
    total = len(classes_a) + len(classes_b)
    if total == 0:
        return 0.0
    overlap = iou(boxes_a, boxes_b)
    agreed = 0
    while overlap.size and overlap.max() >= _IOU:
        i, j = np.unravel_index(int(overlap.argmax()), overlap.shape)
        agreed += classes_a[i] == classes_b[j]
        overlap[i, :] = overlap[:, j] = -1
    return (total - 2 * agreed) / total


def _hard_scores(
    frames: Sequence[CandidateFrame], champion: Mapping[int, FrameEntry], conf: float
) -> tuple[Scores | None, Scores | None]:
    """Return scores of hard negatives and hard positives; None without any evidence."""
    best = np.array(
        [_best_score(champion.get(index)) for index in range(len(frames))]
    )  # NaN: the log has no detections
    detects = best >= conf
    negative, positive = np.full(len(frames), np.nan), np.full(len(frames), np.nan)
    has_evidence = False
    for before, here, after in _consecutive_triples(frames):
        if np.isnan(best[[before, here, after]]).any():
            continue
        has_evidence = True
        if detects[here] and not detects[before] and not detects[after]:
            negative[here] = best[here]
        if not detects[here] and detects[before] and detects[after]:
            positive[here] = min(best[before], best[after])
    for index, record in champion.items():
        if record.truth is None or np.isnan(best[index]):
            continue
        has_evidence = True  # a person's judgement takes precedence over the neighbours
        negative[index] = best[index] if record.truth == "negative" and detects[index] else np.nan
        positive[index] = 1 - best[index] if record.truth == "positive" and not detects[index] else np.nan
    return (negative, positive) if has_evidence else (None, None)


def _consecutive_triples(frames: Sequence[CandidateFrame]) -> list[tuple[int, int, int]]:
    """Return index triples of consecutive frames of a sequence, about evenly spaced: a long pause separates scenes."""
    sequences: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        if frame.at is not None and frame.sequence:
            sequences.setdefault(frame.sequence, []).append(index)
    threes = []
    for members in sequences.values():
        members.sort(key=lambda index: (frames[index].at or 0.0, index))
        times = np.array([frames[index].at for index in members], dtype=np.float64)
        usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        for place in range(1, len(members) - 1):
            if times[place + 1] - times[place - 1] <= 4 * usual:
                threes.append((members[place - 1], members[place], members[place + 1]))
    return threes


def _has_quality(record: FrameEntry | None, flag: str) -> bool:
    return record is not None and record.quality == flag


def _confidence(record: FrameEntry | None, conf: float) -> float:
    """Return the log's confidence for the frame, else the lowest of its detections from `conf` on; NaN: neither."""
    if record is None:
        return float("nan")
    if record.score is not None:
        return record.score
    return min((score for score in record.scores if score >= conf), default=float("nan"))


def _best_score(record: FrameEntry | None) -> float:
    if record is None or not record.has_boxes:
        return float("nan")
    return max(record.scores, default=0.0)


def _detections_at(record: FrameEntry, conf: float) -> tuple[NDArray[np.float64], list[str]]:
    keep = np.array([score >= conf for score in record.scores], dtype=np.bool_)
    return record.boxes[keep], [name for name, kept in zip(record.classes, keep, strict=True) if kept]
