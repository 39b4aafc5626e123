"""COCO dictionaries → Liftgate's records, and made-up sets with everything that is awkward in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from liftgate.data.core.dataset import Dataset, Image, Keypoints, Labels
from liftgate.data.core.predictions import Predictions

Coco = dict[str, Any]


def dataset(truth: Coco, groups: list[str] | None = None) -> Dataset:
    """The plainest possible reader: no checks, everything in the file's order."""
    places = {image["id"]: i for i, image in enumerate(truth["images"])}
    columns = {category["id"]: i for i, category in enumerate(truth["categories"])}
    rows = truth["annotations"]
    boxes = np.array([row["bbox"] for row in rows], dtype=float).reshape(-1, 4)
    sides = boxes[:, 2:].copy()
    boxes[:, 2:] += boxes[:, :2]
    keypoints = None
    if rows and "keypoints" in rows[0]:
        keypoints = np.array([row["keypoints"] for row in rows], dtype=float).reshape(len(rows), -1, 3)
    return Dataset(
        name="made",
        root=Path(),
        source=Path("truth.json"),
        format="coco",
        classes=tuple(category["name"] for category in truth["categories"]),
        category_ids=tuple(columns),
        images=tuple(
            Image(
                id=str(image["id"]),
                path=Path(str(image["id"])),
                width=640,
                height=640,
                coco_id=image["id"],
                group=None if groups is None else groups[i],
            )
            for i, image in enumerate(truth["images"])
        ),
        labels=Labels.build(
            [places[row["image_id"]] for row in rows],
            [columns[row["category_id"]] for row in rows],
            boxes,
            area=[row["area"] for row in rows],
            crowd=[bool(row.get("iscrowd", 0)) for row in rows],
            ignore=[bool(row.get("ignore", 0)) for row in rows],
            keypoints=keypoints,
            sides=sides,
        ),
        keypoints=None if keypoints is None else Keypoints(tuple(map(str, range(keypoints.shape[1])))),
    )


def predictions(results: list[Coco], truth: Coco) -> Predictions:
    """COCO results in the file's order; without a box one gets the extent of its keypoints, as in pycocotools."""
    places = {image["id"]: i for i, image in enumerate(truth["images"])}
    columns = {category["id"]: i for i, category in enumerate(truth["categories"])}
    boxes, sides, keypoints = [], [], []
    for row in results:
        if "keypoints" in row:
            keypoints.append(np.array(row["keypoints"], dtype=float).reshape(-1, 3))
        if row.get("bbox"):
            x, y, width, height = row["bbox"]
            boxes.append([x, y, x + width, y + height])
            sides.append([width, height])
        else:
            xs, ys = keypoints[-1][:, 0], keypoints[-1][:, 1]
            boxes.append([xs.min(), ys.min(), xs.max(), ys.max()])
            sides.append([xs.max() - xs.min(), ys.max() - ys.min()])
    return Predictions(
        images=tuple(str(image["id"]) for image in truth["images"]),
        classes=tuple(category["name"] for category in truth["categories"]),
        image=np.array([places[row["image_id"]] for row in results], dtype=np.int64),
        cls=np.array([columns[row["category_id"]] for row in results], dtype=np.int64),
        boxes=np.array(boxes, dtype=float).reshape(-1, 4),
        scores=np.array([row["score"] for row in results], dtype=float),
        keypoints=np.array(keypoints) if keypoints else None,
        sides=np.array(sides, dtype=float).reshape(-1, 2),
    )


def awkward(
    seed: int, *, images: int = 12, classes: int = 4, decimals: int = 1, grid: float = 8.0, digits: int = 2
) -> tuple[Coco, list[Coco]]:
    """Ties in score and IoU, crowds, empty images, classes without truth or detections, sizes at the limits.

    With more `digits` boxes are numbers of full precision, whose width cannot be told from left and right.
    """
    rng = np.random.default_rng(seed)
    sides = np.array([8.0, 16.0, 32.0, 33.1, 96.0, 96.3, 200.7])
    if digits > 2:
        sides, grid = np.concatenate([sides, [32 * 1.1, 32 / 1.1, 96 * 1.1, 96 / 1.1], rng.uniform(5, 90, 3)]), 7 * 1.1
    truth: Coco = {
        "images": [{"id": int(i)} for i in rng.permutation(images * 3)[:images]],
        "categories": [{"id": int(3 * c + 2), "name": f"class{c}"} for c in range(classes)],
        "annotations": [],
    }
    results: list[Coco] = []
    for image in truth["images"]:
        if rng.random() < 0.2:
            continue  # nothing on it; detections may still come below
        for _ in range(rng.integers(1, 7)):
            width, height = rng.choice(sides, 2)
            corner = rng.integers(0, 40, 2) * grid + rng.choice([0, 0.1])
            box = [round(float(v), digits) for v in (*corner, width, height)]
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": truth["categories"][rng.integers(0, classes - 1)]["id"],  # the last has no truth
                    "bbox": box,
                    "area": float(box[2] * box[3] * rng.choice([1.0, 0.7])),
                    "iscrowd": int(rng.random() < 0.15),
                    "ignore": int(rng.random() < 0.1),
                }
            )
    for row in truth["annotations"]:
        for _ in range(rng.integers(0, 4)):
            x, y, width, height = row["bbox"]
            shift = rng.choice([0.0, 0.0, width / 4, width / 3, 3.3])
            shrink = rng.choice([1.0, 1.0, 0.5, 0.75, 0.9])
            box = [round(float(v), digits) for v in (x + shift, y, width * shrink, height)]
            _detect(results, row["image_id"], row["category_id"], box, rng, decimals)
    for image in truth["images"]:
        for _ in range(rng.integers(0, 4)):
            category = truth["categories"][rng.integers(1, classes)]["id"]  # the first has few false alarms
            corner = rng.integers(0, 40, 2) * grid
            box = [round(float(v), digits) for v in (*corner, *rng.choice(sides, 2))]
            _detect(results, image["id"], category, box, rng, decimals)
    return truth, [results[i] for i in rng.permutation(len(results))]


def _detect(
    results: list[Coco], image: int, category: int, box: list[float], rng: np.random.Generator, decimals: int
) -> None:
    score = round(float(rng.random()), decimals)
    results.append({"image_id": image, "category_id": category, "bbox": box, "score": score})
