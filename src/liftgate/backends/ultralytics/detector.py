"""Detections of a model on any images, through Ultralytics' predictor: each image padded to a square.

Unlike the predictor's default, each class of a box counts for itself, as in validation, and non-maximum suppression
never gives up on time: the rules that mAP is computed by, and that `deploy.runtime` follows without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics
from numpy.typing import NDArray
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.models.yolo.pose import PosePredictor
from ultralytics.utils import nms
from ultralytics.utils.patches import imread

from liftgate.backends import prediction_output
from liftgate.backends.base import DetectJob
from liftgate.backends.events import Emit, Json
from liftgate.backends.ultralytics.log import LogListener, explain_error
from liftgate.backends.ultralytics.machine import default_device, device_name
from liftgate.backends.ultralytics.validator import suppress_to_the_end
from liftgate.documents import LARGE, load_json
from liftgate.errors import LiftgateError, TrainingError, UsageError

_DEFAULTS: Mapping[str, object] = {"imgsz": None, "conf": 0.001, "iou": 0.7, "max_det": 300}


class _AsInValidation:
    """Mixed into a predictor: chooses boxes by the rules of validation."""

    args: Any
    model: Any
    device: Any
    setup_model: Any

    def postprocess(self: Any, preds: Any, img: Any, orig_imgs: Any, **_: Any) -> Any:
        """Return the results of a batch."""
        chosen = nms.non_max_suppression(
            preds,
            self.args.conf,
            self.args.iou,
            multi_label=True,
            max_det=self.args.max_det,
            nc=0 if self.args.task == "detect" else len(self.model.names),
            end2end=getattr(self.model, "end2end", False),
        )
        return self.construct_results(chosen, img, orig_imgs)


class _Detect(_AsInValidation, DetectionPredictor):  # type: ignore[misc]
    pass


class _Pose(_AsInValidation, PosePredictor):  # type: ignore[misc]
    pass


def detect(job: DetectJob, emit: Emit) -> Json:
    """Write COCO results and their settings, and return the settings.

    Raises:
        TrainingError: an image cannot be read, or the model cannot be run.
        UsageError: an unknown setting, or a model of another task.
    """
    if unknown := job.settings.keys() - _DEFAULTS.keys():
        raise UsageError("unknown setting", expected=", ".join(_DEFAULTS), got=", ".join(sorted(unknown)))
    kind = {"detect": _Detect, "pose": _Pose}.get(job.task)
    if kind is None:
        raise UsageError("a model of a task that Liftgate does not know", expected="detect or pose", got=job.task)
    suppress_to_the_end()
    settings = {name: value for name, value in ({**_DEFAULTS, **job.settings}).items() if value is not None}
    device = (job.device or default_device()).split(",")[0]
    with LogListener(emit):
        try:
            model = YOLO(job.weights, task=job.task)
            if model.task != job.task:
                raise UsageError("a model of another task", where=job.weights, expected=job.task, got=model.task)
            overrides = {
                **model.overrides,
                **settings,
                "device": device,
                "rect": False,
                "save": False,
                "mode": "predict",
            }
            predictor = kind(overrides={**overrides, "verbose": False, "batch": 1})
            predictor.setup_model(
                model.model if isinstance(model.model, torch.nn.Module) else job.weights, verbose=False
            )
            names = [str(predictor.model.names[i]) for i in range(len(predictor.model.names))]
            used = {name: getattr(predictor.args, name) for name in _DEFAULTS}
            return prediction_output.write_predictions(
                job.out,
                _detections(predictor, load_json(job.images, LARGE)),
                dict(enumerate(range(len(names)))),
                {
                    **used,
                    "backend": "ultralytics",
                    "version": ultralytics.__version__,
                    "torch": str(torch.__version__),
                    "device": device_name(predictor.device),
                    "task": job.task,
                    "path": "predictor",
                    "rect": False,
                    "weights": prediction_output.weights_hash(Path(job.weights)),
                    "classes": names,
                },
            )
        except LiftgateError:
            raise
        except Exception as error:
            raise explain_error(error) from error


def _detections(predictor: Any, images: Mapping[str, str]) -> Iterator[tuple[str, dict[str, NDArray[Any]]]]:
    for image, path in images.items():
        pixels = imread(path)
        if pixels is None:
            raise TrainingError("the image cannot be decoded", where=path)
        result = predictor(source=[pixels])[0]
        columns = {"bboxes": result.boxes.xyxy, "conf": result.boxes.conf, "cls": result.boxes.cls}
        if result.keypoints is not None:
            columns["keypoints"] = result.keypoints.data
        yield image, {name: np.asarray(value.cpu(), dtype=np.float32) for name, value in columns.items()}
