"""Read and write predictions as COCO results JSON, with their settings in `<stem>.settings.json` next to it.

A results file states neither which images were predicted on nor what its category numbers mean. The settings do:

    images               ids of the images that were predicted on; absent: all of the dataset
    category_numbering   `category ids`, `class from 0` or `class from 1`; absent: see `guess_numbering`
    classes              a list: names of category_id 1, 2, …, the model's own, matched to the dataset's by name;
                         a mapping, model's name → dataset's (a backend wrote it): the numbers are `class from 1`
    answers              `image`: the rows are for whole images and have no bbox
    …                    everything else is kept as `Predictions.settings`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes, xyxy_to_xywh
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.data.formats.coco.class_numbering import OPTIONS, Numbering, guess_numbering, numberings
from liftgate.data.formats.coco.document import Id
from liftgate.data.formats.coco.image_ids import ImageIds
from liftgate.data.formats.coco.results import CocoResults, read_results, spread
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError
from liftgate.files import write_bytes, write_json
from liftgate.hashing import short
from liftgate.kernels.ordering import distinct


def settings_path(path: Path) -> Path:
    """Return the path of a results file's settings."""
    return path.with_name(f"{path.stem}.settings.json")


def named_classes(path: Path) -> tuple[str, ...]:
    """Return the model's class names from the settings of a results file; empty if they name none.

    Raises:
        DataError: the settings cannot be read.
    """
    names = _read_settings(settings_path(path)).get("classes")
    return tuple(map(str, names)) if isinstance(names, list | dict) else ()


def read_predictions(
    path: Path, dataset: Dataset, results: CocoResults | None = None, *, numbering: str | None = None
) -> Predictions:
    """Read a COCO results file against the dataset that it was made on.

    `image_id` may be the image's COCO id, its id, file name or stem, or any of these spelled as text; a `file_name` in
    every row is used instead (see `ImageIds.rows`). `category_id` is the dataset's, unless `numbering` or the settings
    say otherwise (see `guess_numbering`). `settings["category_numbering"]` is the numbering that was used, and `notes`
    has a remark if it is a guess. Keypoints without a box get the box around them.

    Args:
        path: the results file.
        dataset: the truth.
        results: the file's rows where they have been read already; they are used up.
        numbering: `category ids`, `class from 0` or `class from 1`; None: as the settings say.

    Raises:
        DataError: not JSON (with the line), an invalid row (with its index), or a numbering that the truth's boxes
            contradict.
    """
    results = read_results(path) if results is None else results
    settings = _read_settings(settings_path(path))
    images = ImageIds(dataset)
    looked_at = _looked_at(path, dataset, settings, images)
    place = images.rows(path, results, declared="images" in settings)
    image = _image_column(path, results, dataset, place, looked_at)
    counted = _declared_numbering(path, dataset, settings, numbering) or guess_numbering(path, results, dataset, place)
    cls = _class_column(path, results, counted)
    if not np.isfinite(results.score).all():
        bad = np.flatnonzero(~np.isfinite(results.score))[0]
        raise DataError("the score is no number", where=f"{path}: [{bad}]", got=results.score[bad])
    kept = np.flatnonzero(cls >= 0)
    posed = dataset.keypoints and (results.point_count > 0).any()
    n_keypoints = len(dataset.keypoints.names) if dataset.keypoints and posed else 0
    details: dict[str, object] = {key: value for key, value in settings.items() if key != "images"}
    details["category_numbering"] = counted.name
    if len(kept) < len(results):
        details["other_classes_dropped"] = len(results) - len(kept)
    if images.respelled:
        details["image_ids_respelled"] = images.respelled
    if outside := int(np.sum((results.score < 0) | (results.score > 1))):
        details["scores_outside_0_1"] = outside  # ranking by them is sound, a threshold or calibration is not
    answers = settings.get("answers") == "image"
    boxes = np.full((len(kept), 4), np.nan) if answers else _boxes(path, results, kept)
    sides = np.ascontiguousarray(boxes[:, 2:])
    boxes[:, 2:] += boxes[:, :2]  # now left, top, right, bottom
    if len(kept) < len(results):
        image, cls = image[kept], cls[kept]
    return Predictions(
        images=tuple(dataset.images[index].id for index in looked_at),
        classes=dataset.classes,
        image=image,
        cls=cls,
        boxes=boxes,
        scores=results.score[kept] if len(kept) < len(results) else results.score,
        keypoints=_points(path, results, kept, n_keypoints) if n_keypoints else None,
        settings=details,
        sides=sides,
        notes=tuple(note for note in (counted.note, images.note) if note),
        guessed_numbering=counted.name if counted.guessed and len(kept) else "",
        has_boxes=answers or not len(kept) or bool(np.isfinite(results.boxes[kept, 0]).any()),
    )


def write_predictions(predictions: Predictions, dataset: Dataset, path: Path) -> Path:
    """Write predictions as COCO results, with their settings next to them, and return `path`.

    image_id is the image's COCO id where it has one, else its id; category_id is the dataset's. Where these count the
    classes from 1, the settings name the classes, so that the file can be read against a dataset that numbers them
    otherwise.
    """
    require_utf8_names((image.id for image in dataset.images if image.coco_id is None), dataset.source)
    ids = {image.id: image.id if image.coco_id is None else image.coco_id for image in dataset.images}
    category = dict(zip(dataset.classes, dataset.category_ids, strict=True))
    boxes = [None] * len(predictions) if predictions.image_level else xyxy_to_xywh(predictions.boxes).tolist()
    rows: list[dict[str, object]] = [
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
    settings = {name: value for name, value in predictions.settings.items() if name != "category_numbering"}
    counted = dataset.category_ids == tuple(range(1, len(dataset.classes) + 1))
    meaning = {"classes": list(dataset.classes)} if counted else {"category_numbering": "category ids"}
    write_json(settings_path(path), settings | meaning | {"images": list(predictions.images)})
    write_bytes(path, msgspec.json.encode(rows))
    return path


def _declared_numbering(
    path: Path, dataset: Dataset, settings: Mapping[str, object], numbering: str | None
) -> Numbering | None:
    """Return the numbering that an option or the settings declare, or None."""
    known = numberings(dataset)
    declared = numbering or settings.get("category_numbering")
    names = settings.get("classes")
    if isinstance(declared, str) and declared in known:
        return Numbering(declared, known[declared])
    if isinstance(names, dict):
        return Numbering("class from 1", known["class from 1"])
    return None if names is None else Numbering("names", _by_name(path, names, dataset))


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


def _image_column(
    path: Path, results: CocoResults, dataset: Dataset, place: NDArray[np.int64], looked_at: Mapping[int, int]
) -> NDArray[np.int64]:
    """Return the (n,) index of each row into Predictions.images."""
    table = np.full(len(dataset.images) + 1, -1, dtype=np.int64)  # the last one is that of no image
    table[list(looked_at)] = list(looked_at.values())
    column = table[place]
    if len(unknown := np.flatnonzero(column < 0)):
        row = int(unknown[0])
        raise _unknown_image(f"{path}: [{row}]", results.ids[int(results.image[row])], dataset)
    return column


def _class_column(path: Path, results: CocoResults, numbering: Numbering) -> NDArray[np.int64]:
    """Return the (n,) index of each row into the dataset's classes, −1: a class that the dataset does not have."""
    numbers = distinct(results.category)
    place = np.searchsorted(numbers, results.category)
    unknown = np.array([number not in numbering.classes for number in numbers.tolist()], dtype=np.bool_)
    if unknown.any():
        row = np.flatnonzero(unknown[place])[0]
        raise DataError(
            "unknown category_id", where=f"{path}: [{row}]",
            expected=_some(list(numbering.classes)), got=results.category[row],
            hint=f"how does the file count classes? {path.name}#{' or #'.join(OPTIONS)}; "
            "without it they are the data set's category ids, 1 … n where it has none",
        )  # fmt: skip
    meant = [numbering.classes[number] for number in numbers.tolist()]
    return np.array([-1 if index is None else index for index in meant], dtype=np.int64)[place]


def _boxes(path: Path, results: CocoResults, kept: NDArray[np.int64]) -> Boxes:
    """Return (n, 4) left, top, width, height of the rows `kept`; without a bbox, the box around the keypoints."""
    boxes = results.boxes[kept] if len(kept) < len(results) else results.boxes
    missing = np.flatnonzero(np.isnan(boxes[:, 0]))
    if len(missing) and boxes is results.boxes:
        boxes = boxes.copy()  # which rows have a box of their own is asked again
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


def _points(path: Path, results: CocoResults, kept: NDArray[np.int64], n_keypoints: int) -> NDArray[np.float64]:
    """Return the (n, K, 3) keypoints of the rows `kept`."""
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


def _read_settings(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        settings = load_json(path, LARGE)
    except (OSError, DocumentError) as error:
        raise DataError("cannot read the settings", where=path, got=str(error)) from None
    if not isinstance(settings, dict):
        raise DataError("settings are no object", where=path, got=type(settings).__name__)
    return settings


def _looked_at(path: Path, dataset: Dataset, settings: Mapping[str, object], ids: ImageIds) -> dict[int, int]:
    """Return index in the dataset → index in Predictions.images, for the images that were predicted on."""
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


def read_recorded(path: Path, dataset: Dataset, sha256: str | None) -> Predictions:
    """Read predictions that an earlier step of a study wrote.

    Args:
        path: COCO results JSON.
        dataset: the images that they were made on, as they were then.
        sha256: their content hash in the ledger; None: not compared, because the dataset may have changed since.

    Raises:
        DataError: the file cannot be read, or has other predictions than those on record.
    """
    hint = f"delete {path.name}: `liftgate run` predicts again"
    try:
        predictions = read_predictions(path, dataset)
    except DataError as error:
        raise DataError(error.what, where=error.where, expected=error.expected, got=error.got, hint=hint) from None
    if sha256 is not None and (found := predictions.content_hash()) != sha256:
        what = "not the predictions on record: the file was changed"
        raise DataError(what, where=path, expected=short(sha256), got=short(found), hint=hint)
    return predictions
