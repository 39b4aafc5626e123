"""Build Predictions row by row, each validated as it is added."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.image_names import ImageNames, NameClaims, require_one_picture
from liftgate.data.core.predictions import Predictions
from liftgate.errors import DataError

LARGEST = 1_500_000_000
"""Bytes of one file: ten million detections. Parsing takes several times as much memory."""

_LARGEST_COORDINATE = 1e9


class PredictionsBuilder:
    """Collects detections on a dataset's images.

    Detections of classes that the dataset does not have are left out and counted with `others="drop"`; with
    `others="refuse"`, for names written by hand, they are an error.
    """

    def __init__(
        self, dataset: Dataset, *, others: Literal["refuse", "drop"] = "refuse", hint: str | None = None
    ) -> None:
        """Begin with no image covered; `hint` is the hint for an unknown class."""
        self.dataset = dataset
        self._hint = hint
        self._others = others
        self._names = ImageNames(dataset.images)
        self._claims = NameClaims()
        self._numbers = {str(image.coco_id): i for i, image in enumerate(dataset.images) if image.coco_id is not None}
        self._classes = {name.casefold(): index for index, name in enumerate(dataset.classes)}
        self._classes |= {name: index for index, name in enumerate(dataset.classes)}
        self._seen: dict[int, int] = {}
        self._dropped: Counter[str] = Counter()
        self._image, self._cls, self._boxes, self._scores = array("q"), array("q"), array("d"), array("d")
        self._boxed: bool | None = None
        self._points = array("d")
        self._posed: bool | None = None

    def find(self, name: str) -> int | None:
        """Return the index of the image with this id, file name or stem; None: unknown or ambiguous."""
        place = self._names.find(name)
        return self._numbers.get(name) if place is None else place

    def cover_named(self, where: str, name: str) -> int:
        """Mark an image as covered by the predictions and return its index in the dataset.

        Raises:
            DataError: no image has that name, or more than one.
        """
        place = self.find(str(name))
        if place is None:
            raise DataError(
                "unknown image", where=where, expected=_some([image.id for image in self.dataset.images], 3),
                got=repr(name), hint="was this made on another data set or split, or have two images this name?",
            )  # fmt: skip
        require_one_picture(self._claims, where, str(name), self.dataset.images[place].id)
        self.cover(place)
        return place

    def cover(self, place: int) -> None:
        """Mark the image at an index of the dataset as covered."""
        self._seen.setdefault(place, len(self._seen))

    def cover_all(self) -> None:
        """Mark every image as covered."""
        for place in range(len(self.dataset.images)):
            self.cover(place)

    def class_by_name(self, where: str, name: str) -> int | None:
        """Return the index of a class by name, upper or lower case; None: a class to leave out.

        Raises:
            DataError: the dataset has no such class, and unknown ones are refused.
        """
        place = self._classes.get(name, self._classes.get(name.strip().casefold()))
        if place is None and self._others == "refuse":
            raise DataError(
                "unknown class", where=where, expected=_some(self.dataset.classes, 8), got=repr(name),
                hint=self._hint,
            )  # fmt: skip
        if place is None:
            self._dropped[name] += 1
        return place

    def class_by_number(self, where: str, number: int) -> int:
        """Return the index of a class by its number from 0.

        Raises:
            DataError: the dataset has no class of that number.
        """
        if not 0 <= number < len(self.dataset.classes):
            last = len(self.dataset.classes) - 1
            raise DataError("unknown class number", where=where, expected=f"0 … {last}", got=number)
        return number

    def add(
        self,
        where: str,
        place: int,
        cls: int,
        score: float,
        box: Sequence[float] | None,
        points: Sequence[float] | None = None,
    ) -> None:
        """Add one detection.

        Args:
            where: place in the source, for messages.
            place: index of the image in the dataset.
            cls: index of the class; see `class_by_name`.
            score: confidence, 0 … 1.
            box: xyxy in pixels of the upright image; None for a prediction about the whole image.
            points: x, y and confidence of each of the dataset's keypoints, in the same pixels.

        Raises:
            DataError: not a number, a score outside 0 … 1, a box of negative size, or boxes or keypoints on some
                rows only.
        """
        if not 0 <= score <= 1:  # NaN too
            percent = "in percent? Divide by 100" if 1 < score <= 100 else "leave out what has no score"
            raise DataError("the score is off", where=where, expected="0 to 1", got=score, hint=percent)
        if self._boxed is not None and self._boxed != (box is not None):
            raise DataError("boxes on some rows only", where=where, hint="either every row has a box or none has")
        self._boxed = box is not None
        if self._posed is not None and self._posed != (points is not None):
            raise DataError("keypoints on some rows only", where=where, hint="either every row has them or none has")
        self._posed = points is not None
        if points is not None:
            if not all(abs(value) < _LARGEST_COORDINATE for value in points):
                raise DataError("a keypoint is no number", where=where)
            self._points.extend(points)
        if box is not None:
            _require_box(where, box)
        self._image.append(self._seen[place])
        self._cls.append(cls)
        self._scores.append(score)
        self._boxes.extend([np.nan] * 4 if box is None else box)

    def build(self, settings: Mapping[str, object], *, image_level: bool = False) -> Predictions:
        """Return the predictions; `image_level`: they are for whole images, even if there is no row.

        Raises:
            DataError: the dataset has none of the classes that occur.
        """
        if self._dropped and not self._image:
            raise DataError(
                "no class in common", expected=_some(self.dataset.classes, 5), got=_some(sorted(self._dropped), 5)
            )
        details = dict(settings)
        if self._dropped:
            details["other_classes_dropped"] = self._dropped.total()
        if self._boxed is False or (self._boxed is None and image_level):
            details["answers"] = "image"
        return Predictions(
            images=tuple(self.dataset.images[place].id for place in self._seen),
            classes=self.dataset.classes,
            image=np.array(self._image, dtype=np.int64),
            cls=np.array(self._cls, dtype=np.int64),
            boxes=np.array(self._boxes, dtype=np.float64).reshape(-1, 4),
            scores=np.array(self._scores, dtype=np.float64),
            keypoints=np.array(self._points).reshape(len(self._image), -1, 3) if self._posed else None,
            settings=details,
        )


def parse_number(where: str, what: str, value: object) -> float:
    """Return `value` as a number.

    >>> parse_number("a.csv:2", "score", "0.5")
    0.5

    Raises:
        DataError: it is not a number.
    """
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{what} is no number", where=where, got=repr(value)[:80]) from None


def box_in_pixels(where: str, box: tuple[float, float, float, float], size: tuple[int, int]) -> list[float]:
    """Convert left, top, width, height in fractions of an image of `size` to xyxy in pixels.

    Rounded before they are added, as a COCO file has them: 32 pixels come back as 32, and with them an IoU of exactly
    0.5 and the size range of an object; mAP of the same boxes is then the same from every source.

    >>> box_in_pixels("a.txt:1", (32.4 / 640, 0.0, 32 / 640, 0.5), (640, 480)), 32.4 + 32
    ([32.4, 0.0, 64.4, 240.0], 64.4)

    Raises:
        DataError: the image's size is unknown.
    """
    if not all(size):
        raise DataError("the image's size is not known, so fractions mean nothing", where=where)
    left, top, width, height = (round(side * length, 8) for side, length in zip(box, (*size, *size), strict=True))
    return [left, top, left + width, top + height]


def require_readable(path: Path, largest: int = LARGEST) -> None:
    """Refuse a file that does not exist or is too large to parse in memory.

    Raises:
        DataError: the file is missing or larger than `largest` bytes.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError("cannot read the file", where=path, got=error.strerror) from None
    if size > largest:
        raise DataError(
            "the file is too large", where=path, expected=f"at most {largest / 1e9:.3g} GB", got=f"{size / 1e9:.3g} GB",
            hint="leave out detections below score 0.001, write fewer decimals, or split it by images",
        )  # fmt: skip


def _require_box(where: str, box: Sequence[float]) -> None:
    values = [float(value) for value in box]
    if len(values) != 4 or not all(abs(value) < _LARGEST_COORDINATE for value in values):
        raise DataError("the box is no box", where=where, expected="four numbers", got=values)
    if values[2] < values[0] or values[3] < values[1]:
        raise DataError(
            "the box has a negative size", where=where, expected="left, top, right, bottom", got=values,
            hint="width and height instead of right and bottom?",
        )  # fmt: skip


def _some(values: Sequence[str], shown: int) -> str:
    return ", ".join(values[:shown]) + (", …" if len(values) > shown else "")
