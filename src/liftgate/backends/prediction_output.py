"""Write the detections of a backend as COCO results, with the model's classes mapped to those of the data set."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.backends.events import Json
from liftgate.boxes import xyxy_to_xywh
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import TrainingError
from liftgate.files import replacing, write_json
from liftgate.hashing import content_hash, file_hash

Columns = Mapping[str, NDArray[Any]]
_AGAIN = "the same command predicts them again"


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

    def rows() -> Iterator[str]:
        for image, found in images:
            require_utf8_names([image], path)
            names.append(image)
            yield from map(json.dumps, _rows(image, found, mapping))

    _write_rows(path, rows())
    used = {**settings, "category_numbering": "class from 1", "n_images": len(names)}
    write_json(path.with_name(f"{path.stem}.settings.json"), {**used, "images": names})
    return used


def join_predictions(path: Path, parts: Sequence[Path], images: Iterable[str]) -> Json:
    """Write the predictions of several parts of a split as those of the whole, byte for byte; return their settings.

    Args:
        path: results file to write, and its settings beside it.
        parts: results files, written by `write_predictions`.
        images: all images of the split, in order.

    Raises:
        TrainingError: the parts cannot be read, were made with different settings, or do not have every image once.
    """
    place = {image: number for number, image in enumerate(images)}
    first, names = _settings_of(parts[0])
    for part in parts[1:]:
        settings, more = _settings_of(part)
        if settings != first:
            differing = ", ".join(name for name in first if settings.get(name) != first[name])
            hint = (
                "the machines of the engine differ; with a larger `engine: {images_per_task}` one of them predicts it"
            )
            raise TrainingError("the parts of a prediction were made differently", where=part, got=differing, hint=hint)
        names += more
    if sorted(names) != sorted(place):
        what = "the parts of a prediction do not have every image once"
        raise TrainingError(what, where=path, expected=f"{len(place)} images", got=f"{len(names)} images", hint=_AGAIN)
    rows = heapq.merge(*(_numbered_rows(part, place) for part in parts), key=lambda row: row[0])
    _write_rows(path, (row for _, row in rows))
    used = {**first, "n_images": len(place)}
    write_json(path.with_name(f"{path.stem}.settings.json"), {**used, "images": list(place)})
    return used


def _write_rows(path: Path, rows: Iterable[str]) -> None:
    with replacing(path) as file:
        file.write("[")
        for number, row in enumerate(rows):
            file.write((",\n" if number else "\n") + row)
        file.write("\n]\n")


def _settings_of(part: Path) -> tuple[Json, list[str]]:
    """Return the settings of a results file but for its images, and their ids."""
    path = part.with_name(f"{part.stem}.settings.json")
    try:
        settings = load_json(path, LARGE)
        images = list(settings["images"])
    except (DocumentError, KeyError, TypeError) as error:
        raise _unreadable_part(path, error) from None
    return {name: value for name, value in settings.items() if name not in ("images", "n_images")}, images


def _numbered_rows(part: Path, place: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Yield the rows of a results file as they are written, with the number of their image, which ascends."""
    with part.open(encoding="utf-8") as lines:
        for line in lines:
            row = line.strip().removeprefix("[").removesuffix(",")
            if row in ("", "]"):
                continue
            try:
                number = place[json.loads(row)["image_id"]]
            except (ValueError, KeyError, TypeError) as error:
                raise _unreadable_part(part, error) from None
            yield number, row


def _unreadable_part(path: Path, error: Exception) -> TrainingError:
    got = f"no {error}" if isinstance(error, KeyError) else str(error)
    return TrainingError("a part of a prediction cannot be read", where=path, got=got, hint=_AGAIN)


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
