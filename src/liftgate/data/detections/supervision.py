"""supervision.Detections and similar objects, by image: `.xyxy`, `.confidence`, `.class_id`, `.data["class_name"]`.

supervision need not be installed. Class names are used if there are any; else numbers are the dataset's classes from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import PredictionsBuilder, parse_number
from liftgate.errors import DataError


def from_supervision(detections: Mapping[str, Any], dataset: Dataset) -> Predictions:
    """Return detections by image (id, file name or stem) as Predictions; other images are not predicted on.

    Raises:
        DataError: an unknown image or class number, columns of different lengths, or an invalid row.
    """
    builder = PredictionsBuilder(dataset, others="drop")
    for image, one in detections.items():
        place = builder.cover_named("detections", image)
        boxes = np.asarray(getattr(one, "xyxy", None), dtype=np.float64)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            got = f"shape {boxes.shape}"
            raise DataError("no boxes", where=f"detections[{image!r}]", expected=".xyxy of shape (n, 4)", got=got)
        if not len(boxes):
            continue
        scores = _column(image, one.confidence, "confidence", len(boxes))
        names = (getattr(one, "data", None) or {}).get("class_name")
        column = one.class_id if names is None else names
        labels = _column(image, column, "class_id" if names is None else "class_name", len(boxes))
        for row in range(len(boxes)):
            where = f"detections[{image!r}][{row}]"
            label = labels[row]
            cls = _numbered(builder, where, label) if names is None else builder.class_by_name(where, str(label))
            if cls is not None:
                builder.add(where, place, cls, parse_number(where, "confidence", scores[row]), boxes[row].tolist())
    return builder.build({})


def _numbered(builder: PredictionsBuilder, where: str, label: Any) -> int:
    value = parse_number(where, "class_id", label)
    if value % 1:  # NaN too
        raise DataError("the class is no whole number", where=where, got=label)
    return builder.class_by_number(where, int(value))


def _column(image: str, values: Any, name: str, length: int) -> Sequence[Any]:
    if values is None or len(values) != length:
        got = "None" if values is None else len(values)
        raise DataError(
            f".{name} is not of the boxes' length", where=f"detections[{image!r}]", expected=length, got=got
        )
    return list(values)
