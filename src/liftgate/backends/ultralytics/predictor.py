"""Predictions of a job through Ultralytics' validator, with the settings that made them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
import ultralytics

from liftgate.backends import prediction_output
from liftgate.backends.base import PredictJob
from liftgate.backends.events import Emit, Json, WarningEvent
from liftgate.backends.training_tree import Tree, read_tree
from liftgate.backends.ultralytics.log import LogListener, explain_error
from liftgate.backends.ultralytics.machine import device_name
from liftgate.backends.ultralytics.validator import build_validator
from liftgate.errors import LiftgateError, TrainingError, UsageError

_DEFAULTS = {"imgsz": 640, "conf": 0.001, "iou": 0.7, "max_det": 300, "batch": 16}
"""Settings that a job does not name"""


def predict(job: PredictJob, emit: Emit) -> Json:
    """Write COCO results and their settings, and return the settings.

    Raises:
        TrainingError: the validator left images out or ran out of time.
        UsageError: an unknown setting, or weights that cannot predict.
    """
    tree, settings = read_tree(job.data), _settings(job)
    with LogListener(emit) as listener, tempfile.TemporaryDirectory() as scratch:
        validator = build_validator(job, settings, Path(scratch))
        try:
            validator()
        except LiftgateError:
            raise
        except Exception as error:
            raise explain_error(error) from error
        if listener.lost_boxes:
            hint = "a smaller `batch`, or a faster device; the images after it would count as empty"
            raise TrainingError("non-maximum suppression gave up on a batch", where=job.out, hint=hint)
    return _write(job, tree, validator, emit)


def _settings(job: PredictJob) -> dict[str, object]:
    if unknown := job.settings.keys() - _DEFAULTS.keys():
        raise UsageError("unknown prediction setting", expected=", ".join(_DEFAULTS), got=", ".join(unknown))
    if not Path(job.weights).exists():  # some exports are folders
        raise UsageError("no such weights", where=job.weights, hint="put the file there, or name another")
    if job.weights.endswith((".yaml", ".yml")):
        raise UsageError("a model YAML has no weights to predict with", where=job.weights, hint="train it first")
    return _DEFAULTS | dict(job.settings)


def _write(job: PredictJob, tree: Tree, validator: Any, emit: Emit) -> Json:
    images = [str(path) for path in tree.images(job.split)]
    lost = [name for name in images if name not in validator.predictions and name not in validator.others]
    if lost:
        hint = "unreadable images or bad label rows: `liftgate check` names them"
        some = ", ".join(tree.image_id(Path(name)) for name in lost[:5])
        raise TrainingError(f"the validator left out {len(lost)} of {len(images)} images", got=some, hint=hint)
    mapping, note = prediction_output.match_classes(list(validator.names.values()), tree.classes)
    if note:
        emit(WarningEvent(message=note, fact="classes"))
    settings = {name: getattr(validator.args, name) for name in _DEFAULTS} | {
        "backend": "ultralytics",
        "version": ultralytics.__version__,
        "torch": str(torch.__version__),
        "device": device_name(validator.device),
        "task": job.task,
        "split": job.split,
        "path": "validator",
        "rect": bool(validator.args.rect),
        "pad": 0.5,
        "weights": prediction_output.weights_hash(Path(job.weights)),
        "classes": {validator.names[i]: tree.classes[j] for i, j in mapping.items()},
        "classes_note": note,
    }
    chosen = [name for name in dict.fromkeys(images) if name not in validator.others]
    rows = ((tree.image_id(Path(name)), validator.predictions[name]) for name in chosen)
    return prediction_output.write_predictions(job.out, rows, mapping, settings)
