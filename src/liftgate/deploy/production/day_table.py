"""One value a day and camera: mean confidence, objects, size and brightness of a log's or a data set's images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.production_log.records import LoggedImage
from liftgate.stats.day_shift import DailyValues

Statistic = Literal["confidence", "count", "size", "brightness", "appearance"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
WHAT: Mapping[Statistic, str] = {
    "confidence": "mean confidence of a detection",
    "count": "detections in an image",
    "size": "side of a box, as a share of the image's",
    "brightness": "mean of all pixels, 0 to 255",
    "appearance": "distance to the most similar image of the reference",
}
_DAY = 86400


@dataclass(slots=True)
class _Sums:
    totals: dict[Statistic, float] = field(default_factory=lambda: defaultdict(float))
    counts: dict[Statistic, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, statistic: Statistic, value: float, n: int = 1) -> None:
        self.totals[statistic] += value
        self.counts[statistic] += n


class DayTable:
    """Sums by camera and day, from which daily means come. A day without a value has none: it is not 0."""

    def __init__(self) -> None:
        """Begin empty."""
        self._sums: dict[tuple[str, int], _Sums] = defaultdict(_Sums)
        self.n_images = 0

    def add(self, camera: str, day: int, statistic: Statistic, value: float, n: int = 1) -> None:
        """Add a sum of `n` values."""
        self._sums[camera, day].add(statistic, value, n)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names, sorted; empty: not said."""
        return tuple(sorted({camera for camera, _ in self._sums}))

    def values(self, statistic: Statistic, camera: str | None = None) -> DailyValues:
        """Return the daily means of a statistic.

        Args:
            statistic: which.
            camera: which; None: all of them together.
        """
        totals: dict[int, float] = defaultdict(float)
        counts: dict[int, int] = defaultdict(int)
        for (name, day), sums in self._sums.items():
            if (camera is None or name == camera) and sums.counts.get(statistic):
                totals[day] += sums.totals[statistic]
                counts[day] += sums.counts[statistic]
        days = sorted(totals)
        return DailyValues(np.array(days, dtype=np.int64), np.array([totals[day] / counts[day] for day in days]))


def table_of_log(rows: Iterable[LoggedImage], conf: float) -> DayTable:
    """Return the table of a production log; a day is one of UTC.

    Args:
        rows: of the log.
        conf: detections below are not there, as with images.
    """
    table = DayTable()
    for row in rows:
        day, table.n_images = int(row.time // _DAY), table.n_images + 1
        table.add(row.camera, day, "brightness", row.brightness)
        area, sure = row.width * row.height, [one for one in row.detections if one.confidence >= conf]
        table.add(row.camera, day, "count", len(sure))
        for one in sure:
            table.add(row.camera, day, "confidence", one.confidence)
            if area:
                side = max(one.box[2] - one.box[0], 0.0) * max(one.box[3] - one.box[1], 0.0) / area
                table.add(row.camera, day, "size", side**0.5)
    return table


def table_of_images(
    dataset: Dataset,
    units: Sequence[tuple[str, int]],
    predictions: Predictions | None,
    brightness: Sequence[float | None],
    conf: float,
) -> DayTable:
    """Return the table of images that are no log.

    Args:
        dataset: the images.
        units: camera and day of each; groups that are no days have numbers that are no neighbours.
        predictions: on them; None: nothing is known of confidence, counts and sizes.
        brightness: of each; None: unknown.
        conf: detections below are not there.
    """
    table = DayTable()
    table.n_images = len(dataset.images)
    for (camera, day), value in zip(units, brightness, strict=True):
        if value is not None:
            table.add(camera, day, "brightness", value)
    if predictions is None:
        return table
    for index, camera, day, scores, sides in _detections(dataset, units, predictions, conf):
        table.add(camera, day, "count", len(scores))
        table.add(camera, day, "confidence", sum(scores), len(scores))
        if dataset.images[index].width:
            table.add(camera, day, "size", sum(sides), len(sides))
    return table


def _detections(
    dataset: Dataset, units: Sequence[tuple[str, int]], predictions: Predictions, conf: float
) -> Iterator[tuple[int, str, int, list[float], list[float]]]:
    places = {image.id: index for index, image in enumerate(dataset.images)}
    rows: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(predictions.scores >= conf).tolist():
        rows[int(predictions.image[row])].append(row)
    for number, name in enumerate(predictions.images):
        if (index := places.get(name)) is None:
            continue
        width, height = dataset.images[index].upright
        found = rows.get(number, [])
        boxes = predictions.boxes[found]
        areas = np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None)
        sides = np.sqrt(areas / max(width * height, 1)).tolist()
        yield index, *units[index], predictions.scores[found].tolist(), sides
