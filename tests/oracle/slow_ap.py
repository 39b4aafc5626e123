"""COCO's average precision the slow and obvious way: plain loops over dictionaries, one rule after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

Coco = dict[str, Any]

THRESHOLDS = np.linspace(0.5, 0.95, 10).tolist()
RECALLS = np.linspace(0, 1, 101).tolist()


def average_precision(
    truth: Coco, results: list[Coco], threshold: float, size: tuple[float, float]
) -> dict[int, float]:
    """category id → AP at one IoU threshold, for the categories that have truth in the size range."""
    found: dict[int, float] = {}
    for category in truth["categories"]:
        outcomes: list[tuple[float, bool]] = []
        positives = 0
        for image in sorted(image["id"] for image in truth["images"]):
            objects = [row for row in truth["annotations"] if _belongs(row, image, category)]
            detections = [row for row in results if _belongs(row, image, category)]
            detections = sorted(detections, key=lambda row: -row["score"])[:100]
            positives += sum(_counts(row, size) for row in objects)
            outcomes += _match(detections, objects, threshold, size)
        if positives:
            found[category["id"]] = _area_under(outcomes, positives)
    return found


def _match(
    detections: list[Coco], objects: list[Coco], threshold: float, size: tuple[float, float]
) -> list[tuple[float, bool]]:
    """(score, right or wrong) of the detections that count; best score first."""
    taken: set[int] = set()
    outcomes: list[tuple[float, bool]] = []
    for detection in detections:
        free = [g for g in range(len(objects)) if g not in taken or objects[g]["iscrowd"]]
        good = [g for g in free if _iou(detection, objects[g]) >= threshold]
        # An object that counts is preferred to one that does not, then the larger IoU, then the later in the file.
        best = max(good, key=lambda g: (_counts(objects[g], size), _iou(detection, objects[g]), g), default=None)
        if best is None:
            area = detection["bbox"][2] * detection["bbox"][3]
            if size[0] <= area <= size[1]:
                outcomes.append((detection["score"], False))
        else:
            taken.add(best)
            if _counts(objects[best], size):
                outcomes.append((detection["score"], True))
    return outcomes


def _area_under(outcomes: list[tuple[float, bool]], positives: int) -> float:
    ranked = sorted(outcomes, key=lambda outcome: -outcome[0])
    points: list[tuple[float, float]] = []
    right = 0
    for seen, (_, true) in enumerate(ranked, start=1):
        right += true
        points.append((right / positives, right / seen))
    total = 0.0
    for least in RECALLS:
        total += max((precision for recall, precision in points if recall >= least), default=0.0)
    return total / 101


def _iou(detection: Coco, target: Coco) -> float:
    x, y, width, height = detection["bbox"]
    u, v, across, down = target["bbox"]
    overlap = max(0.0, min(x + width, u + across) - max(x, u)) * max(0.0, min(y + height, v + down) - max(y, v))
    own = width * height
    union = own if target["iscrowd"] else own + across * down - overlap
    return overlap / union if overlap else 0.0


def _belongs(row: Coco, image: int, category: Coco) -> bool:
    return bool(row["image_id"] == image and row["category_id"] == category["id"])


def _counts(target: Coco, size: tuple[float, float]) -> bool:
    return not target["iscrowd"] and size[0] <= target["area"] <= size[1]
