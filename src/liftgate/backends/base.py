"""The interface of a backend: its jobs, its reports, the files it writes, and the rules it must keep.

Rules (liftgate.testing.backends checks them for any backend):
1. A backend runs in a child process of `liftgate.training`, in its own working folder, with a sealed configuration.
2. `train` leaves weights/best.pt, weights/last.pt (any bytes that the backend itself can load), results.csv and
   args.yaml with the arguments that were used, in `job.out`.
3. It reports every finished epoch through `emit` exactly once, also across a pause.
4. It calls `should_stop` after every epoch; where that returns True it saves a state that `resume=True` continues from.
5. `predict` returns the detections for every image of the list, in pixels of the image upright (EXIF applied, as
   OpenCV loads it). A job of several `parts` gets its part, with the detections that the whole would have given.
6. The same job with the same seed on the CPU gives the same weights.
7. A `train` on several devices ("0,1") is called in one process for each, with RANK, LOCAL_RANK, WORLD_SIZE,
   MASTER_ADDR and MASTER_PORT as torch.distributed has them; only that of rank 0 writes. A backend that does not
   support several devices raises UsageError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from liftgate.backends.events import Emit, Json


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """An epoch after which the run stops unless a condition on its metrics holds."""

    at: int
    """Epoch, from 1"""
    continue_if: str
    """`mAP50 > 0.40`, see study/conditions.py"""
    careful_if: str | None = None
    otherwise: Literal["stop", "continue"] = "stop"
    epochs: int | None = None
    """Of the recipe, which forecasts are about; None: not known"""
    rule: Literal["decision point"] = "decision point"


@dataclass(frozen=True, slots=True)
class MedianPoint:
    """An epoch after which the run stops if its best value so far is below the median of other runs' means up to it."""

    at: int
    """Epoch, from 1"""
    metric: str
    below: float
    of: int
    """Number of runs that `below` is the median of"""
    rule: Literal["median rule"] = "median rule"


@dataclass(frozen=True, slots=True)
class TrainJob:
    """One stage to train with one seed."""

    weights: str
    """A file, an official name that the backend resolves, or a model YAML (from scratch)."""
    data: Path
    """data.yaml written by Liftgate; absolute"""
    recipe: Json
    """Training arguments in Ultralytics' own names"""
    seed: int
    task: str
    out: Path
    """Results folder; absolute; exists"""
    device: str | None = None
    select: str | None = None
    """Metric that selects the best epoch and decides early stopping, named as in an epoch's report (`mAP50`,
    `pose_mAP50-95`); None: the backend's own choice (Ultralytics: mAP50-95; for pose, of boxes plus keypoints)"""
    decide: tuple[DecisionPoint | MedianPoint, ...] = ()
    """Applied by the worker (training/stopping_rules.py); a backend sees a decision as `should_stop`"""
    resume: bool = False
    reported: int = 0
    """Number of epochs that were reported before the pause or crash and are not reported again"""


@dataclass(frozen=True, slots=True)
class PredictJob:
    """One split to predict with one model, with the preprocessing of validation."""

    weights: str
    data: Path
    split: str
    task: str
    out: Path
    """Predictions file to write: COCO results JSON, image_id = Dataset image id, category_id = 1-based class."""
    settings: Json = field(default_factory=dict)
    """imgsz, conf, iou, max_det, batch"""
    device: str | None = None
    part: int = 0
    """Which part of the split, from 0"""
    parts: int = 1
    """Number of parts; only the backends of `SPLITTING` are given several"""

    def share(self, count: int) -> slice:
        """Return which of `count` units are its part: images, or the batches of a backend that pads within a batch.

        >>> [PredictJob("", Path(), "", "", Path(), part=i, parts=3).share(7) for i in range(3)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
        """
        return slice(count * self.part // self.parts, count * (self.part + 1) // self.parts)


@dataclass(frozen=True, slots=True)
class DetectJob:
    """Images to detect on with one model, labelled or not, one by one and padded to a square."""

    weights: str
    images: Path
    """JSON object: image id → absolute path of the file"""
    task: str
    out: Path
    """Predictions file to write: COCO results JSON, category_id = the model's own class counted from 1"""
    settings: Json = field(default_factory=dict)
    """imgsz (None: that of the training), conf, iou, max_det"""
    device: str | None = None


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One model to write in one format."""

    weights: str
    format: str
    """onnx, openvino, torchscript, ncnn, tensorrt, litert, executorch"""
    precision: str
    """fp32 or fp16"""
    out: Path
    """Folder to write the model into; exists"""
    imgsz: int | tuple[int, int] | None = None
    """Side of a square, or (height, width); None: that of the training"""
    opset: int | None = None
    """Of ONNX; None: the exporter's choice"""
    nms: bool = False
    """Whether non-maximum suppression becomes part of the model, with a confidence of 0.25"""
    device: str | None = None


class Paused(Exception):
    """The job was requested to stop and has saved a state to resume from."""


class Backend(Protocol):
    """A trainer and predictor of detection models."""

    name: str

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        """Run the stage to its end and return facts for the record (versions, device, best epoch, peak memory).

        Args:
            job: the stage.
            emit: to call with events: a `StartedEvent`, then an `EpochReport` for each epoch.
            should_stop: to call after each epoch; returns whether to pause.

        Raises:
            Paused: `should_stop` returned True, and the state is saved.
            TrainingError: training failed; the message is shown to the user.
        """

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        """Write predictions to `job.out` and return the settings that were really used.

        Raises:
            TrainingError: images were left out, or the model cannot be run.
        """


class Exporter(Protocol):
    """A backend that can also write models in other formats, and detect on images without a data set."""

    def detect(self, job: DetectJob, emit: Emit) -> Json:
        """Write detections to `job.out` and return the settings that were used, with the model's classes.

        Raises:
            TrainingError: an image could not be read, or the model cannot be run.
        """

    def export(self, job: ExportJob, emit: Emit) -> Json:
        """Write the model into `job.out` and return its facts: path, task, classes, keypoints, imgsz, versions.

        Raises:
            TrainingError: the model cannot be written in this format.
        """
