"""Predict with any model on any images: a checkpoint in the sealed child process, an export without torch."""

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
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.image_headers import SUFFIXES, read_headers
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats.coco import read_results, write_predictions
from liftgate.data.formats.read import is_dataset, read
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.deploy.export.trusted import CHECKPOINTS, trusted_task
from liftgate.deploy.registry.registered import require_registered_content
from liftgate.deploy.runtime.predict import load_model, predict_dataset, with_thresholds
from liftgate.errors import DataError, UsageError
from liftgate.files import write_text
from liftgate.progress import Progress, silent
from liftgate.study.weights_cache import find
from liftgate.training.launch import detect

_IN_CHILD = CHECKPOINTS | {".torchscript"}


@dataclass(frozen=True, slots=True)
class PredictionResult:
    """Detections on images, and what was assumed to get them."""

    predictions: Predictions
    dataset: Dataset
    """The images, with labels where there were any"""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know, in sentences"""


def predict(
    model: Path | str,
    images: Dataset | Path | str,
    out: Path | str | None = None,
    *,
    split: str | None = None,
    conf: float | None = None,
    iou: float | None = None,
    max_det: int | None = None,
    imgsz: int | None = None,
    device: str | None = None,
    classes: Sequence[str] = (),
    progress: Progress = silent,
) -> PredictionResult:
    """Predict with a model on images, labelled or not.

    Every image is fitted into a square as a deployed model gets it. (The evaluations of a study pad less, as
    Ultralytics' validation does, so their numbers differ a little.)

    Args:
        model: a .pt (in a sealed child process), a folder or file of an export, or an official name such as
            `yolov8n.pt` whose file is on this machine.
        images: a folder of images, one image, a frames.csv, or a data set; or a Dataset.
        out: where to write COCO results, a .json; None: nowhere.
        split: of a data set; None: all its images.
        conf: least confidence; None: that of the export's card, else 0.001, which mAP needs.
        iou: limit of non-maximum suppression; None: the card's, else 0.7.
        max_det: most detections of an image; None: the card's, else 300.
        imgsz: size of the input of a .pt; None: that of its training. An export has its own.
        device: of a .pt.
        classes: names for an export that has none.
        progress: called with the number of images.

    Raises:
        Refused: loading the checkpoint could run code.
        UsageError: no such model or images, or a value that is not possible.
        DataError: an image, a card or an export cannot be read, or a registered model was changed.
        TrainingError: the child process failed.
    """
    use = with_thresholds(UseSettings(), conf, iou, max_det)
    out = _checked_out(out)
    path = resolve_model(model)
    dataset = read_images(images, split=split, progress=progress)
    if path.suffix.lower() in _IN_CHILD:
        made = predict_checkpoint(path, dataset, use, imgsz=imgsz, device=device, progress=progress)
    else:
        export = describe_export(path, tuple(classes) or None)
        chosen = with_thresholds(export.card.use, conf, iou, max_det)
        made = predict_export(export, dataset, chosen, imgsz=imgsz, device=device, progress=progress)
    result = in_classes_of(made, dataset)
    if out is not None:
        write_predictions(result.predictions, result.dataset, out)
    return result


def resolve_model(model: Path | str) -> Path:
    """Return the path of a model: as it is, or found by an official name in the folders for weights.

    Raises:
        UsageError: there is no such model.
        DataError: it lies in a registry of models, and is not as it was registered.
    """
    path = Path(model)
    found = path if path.exists() else find(str(model), Path.cwd())
    if found is None:
        hint = "a .pt, a folder that `liftgate export` wrote, an .onnx, or an OpenVINO .xml; Liftgate downloads nothing"
        raise UsageError("no such model", got=str(model), hint=hint)
    require_registered_content(found.resolve())
    return found.resolve()


def read_images(images: Dataset | Path | str, *, split: str | None = None, progress: Progress = silent) -> Dataset:
    """Return images as a data set, with labels where it has any.

    Raises:
        UsageError: there are none, or no such split.
    """
    if isinstance(images, Dataset):
        dataset = images
    else:
        path = Path(images)
        if not path.exists():
            raise UsageError("no such images", where=path, hint="a folder, an image, a frames.csv or a data set")
        if path.suffix.lower() in SUFFIXES:
            dataset = _one_image(path)
        elif (path.is_dir() and not is_dataset(path)) or path.suffix.lower() == ".csv":
            dataset = unlabelled_dataset(path, progress=progress)
        else:
            dataset = read(path, progress=progress)
    if split is not None:
        if split not in dataset.splits:
            has = ", ".join(dataset.splits) or "none: leave --split out"
            raise UsageError(f"no split {split!r}", where=dataset.source, expected=has, got=split)
        dataset = dataset.split(split)
    if not dataset.images:
        raise UsageError("there are no images", where=dataset.source)
    return dataset


def predict_checkpoint(
    path: Path,
    dataset: Dataset,
    use: UseSettings,
    *,
    imgsz: int | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> PredictionResult:
    """Return the detections of a checkpoint, by its own framework in the sealed child process, in its own classes.

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
        settings = {"imgsz": imgsz, "conf": use.conf, "iou": use.iou, "max_det": use.max_det}
        job = DetectJob(str(path), listed, task, out, settings, device)
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
    least = export.card.output.nms_conf
    if export.card.output.nms:
        cut = "an unknown confidence" if least is None else f"confidence {least:g}"
        notes.append(f"non-maximum suppression is inside the file: nothing below {cut} comes out, so mAP is cut there")
    if export.card.format == "torchscript":
        made = predict_checkpoint(export.path, dataset, use, imgsz=entry.height, device=device, progress=progress)
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


def _one_image(path: Path) -> Dataset:
    header = read_headers([path])[0]
    image = Image(path.name, path.resolve(), header.width, header.height, orientation=header.orientation)
    return Dataset(path.stem, path.parent, path, "frames", (), (image,), Labels.build([], [], []))


def _checked_out(out: Path | str | None) -> Path | None:
    if out is None:
        return None
    path = Path(out)
    if path.suffix.lower() != ".json":
        raise UsageError("COCO results are a .json", where=path)
    if not path.absolute().parent.is_dir():
        raise UsageError("the folder of the results does not exist", where=path.absolute().parent)
    return path
