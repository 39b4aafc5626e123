"""Read and measure data sets: everything that `liftgate data stats` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from liftgate.data.core.dataset import Dataset
from liftgate.data.overview.comparison import ComparedSet, comparison_table
from liftgate.data.overview.difference import DatasetDifference, compare_datasets
from liftgate.data.overview.record import Overview, overview
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent
from liftgate.services.dataset_source import DatasetSource


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """Data sets, the overview of each, and the difference of each other one from the first."""

    datasets: tuple[Dataset, ...]
    views: tuple[Overview, ...]
    sides: tuple[DatasetDifference, ...]
    """Differences of the second, third … data set from the first"""

    @property
    def difference(self) -> DatasetDifference | None:
        """Difference of the second data set from the first; None: there is only one."""
        return self.sides[0] if self.sides else None

    @property
    def comparison(self) -> tuple[ComparedSet, ...]:
        """A table row for each data set."""
        return comparison_table(self.views, self.sides)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values: the first data set, the second as `against`, and all of them in `comparison`."""
        record = self.views[0].to_dict()
        if not self.sides:
            return record
        return {
            **record,
            "against": self.views[1].to_dict(),
            "difference": self.sides[0].to_dict(),
            "comparison": [row.to_dict() for row in self.comparison],
        }


def dataset_statistics(
    source: DatasetSource, *others: DatasetSource, imgsz: int = 640, seed: int = 0, progress: Progress = silent
) -> DatasetStatistics:
    """Read and measure one data set, or several side by side at the same imgsz.

    Raises:
        DataError: one of them cannot be read.
        UsageError: imgsz is below 1.
    """
    if imgsz < 1:
        raise UsageError("imgsz is out of range", expected="at least 1", got=imgsz)
    datasets = _with_unique_names([one.open(progress, unlabelled=True) for one in (source, *others)])
    views = [overview(dataset, imgsz=imgsz, seed=seed, progress=progress) for dataset in datasets]
    sides = [
        compare_datasets(datasets[0], dataset, views[0], view, seed=seed, progress=progress)
        for dataset, view in zip(datasets[1:], views[1:], strict=True)
    ]
    return DatasetStatistics(tuple(datasets), tuple(views), tuple(sides))


def _with_unique_names(datasets: Sequence[Dataset]) -> list[Dataset]:
    count = Counter(dataset.name for dataset in datasets)
    words = ("first", "second", "third", *(f"{number}th" for number in range(4, len(datasets) + 1)))
    return [
        replace(dataset, name=f"{dataset.name} ({word})") if count[dataset.name] > 1 else dataset
        for dataset, word in zip(datasets, words, strict=False)
    ]
