"""Detections of one model: a checkpoint in the sealed child process, an export without torch; in its own classes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftgate.backends.base import DetectJob
from liftgate.backends.events import Event, WarningEvent
from liftgate.backends.prediction_output import match_classes
from liftgate.boxes import xywh_to_xyxy
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats.coco import read_results
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.described import DescribedExport
from liftgate.deploy.export.trusted import trusted_task
from liftgate.deploy.runtime.predict import RUNS_IN_CHILD, load_model, predict_dataset
from liftgate.errors import DataError, UsageError
from liftgate.files import write_text
from liftgate.progress import Progress, silent
from liftgate.training.launch import detect


@dataclass(frozen=True, slots=True)
class PredictionResult:
    """Detections on images, and what was assumed to get them."""

    predictions: Predictions
    dataset: Dataset
    """The images, with labels where there were any"""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know, in sentences"""


def predict_checkpoint(
    path: Path,
    dataset: Dataset,
    use: UseSettings,
    *,
    imgsz: int | tuple[int, int] | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> PredictionResult:
    """Return the detections of a checkpoint, by its own framework in the sealed child process, in its own classes.

    Args:
        path: the checkpoint.
        dataset: its images.
        use: thresholds.
        imgsz: size of the input: of a square's side, or (height, width); None: that of the training.
        device: to run on; None: the backend's choice.
        progress: called with the number of images.

    Raises:
        Refused: loading it could run code.
        TrainingError: the child process failed.
    """
    task, notes = trusted_task(path)
    progress("predicting in the child process", 0, len(dataset.images))
    warnings: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, WarningEvent):
            warnings.append(event.message)

    with tempfile.TemporaryDirectory(prefix="liftgate-predict-") as scratch:
        folder = Path(scratch)
        listed, out = folder / "images.json", folder / "results.json"
        # Not write_json, which sorts the keys: the order of images stays.
        write_text(listed, json.dumps({image.id: str(image.path.absolute()) for image in dataset.images}))
        sides = imgsz if isinstance(imgsz, int | None) else imgsz[0] if imgsz[0] == imgsz[1] else list(imgsz)
        settings = {"imgsz": sides, "conf": use.conf, "iou": use.iou, "max_det": use.max_det}
        job = DetectJob(str(path.absolute()), listed, task, out, settings, device)
        used = detect(job, backend="ultralytics", folder=folder / "job", on_event=note)
        predictions = _read_own_classes(out, [image.id for image in dataset.images], used)
    progress("predicting in the child process", len(dataset.images), len(dataset.images))
    return PredictionResult(predictions, dataset, (*notes, *warnings))


def in_classes_of(made: PredictionResult, dataset: Dataset) -> PredictionResult:
    """Return predictions in the classes of a data set, matched by name; unlabelled images get the model's classes.

    Raises:
        DataError: no class of the model is one of the data set.
    """
    own = made.predictions.classes
    if not dataset.classes:
        return replace(made, dataset=replace(dataset, classes=own, category_ids=()))
    mapping, note = match_classes(own, dataset.classes)
    if not mapping and own:
        hint = "predict on the folder of the images, which keeps the model's classes; or rename those of the data set"
        what, theirs = "no class in common", ", ".join(own[:5])
        raise DataError(what, where=dataset.source, expected=theirs, got=", ".join(dataset.classes[:5]), hint=hint)
    table = np.array([mapping.get(number, -1) for number in range(len(own))], dtype=np.int64)
    cls = table[made.predictions.cls] if len(own) else made.predictions.cls
    kept = cls >= 0
    before = made.predictions
    named = {own[i]: dataset.classes[j] for i, j in mapping.items()}
    predictions = replace(
        before,
        classes=dataset.classes,
        image=before.image[kept],
        cls=cls[kept],
        boxes=before.boxes[kept],
        scores=before.scores[kept],
        keypoints=None if before.keypoints is None else before.keypoints[kept],
        settings={**before.settings, "classes_matched": named, "classes_note": note},
    )
    return PredictionResult(predictions, dataset, (*made.notes, *([note] if note else [])))


def predict_export(
    export: DescribedExport,
    dataset: Dataset,
    use: UseSettings,
    *,
    imgsz: int | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> PredictionResult:
    """Return the detections of an export in its own classes, without torch where its format allows that.

    Raises:
        UsageError: a format that does not run here, or another imgsz than the export's.
        DataError: an image cannot be read, or the output does not fit the card.
    """
    entry = export.card.input
    if imgsz is not None and (imgsz, imgsz) != (entry.height, entry.width):
        what, got = "an export has the size that it was made with", str(imgsz)
        raise UsageError(what, where=export.path, expected=f"{entry.width} × {entry.height}", got=got)
    notes = [f"the export does not say {one}" for one in export.missing]
    notes += export.card.notes if export.missing else ()
    least = export.card.output.nms_conf
    if export.card.output.nms:
        cut = "an unknown confidence" if least is None else f"confidence {least:g}"
        notes.append(f"non-maximum suppression is inside the file: nothing below {cut} comes out, so mAP is cut there")
    if export.card.format in RUNS_IN_CHILD:
        size = (entry.height, entry.width)
        made = predict_checkpoint(export.path, dataset, use, imgsz=size, device=device, progress=progress)
        return replace(made, notes=(*notes, *made.notes))
    model = load_model(export.card, export.folder)
    return PredictionResult(predict_dataset(model, dataset, use=use, progress=progress), dataset, tuple(notes))


def _read_own_classes(path: Path, images: Sequence[str], settings: Mapping[str, object]) -> Predictions:
    """Return the results of a `DetectJob` with the classes of its model."""
    names = settings.get("classes")
    if not isinstance(names, list):
        raise DataError("the results have no classes", where=path)
    results = read_results(path)
    place = {image: index for index, image in enumerate(images)}
    index = np.array([place[str(one)] for one in results.ids], dtype=np.int64)
    keypoints = None
    if len(results) and int(results.point_count[0]) >= 0:
        keypoints = results.points.reshape(len(results), -1, 3)
    own = {name: value for name, value in settings.items() if name not in ("images", "category_numbering", "classes")}
    return Predictions(
        images=tuple(images),
        classes=tuple(map(str, names)),
        image=index[results.image] if len(results) else np.empty(0, dtype=np.int64),
        cls=results.category - 1,
        boxes=xywh_to_xyxy(results.boxes),
        scores=results.score,
        keypoints=keypoints,
        settings=own,
    )
