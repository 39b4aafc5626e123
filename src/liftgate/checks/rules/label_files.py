"""Rules about label files: unreadable, missing, orphaned, copied, of another kind, or with a stale cache."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import areas
from liftgate.checks.fault_findings import fault_findings
from liftgate.checks.finding import Finding
from liftgate.checks.messages import examples, first_few, label_file, label_location, plural
from liftgate.checks.rule import dataset_rule
from liftgate.data.core.dataset import Dataset

_OFTEN = 5  # images that share one or two boxes to the last digit


@dataset_rule("labels.unreadable", "error")
def unreadable(dataset: Dataset) -> Iterator[Finding]:
    """Label files that cannot be read at all: no text, broken XML, absurdly large.

    All labels of that image are lost, and without this finding it would go unnoticed: the image trains as background.

    Fix: restore the file from where it came; a conversion tool may have written UTF-16 or been cut off.
    """
    yield from fault_findings(
        unreadable, dataset, {"label_not_text": "error", "label_too_large": "error", "xml_broken": "error"}
    )


@dataset_rule("labels.missing", "warning", "error")
def missing(dataset: Dataset) -> Iterator[Finding]:
    """Images without a label file.

    Ultralytics treats them as background. If they were simply not labelled yet, the detector is trained not to see
    what it should see, and everything it finds on them counts as a false positive. A deliberate
    background has an empty label file, which states that it was checked.

    Fix: label them, write an empty file for a true background, or leave the images out.
    """
    bare: dict[str, list[str]] = defaultdict(list)
    total = Counter(image.split or "" for image in dataset.images)
    for image in dataset.images:
        if image.label is None:
            bare[image.split or ""].append(image.id)
    for split, ids in sorted(bare.items()):
        whole = len(ids) == total[split] and split in {"train", "val"}
        where = f"{dataset.source}, {split}" if split else str(dataset.source)
        message = (
            f"{len(ids)} of {plural(total[split], 'image')} "
            f"{f'of {split} ' if split else ''}have no label file: {first_few(ids)}"
        )
        hint = "no image of this split has one: are the labels in a folder `labels` beside `images`?" if whole else None
        yield missing.finding(
            where, message, hint=hint, severity="error" if whole else "warning", split=split, **examples(ids)
        )


@dataset_rule("labels.orphan", "warning")
def orphan(dataset: Dataset) -> Iterator[Finding]:
    """Label files, or annotations, without an image.

    Work that trains nothing: the image was renamed, filtered out or never copied.

    Fix: bring the images back, or delete the labels if they were dropped on purpose.
    """
    yield from fault_findings(orphan, dataset, {"label_orphan": "warning"})


@dataset_rule("labels.same_file", "warning")
def same_file(dataset: Dataset) -> Iterator[Finding]:
    """Different images with exactly the same boxes.

    Two pictures never have three or more objects at the same sub-pixel places, and five have not even one: a label
    file was copied, an augmented copy was saved beside its source, or a box was drawn once for a whole video.

    Fix: look at the named images; keep the one that fits.
    """
    tables = _tables(dataset)
    seen: dict[bytes, list[int]] = defaultdict(list)
    files: set[Path] = set()
    for index, rows in tables.items():
        file = dataset.images[index].label
        if dataset.format == "yolo" and file is not None:
            if file in files:
                continue  # a.jpg and a.png: images.names reports them
            files.add(file)
        seen[rows.tobytes()].append(index)
    groups = [group for group in seen.values() if len(group) > 1 and _is_telling(tables[group[0]], len(group))]
    alike = [[label_file(dataset, dataset.images[i]) for i in group] for group in groups]
    if alike:
        message = (
            f"{plural(len(alike), 'set')} of images share their labels to "
            f"the last digit: {first_few(' = '.join(g[:3]) for g in alike)}"
        )
        yield same_file.finding(alike[0][0], message, **examples(alike))


def _tables(dataset: Dataset) -> dict[int, NDArray[np.float64]]:
    """Return image index → (n, 5) class and box of its objects, sorted; only images with objects."""
    labels = dataset.labels
    order = np.argsort(labels.image, kind="stable")
    bounds = np.searchsorted(labels.image[order], np.arange(len(dataset.images) + 1))
    found = {}
    for index, (begin, end) in enumerate(itertools.pairwise(bounds)):
        rows = order[begin:end]
        if len(rows):
            table = np.column_stack([labels.cls[rows], labels.boxes[rows].round(3)])
            found[index] = table[np.lexsort(table.T)]
    return found


def _is_telling(table: NDArray[np.float64], images: int) -> bool:
    """Return whether equal boxes are evidence: three or more, or one or two in many images and not at the edge."""
    return len(table) >= 3 or (images >= _OFTEN and bool((table[:, 1:3] > 0).all()))


@dataset_rule("labels.outlines", "info")
def outlines(dataset: Dataset) -> Iterator[Finding]:
    """Rows of outlines (polygons) in a data set of boxes.

    A YOLO row of a class and more than four numbers is an outline; the box around it is trained on. That is right for
    a segmentation export on purpose, and a surprise where these rows were thought to be boxes: eight numbers
    may be the corners of a rotated box, and the upright box around it holds much background.

    Fix: if these are turned boxes, export upright ones, or train an `-obb` model; else nothing.
    """
    labels = dataset.labels
    if dataset.format != "yolo" or dataset.keypoints is not None or not len(labels):
        return
    box = areas(labels.boxes)
    drawn = np.flatnonzero(np.abs(labels.area - box) > 0.001 * box + 0.01)
    if len(drawn):
        places = [label_location(dataset, int(row)) for row in drawn]
        message = f"{plural(len(drawn), 'row')} of {len(labels):,} are outlines, read as the boxes around them"
        yield outlines.finding(places[0], message, **examples(places))


@dataset_rule("labels.stale_cache", "info")
def stale_cache(dataset: Dataset) -> Iterator[Finding]:
    """A `.cache` file beside the labels that is older than they are.

    Ultralytics reads labels once and keeps them in `labels.cache`. It reads them again when the names or the summed
    size of the files change, and not when a 3 became a 5: corrected labels are then trained on as they were. Liftgate
    writes its own training tree and is not affected; your own `yolo train` may be.

    Fix: delete the `.cache` files.
    """
    newest: dict[Path, float] = defaultdict(float)
    for image in dataset.images if dataset.format == "yolo" else ():
        if image.label is not None:
            try:
                newest[image.label.parent] = max(newest[image.label.parent], image.label.stat().st_mtime)
            except OSError:
                continue
    for folder, written in sorted(newest.items()):
        for cache in (folder.with_suffix(".cache"), folder / "labels.cache"):
            if cache.is_file() and cache.stat().st_mtime < written:
                yield stale_cache.finding(cache, f"older than the labels in {folder.name}, from which it was made")
