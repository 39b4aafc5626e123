"""What a server answers, as records: the JSON of every answer and the OpenAPI document are made from these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from liftgate.deploy.runtime.suppression import Detections


class DetectedObject(msgspec.Struct, frozen=True, rename={"cls": "class"}, omit_defaults=True):
    """One detection."""

    cls: str
    """Name of its class"""
    confidence: float
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the image, upright by EXIF"""
    keypoints: list[tuple[float, float, float]] | None = None
    """x, y, confidence; absent where the model has none"""


class Timings(msgspec.Struct, frozen=True):
    """Where the time of a request went, milliseconds."""

    receive: float
    """Until the whole body was there"""
    wait: float
    """In the queue"""
    decode: float
    detect: float
    total: float


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Detections in one image, and what they were made with."""

    image_id: str
    model_version: str
    model_hash: str
    """SHA-256 of the model's files"""
    threshold: float
    """Least confidence"""
    iou: float
    """Limit of non-maximum suppression"""
    width: int
    height: int
    detections: list[DetectedObject]
    """Best first"""
    timings_ms: Timings
    logged: bool | None = None
    """Whether the production log holds it, also if the server is killed now; absent where there is no log"""


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong: what, where, expected and got, and a hint."""

    what: str
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: Failure
    status: int


class BatchItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image of a batch: its answer, or what is wrong with it."""

    image_id: str
    answer: Answer | None = None
    error: Failure | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """Answers in the order of the images."""

    model_version: str
    """Of the first image that was answered; each answer has its own"""
    items: list[BatchItem]


class ModelAnswer(msgspec.Struct, frozen=True):
    """The model in use."""

    model_version: str
    model_hash: str
    source: str
    """Its export, below the registry, or the file that was given"""
    format: str
    precision: str
    runtime: str
    classes: list[str]
    input_width: int
    input_height: int
    threshold: float
    iou: float
    max_det: int
    loaded: str
    """UTC, ISO 8601"""
    swaps: int
    """Since the server started"""
    problem: str | None = None
    """Why the registry's champion is not the model in use; null: it is"""


class StateAnswer(msgspec.Struct, frozen=True):
    """Whether the process lives, or takes requests."""

    status: str
    model_version: str


def detected_objects(found: Detections, classes: tuple[str, ...]) -> list[DetectedObject]:
    """Return detections as an answer has them: boxes to a hundredth of a pixel, confidences to 1e-5."""
    boxes, scores, cls = found.boxes.round(2).tolist(), found.scores.round(5).tolist(), found.cls.tolist()
    points = None if found.keypoints is None else found.keypoints.round(3).tolist()
    return [
        DetectedObject(
            classes[number],
            score,
            (box[0], box[1], box[2], box[3]),
            None if points is None else [(x, y, sure) for x, y, sure in points[index]],
        )
        for index, (box, score, number) in enumerate(zip(boxes, scores, cls, strict=True))
    ]
