"""From one or two data sets, as files, to everything that `liftgate data stats` shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from liftgate.data.dataset import Dataset
from liftgate.data.overview.difference import Side, between
from liftgate.data.overview.record import Overview, overview
from liftgate.data.verbs import Source
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Look:
    """Data sets, what was measured of each, and how far apart they are."""

    datasets: tuple[Dataset, ...]
    views: tuple[Overview, ...]
    difference: Side | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the first data set on top, the second below `against`."""
        record = self.views[0].to_dict()
        if self.difference is None:
            return record
        return {**record, "against": self.views[1].to_dict(), "difference": self.difference.to_dict()}


def look(
    source: Source, against: Source | None = None, *, imgsz: int = 640, seed: int = 0, progress: Progress = silent
) -> Look:
    """Read and measure one data set, or two side by side at the same imgsz.

    Raises:
        DataError: one of them cannot be read.
        UsageError: imgsz is below 1.
    """
    if imgsz < 1:
        raise UsageError("imgsz is out of range", expected="at least 1", got=imgsz)
    datasets = [one.open(progress) for one in (source, against) if one is not None]
    if len({dataset.name for dataset in datasets}) < len(datasets):
        datasets = [
            replace(dataset, name=f"{dataset.name} ({word})")
            for dataset, word in zip(datasets, ("first", "second"), strict=True)
        ]
    views = [overview(dataset, imgsz=imgsz, seed=seed, progress=progress) for dataset in datasets]
    difference = None
    if len(views) == 2:
        difference = between(datasets[0], datasets[1], views[0], views[1], seed=seed, progress=progress)
    return Look(tuple(datasets), tuple(views), difference)
