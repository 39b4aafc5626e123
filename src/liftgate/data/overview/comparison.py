"""Compare several data sets in one table: a row for each, and its distance from the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from liftgate.data.overview.difference import DatasetDifference
from liftgate.data.overview.record import Overview


@dataclass(frozen=True, slots=True)
class ComparedSet:
    """One row of the table. Box size, aspect and brightness are medians; sizes in pixels at imgsz."""

    name: str
    n_images: int
    n_groups: int
    n_objects: int
    n_classes: int
    """Classes with an object"""
    objects_per_image: float | None
    box_size: float | None
    under_32: float | None
    """Share of boxes under 32 px at imgsz"""
    box_aspect: float | None
    brightness: float | None
    n_background: int
    origin: str
    licence: str | None
    shared_images: int | None
    """Images that are in the first data set too, byte for byte; None: this is the first"""
    shared_groups: int | None
    distances: dict[str, float]
    """measure → distance from the first: 0 the same, 1 nothing in common"""

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def comparison_table(views: Sequence[Overview], sides: Sequence[DatasetDifference]) -> tuple[ComparedSet, ...]:
    """Return a row for each data set; `sides` are the differences of the second and following ones from the first."""
    return tuple(_row(view, side) for view, side in zip(views, (None, *sides), strict=True))


def _row(view: Overview, side: DatasetDifference | None) -> ComparedSet:
    medians = {measure.name: measure.median for measure in view.distributions}
    n_images, n_objects = view.counts.n_images, view.counts.n_objects
    return ComparedSet(
        name=view.name,
        n_images=n_images,
        n_groups=view.counts.n_groups,
        n_objects=n_objects,
        n_classes=sum(row.n_objects > 0 for row in view.classes),
        objects_per_image=n_objects / n_images if n_images else None,
        box_size=medians["box_size"],
        under_32=view.under.get("32"),
        box_aspect=medians["box_aspect"],
        brightness=medians["brightness"],
        n_background=sum(row.n_background for row in view.counts.splits),
        origin=view.origin,
        licence=view.licence,
        shared_images=None if side is None else len(side.shared_images),
        shared_groups=None if side is None else len(side.shared_groups),
        distances={} if side is None else {d.name: d.distance for d in side.distances},
    )
