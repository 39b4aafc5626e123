"""Write the detections of a backend as COCO results, with the model's classes mapped to those of the data set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.backends.events import Json
from liftgate.boxes import xyxy_to_xywh
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.files import replacing, write_json
from liftgate.hashing import content_hash, file_hash

Columns = Mapping[str, NDArray[Any]]


def match_classes(model: Sequence[str], dataset: Sequence[str]) -> tuple[dict[int, int], str | None]:
    """Return model class → data set class, matched by name, and a note for the user or None.

    Classes that the data set does not have are dropped. With no name in common but equally many classes, they are
    matched in order where no other order is possible, or where one side has numbers instead of names; otherwise nothing
    can be detected, as the note reports.

    >>> match_classes(["person", "car"], ["Person"])
    ({0: 0}, None)
    >>> match_classes(["class_0", "class_1"], ["cat", "dog"])[0]
    {0: 0, 1: 1}
    >>> match_classes(["blue cone", "yellow cone"], ["yellow_cone", "blue_cone"])[0]
    {}
    """
    places = {_key(name): j for j, name in enumerate(dataset)}
    mapping = {i: places[_key(name)] for i, name in enumerate(model) if _key(name) in places}
    if mapping:
        missing = [name for j, name in enumerate(dataset) if j not in mapping.values()]
        return mapping, f"the model has no class {', '.join(missing)}: it cannot find any" if missing else None
    if len(model) == len(dataset) and (len(model) == 1 or _only_numbers(model) or _only_numbers(dataset)):
        pairs = ", ".join(f"{a} → {b}" for a, b in zip(model, dataset, strict=True))
        return dict(enumerate(range(len(dataset)))), f"no class name in common: taken in order ({pairs})"
    note = "the model has no class of this data set by name: nothing can be detected"
    return {}, f"{note} (model: {_first_names(model)}; data set: {_first_names(dataset)})"


def weights_hash(path: Path) -> str:
    """Return the SHA-256 of a weights file, or of all files in an exported model that is a folder."""
    if path.is_file():
        return file_hash(path)
    inside = sorted(item for item in path.rglob("*") if item.is_file())
    return content_hash([(item.relative_to(path).as_posix(), file_hash(item)) for item in inside])


def write_predictions(
    path: Path, images: Iterable[tuple[str, Columns]], mapping: Mapping[int, int], settings: Json
) -> Json:
    """Write COCO results JSON to `path` and `settings` beside it, `<stem>.settings.json`; return the settings.

    The settings file also lists all images, with and without detections; the returned settings only count them.

    Args:
        path: results file; image_id is the data set's image id, category_id the data set's class counted from 1.
        images: image id and its detections: bboxes (n, 4) xyxy pixels, conf (n,), cls (n,), for pose also
            keypoints (n, K, 2 or 3).
        mapping: model class → data set class; detections of other classes are dropped.
        settings: settings of the predictions, such as imgsz and conf.
    """
    names: list[str] = []
    with replacing(path) as file:
        file.write("[")
        first = True
        for image, found in images:
            require_utf8_names([image], path)
            names.append(image)
            for row in _rows(image, found, mapping):
                file.write(("\n" if first else ",\n") + json.dumps(row))
                first = False
        file.write("\n]\n")
    used = {**settings, "category_numbering": "class from 1", "n_images": len(names)}
    write_json(path.with_name(f"{path.stem}.settings.json"), {**used, "images": names})
    return used


def _rows(image: str, found: Columns, mapping: Mapping[int, int]) -> Iterable[Json]:
    boxes = xyxy_to_xywh(np.asarray(found["bboxes"], dtype=np.float64).reshape(-1, 4))
    for i, cls in enumerate(found["cls"]):
        if int(cls) not in mapping:
            continue
        # Nine digits keep a float32 score exactly, and so the order of detections.
        score = float(f"{found['conf'][i]:.9g}")
        box = [round(float(value), 4) for value in boxes[i]]
        row = {"image_id": image, "category_id": mapping[int(cls)] + 1, "bbox": box, "score": score}
        if "keypoints" in found:
            row["keypoints"] = [round(float(value), 4) for value in _triples(found["keypoints"][i]).ravel()]
        yield row


def _triples(points: NDArray[Any]) -> NDArray[Any]:
    """Return keypoints (K, 2) or (K, 3) as (K, 3), with confidence 1 where the model gives none."""
    return points if points.shape[1] == 3 else np.concatenate([points, np.ones((len(points), 1))], axis=1)


def _key(name: str) -> str:
    return name.strip().casefold()


def _only_numbers(names: Sequence[str]) -> bool:
    """Return whether names say no more than a number: `0`, `class_3`, `c7`."""
    return all(re.fullmatch(r"(class|cls|c|category|label|id|object|obj|item)?[ _-]?\d+", _key(name)) for name in names)


def _first_names(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
