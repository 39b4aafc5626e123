"""Predict with any model on any images: a checkpoint in the sealed child process, an export without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.image_headers import SUFFIXES, read_headers
from liftgate.data.core.safe_names import require_utf8_names
from liftgate.data.formats.coco import write_predictions
from liftgate.data.formats.read import is_dataset, read
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.export.trusted import CHECKPOINTS
from liftgate.deploy.registry.registered import require_registered_content
from liftgate.deploy.runtime.predict import with_thresholds
from liftgate.errors import UsageError
from liftgate.pipeline.model_predictions import PredictionResult, in_classes_of, predict_checkpoint, predict_export
from liftgate.progress import Progress, silent
from liftgate.study.weights import find

_IN_CHILD = CHECKPOINTS | {".torchscript"}


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
    page: Path | str | None = None,
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
        page: where to write a page with pictures, an .html; None: nowhere.
        progress: called with the number of images.

    Raises:
        Refused: loading the checkpoint could run code.
        UsageError: no such model or images, or a value that is not possible.
        DataError: an image, a card or an export cannot be read, or a registered model was changed.
        TrainingError: the child process failed.
    """
    use = with_thresholds(UseSettings(), conf, iou, max_det)
    out, page = checked_out(out, ".json", "COCO results are"), checked_out(page, ".html", "a page with pictures is")
    path = resolve_model(model)
    dataset = read_images(images, split=split, progress=progress)
    if path.suffix.lower() in _IN_CHILD:
        made = predict_checkpoint(path, dataset, use, imgsz=imgsz, device=device, progress=progress)
    else:
        export = describe_export(path, tuple(classes) or None)
        chosen = with_thresholds(export.card.use, conf, iou, max_det)
        made = predict_export(export, dataset, chosen, imgsz=imgsz, device=device, progress=progress)
    result = in_classes_of(made, dataset)
    write_result(path.name, result, out, page)
    return result


def write_result(model: str, result: PredictionResult, out: Path | None, page: Path | None) -> None:
    """Write predictions, and a page with pictures of them.

    Args:
        model: name of the model.
        result: the predictions.
        out: COCO results; None: none.
        page: an .html; None: none.
    """
    if out is not None:
        write_predictions(result.predictions, result.dataset, out)
    if page is not None:
        from liftgate.reporting.prediction_page import prediction_page, render_predictions  # Jinja, for pages alone

        kept = result.predictions.settings.get("conf")
        content = prediction_page(
            model,
            result.predictions,
            result.dataset,
            kept_conf=float(kept) if isinstance(kept, int | float) else 0.0,
            notes=result.notes,
        )
        render_predictions(content, page)


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
    require_utf8_names((image.id for image in dataset.images), dataset.source)
    return dataset


def _one_image(path: Path) -> Dataset:
    header = read_headers([path])[0]
    image = Image(path.name, path.resolve(), header.width, header.height, orientation=header.orientation)
    return Dataset(path.stem, path.parent, path, "frames", (), (image,), Labels.build([], [], []))


def checked_out(out: Path | str | None, suffix: str, what: str) -> Path | None:
    """Return where results go, checked before any work; None: nowhere.

    Args:
        out: the file.
        suffix: that it must have.
        what: the results in words, for messages.

    Raises:
        UsageError: another suffix, or no such folder.
    """
    if out is None:
        return None
    path = Path(out)
    if path.suffix.lower() != suffix:
        raise UsageError(f"{what} a {suffix}" if suffix != ".html" else f"{what} an {suffix}", where=path)
    if not path.absolute().parent.is_dir():
        raise UsageError("the folder of the results does not exist", where=path.absolute().parent)
    return path
