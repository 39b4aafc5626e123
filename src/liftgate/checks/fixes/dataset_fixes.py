"""Apply safe fixes to a data set and write the result to new files. Nothing is changed in place.

A fix is safe where there is one right answer: rows for which Ultralytics would drop the whole image, boxes over the
edge, duplicate boxes, a flip_idx that follows from the keypoints' names, and a data.yaml with absolute paths and no
download script. Boxes are moved only on request, and only where held-out images confirm it. Leaks, wrong classes and
missing labels need a person.
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
"""The fix that moves boxes: applied only on request"""
_RECOVERABLE_KINDS = ("row_columns", "row_not_number", "row_out_of_range", "class_out_of_range", "class_not_integer")
_MIN_SHARE_INSIDE = 0.5  # share of a box that must lie in the image for the rest to be clipped
_MAX_COORDINATE = 2.0  # fraction of the image: larger numbers are in pixels, not over the edge
_ROUNDING = 0.5  # pixels over the edge that rounding explains
_CLIPPED = "boxes over the edge cut at the edge of the image"
_MAX_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class AppliedFix:
    """A fix that was applied, or left out, and where."""

    id: str
    """Id of the finding that it fixes"""
    what: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class FixedDataset:
    """A data set with its faults fixed, and the fixes that were applied."""

    dataset: Dataset
    changes: tuple[AppliedFix, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {"dataset": self.dataset.name, "changes": [asdict(change) for change in self.changes]}


@dataclass(slots=True)
class _FixLog:
    places: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def record(self, id_: str, what: str, place: str) -> None:
        self.places[id_, what].append(place)

    def changes(self) -> tuple[AppliedFix, ...]:
        return tuple(
            AppliedFix(id_, what, len(places), tuple(places[:_MAX_EXAMPLES]))
            for (id_, what), places in self.places.items()
        )


def fix_dataset(dataset: Dataset, on_request: Collection[str] = ()) -> FixedDataset:
    """Return the data set with every safe fix applied; the same data set where there is nothing to fix.

    Args:
        dataset: as it was read.
        on_request: ids of fixes that are applied only on request: `labels.geometry` moves boxes.
    """
    original = dataset
    log = _FixLog()
    geometry = GEOMETRY in on_request
    if geometry and in_other_units(dataset):  # all rows in another unit are lost, so they are read first
        dataset = _correct_geometry(dataset, log)
    dataset = _recover_rows(dataset, log)
    if geometry:
        dataset = _correct_geometry(dataset, log)
    dataset = _clip_boxes(dataset, log)
    dataset = _drop_duplicates(dataset, log)
    dataset = _correct_flip_idx(dataset, log)
    if "download" in dataset.raw:
        log.record("data.download_key", "`download:` left out", str(dataset.source))
    for fault in dataset.faults:
        if fault.kind.startswith(("path_", "list_relative")):
            log.record("data.path", "paths resolved, and written relative to the copy", fault.where)
    return FixedDataset(_drop_emptied_images(original, dataset, log), log.changes())


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
    return yolo.write(dataset, folder, portable=True, finish=lambda part: write_json(part / REPORT, done.to_dict()))


def _drop_emptied_images(before: Dataset, dataset: Dataset, log: _FixLog) -> Dataset:
    """Drop images that had labels and have none left: with an empty label file they would train as background."""
    emptied = unread_images(before)
    emptied[before.labels.image] = True
    counted = dataset.labels.image[~dataset.labels.crowd & ~dataset.labels.ignore]
    emptied[counted] = False
    for index in np.flatnonzero(emptied):
        what = "images without any label left: left out, not empty"
        log.record("labels.dropped_image", what, label_file(dataset, dataset.images[index]))
    return dataset.take(~emptied) if emptied.any() else dataset


def _recover_rows(dataset: Dataset, log: _FixLog) -> Dataset:
    """Recover rows over the edge whose larger part lies in the image; record the rows that stay left out."""
    by_label = {str(image.label): index for index, image in enumerate(dataset.images) if image.label is not None}
    found: list[tuple[int, int, NDArray[np.float64], int]] = []
    for fault in dataset.faults:
        if fault.kind not in _RECOVERABLE_KINDS:
            continue
        path, _, line = fault.where.rpartition(":")
        index = by_label.get(path)
        row = _row_over_the_edge(fault, path, line, dataset.images[index]) if index is not None else None
        if row is None or index is None or dataset.keypoints is not None:
            log.record("labels.dropped_image", f"rows left out: {fault.kind.replace('_', ' ')}", fault.where)
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
    if len(values) != 5 or not np.isfinite(values).all() or np.abs(values[1:]).max() > _MAX_COORDINATE:
        return None
    box = cxcywh_to_xyxy(values[None, 1:], np.ones(2))[0]
    inside = np.clip(box, 0, 1)
    area = np.prod(np.maximum(box[2:] - box[:2], 0))
    if area <= 0 or np.prod(np.maximum(inside[2:] - inside[:2], 0)) < _MIN_SHARE_INSIDE * area:
        return None
    return int(values[0]), box * np.tile(np.array(image.upright, dtype=np.float64), 2)


def _correct_geometry(dataset: Dataset, log: _FixLog) -> Dataset:
    """Correct the boxes of all images where the geometry probe finds a mistake and held-out images confirm it."""
    done = probe_confirmed(dataset)
    if done is None or done.found.answer != "does not fit":
        return dataset
    name = done.found.best.transform
    reason = None
    if name.endswith((NEXT, PREVIOUS)):
        reason = "labels of other images need a person"
    elif dataset.keypoints is not None:  # the probe does not measure keypoints
        reason = "keypoints would have to be moved too"
    elif not done.confirmed_by:
        reason = "images that the decision did not use do not confirm it"
    if reason:
        log.record(GEOMETRY, f"not fixed: {describe_transform(name)}; {reason}", str(dataset.source))
        return dataset
    fixed = read_as(dataset, name)
    for index in np.unique(fixed.labels.image):
        log.record(GEOMETRY, f"boxes corrected: {name}", label_file(fixed, fixed.images[index]))
    return fixed


def _clip_boxes(dataset: Dataset, log: _FixLog) -> Dataset:
    labels = dataset.labels
    sizes = np.array([image.upright for image in dataset.images], dtype=np.float64).reshape(-1, 2)
    clipped = np.clip(labels.boxes, 0, np.tile(sizes, 2)[labels.image])
    # An unreadable image has no size to clip to.
    clipped = np.where(np.all(sizes[labels.image] > 0, axis=1, keepdims=True), clipped, labels.boxes)
    # Less than half a pixel is rounding in the written fractions.
    for row in np.flatnonzero((np.abs(clipped - labels.boxes) > _ROUNDING).any(axis=1)):
        log.record("labels.out_of_range", _CLIPPED, label_location(dataset, int(row)))
    empty: NDArray[np.bool_] = np.any((clipped[:, 2:] - clipped[:, :2]) <= 0, axis=1) & ~labels.crowd & ~labels.ignore
    for row in np.flatnonzero(empty):
        log.record("labels.zero_area", "boxes without area left out", label_location(dataset, int(row)))
    return replace(dataset, labels=replace(labels, boxes=clipped).take(~empty))


def _drop_duplicates(dataset: Dataset, log: _FixLog) -> Dataset:
    keep = np.ones(len(dataset.labels), dtype=np.bool_)
    for _, second in overlapping_pairs(dataset):
        keep[second] = False
        log.record("labels.duplicate_box", "duplicate boxes left out", label_location(dataset, second))
    for fault in dataset.faults:
        if fault.kind == "row_duplicate":
            log.record("labels.duplicate_box", "repeated rows left out", fault.where)
    return replace(dataset, labels=dataset.labels.take(keep))


def _correct_flip_idx(dataset: Dataset, log: _FixLog) -> Dataset:
    points = dataset.keypoints
    proposed = flip_from_names(points.names) if points else None
    if points is None or proposed is None or points.flip_idx == proposed:
        return dataset
    what = f"flip_idx by the keypoints' names: {','.join(map(str, proposed))}"
    log.record("pose.flip_idx", what, str(dataset.source))
    return replace(dataset, keypoints=replace(points, flip_idx=proposed))


def fix_lines(changes: Sequence[AppliedFix]) -> list[str]:
    """Return one line per change, for the terminal.

    >>> fix_lines([AppliedFix("labels.zero_area", "boxes without area left out", 2, ("a.txt:1", "b.txt:3"))])
    ['labels.zero_area: boxes without area left out (2): a.txt:1, b.txt:3']
    """
    lines = []
    for change in changes:
        more = ", …" if change.count > 3 else ""
        lines.append(f"{change.id}: {change.what} ({change.count}): {', '.join(change.examples[:3])}{more}")
    return lines
