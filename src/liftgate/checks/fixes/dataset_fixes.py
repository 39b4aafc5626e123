"""Fixes that are safe to apply to a data set, written to new files. Nothing is changed in place.

Safe is what has one right answer: rows that Ultralytics would drop a whole image for, boxes over the edge, boxes drawn
twice, a flip_idx that the keypoints' names say, a data.yaml whose paths lead somewhere and that downloads nothing.
Boxes are moved only where that fix is named, and images that the decision did not use confirm it. Leaks, wrong
classes and missing labels need a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import cxcywh_to_xyxy
from liftgate.checks.messages import label_file, label_location
from liftgate.checks.probes.box_conventions import NEXT, PREVIOUS, describe_transform, in_other_units, read_as
from liftgate.checks.probes.flip_index import flip_from_names
from liftgate.checks.probes.label_geometry import probe_confirmed
from liftgate.checks.rules.labels import overlapping_pairs
from liftgate.data.core.dataset import Dataset, Fault, Image, Labels, stack_labels
from liftgate.data.core.faults import unread_images
from liftgate.data.formats import yolo
from liftgate.files import require_empty, write_json
from liftgate.paths import lexical

REPORT = "mended.json"
GEOMETRY = "labels.geometry"
"""The fix that moves boxes: applied only where it is named"""
_ROWS = ("row_columns", "row_not_number", "row_out_of_range", "class_out_of_range", "class_not_integer")
_INSIDE = 0.5  # share of a box that must lie in the image for the rest to be cut off
_FARTHEST = 2.0  # a coordinate beyond it is in pixels, not over the edge
_ROUNDING = 0.5  # pixels over the edge that come from rounding
_CUT = "boxes over the edge cut at the edge of the image"
_NAMED = 20


@dataclass(frozen=True, slots=True)
class AppliedFix:
    """One kind of fix that was applied, or one that was left out."""

    id: str
    """The finding that it answers"""
    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FixedDataset:
    """A data set with its faults fixed, and the fixes that were applied."""

    dataset: Dataset
    changes: tuple[AppliedFix, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"dataset": self.dataset.name, "changes": [asdict(change) for change in self.changes]}


@dataclass(slots=True)
class _Log:
    places: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def say(self, id_: str, what: str, place: str) -> None:
        self.places[id_, what].append(place)

    def changes(self) -> tuple[AppliedFix, ...]:
        return tuple(
            AppliedFix(id_, what, len(places), tuple(places[:_NAMED])) for (id_, what), places in self.places.items()
        )


def fix_dataset(dataset: Dataset, named: Collection[str] = ()) -> FixedDataset:
    """Return the data set with every safe fix applied; the same data set where there is nothing to fix.

    Args:
        dataset: as it was read.
        named: ids of fixes that are applied only where they are named: `labels.geometry` moves boxes.
    """
    original = dataset
    log = _Log()
    geometry = GEOMETRY in named
    if geometry and in_other_units(dataset):  # rows in another unit are lost one and all: first they have to be read
        dataset = _reread(dataset, log)
    dataset = _with_lost_rows(dataset, log)
    if geometry:
        dataset = _reread(dataset, log)
    dataset = _cut(dataset, log)
    dataset = _once(dataset, log)
    dataset = _flipped(dataset, log)
    if "download" in dataset.raw:
        log.say("data.download_key", "`download:` left out", str(dataset.source))
    for fault in dataset.faults:
        if fault.kind.startswith(("path_", "list_relative")):
            log.say("data.path", "paths resolved and written absolute", fault.where)
    return FixedDataset(_without_unknown(original, dataset, log), log.changes())


def write_fixed(done: FixedDataset, folder: Path) -> Path:
    """Write a fixed data set as YOLO (links to the images, labels, data.yaml, mended.json) and return its data.yaml.

    Images outside every split are left out, unless there is no split at all: then all are train.

    Raises:
        DataError: `folder` is not empty.
    """
    folder = lexical(folder)
    require_empty(folder)
    dataset = done.dataset
    if not dataset.splits:
        dataset = dataset.with_images([replace(image, split="train") for image in dataset.images])
    data_yaml = yolo.write(dataset, folder)
    write_json(folder / REPORT, done.to_dict())
    return data_yaml


def _without_unknown(before: Dataset, dataset: Dataset, log: _Log) -> Dataset:
    """Leave out images that had labels and have no object any more: a copy would call them empty."""
    had = unread_images(before)
    had[before.labels.image] = True
    counted = dataset.labels.image[~dataset.labels.crowd & ~dataset.labels.ignore]
    had[counted] = False
    for index in np.flatnonzero(had):
        what = "images of whose labels nothing is left: left out, not empty"
        log.say("labels.dropped_image", what, label_file(dataset, dataset.images[index]))
    return dataset.take(~had) if had.any() else dataset


def _with_lost_rows(dataset: Dataset, log: _Log) -> Dataset:
    """Take back rows over the edge whose larger part lies in the image; say which rows stay left out, and why."""
    by_label = {str(image.label): index for index, image in enumerate(dataset.images) if image.label is not None}
    found: list[tuple[int, int, NDArray[np.float64], int]] = []
    for fault in dataset.faults:
        if fault.kind not in _ROWS:
            continue
        path, _, line = fault.where.rpartition(":")
        index = by_label.get(path)
        row = _row_over_the_edge(fault, path, line, dataset.images[index]) if index is not None else None
        if row is None or index is None or dataset.keypoints is not None:
            log.say("labels.dropped_image", f"rows left out: {fault.kind.replace('_', ' ')}", fault.where)
            continue
        found.append((index, row[0], row[1], int(line)))
    if not found:
        return dataset
    columns = list(zip(*found, strict=True))
    lost = Labels.build(columns[0], columns[1], np.array(columns[2]), line=columns[3])
    return replace(dataset, labels=stack_labels([dataset.labels, lost]))


def _row_over_the_edge(fault: Fault, path: str, line: str, image: Image) -> tuple[int, NDArray[np.float64]] | None:
    if fault.kind != "row_out_of_range" or not line.isdigit():
        return None
    try:
        words = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()[int(line) - 1].split()
        values = np.array([float(word) for word in words])
    except (OSError, IndexError, ValueError):
        return None
    if len(values) != 5 or not np.isfinite(values).all() or np.abs(values[1:]).max() > _FARTHEST:
        return None
    box = cxcywh_to_xyxy(values[None, 1:], np.ones(2))[0]
    inside = np.clip(box, 0, 1)
    area = np.prod(np.maximum(box[2:] - box[:2], 0))
    if area <= 0 or np.prod(np.maximum(inside[2:] - inside[:2], 0)) < _INSIDE * area:
        return None
    return int(values[0]), box * np.tile(np.array(image.upright, dtype=np.float64), 2)


def _reread(dataset: Dataset, log: _Log) -> Dataset:
    """Read the boxes another way where most images decide it and the others confirm it."""
    done = probe_confirmed(dataset)
    if done is None or done.found.answer != "does not fit":
        return dataset
    name = done.found.best.transform
    reason = None
    if name.endswith((NEXT, PREVIOUS)):
        reason = "labels of other images need a person"
    elif dataset.keypoints is not None:  # keypoints would need their own proof
        reason = "keypoints would have to be moved too"
    elif not done.confirmed_by:
        reason = "images that the decision did not use do not confirm it"
    if reason:
        log.say(GEOMETRY, f"not fixed: {describe_transform(name)}; {reason}", str(dataset.source))
        return dataset
    fixed = read_as(dataset, name)
    for index in np.unique(fixed.labels.image):
        log.say(GEOMETRY, f"boxes corrected: {name}", label_file(fixed, fixed.images[index]))
    return fixed


def _cut(dataset: Dataset, log: _Log) -> Dataset:
    labels = dataset.labels
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64).reshape(-1, 2)
    cut = np.clip(labels.boxes, 0, np.tile(sizes, 2)[labels.image])
    # An unreadable image has no size to cut by.
    cut = np.where(np.all(sizes[labels.image] > 0, axis=1, keepdims=True), cut, labels.boxes)
    # Below half a pixel it is rounding in the written fractions.
    for row in np.flatnonzero((np.abs(cut - labels.boxes) > _ROUNDING).any(axis=1)):
        log.say("labels.out_of_range", _CUT, label_location(dataset, int(row)))
    empty: NDArray[np.bool_] = np.any((cut[:, 2:] - cut[:, :2]) <= 0, axis=1) & ~labels.crowd & ~labels.ignore
    for row in np.flatnonzero(empty):
        log.say("labels.zero_area", "boxes without area left out", label_location(dataset, int(row)))
    return replace(dataset, labels=replace(labels, boxes=cut).take(~empty))


def _once(dataset: Dataset, log: _Log) -> Dataset:
    keep = np.ones(len(dataset.labels), dtype=np.bool_)
    for _, second in overlapping_pairs(dataset):
        keep[second] = False
        log.say("labels.duplicate_box", "second boxes of one object left out", label_location(dataset, second))
    for fault in dataset.faults:
        if fault.kind == "row_duplicate":
            log.say("labels.duplicate_box", "rows that stand twice left out", fault.where)
    return replace(dataset, labels=dataset.labels.take(keep))


def _flipped(dataset: Dataset, log: _Log) -> Dataset:
    points = dataset.keypoints
    proposed = flip_from_names(points.names) if points else None
    if points is None or proposed is None or points.flip_idx == proposed:
        return dataset
    what = f"flip_idx by the keypoints' names: {','.join(map(str, proposed))}"
    log.say("pose.flip_idx", what, str(dataset.source))
    return replace(dataset, keypoints=replace(points, flip_idx=proposed))


def fix_lines(changes: Sequence[AppliedFix]) -> list[str]:
    """Return one line per change.

    >>> fix_lines([AppliedFix("labels.zero_area", "boxes without area left out", 2, ("a.txt:1", "b.txt:3"))])
    ['labels.zero_area: boxes without area left out (2): a.txt:1, b.txt:3']
    """
    lines = []
    for change in changes:
        more = ", …" if change.count > 3 else ""
        lines.append(f"{change.id}: {change.what} ({change.count}): {', '.join(change.examples[:3])}{more}")
    return lines
