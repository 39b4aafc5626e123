"""Collecting: an Ultralytics validator that keeps its predictions instead of scoring them. Nothing here imports it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liftgate.backends import prediction_output
from liftgate.backends.base import Event, PredictJob
from liftgate.backends.training_tree import Tree
from liftgate.backends.ultralytics.log import Emit
from liftgate.errors import TrainingError, UsageError

DEFAULTS = {"imgsz": 640, "conf": 0.001, "iou": 0.7, "max_det": 300, "batch": 16}
"""Settings of predictions, where the job is silent"""


def asked(job: PredictJob) -> dict[str, Any]:
    """Return the settings of a job, each that it does not name at its default.

    Raises:
        UsageError: an unknown setting, or weights that cannot predict.
    """
    if unknown := job.settings.keys() - DEFAULTS.keys():
        raise UsageError("unknown prediction setting", expected=", ".join(DEFAULTS), got=", ".join(unknown))
    if not Path(job.weights).exists():  # some exports are folders
        raise UsageError("no such weights", where=job.weights, hint="put the file there, or name another")
    if job.weights.endswith((".yaml", ".yml")):
        raise UsageError("a model YAML has no weights to predict with", where=job.weights, hint="train it first")
    return DEFAULTS | dict(job.settings)


class PredictionCollector:
    """Mixed into a validator: keeps its predictions, in the pixels of each image, and computes nothing."""

    def init_metrics(self: Any, model: Any) -> None:
        task = self.task_of(model)
        if task and task != self.args.task:
            raise UsageError("weights of another task", where=self.args.model, expected=self.args.task, got=task)
        super().init_metrics(model)  # type: ignore[misc]
        self.rows: dict[str, dict[str, np.ndarray]] = {}

    def update_metrics(self: Any, preds: Any, batch: Any) -> None:
        for i, found in enumerate(preds):
            self.seen += 1
            shape = self._prepare_batch(i, batch)
            scaled = self.scale_preds(self._prepare_pred(found), shape)
            columns = {name: scaled[name].float().cpu().numpy() for name in ("bboxes", "conf", "cls")}
            if "keypoints" in scaled:
                columns["keypoints"] = scaled["keypoints"].float().cpu().numpy()
            self.rows[str(batch["im_file"][i])] = columns

    def get_stats(self: Any) -> dict[str, Any]:
        return {}

    def finalize_metrics(self: Any) -> None: ...

    def print_results(self: Any) -> None: ...


def write(job: PredictJob, tree: Tree, validator: Any, machine: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Write COCO results and their settings; complain about images that the validator never saw.

    Args:
        job: where to, and which split.
        tree: the images that were to be predicted.
        validator: a `PredictionCollector` one that has run.
        machine: versions and device, for the record.
        emit: told of classes that are matched by name.
    """
    images = [str(path) for path in tree.images(job.split)]
    lost = [name for name in images if name not in validator.rows]
    if lost:
        hint = "unreadable images or bad label rows: `liftgate check` names them"
        some = ", ".join(tree.image_id(Path(name)) for name in lost[:5])
        raise TrainingError(f"the validator left out {len(lost)} of {len(images)} images", got=some, hint=hint)
    mapping, note = prediction_output.match_classes(list(validator.names.values()), tree.classes)
    if note:
        emit(Event("warning", {"message": note, "fact": "classes"}))
    used = {name: getattr(validator.args, name) for name in DEFAULTS}
    settings = {
        **used,
        **machine,
        "task": job.task,
        "split": job.split,
        "path": "validator",
        "rect": bool(validator.args.rect),
        "pad": 0.5,
        "weights": prediction_output.weights_hash(Path(job.weights)),
        "classes": {validator.names[i]: tree.classes[j] for i, j in mapping.items()},
        "classes_note": note,
    }
    rows = ((tree.image_id(Path(name)), validator.rows[name]) for name in dict.fromkeys(images))
    return prediction_output.write(job.out, rows, mapping, settings)
