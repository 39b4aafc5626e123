"""Content of the page of a data set: the overview, and pictures of its sample images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.data.core.dataset import Dataset
from liftgate.data.overview.difference import DatasetDifference
from liftgate.data.overview.record import ClassRow, Overview, remarks
from liftgate.reporting.dataset_pages.pictures import LabelledPicture, labelled_picture

N_CLASS_STYLES = 6
"""Classes with a colour of their own; all others share the last."""


@dataclass(frozen=True, slots=True)
class DatasetColumn:
    """One data set."""

    view: Overview
    remarks: tuple[str, ...]
    shots: tuple[LabelledPicture, ...]


@dataclass(frozen=True, slots=True)
class ClassTableRow:
    """One class of one data set or both."""

    name: str
    look: str
    rows: tuple[ClassRow | None, ...]
    """One for each data set; None: it lacks the class."""


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """One data set, or two side by side."""

    sides: tuple[DatasetColumn, ...]
    classes: tuple[ClassTableRow, ...]
    """Most objects first"""
    difference: DatasetDifference | None = None
    command: str = ""


def dataset_page(
    datasets: Sequence[Dataset],
    views: Sequence[Overview],
    difference: DatasetDifference | None = None,
    command: str = "",
) -> DatasetPage:
    """Return the content of the page; pictures are read here."""
    totals: dict[str, int] = {}
    for view in views:
        for row in view.classes:
            totals[row.name] = totals.get(row.name, 0) + row.n_objects
    order = sorted(totals, key=lambda name: (-totals[name], name))
    look = {name: f"c{min(place, N_CLASS_STYLES - 1)}" for place, name in enumerate(order)}
    rows = [{row.name: row for row in view.classes} for view in views]
    return DatasetPage(
        sides=tuple(
            DatasetColumn(
                view,
                remarks(view),
                tuple(
                    labelled_picture(dataset, index, [look[name] for name in dataset.classes]) for index in view.samples
                ),
            )
            for dataset, view in zip(datasets, views, strict=True)
        ),
        classes=tuple(ClassTableRow(name, look[name], tuple(table.get(name) for table in rows)) for name in order),
        difference=difference,
        command=command,
    )
