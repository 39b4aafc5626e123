"""Predictions of a job through LibreYOLO's own predictor, with the settings that made them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libreyolo
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from liftgate.backends import prediction_output
from liftgate.backends.base import PredictJob
from liftgate.backends.events import Emit, Json, WarningEvent
from liftgate.backends.libreyolo.models import build, describe
from liftgate.backends.training_tree import Tree, read_tree
from liftgate.errors import TrainingError, UsageError

_DEFAULTS: Json = {"imgsz": None, "conf": 0.001, "iou": 0.7, "max_det": 300}
_ACCEPTED = frozenset({*_DEFAULTS, "batch"})
"""`batch` too: images are predicted one by one, which changes no result"""


def predict(job: PredictJob, emit: Emit) -> Json:
    """Write COCO results and their settings, and return the settings.

    Raises:
        TrainingError: an image cannot be read.
        UsageError: an unknown setting, or weights that cannot predict.
    """
    if unknown := job.settings.keys() - _ACCEPTED:
        raise UsageError("unknown prediction setting", expected=", ".join(_ACCEPTED), got=", ".join(sorted(unknown)))
    described, tree = describe(job.weights), read_tree(job.data)
    if described.path is None:
        raise UsageError("a model YAML has no weights to predict with", where=job.weights, hint="train it first")
    settings = {**_DEFAULTS, **{name: value for name, value in job.settings.items() if name in _DEFAULTS}}
    device = (job.device or ("0" if torch.cuda.is_available() else "cpu")).split(",")[0]
    model = build(described, n_classes=len(described.classes), seed=0, device=device)
    mapping, note = prediction_output.match_classes(described.classes, tree.classes)
    if note:
        emit(WarningEvent(message=note, fact="classes"))
    used = settings | {
        "imgsz": settings["imgsz"] or int(model.input_size),
        "backend": "libreyolo",
        "version": libreyolo.__version__,
        "torch": str(torch.__version__),
        "device": device,
        "task": job.task,
        "split": job.split,
        "path": "predictor",
        "model": f"{described.family}-{described.size}",
        "weights": prediction_output.weights_hash(Path(job.weights)),
        "classes": {described.classes[i]: tree.classes[j] for i, j in mapping.items()},
        "classes_note": note,
    }
    return prediction_output.write_predictions(job.out, _detections(model, tree, job, used), mapping, used)


def _detections(
    model: Any, tree: Tree, job: PredictJob, settings: Json
) -> Iterator[tuple[str, dict[str, NDArray[np.float32]]]]:
    options = {name: settings[name] for name in ("imgsz", "conf", "iou", "max_det")}
    images = list(dict.fromkeys(tree.images(job.split)))
    for path in images[job.share(len(images))]:
        try:
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
        except OSError as error:
            raise TrainingError(f"the image cannot be decoded: {error}", where=path) from error
        boxes = model(image, **options).boxes
        columns = {"bboxes": boxes.xyxy, "conf": boxes.conf, "cls": boxes.cls}
        found = {name: np.asarray(torch.as_tensor(value).cpu(), np.float32) for name, value in columns.items()}
        found["bboxes"] = found["bboxes"].reshape(-1, 4).clip(0, [image.width, image.height] * 2).astype(np.float32)
        yield tree.image_id(path), found
