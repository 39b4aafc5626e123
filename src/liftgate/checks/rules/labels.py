"""Rules about labels: rows that are dropped, and boxes that cannot be right."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.checks.fault_findings import fault_findings, faults_dropping_image
from liftgate.checks.finding import Finding, Severity
from liftgate.checks.messages import examples, first_few, label_location, plural
from liftgate.checks.rule import dataset_rule
from liftgate.data.core.dataset import Dataset

_ONE_BY_ONE = 20  # so many zero-area boxes are named one by one; beyond, it is one fault of the whole set
_TOLERANCE = 0.01  # Ultralytics takes coordinates from −0.01 to 1.01
_SPECK = 2.0  # pixels
_SLIVER = 50.0
_WHOLE = 0.95
_SAME_BOX = 0.95  # IoU from which two boxes of one class are one object drawn twice
_CROWDED = 300  # Ultralytics' max_det
_BUSY, _MANY_IMAGES = 50, 20  # objects that are many anywhere, and images that show what is usual


@dataset_rule("labels.out_of_range", "error", "warning")
def out_of_range(dataset: Dataset) -> Iterator[Finding]:
    """Boxes outside their image.

    Ultralytics takes YOLO coordinates from −0.01 to 1.01. One row beyond that and the whole image is left out, of
    training and of validation, with a line in the log that is easily missed. In formats with pixels (COCO, Pascal VOC)
    a box that sticks out a little is cut at the edge and harmless; one that lies outside as a whole, or more than
    one box in twenty sticking out, shows that labels and images do not belong together: other size, other scale,
    rotated.

    Fix: open the named images with their boxes drawn. A few: correct or delete the rows. Many: the export used
    another image size or forgot to divide by it; export again.
    """
    yield from fault_findings(out_of_range, dataset, {"row_out_of_range": "error"})
    out, beyond = _outside(dataset)
    total = max(len(dataset.labels), 1)
    if beyond.any():
        places = [label_location(dataset, int(row)) for row in np.flatnonzero(beyond)]
        message = f"{plural(len(places), 'box lies', 'boxes lie')} outside the image as a whole"
        yield out_of_range.finding(places[0], message, **examples(places))
    partly = out & ~beyond
    if partly.any():
        places = [label_location(dataset, int(row)) for row in np.flatnonzero(partly)]
        message = f"{plural(len(places), 'box sticks', 'boxes stick')} out of the image by more than 1% of its size"
        grave = dataset.format == "yolo" or len(places) > total / 20
        yield out_of_range.finding(places[0], message, severity="error" if grave else "warning", **examples(places))


@dataset_rule("labels.dropped_image", "error")
def dropped_image(dataset: Dataset) -> Iterator[Finding]:
    """Images that Ultralytics would leave out because of one bad row.

    One row with a coordinate above 1.01, below −0.01, that is no number, with a class the list does not have or
    with the wrong number of columns, and the whole image is "ignored as corrupt": all its boxes are gone from
    training, and from validation, where a hard image that is missing makes the score better.

    Fix: correct the named rows; `liftgate check --json` lists every file and line.
    """
    lost = faults_dropping_image(dataset) if dataset.format == "yolo" else []
    rows = [fault for fault in lost if not fault.kind.startswith("list_")]  # lines of a list are data.path's
    if not rows:
        return
    images = sorted({fault.image or fault.where for fault in rows})
    reasons = ", ".join(f"{kind.replace('_', ' ')} {n}" for kind, n in Counter(f.kind for f in rows).most_common())
    message = (
        f"{len(images)} of {plural(len(dataset.images), 'image')} would be left out whole, "
        f"of training and of validation ({reasons}): {first_few(images)}"
    )
    yield dropped_image.finding(rows[0].where, message, rows=[fault.where for fault in rows[:50]], **examples(images))


@dataset_rule("labels.malformed", "error", "warning")
def malformed(dataset: Dataset) -> Iterator[Finding]:
    """Rows that are no box: wrong number of columns, no number, NaN, a box without coordinates or inside out.

    Liftgate leaves such a row out and reports it; Ultralytics leaves out the whole image. Boxes and outlines (segments)
    mixed in one file do the same. A negative width is a corner taken for a size, or left for right.

    Fix: correct the named rows, or export again: a detection row has 5 columns, a pose row 5 + keypoints × 2 or 3.
    """
    severities: dict[str, Severity] = {
        "row_columns": "error",
        "row_not_number": "error",
        "rows_mixed": "error" if dataset.format == "yolo" else "warning",
        "box_missing": "warning",
        "box_inverted": "error",
    }
    yield from fault_findings(malformed, dataset, severities)


@dataset_rule("labels.zero_area", "warning", "error")
def zero_area(dataset: Dataset) -> Iterator[Finding]:
    """Boxes without width or height.

    A box without area is a drawing mistake: an object was meant, and none is labelled. Ultralytics lets it pass and
    its box loss cannot learn from it; the object beneath counts as background, and a detection of it counts as
    wrong. It spoils one object, not the run, so it is a warning. (BCCD, a public set of blood cells, has two:
    BloodImage_00338 and BloodImage_00343.)

    Fix: draw the box again, or delete the row if there is nothing.
    """
    boxes = dataset.labels.boxes
    flat = np.flatnonzero((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1]))
    for row in flat[:_ONE_BY_ONE]:
        corners = [round(float(value), 2) for value in boxes[row]]
        name = _class_name(dataset, int(row))
        message = (
            f"a box of class {name} without area: left {corners[0]:g}, top "
            f"{corners[1]:g}, right {corners[2]:g}, bottom {corners[3]:g}"
        )
        image = dataset.images[int(dataset.labels.image[row])]
        yield zero_area.finding(
            label_location(dataset, int(row)),
            message,
            image=image.id,
            object=int(dataset.labels.line[row]),
            box=corners,
        )
    if len(flat) > _ONE_BY_ONE:
        places = [label_location(dataset, int(row)) for row in flat]
        share = len(flat) / len(boxes)
        message = (
            f"{plural(len(flat), 'box has', 'boxes have')} no area, "
            f"{share:.1%} of all; the first {_ONE_BY_ONE} are named above"
        )
        grave = share > 0.05  # not single mistakes any more: columns are mixed up
        yield zero_area.finding(dataset.source, message, severity="error" if grave else "warning", **examples(places))


@dataset_rule("labels.speck", "warning", "error")
def speck(dataset: Dataset) -> Iterator[Finding]:
    """Boxes with a side under 2 pixels.

    Nothing can be seen on one pixel: a click instead of a drag, or coordinates divided twice. The detector's finest
    grid has 8 pixels.

    Fix: delete or redraw them. If most boxes are like this, the export divided by the image size twice.
    """
    sides = _sides(dataset)
    few = np.flatnonzero((sides.min(axis=1) < _SPECK) & (sides.min(axis=1) > 0))
    if len(few):
        places = [label_location(dataset, int(row)) for row in few]
        grave = len(few) > len(sides) / 2 and len(few) >= 10
        count = f"{plural(len(few), 'box', 'boxes')} of {len(sides):,}"
        message = f"{count} with a side under {_SPECK:g} pixels: {first_few(places)}"
        yield speck.finding(places[0], message, severity="error" if grave else "warning", **examples(places))


@dataset_rule("labels.sliver", "warning")
def sliver(dataset: Dataset) -> Iterator[Finding]:
    """Boxes more than 50 times as long as they are wide.

    Few objects look like that; a corner that slipped while drawing does.

    Fix: look at the named boxes; ignore this finding where objects really are that thin (cables, lane marks).
    """
    sides = _sides(dataset)
    thin = np.flatnonzero((sides.max(axis=1) > _SLIVER * sides.min(axis=1)) & (sides.min(axis=1) > 0))
    if len(thin):
        places = [label_location(dataset, int(row)) for row in thin]
        yield sliver.finding(
            places[0],
            f"{plural(len(thin), 'box', 'boxes')} over {_SLIVER:g}:1: {first_few(places)}",
            **examples(places),
        )


@dataset_rule("labels.whole_image", "info", "warning")
def whole_image(dataset: Dataset) -> Iterator[Finding]:
    """Boxes that cover 95% of the image or more.

    A box around everything is what tools write for "this image shows a …" (a label for classification), or a
    drag over the whole canvas. It is right for close-ups.

    Fix: look at the named images; if they were labelled for classification, label them again.
    """
    labels, sizes = dataset.labels, _sizes(dataset)
    full = sizes.prod(axis=1)
    area = _sides(dataset).prod(axis=1)
    whole = np.flatnonzero((full > 0) & (area >= _WHOLE * full))
    if len(whole):
        places = [label_location(dataset, int(row)) for row in whole]
        grave = len(whole) > len(labels) / 2 and len(whole) >= 20
        message = (
            f"{plural(len(whole), 'box covers', 'boxes cover')} at least "
            f"{_WHOLE:.0%} of the image ({len(labels):,} boxes in all)"
        )
        yield whole_image.finding(places[0], message, severity="warning" if grave else "info", **examples(places))


@dataset_rule("labels.duplicate_box", "warning")
def duplicate_box(dataset: Dataset) -> Iterator[Finding]:
    """One object labelled twice: two boxes of one class that are the same, or nearly (IoU 0.95).

    Ultralytics removes rows that are equal to the last digit and keeps near-duplicates. Each is an object that no
    detector can find, since suppression leaves one box: it costs recall that no training can regain.

    Fix: delete one of each pair. Often two annotators' files, or the same file twice, were merged.
    """
    yield from fault_findings(duplicate_box, dataset, {"row_duplicate": "warning"})
    pairs = list(overlapping_pairs(dataset))
    if pairs:
        labels = dataset.labels
        equal = sum(bool((labels.boxes[a] == labels.boxes[b]).all()) for a, b in pairs)
        places = [label_location(dataset, b) for _, b in pairs]
        message = (
            f"{plural(len(pairs), 'box', 'boxes')} drawn twice ({equal} equal, "
            f"{len(pairs) - equal} with IoU ≥ {_SAME_BOX}): {first_few(places)}"
        )
        yield duplicate_box.finding(places[0], message, equal=equal, **examples(places))


@dataset_rule("labels.two_classes", "info")
def two_classes(dataset: Dataset) -> Iterator[Finding]:
    """One box with two classes (IoU 0.95 and more).

    Sometimes meant (a person who is a driver), more often two annotators who disagreed: the loss is then pulled
    both ways.

    Fix: decide which class it is; ignore this finding where classes overlap on purpose.
    """
    pairs = list(overlapping_pairs(dataset, same_class=False))
    if pairs:
        kinds = Counter(tuple(sorted((_class_name(dataset, a), _class_name(dataset, b)))) for a, b in pairs)
        named = ", ".join(f"{a} / {b} {count}" for (a, b), count in kinds.most_common(3))
        places = [label_location(dataset, b) for _, b in pairs]
        yield two_classes.finding(
            places[0], f"{plural(len(pairs), 'box has', 'boxes have')} two classes ({named})", **examples(places)
        )


@dataset_rule("labels.crowded", "info")
def crowded(dataset: Dataset) -> Iterator[Finding]:
    """Images with more objects than a detector may return, or far more than all other images.

    Ultralytics gives at most `max_det` boxes per image, 300 by default: what is beyond can never be found. An image
    with three times the objects of the fullest hundredth is a contact sheet, or the labels of several images in one.

    Fix: raise max_det in the evaluation, or cut the images into tiles; look at those with the most objects.
    """
    counts = np.bincount(dataset.labels.image, minlength=len(dataset.images))
    full = np.flatnonzero(counts > _CROWDED)
    if len(full):
        ids = [dataset.images[int(i)].id for i in full]
        message = (
            f"{plural(len(ids), 'image has', 'images have')} more than "
            f"{_CROWDED} objects (most: {counts.max():,}): {first_few(ids)}"
        )
        yield crowded.finding(dataset.source, message, **examples(ids))
    usual = float(np.percentile(counts, 99, method="lower")) if len(counts) >= _MANY_IMAGES else np.inf
    apart = np.flatnonzero((counts > max(3 * usual, _BUSY)) & (counts <= _CROWDED))
    if len(apart):
        ids = [dataset.images[int(i)].id for i in apart]
        message = (
            f"{plural(len(ids), 'image has', 'images have')} over {max(3 * usual, _BUSY):.0f} objects, "
            f"where 99% have {usual:.0f} or fewer: {first_few(ids)}"
        )
        yield crowded.finding(dataset.source, message, **examples(ids))


def _sides(dataset: Dataset) -> NDArray[np.float64]:
    """Return (n, 2) width and height of every box; 0 where right < left or bottom < top."""
    boxes = dataset.labels.boxes
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)


def _sizes(dataset: Dataset) -> NDArray[np.float64]:
    """Return (n, 2) width and height of the image of every box."""
    per_image = np.array([image.upright for image in dataset.images], dtype=np.float64).reshape(-1, 2)
    return per_image[dataset.labels.image]


def _outside(dataset: Dataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two (n,) masks: the box sticks out by more than the tolerance; it lies outside as a whole."""
    boxes, sizes = dataset.labels.boxes, _sizes(dataset)
    known = (sizes > 0).all(axis=1) & np.isfinite(boxes).all(axis=1)
    slack = np.maximum(sizes * _TOLERANCE, 1.0)
    sticks = np.any((boxes[:, :2] < -slack) | (boxes[:, 2:] > sizes + slack), axis=1)
    beyond = np.any((boxes[:, 2:] <= 0) | (boxes[:, :2] >= sizes), axis=1)
    flat = np.any(boxes[:, 2:] <= boxes[:, :2], axis=1)  # labels.zero_area reports those
    sound = known & ~flat
    return np.logical_and(sticks, sound), np.logical_and(beyond, sound)


def _class_name(dataset: Dataset, row: int) -> str:
    number = int(dataset.labels.cls[row])
    return dataset.classes[number] if 0 <= number < len(dataset.classes) else f"class {number}"


def overlapping_pairs(dataset: Dataset, *, same_class: bool = True) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows of one image whose boxes have IoU ≥ 0.95; a row is the second of at most one pair.

    Args:
        dataset: images and labels.
        same_class: whether the two boxes must have the same class, or different ones.
    """
    labels = dataset.labels
    order = np.argsort(labels.image, kind="stable")
    bounds = np.searchsorted(labels.image[order], np.arange(len(dataset.images) + 1))
    whole = ~labels.crowd & (_sides(dataset) > 0).all(axis=1)
    for begin, end in itertools.pairwise(bounds):
        rows = order[begin:end]
        rows = rows[whole[rows]][:2000]  # a hostile file may hold a million rows for one image
        if len(rows) < 2:
            continue
        same = labels.cls[rows][:, None] == labels.cls[rows][None, :]
        close = np.triu((iou(labels.boxes[rows], labels.boxes[rows]) >= _SAME_BOX) & (same == same_class), k=1)
        for second in np.flatnonzero(close.any(axis=0)):
            yield int(rows[np.argmax(close[:, second])]), int(rows[second])
