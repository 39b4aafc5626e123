"""Play the person who corrects pre-labels in CVAT: one who knows the truth and makes no mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from liftgate import api
from liftgate.boxes import cxcywh_to_xyxy
from liftgate.data.core.archive import pack
from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.detections import read_predictions
from liftgate.data.formats import cvat
from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.data.prelabels import export_prelabels, frames_dataset, read_corrected, with_prelabels
from liftgate.data.prelabels.export import XML
from liftgate.data.provenance.card import build_card
from liftgate.demo.demo_dataset import CLASSES
from liftgate.evaluation.corrections import corrections
from liftgate.progress import Progress, silent


class LabelledFrames(NamedTuple):
    """Frames with labels, and the work that they were."""

    data_yaml: Path
    n_frames: int
    n_objects: int
    n_added: int
    """Objects that had no pre-label"""
    n_deleted: int
    """Pre-labels of no object"""


def label_frames(frames: Path, model: Path, truth: Path, out: Path, progress: Progress = silent) -> LabelledFrames:
    """Pre-label frames with a model, correct them, and read what CVAT exports, as the verbs do.

    Args:
        frames: folder of images.
        model: an export.
        truth: labels of all frames, in YOLO's format.
        out: a new folder.
        progress: called during the work.
    """
    out.mkdir(parents=True)
    api.predict(model, frames, out / "predictions.json", progress=progress)
    dataset = frames_dataset(frames, list(CLASSES))
    prelabelled = with_prelabels(dataset, read_predictions(out / "predictions.json", dataset))
    export_prelabels(prelabelled, out / "task")
    before = read(out / "task" / XML, images=out / "task" / "images")
    cvat.write(_corrected(before, truth), out / "cvat")
    zipped = pack(out / "corrected.zip", [(XML, out / "cvat" / XML)])
    after = read_corrected(zipped, before)
    work = corrections(before, after)
    write_dataset(after, "yolo", out / "set", build_card(after, "pre-labels, corrected by a person who is played"))
    return LabelledFrames(
        out / "set" / "data.yaml", work.n_images, work.n_objects, work.total.added, work.total.deleted
    )


def _corrected(before: Dataset, truth: Path) -> Dataset:
    """Return the images with the labels that they should have."""
    names = list(CLASSES)
    image, cls, boxes = list[int](), list[int](), list[np.ndarray]()
    for index, one in enumerate(before.images):
        for line in (truth / f"{Path(one.id).stem}.txt").read_text(encoding="utf-8").splitlines():
            number, *sides = line.split()
            image.append(index)
            cls.append(before.classes.index(names[int(number)]))
            size = np.array([one.width, one.height], dtype=np.float64)
            boxes.append(cxcywh_to_xyxy(np.array([sides], dtype=np.float64), size)[0])
    return replace(before, labels=Labels.build(image, cls, np.array(boxes)))
