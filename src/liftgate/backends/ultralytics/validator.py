"""Ultralytics validators that keep their predictions instead of scoring them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch.utils.data import Subset
from ultralytics.data import dataset
from ultralytics.data.utils import save_dataset_cache_file
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.models.yolo.pose import PoseValidator
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import nms

from liftgate.backends.base import PredictJob
from liftgate.backends.ultralytics.machine import default_device
from liftgate.errors import UsageError

_UNLIMITED_SECONDS = 1e9


def suppress_to_the_end() -> None:
    """Let non-maximum suppression finish in this process, for as long as that takes.

    By default it gives up after 2 s and 0.05 s an image, by the clock, and the rest of a batch counts as empty: on a
    busy machine a model would have other figures, and another best epoch, than on a free one.
    """
    if not isinstance(nms.non_max_suppression, partial):
        nms.non_max_suppression = partial(nms.non_max_suppression, max_time_img=_UNLIMITED_SECONDS)


def share_label_caches() -> None:
    """Let several processes scan one tree at once: a label cache is written beside its place and moved there.

    Ultralytics removes the old cache first, and ends with FileNotFoundError where another process was faster.
    """
    dataset.save_dataset_cache_file = _save_label_cache


def _save_label_cache(prefix: str, path: Path, cache: dict[str, object], version: str) -> None:
    own = path.with_name(f"{path.name}.{uuid4().hex}")
    save_dataset_cache_file(prefix, own, cache, version)
    with suppress(OSError):  # it could not be written, as Ultralytics has said: the next process scans again
        own.replace(path)


class PredictionCollector:
    """Mixed into a validator: keeps its predictions, in the pixels of each image, and computes no metric."""

    predictions: dict[str, dict[str, np.ndarray]]
    """Image path → columns bboxes (n, 4) xyxy pixels, conf (n,), cls (n,), for pose keypoints (n, K, 3)"""
    job: PredictJob
    others: frozenset[str] = frozenset()
    """Images of other parts of the job"""

    def build_dataset(self: Any, img_path: str, mode: str = "val", batch: int | None = None) -> Any:
        """Return the images of the job's part, in the batches of the whole: those of a batch are padded alike."""
        whole = super().build_dataset(img_path, mode=mode, batch=batch)  # type: ignore[misc]
        if self.job.parts == 1:
            return whole
        size = batch or 1
        share = self.job.share(-(-len(whole) // size))
        part = _Part(whole, range(share.start * size, min(share.stop * size, len(whole))))
        chosen = set(part.indices)
        self.others = frozenset(str(name) for i, name in enumerate(whole.im_files) if i not in chosen)
        return part

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


class _Part(Subset):  # type: ignore[misc]
    """Some images of a data set, with what a validator asks of it."""

    @property
    def collate_fn(self) -> Any:
        return self.dataset.collate_fn

    def update_labels(self, include_class: Any) -> None:
        self.dataset.update_labels(include_class)


class _DetectCollector(PredictionCollector, DetectionValidator):  # type: ignore[misc]
    pass


class _PoseCollector(PredictionCollector, PoseValidator):  # type: ignore[misc]
    pass


def build_validator(job: PredictJob, settings: Mapping[str, object], scratch: Path) -> Any:
    """Return the validator that collects the predictions of a job.

    Raises:
        UsageError: a task that it does not know.
    """
    suppress_to_the_end()
    share_label_caches()
    kind = {"detect": _DetectCollector, "pose": _PoseCollector}.get(job.task)
    if kind is None:
        raise UsageError("unknown task", expected="detect or pose", got=job.task)
    device = (job.device or default_device()).split(",")[0]  # of several, one predicts
    fixed = {"model": job.weights, "data": str(job.data), "split": job.split, "device": device, "rect": True}
    quiet = {"plots": False, "save_json": False, "verbose": False, "workers": 0 if device == "cpu" else 4}
    validator = kind(save_dir=scratch, args={"task": job.task, "mode": "val", **settings, **fixed, **quiet})
    validator.job = job
    return validator


def _task_of(model: Any) -> str | None:
    """Return the task of a model or an export; None where it is not recorded."""
    inner = getattr(model, "model", None)
    task = guess_model_task(inner) if isinstance(inner, torch.nn.Module) else getattr(model, "task", None)
    return None if task is None else str(task)
