"""Export frames with a model's detections as labels for CVAT."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftgate.data.core.archive import pack
from liftgate.data.core.blurring import Box, blurred
from liftgate.data.core.dataset import Dataset, Keypoints, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco, cvat, darknet
from liftgate.data.grouping.groups import write_groups
from liftgate.data.prelabels.halves import Halves, without_prelabels, write_halves
from liftgate.data.provenance.card import build_card, write_card
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.errors import DataError
from liftgate.files import atomic_folder, require_empty, write_json
from liftgate.progress import Progress, silent

XML, LABELS, IMAGES = "annotations.xml", "labels.json", "images.zip"
FORMS = ("cvat", "coco", "yolo")
_SURE = 0.5


@dataclass(frozen=True, slots=True)
class PrelabelExport:
    """Result of an export."""

    folder: Path
    files: tuple[Path, ...]
    """Files for CVAT's "Upload annotations", one per form"""
    n_images: int
    n_prelabels: int


def frames_dataset(source: Path, classes: Sequence[str], progress: Progress = silent) -> Dataset:
    """Return unlabelled frames (a folder, or frames.csv) as a data set without labels.

    Raises:
        DataError: no frames, or no classes.
    """
    if not classes:
        raise DataError("the classes are not known", where=source, hint="--classes NAME NAME …")
    return unlabelled_dataset(source, classes, progress=progress)


def with_prelabels(dataset: Dataset, predictions: Predictions, conf: float = 0.25) -> Dataset:
    """Return the images that were predicted on, labelled with the detections of confidence ≥ `conf`.

    Existing labels are dropped. Boxes are cut at the image's edge. A keypoint with confidence under 0.5 becomes hidden:
    CVAT shows it, so that it can be moved to its place.

    Raises:
        DataError: the predictions cover none of the images.
    """
    place = {image.id: index for index, image in enumerate(dataset.images)}
    seen = np.array([place[image] for image in predictions.images], dtype=np.int64)
    frames = dataset.take(seen)
    keep = np.flatnonzero(predictions.scores >= conf)
    if not len(seen):
        raise DataError("the predictions cover none of these images", where=dataset.source)
    image = predictions.image[keep]
    sizes = np.array([frame.upright for frame in frames.images], dtype=np.float64)[image]
    boxes = np.clip(predictions.boxes[keep], 0, np.tile(sizes, 2))
    points = predictions.keypoints
    if points is not None:
        points = points[keep].copy()
        points[..., 2] = np.where(points[..., 2] >= _SURE, 2, 1)
    skeleton = dataset.keypoints
    if points is not None and skeleton is None:
        skeleton = Keypoints(tuple(f"point_{number}" for number in range(points.shape[1])))
    return replace(
        frames,
        images=tuple(replace(frame, label=dataset.source) for frame in frames.images),
        labels=Labels.build(image, predictions.cls[keep], boxes, keypoints=points),
        keypoints=None if points is None else skeleton,
    )


def export_prelabels(
    dataset: Dataset,
    folder: Path,
    *,
    forms: Collection[str] = ("cvat",),
    made_by: str = "liftgate data prelabel",
    consent: str | None = None,
    blur: Mapping[str, Sequence[Box]] | None = None,
    halves: Halves | None = None,
) -> PrelabelExport:
    """Write `dataset`, labelled by a model, into a new folder for CVAT.

    `annotations.xml` (CVAT 1.1) is always written, because corrections are counted against it; `coco.zip` (COCO
    1.0) and `yolo.zip` (YOLO 1.1) by `forms`. `labels.json` is for the Raw tab of CVAT's label editor, `images.zip`
    for the task itself: its names are the image ids, so that every label finds its frame. CVAT keeps no groups:
    `groups.csv` keeps them until the labels are read back.

    Args:
        dataset: images with the model's labels.
        folder: where to write.
        forms: of the labels.
        made_by: the command, for the card.
        consent: of the people in the images, for the card.
        blur: image id → boxes that are made unrecognisable in images.zip.
        halves: which images go out without their pre-labels, to measure what these save; None: all have them.

    Raises:
        DataError: the folder is not empty, or an image is missing.
    """
    require_empty(folder)
    if gone := [image.id for image in dataset.images if not image.path.is_file()]:
        raise DataError("images that are not there cannot be labelled", where=dataset.source, got=_some(gone))
    files = [XML]
    if halves is not None:
        dataset = without_prelabels(dataset, halves)
    with atomic_folder(folder) as part:
        if halves is not None:
            write_halves(halves, part)
        cvat.write(dataset, part)
        if "coco" in forms:
            document = coco.write(dataset, part / "coco.json")
            pack(part / "coco.zip", [("annotations/instances_default.json", document.read_bytes())])
            document.unlink()
            files.append("coco.zip")
        if "yolo" in forms:
            darknet.write_zip(dataset, part / "yolo.zip")
            files.append("yolo.zip")
        write_json(part / LABELS, task_labels(dataset))
        hidden = blur or {}
        pack(
            part / IMAGES,
            (
                (image.id, blurred(image.path, hidden[image.id]) if image.id in hidden else image.path)
                for image in dataset.images
            ),
        )
        write_groups(part, [(image.id, image.group) for image in dataset.images])
        write_card(build_card(dataset, made_by, consent=consent), part)
    return PrelabelExport(folder, tuple(folder / name for name in files), len(dataset.images), len(dataset.labels))


def task_labels(dataset: Dataset) -> list[dict[str, object]]:
    """Return the task's labels as CVAT's API and its Raw editor take them; with keypoints the classes are skeletons."""
    flags = [
        {"name": name, "mutable": False, "input_type": "checkbox", "default_value": "false", "values": ["false"]}
        for name in ("is_crowd", "ignore")
    ]
    if dataset.keypoints is None:
        return [{"name": name, "type": "any", "attributes": flags} for name in dataset.classes]
    names = dataset.keypoints.names
    angles = np.arange(len(names)) * (2 * np.pi / len(names))
    dots = [
        f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{50 + 40 * np.sin(angle):.2f}" '
        f'cy="{50 - 40 * np.cos(angle):.2f}" stroke-width="0.1" data-type="element node" '
        f'data-element-id="{number}" data-node-id="{number}" data-label-name={json.dumps(name)}></circle>'
        for number, (name, angle) in enumerate(zip(names, angles, strict=True), 1)
    ]
    points = [{"name": name, "type": "points", "attributes": []} for name in names]
    return [
        {"name": name, "type": "skeleton", "attributes": flags, "sublabels": points, "svg": "".join(dots)}
        for name in dataset.classes
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
