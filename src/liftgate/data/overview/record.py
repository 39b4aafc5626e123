"""Measure one data set: the record behind `liftgate data stats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from liftgate.data.agreement.overlap import draw_overlap
from liftgate.data.core.counts import DatasetCounts, describe
from liftgate.data.core.dataset import Dataset
from liftgate.data.overview.columns import (
    BoxShapes,
    Column,
    border_share,
    box_shapes,
    counted_labels,
    heat_map,
    label_columns,
    pixel_columns,
    whole_pixel_share,
)
from liftgate.progress import Progress, silent

LIMITS = (8, 16, 32)
"""Pixels at imgsz under which boxes are counted: a stride-8 detector sees a box of 8 px in one cell"""
PIXELS = 300
"""Number of images that are opened for brightness and contrast"""
SAMPLES = 12


@dataclass(frozen=True, slots=True)
class Distribution:
    """Histogram and quantiles of one measure."""

    name: str
    title: str
    unit: str
    of: str
    """`boxes` or `images`"""
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    """Values in each bin; the outer bins include values beyond the edges"""
    beyond: tuple[int, int]
    """Number of values below the first edge and above the last"""
    n: int
    p10: float | None
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class ClassRow:
    """Statistics of one class."""

    name: str
    n_objects: int
    n_images: int
    n_groups: int
    """Groups with at least one object: the sample size for statistics of this class"""
    by_split: Mapping[str, int]
    """split → objects"""
    median_size: float | None
    """px at imgsz"""
    median_aspect: float | None
    under: Mapping[str, float]
    """`8`, `16`, `32` → share of its boxes under so many pixels at imgsz"""


@dataclass(frozen=True, slots=True)
class Overview:
    """All statistics of a data set, as its page shows them."""

    counts: DatasetCounts
    """By split and class, groups, faults"""
    licence: str | None
    origin: str
    confidential: bool
    imgsz: int
    under: Mapping[str, float]
    """`8`, `16`, `32` → share of all boxes under so many pixels at imgsz"""
    imbalance: float | None
    """Objects of the most common class divided by those of the rarest class that has any"""
    classes: tuple[ClassRow, ...]
    """Most objects first"""
    distributions: tuple[Distribution, ...]
    heat: tuple[tuple[float, ...], ...]
    """Share of boxes that touch each cell, top row first"""
    border: float | None
    """Share of boxes at the image's edge"""
    whole_pixels: float | None
    """Share of boxes with all edges on whole pixels"""
    keypoints: tuple[KeypointRow, ...]
    largest_groups: tuple[tuple[str, int], ...]
    """(group, number of images)"""
    split_groups: tuple[str, ...]
    """Groups with images in more than one split"""
    n_pixels: int
    """Number of images that were opened for brightness and contrast"""
    samples: tuple[int, ...]
    """Indices of images to show"""
    columns: tuple[Column, ...]
    """Values of the distributions; not in the JSON"""

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.counts.name

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values: the fields of `counts` and all others in one mapping."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name not in ("counts", "columns", "samples")}
        record = {name: _plain_json(value) for name, value in fields.items()}
        return {
            **self.counts.to_dict(),
            **record,
            "class_rows": record["classes"],
            "classes": list(self.counts.classes),
        }


def overview(dataset: Dataset, *, imgsz: int = 640, seed: int = 0, progress: Progress = silent) -> Overview:
    """Measure a data set. `seed` draws which images are opened and shown; the same seed gives the same record."""
    rng = np.random.default_rng(seed)
    shapes = box_shapes(dataset, imgsz)
    columns = label_columns(dataset, shapes)
    opened = _opened(dataset, rng)
    columns += pixel_columns(dataset, opened, progress)
    rows = tuple(sorted(_class_rows(dataset, shapes), key=lambda row: (-row.n_objects, row.name)))
    filled = [row.n_objects for row in rows if row.n_objects]
    images_of: dict[str, list[str | None]] = {}
    for image in dataset.images:
        images_of.setdefault(image.key, []).append(image.split)
    largest = sorted(
        ((group, len(images)) for group, images in images_of.items()), key=lambda item: (-item[1], item[0])
    )
    return Overview(
        counts=describe(dataset, imgsz=imgsz),
        licence=dataset.licence,
        origin=dataset.origin,
        confidential=dataset.confidential,
        imgsz=imgsz,
        under=_shares_under(shapes.size),
        imbalance=max(filled) / min(filled) if filled else None,
        classes=rows,
        distributions=tuple(_distribution(column) for column in columns),
        heat=tuple(tuple(row) for row in heat_map(dataset).tolist()),
        border=border_share(dataset),
        whole_pixels=whole_pixel_share(dataset),
        keypoints=keypoint_rows(dataset),
        largest_groups=tuple(largest[:5]),
        split_groups=tuple(sorted(group for group, splits in images_of.items() if len(set(splits)) > 1)),
        n_pixels=len(columns[-1].values),
        samples=tuple(choose_samples(dataset, min(SAMPLES, len(dataset.images)), rng)),
        columns=columns,
    )


def _opened(dataset: Dataset, rng: np.random.Generator) -> list[int]:
    """Return the indices of the images to open, spread over the groups."""
    if not dataset.images:
        return []
    place = {image.id: index for index, image in enumerate(dataset.images)}
    drawn = draw_overlap(dataset, min(PIXELS, len(dataset.images)), rng)
    return [place[image.id] for image in drawn.images]


def _shares_under(sizes: np.ndarray[Any, Any]) -> dict[str, float]:
    return {str(limit): float((sizes < limit).mean()) for limit in LIMITS} if len(sizes) else {}


def _distribution(column: Column) -> Distribution:
    ends: list[float | None] = [None] * 3
    if len(column.values):
        ends = [float(value) for value in np.quantile(column.values, (0.1, 0.5, 0.9))]
    m = column.measure
    counts = tuple(int(count) for count in column.counts())
    beyond = int((column.values < m.edges[0]).sum()), int((column.values > m.edges[-1]).sum())
    return Distribution(m.name, m.title, m.unit, m.of, m.edges, counts, beyond, len(column.values), *ends)


def _class_rows(dataset: Dataset, shapes: BoxShapes) -> list[ClassRow]:
    labels = counted_labels(dataset)
    names = [image.split or "unsplit" for image in dataset.images]
    splits = [*dataset.splits, *(["unsplit"] if "unsplit" in names else [])]
    number = np.array([splits.index(name) for name in names], dtype=np.int64)
    keys = np.array(dataset.groups, dtype=object)
    rows = []
    for index, name in enumerate(dataset.classes):
        own = labels.take(labels.cls == index)
        images = np.unique(own.image)
        from_split = np.bincount(number[own.image], minlength=len(splits)).tolist() if len(own) else [0] * len(splits)
        solid = shapes.labels.cls == index
        size, aspect = shapes.size[solid], shapes.aspect[solid]
        rows.append(
            ClassRow(
                name=name,
                n_objects=len(own),
                n_images=len(images),
                n_groups=len(set(keys[images].tolist())),
                by_split=dict(zip(splits, from_split, strict=True)),
                median_size=float(np.median(size)) if len(size) else None,
                median_aspect=float(np.median(aspect)) if len(aspect) else None,
                under=_shares_under(size),
            )
        )
    return rows


def _plain_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_json(item) for item in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


def choose_samples(dataset: Dataset, count: int, rng: np.random.Generator) -> list[int]:
    """Return the indices of `count` images to show, sorted by id.

    First one for each class, then others; each time from the group with the fewest images so far.
    """
    labels = counted_labels(dataset)
    rank = rng.permutation(len(dataset.images))  # breaks ties
    keys = dataset.groups
    shown: dict[str, int] = {}
    taken: list[int] = []

    def take(candidates: list[int]) -> None:
        free = [index for index in candidates if index not in taken]
        if free and len(taken) < count:
            best = min(free, key=lambda index: (shown.get(keys[index], 0), rank[index]))
            shown[keys[best]] = shown.get(keys[best], 0) + 1
            taken.append(best)

    sizes = np.bincount(labels.cls, minlength=len(dataset.classes))
    for cls in np.argsort(sizes, kind="stable").tolist():
        if sizes[cls]:
            take(np.unique(labels.image[labels.cls == cls]).tolist())
    for _ in range(count - len(taken)):
        take(list(range(len(dataset.images))))
    return sorted(taken, key=lambda index: dataset.images[index].id)


@dataclass(frozen=True, slots=True)
class KeypointRow:
    """Statistics of one keypoint: how often it is labelled, and its position in the box."""

    name: str
    absent: float
    hidden: float
    visible: float
    """Shares of objects"""
    x: float | None
    y: float | None
    """Mean position in the box where labelled, 0 … 1 from left and top"""
    spread: float | None
    """Standard deviation around it, in box sizes"""
    n_labelled: int
    flips_to: str | None
    """Keypoint that it becomes when the image is mirrored"""


def keypoint_rows(dataset: Dataset) -> tuple[KeypointRow, ...]:
    """Return a row for each keypoint; empty if the files have no visibility column."""
    labels = counted_labels(dataset)
    if dataset.keypoints is None or dataset.keypoints.dims == 2 or labels.keypoints is None or not len(labels):
        return ()
    points, flips = labels.keypoints, dataset.keypoints.flip_idx
    size = labels.boxes[:, None, 2:] - labels.boxes[:, None, :2]
    place = np.divide(
        points[:, :, :2] - labels.boxes[:, None, :2], size, out=np.zeros_like(points[:, :, :2]), where=size > 0
    )
    rows = []
    for k, name in enumerate(dataset.keypoints.names):
        seen = points[:, k, 2]
        labelled = place[seen > 0, k]
        rows.append(
            KeypointRow(
                name=name,
                absent=float((seen == 0).mean()),
                hidden=float((seen == 1).mean()),
                visible=float((seen == 2).mean()),
                x=float(labelled[:, 0].mean()) if len(labelled) else None,
                y=float(labelled[:, 1].mean()) if len(labelled) else None,
                spread=float(np.sqrt(labelled.var(axis=0).sum())) if len(labelled) else None,
                n_labelled=len(labelled),
                flips_to=dataset.keypoints.names[flips[k]] if flips else None,
            )
        )
    return tuple(rows)


_TINY_SHARE = 0.1
_FEW_GROUPS = 5


def remarks(view: Overview) -> tuple[str, ...]:
    """Return the remarks on a data set, most important first; empty: nothing to remark."""
    return tuple(_remarks(view))


def _remarks(view: Overview) -> Iterator[str]:
    if view.split_groups:
        some = ", ".join(view.split_groups[:3])
        yield (
            f"{len(view.split_groups)} groups have images in more than one split, such as {some}: the test would be "
            "answered from memory."
        )
    faults = view.counts.faults
    if faults:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in faults.items())
        yield f"Read with faults ({kinds}): liftgate check shows where and what to do."
    empty = [row.name for row in view.classes if not row.n_objects]
    if empty:
        yield f"{len(empty)} of {len(view.classes)} classes have no object: {_some(empty)}."
    thin = [f"{row.name} ({row.n_groups})" for row in view.classes if 0 < row.n_groups < _FEW_GROUPS]
    if thin:
        yield f"Fewer than {_FEW_GROUPS} groups hold {_some(thin)}: no interval can be established for them."
    under = view.under.get("8", 0.0)
    if under >= _TINY_SHARE:
        yield f"{under:.0%} of the boxes are under 8 px at imgsz {view.imgsz}: one cell of a YOLO model's finest grid."
    unlabelled = sum(row.n_unlabelled for row in view.counts.splits)
    if unlabelled:
        yield f"{unlabelled:,} images have no label file: training treats them as empty, but no label confirms it."
    if view.counts.n_images and not sum(row.n_background for row in view.counts.splits):
        yield "No image is labelled as empty: false positives on background images are never tested."
    if view.licence is None:
        yield "The licence is unknown."
    if view.confidential:
        yield "Confidential: nothing of it, this page included, may leave the machine."


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
