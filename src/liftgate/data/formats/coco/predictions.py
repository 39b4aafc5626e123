"""Predictions ↔ COCO results JSON, with how they were made in `<stem>.settings.json` beside it.

A results file says neither which images were looked at nor what its category numbers mean. The settings say both:

    images               ids of the images that were looked at; absent: all of the dataset
    category_numbering   `category ids`, `class from 0` or `class from 1`; absent: see `read_predictions`
    classes              a list: names of category_id 1, 2, …, the model's own, matched to the dataset's by name;
                         a mapping, model's name → dataset's (a backend wrote it): the numbers are `class from 1`
    answers              `image`: the rows are of whole images and have no bbox
    …                    everything else is kept as `Predictions.settings`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes, xywh_to_xyxy, xyxy_to_xywh
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.image_names import ImageNames
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats.coco.annotations import by_spelling
from liftgate.data.formats.coco.document import Id
from liftgate.data.formats.coco.results import Results, read_results, spread
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError
from liftgate.files import write_bytes, write_json


def settings_path(path: Path) -> Path:
    """Where the settings of a results file lie."""
    return path.with_name(f"{path.stem}.settings.json")


def named_classes(path: Path) -> tuple[str, ...]:
    """The class names that the settings of a results file give, the model's own; empty where they give none.

    Raises:
        DataError: the settings cannot be read.
    """
    names = _read_settings(settings_path(path)).get("classes")
    return tuple(map(str, names)) if isinstance(names, list | dict) else ()


def read_predictions(path: Path, dataset: Dataset, results: Results | None = None) -> Predictions:
    """Read a COCO results file against the dataset that it was made on.

    `image_id` may be the image's COCO id, its id, file name or stem, or any of these spelled as text. `category_id` is
    the dataset's, unless the settings say otherwise; or, when a 0 occurs that is no category and all are below the
    number of classes, the class index (as many tools write). How it was read is in `settings["category_numbering"]`.
    Keypoints without a box get the box around them. `results` are the file's rows where they have been read already.

    Raises:
        DataError: not JSON (with the line), or a row that cannot be meant (with its index).
    """
    results = read_results(path) if results is None else results
    settings = _read_settings(settings_path(path))
    numbering = _numbering(path, results, dataset, settings)
    images = _ImageIds(dataset)
    looked_at = _looked_at(path, dataset, settings, images)
    image = _image_column(path, results, dataset, images, looked_at)
    cls = _class_column(path, results, numbering)
    if not np.isfinite(results.score).all():
        bad = np.flatnonzero(~np.isfinite(results.score))[0]
        raise DataError("the score is no number", where=f"{path}: [{bad}]", got=results.score[bad])
    kept = np.flatnonzero(cls >= 0)
    posed = dataset.keypoints and (results.point_count > 0).any()
    n_keypoints = len(dataset.keypoints.names) if dataset.keypoints and posed else 0
    details: dict[str, Any] = {key: value for key, value in settings.items() if key != "images"}
    details["category_numbering"] = numbering.name
    if len(kept) < len(results):
        details["other_classes_dropped"] = len(results) - len(kept)
    if images.respelled:
        details["image_ids_respelled"] = images.respelled
    if outside := int(np.sum((results.score < 0) | (results.score > 1))):
        details["scores_outside_0_1"] = outside  # ranking by them is sound, a threshold or calibration is not
    answers = settings.get("answers") == "image"
    boxes = np.full((len(kept), 4), np.nan) if answers else _boxes(path, results, kept)
    return Predictions(
        images=tuple(dataset.images[index].id for index in looked_at),
        classes=dataset.classes,
        image=image[kept],
        cls=cls[kept],
        boxes=xywh_to_xyxy(boxes),
        scores=results.score[kept],
        keypoints=_points(path, results, kept, n_keypoints) if n_keypoints else None,
        settings=details,
        sides=boxes[:, 2:],
    )


def write_predictions(predictions: Predictions, dataset: Dataset, path: Path) -> Path:
    """Write predictions as COCO results and their settings beside; returns `path`.

    image_id is the image's COCO id where it has one, else its id; category_id is the dataset's.
    """
    ids = {image.id: image.id if image.coco_id is None else image.coco_id for image in dataset.images}
    category = dict(zip(dataset.classes, dataset.category_ids, strict=True))
    boxes = [None] * len(predictions) if predictions.image_level else xyxy_to_xywh(predictions.boxes).tolist()
    rows: list[dict[str, Any]] = [
        {
            "image_id": ids[predictions.images[image]],
            "category_id": category[predictions.classes[cls]],
            "bbox": box,
            "score": score,
        }
        for image, cls, box, score in zip(
            predictions.image.tolist(), predictions.cls.tolist(), boxes, predictions.scores.tolist(), strict=True
        )
    ]
    if predictions.keypoints is not None:
        for row, points in zip(rows, predictions.keypoints, strict=True):
            row["keypoints"] = points.ravel().tolist()
    said = {"category_numbering": "category ids", "images": list(predictions.images)}
    write_json(settings_path(path), dict(predictions.settings) | said)
    write_bytes(path, msgspec.json.encode(rows))
    return path


@dataclass(frozen=True, slots=True)
class _Numbering:
    name: str
    classes: Mapping[int, int | None]
    """category_id → index of the dataset's class; None: a class that the dataset does not have"""


def _numbering(path: Path, results: Results, dataset: Dataset, settings: Mapping[str, Any]) -> _Numbering:
    count = len(dataset.classes)
    known: dict[str, Mapping[int, int | None]] = {
        "category ids": {id_: index for index, id_ in enumerate(dataset.category_ids)},
        "class from 0": dict(enumerate(range(count))),
        "class from 1": dict(enumerate(range(count), 1)),
    }
    said, names = settings.get("category_numbering"), settings.get("classes")
    if isinstance(said, str) and said in known:
        return _Numbering(said, known[said])
    if isinstance(names, dict):
        return _Numbering("class from 1", known["class from 1"])
    if names is not None:
        return _Numbering("names", _by_name(path, names, dataset))
    used = set(np.unique(results.category).tolist())
    if 0 in used and 0 not in dataset.category_ids and min(used) >= 0 and max(used) < count:
        return _Numbering("class from 0", known["class from 0"])
    return _Numbering("category ids", known["category ids"])


def _by_name(path: Path, names: object, dataset: Dataset) -> dict[int, int | None]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError("classes is no list of names", where=settings_path(path))
    table = {name: index for index, name in enumerate(dataset.classes)}
    folded = {name.casefold(): index for name, index in table.items()}
    places = {number: table.get(name, folded.get(name.casefold())) for number, name in enumerate(names, 1)}
    if all(place is None for place in places.values()):
        raise DataError(
            "no class in common", where=settings_path(path), expected=_some(dataset.classes), got=_some(names)
        )
    return places


class _ImageIds:
    """Finds the image of a results row: exact COCO id, then id, file name or stem, then by spelling where unique."""

    def __init__(self, dataset: Dataset) -> None:
        self._exact: dict[Id, int] = {
            image.coco_id: index for index, image in enumerate(dataset.images) if image.coco_id is not None
        }
        self._spelled = by_spelling(self._exact)
        self._images = dataset.images
        self._known: dict[Id, int | None] = {}
        self.respelled = 0
        """Ids that were found in another type than the dataset's (2299 and "2299")."""

    @cached_property
    def _names(self) -> ImageNames:
        return ImageNames(self._images)

    def find(self, id_: Id) -> int | None:
        if id_ in self._exact:
            return self._exact[id_]
        if id_ not in self._known:
            place = self._names.find(id_) if isinstance(id_, str) else None
            if place is None and (place := self._spelled.get(str(id_))) is not None:
                self.respelled += 1
            self._known[id_] = self._names.find(str(id_)) if place is None else place
        return self._known[id_]


def _image_column(
    path: Path, results: Results, dataset: Dataset, images: _ImageIds, looked_at: Mapping[int, int]
) -> NDArray[np.int64]:
    """(n,) index into Predictions.images; each distinct id is looked up once."""
    table = np.empty(len(results.ids), dtype=np.int64)
    for number, id_ in enumerate(results.ids):
        found = images.find(id_)
        place = None if found is None else looked_at.get(found)
        if place is None:
            row = np.flatnonzero(results.image == number)[0]
            raise _unknown_image(f"{path}: [{row}]", id_, dataset)
        table[number] = place
    return table[results.image]


def _class_column(path: Path, results: Results, numbering: _Numbering) -> NDArray[np.int64]:
    """(n,) index into the dataset's classes, −1 for a class that the dataset does not have."""
    numbers = np.unique(results.category)
    place = np.searchsorted(numbers, results.category)
    unknown = np.array([number not in numbering.classes for number in numbers.tolist()], dtype=np.bool_)
    if unknown.any():
        row = np.flatnonzero(unknown[place])[0]
        raise DataError(
            "unknown category_id", where=f"{path}: [{row}]",
            expected=_some(list(numbering.classes)), got=results.category[row],
            hint="the numbers are the dataset's category ids, 1 … n where it has none",
        )  # fmt: skip
    meant = [numbering.classes[number] for number in numbers.tolist()]
    return np.array([-1 if index is None else index for index in meant], dtype=np.int64)[place]


def _boxes(path: Path, results: Results, kept: NDArray[np.int64]) -> Boxes:
    """(n, 4) left, top, width, height of the rows `kept`; of a row without, the box around its keypoints."""
    boxes = results.boxes[kept]
    missing = np.flatnonzero(np.isnan(boxes[:, 0]))
    for place, points in zip(missing, spread(results, kept[missing]), strict=True):
        if not len(points):
            raise DataError("a detection without bbox", where=f"{path}: [{kept[place]}]")
        corner = points[0::3].min(), points[1::3].min()
        boxes[place] = *corner, points[0::3].max() - corner[0], points[1::3].max() - corner[1]
    if boxes.min(initial=0) > -1e9 and boxes.max(initial=0) < 1e9 and boxes[:, 2:].min(initial=0) >= 0:
        return boxes
    odd = np.flatnonzero(~(np.abs(boxes) < 1e9).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1))
    where, box = f"{path}: [{kept[odd[0]]}]", boxes[odd[0]]
    if not (np.abs(box) < 1e9).all():
        raise DataError("the box is no box", where=where, expected="left, top, width, height", got=box.tolist())
    raise DataError(
        "the box has a negative size", where=where, expected="left, top, width, height", got=box.tolist(),
        hint="x1, y1, x2, y2 instead of width and height?",
    )  # fmt: skip


def _points(path: Path, results: Results, kept: NDArray[np.int64], n_keypoints: int) -> NDArray[np.float64]:
    """(n, K, 3) keypoints of the rows `kept`."""
    count = np.maximum(results.point_count[kept], 0)
    if len(wrong := np.flatnonzero(count != 3 * n_keypoints)):
        raise DataError(
            "wrong number of keypoint values", where=f"{path}: [{kept[wrong[0]]}]",
            expected=3 * n_keypoints, got=count[wrong[0]],
        )  # fmt: skip
    points = np.array(spread(results, kept), dtype=np.float64).reshape(len(kept), -1)
    if len(far := np.flatnonzero(~(np.abs(points) < 1e9).all(axis=1))):
        raise DataError("a keypoint is no number", where=f"{path}: [{kept[far[0]]}]")
    return points.reshape(-1, n_keypoints, 3)


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = load_json(path, LARGE)
    except (OSError, DocumentError) as error:
        raise DataError("cannot read the settings", where=path, got=str(error)) from None
    if not isinstance(settings, dict):
        raise DataError("settings are no object", where=path, got=type(settings).__name__)
    return settings


def _looked_at(path: Path, dataset: Dataset, settings: Mapping[str, Any], ids: _ImageIds) -> dict[int, int]:
    """Index in the dataset → index in Predictions.images, for the images that were looked at."""
    named = settings.get("images")
    if named is None:
        return {index: index for index in range(len(dataset.images))}
    if not isinstance(named, list) or not all(isinstance(name, str | int) for name in named):
        raise DataError("images is no list of ids", where=settings_path(path))
    places = []
    for name in named:
        place = ids.find(name)
        if place is None:
            raise _unknown_image(str(settings_path(path)), name, dataset)
        places.append(place)
    return {place: index for index, place in enumerate(dict.fromkeys(places))}


def _unknown_image(where: str, image_id: Id, dataset: Dataset) -> DataError:
    known = [image.id if image.coco_id is None else image.coco_id for image in dataset.images[:3]]
    return DataError(
        "unknown image_id", where=where, expected=_some(known), got=repr(image_id),
        hint="were these predictions made on another data set or split?",
    )  # fmt: skip


def _some(values: Sequence[object]) -> str:
    shown = ", ".join(map(str, values[:5]))
    return f"{shown}, …" if len(values) > 5 else shown
