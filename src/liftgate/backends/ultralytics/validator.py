"""Ultralytics validators that keep their predictions instead of scoring them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.models.yolo.pose import PoseValidator
from ultralytics.nn.tasks import guess_model_task

from liftgate.backends.base import PredictJob
from liftgate.backends.ultralytics.machine import default_device
from liftgate.errors import UsageError


class PredictionCollector:
    """Mixed into a validator: keeps its predictions, in the pixels of each image, and computes no metric."""

    predictions: dict[str, dict[str, np.ndarray]]
    """Image path → columns bboxes (n, 4) xyxy pixels, conf (n,), cls (n,), for pose keypoints (n, K, 3)"""

    def init_metrics(self: Any, model: Any) -> None:
        """Prepare for a model; weights of another task are refused."""
        task = _task_of(model)
        if task and task != self.args.task:
            raise UsageError("weights of another task", where=self.args.model, expected=self.args.task, got=task)
        super().init_metrics(model)  # type: ignore[misc]
        self.predictions = {}

    def update_metrics(self: Any, preds: Any, batch: Any) -> None:
        """Keep the predictions of a batch."""
        for i, found in enumerate(preds):
            self.seen += 1
            shape = self._prepare_batch(i, batch)
            scaled = self.scale_preds(self._prepare_pred(found), shape)
            columns = {name: scaled[name].float().cpu().numpy() for name in ("bboxes", "conf", "cls")}
            if "keypoints" in scaled:
                columns["keypoints"] = scaled["keypoints"].float().cpu().numpy()
            self.predictions[str(batch["im_file"][i])] = columns

    def get_stats(self: Any) -> dict[str, float]:
        """Return no metrics."""
        return {}

    def finalize_metrics(self: Any) -> None:
        """Do nothing: there are no metrics."""

    def print_results(self: Any) -> None:
        """Print nothing: there are no metrics."""


class _DetectCollector(PredictionCollector, DetectionValidator):  # type: ignore[misc]
    pass


class _PoseCollector(PredictionCollector, PoseValidator):  # type: ignore[misc]
    pass


def build_validator(job: PredictJob, settings: Mapping[str, object], scratch: Path) -> Any:
    """Return the validator that collects the predictions of a job.

    Raises:
        UsageError: a task that it does not know.
    """
    kind = {"detect": _DetectCollector, "pose": _PoseCollector}.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    device = (job.device or default_device()).split(",")[0]  # of several, one predicts
    fixed = {"model": job.weights, "data": str(job.data), "split": job.split, "device": device, "rect": True}
    quiet = {"plots": False, "save_json": False, "verbose": False, "workers": 0 if device == "cpu" else 4}
    return kind(save_dir=scratch, args={"task": job.task, "mode": "val", **settings, **fixed, **quiet})


def _task_of(model: Any) -> str | None:
    """Return the task of a model or an export; None where it is not recorded."""
    inner = getattr(model, "model", None)
    task = guess_model_task(inner) if isinstance(inner, torch.nn.Module) else getattr(model, "task", None)
    return None if task is None else str(task)
