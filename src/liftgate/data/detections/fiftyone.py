"""FiftyOne: labels.json (FiftyOneImageDetectionDataset), samples.json (FiftyOneDataset), and its sample objects.

Boxes are left, top, width, height in fractions of the image. fiftyone need not be installed: objects are read by their
attributes (`filepath`, `detections`, `label`, `bounding_box`, `confidence`), mappings from files by the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import PredictionsBuilder, box_in_pixels, parse_number, require_readable
from liftgate.data.formats.coco.document import read_json
from liftgate.errors import DataError


class _File(msgspec.Struct):
    classes: list[str] | None = None
    labels: dict[str, list[dict[str, Any]] | None] | None = None
    samples: list[dict[str, Any]] | None = None
    images: list[msgspec.Raw] | None = None


def read(path: Path, dataset: Dataset, field: str | None = None) -> Predictions:
    """Read labels.json, or the predictions of samples.json in `field` (None: the one field with confidences).

    Raises:
        DataError: neither of the two, or an invalid detection (with its image and index).
    """
    require_readable(path)
    document = read_json(path, _File)
    if document.samples is not None:
        return from_samples(document.samples, dataset, field, where=str(path))
    if document.labels is None:
        raise DataError(
            "no predictions", where=path,
            expected="a list (COCO results), or an object with labels or samples (FiftyOne)",
            hint=None if document.images is None else "this is a COCO data set: is it the truth?",
        )  # fmt: skip
    builder = PredictionsBuilder(dataset, others="drop")
    for image, labels in document.labels.items():
        if labels is None:
            continue  # not predicted on
        where = f"{path}: {image}"
        place = builder.cover_named(where, image)
        for index, item in enumerate(labels):
            spot = f"{where}[{index}]"
            if "label" in item:
                _add(builder, spot, place, _named(spot, item["label"], document.classes), item)
            else:
                raise DataError("a detection without a label", where=spot)
    return builder.build({})


def from_samples(
    samples: Iterable[Any], dataset: Dataset, field: str | None = None, *, where: str = "samples"
) -> Predictions:
    """Return the predictions in `field` of FiftyOne samples: Detections, or Classification(s) of whole images.

    `field` None: the only field whose labels have a confidence. A sample whose field is empty was not predicted on.

    Raises:
        DataError: no such field, more than one, or an invalid label.
    """
    kept = list(samples)
    field = field or _predicted_field(kept, where)
    builder, found = PredictionsBuilder(dataset, others="drop"), False
    for index, sample in enumerate(kept):
        spot = f"{where}[{index}]"
        value = _get(sample, field)
        if value is None:
            continue
        found = True
        place = _image(builder, spot, _get(sample, "filepath"))
        for number_, item in enumerate(_labels(value)):
            here = f"{spot}.{field}[{number_}]"
            _add(builder, here, place, _named(here, _get(item, "label"), None), item)
    if not found:
        fields = sorted({name for sample in kept for name in _fields(sample)})
        raise DataError(f"no sample has a field {field!r}", where=where, expected=", ".join(fields) or "any sample")
    return builder.build({})


def _add(builder: PredictionsBuilder, where: str, place: int, label: str, item: Any) -> None:
    confidence = _get(item, "confidence")
    if confidence is None:
        raise DataError("a label without confidence", where=where, hint="is this the truth, not a prediction?")
    score = parse_number(where, "confidence", confidence)
    cls = builder.class_by_name(where, label)
    box = _get(item, "bounding_box")
    if box is not None:
        box = _pixels(where, box, builder.dataset.images[place].upright)
    if cls is not None:
        builder.add(where, place, cls, score, box)


def _pixels(where: str, box: Any, size: tuple[int, int]) -> list[float]:
    try:
        x, y, w, h = (parse_number(where, "a side", value) for value in box)
    except (TypeError, ValueError):
        raise DataError("the box is no box", where=where, expected="left, top, width, height", got=box) from None
    if not 0 <= max(abs(x), abs(y), w, h) <= 2:
        hint = "pixels? FiftyOne's boxes are fractions of the image"
        raise DataError("not a fraction of the image", where=where, got=[x, y, w, h], hint=hint)
    if w < 0 or h < 0:
        raise DataError("the box has a negative size", where=where, got=[x, y, w, h])
    return box_in_pixels(where, (x, y, w, h), size)


def _image(builder: PredictionsBuilder, where: str, filepath: Any) -> int:
    """Return the image of a path in an export, as it is or without leading folders that the export added."""
    if not isinstance(filepath, str):
        raise DataError("a sample without filepath", where=where)
    parts = PurePosixPath(filepath.replace("\\", "/")).parts
    # The longest tail that is an image's id: two cameras may have a 0001.jpg each.
    for start in range(len(parts)):
        place = builder.find("/".join(parts[start:]))
        if place is not None and builder.dataset.images[place].id == "/".join(parts[start:]):
            builder.cover(place)
            return place
    return builder.cover_named(where, filepath)


def _named(where: str, label: Any, classes: list[str] | None) -> str:
    if isinstance(label, str):
        return label
    if isinstance(label, int) and classes is not None and 0 <= label < len(classes):
        return classes[label]
    raise DataError("a label is no class", where=where, expected="a name, or the number of one of classes", got=label)


def _labels(value: Any) -> Iterable[Any]:
    for several in ("detections", "classifications"):
        if (items := _get(value, several)) is not None:
            return list(items)
    return [value] if _get(value, "label") is not None else []


def _predicted_field(samples: Iterable[Any], where: str) -> str:
    found = sorted(
        {
            name
            for sample in samples
            for name in _fields(sample)
            for item in _labels(_get(sample, name))
            if _get(item, "confidence") is not None
        }
    )
    if len(found) != 1:
        hint = f"{where}#FIELD" if found else "were these exported with the field of the predictions?"
        raise DataError(
            "which field holds the predictions?", where=where, expected="one field with confidences",
            got=", ".join(found) or "none", hint=hint,
        )  # fmt: skip
    return found[0]


def _fields(sample: Any) -> list[str]:
    names = sample if isinstance(sample, Mapping) else getattr(sample, "field_names", ())
    return [name for name in names if isinstance(name, str) and not name.startswith("_")]


def _get(item: Any, name: str) -> Any:
    if isinstance(item, Mapping):
        return item.get(name)
    return getattr(item, name, None)
