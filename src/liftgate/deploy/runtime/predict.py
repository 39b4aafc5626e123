"""Predict with an export over a data set: the same images in, `Predictions` out, whatever the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.card import ExportCard, InputContract, UseSettings
from liftgate.deploy.export.stated import from_metadata
from liftgate.deploy.runtime.device import require_device
from liftgate.deploy.runtime.images import Pixels, read_pixels
from liftgate.deploy.runtime.letterbox import input_tensor, letterbox
from liftgate.deploy.runtime.litert import open_litert
from liftgate.deploy.runtime.sessions import (
    ModelFacts,
    Port,
    Session,
    Tensor,
    open_ncnn,
    open_onnx,
    open_openvino,
)
from liftgate.deploy.runtime.suppression import Detections, choose_detections
from liftgate.errors import DataError, UsageError
from liftgate.progress import Progress, silent

_OPEN: dict[str, Callable[..., Session]] = {
    "onnx": open_onnx,
    "openvino": open_openvino,
    "ncnn": open_ncnn,
    "litert": open_litert,
}
RUNS_HERE = tuple(_OPEN)
"""Formats that run without torch"""
RUNS_IN_CHILD = ("torchscript", "executorch")
"""Formats that take torch's tensors"""
_EDITED = "the card is of another file, or was edited: export again"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An export that is ready to predict."""

    card: ExportCard
    session: Session
    folder: Path

    def detect(self, image: Pixels, use: UseSettings | None = None) -> Detections:
        """Return the detections in an image.

        Args:
            image: (height, width, 3) RGB.
            use: thresholds; None: those of the card.

        Raises:
            DataError: the output does not have the shape that the card says, or is not a number.
        """
        fitted = letterbox(image, self.card.input)
        tensor = input_tensor(fitted.pixels, self.card.input)
        if (at_once := self.card.input.batch or 1) > 1:  # somebody's model that takes no fewer
            tensor = np.repeat(tensor, at_once, axis=0)
        output = self.run(tensor)
        return choose_detections(output[0], self.card.output, fitted.placement, use or self.card.use)

    @property
    def takes_batches(self) -> bool:
        """Whether several images may run as one."""
        return self.card.input.batch is None and self.session.facts.inputs[0].shape[0] is None

    def detect_together(self, images: Sequence[Pixels], uses: Sequence[UseSettings]) -> list[Detections]:
        """Return the detections in several images, run as one where the model's batch is free.

        Args:
            images: (height, width, 3) RGB, of any sizes.
            uses: thresholds of each image.

        Raises:
            DataError: the output does not have the shape that the card says, or is not a number.
        """
        if len(images) == 1 or not self.takes_batches:
            return [self.detect(image, use) for image, use in zip(images, uses, strict=True)]
        fitted = [letterbox(image, self.card.input) for image in images]
        tensor = np.concatenate([input_tensor(one.pixels, self.card.input) for one in fitted])
        output = self.run(tensor)
        return [
            choose_detections(output[index], self.card.output, one.placement, use)
            for index, (one, use) in enumerate(zip(fitted, uses, strict=True))
        ]

    def run(self, tensor: Tensor) -> Tensor:
        """Return the model's output for its input, both with the batch as the first side."""
        outputs = self.session.run(tensor)
        return joined_outputs(outputs) if has_two_outputs(self.session.facts) else outputs[0]


def load_model(card: ExportCard, folder: Path, *, threads: int | None = None) -> LoadedModel:
    """Open the model of a card and compare its inputs and outputs with it.

    Args:
        card: read with `read_card`, which has compared the files.
        folder: the card's folder.
        threads: threads of one inference; None: the runtime's own choice.

    Raises:
        UsageError: a format that does not run here, or its package is not installed.
        DataError: the file cannot be opened, or is another model than the card says.
    """
    if card.device is not None:
        require_device(card.device, folder / card.model)
    if card.format not in _OPEN:
        hint = "TensorRT engines run on the device that built them: `liftgate export --on-target`"
        if card.format != "tensorrt":
            hint = f"without torch these run here: {', '.join(RUNS_HERE)}"
        raise UsageError("this format does not run here", where=folder / card.model, got=card.format, hint=hint)
    session = open_model(card.format, folder / card.model, threads=threads)
    require_contract(card, session, folder / card.model)
    return LoadedModel(card, session, folder)


def open_model(format_: str, path: Path, *, threads: int | None = None) -> Session:
    """Open a model file of a format that runs here, whatever it says of itself; see `load_model`."""
    return _OPEN[format_](path, threads=threads)


def predict_dataset(
    model: LoadedModel, dataset: Dataset, *, use: UseSettings | None = None, progress: Progress = silent
) -> Predictions:
    """Return the model's detections on every image of a data set, with the model's own classes.

    Args:
        model: from `load_model`.
        dataset: its images are read in order.
        use: thresholds; None: those of the card.
        progress: called with the number of images.

    Raises:
        DataError: an image cannot be read, or the output does not fit the card.
    """
    use = use or model.card.use
    entry = model.card.input
    settings = {
        "backend": "liftgate",
        "runtime": model.session.facts.runtime,
        "format": model.card.format,
        "precision": model.card.precision,
        "weights": model.card.sha256,
        "imgsz": entry.height if entry.height == entry.width else [entry.height, entry.width],
        "rect": False,
        "conf": use.conf,
        "iou": use.iou,
        "max_det": use.max_det,
    }
    found = _over(model, dataset, use, progress)
    return collect_predictions([image.id for image in dataset.images], model.card.output.classes, found, settings)


def collect_predictions(
    images: Sequence[str], classes: Sequence[str], found: Iterator[Detections], settings: Mapping[str, object]
) -> Predictions:
    """Return detections image by image as one table.

    Args:
        images: ids, in the order of `found`.
        classes: the model's.
        found: detections of each image.
        settings: of the predictions.
    """
    parts = list(found)
    counts = [len(one.scores) for one in parts]
    points = [one.keypoints for one in parts if one.keypoints is not None]
    return Predictions(
        images=tuple(images),
        classes=tuple(classes),
        image=np.repeat(np.arange(len(parts), dtype=np.int64), counts),
        cls=np.concatenate([one.cls for one in parts]) if parts else np.empty(0, dtype=np.int64),
        boxes=np.concatenate([one.boxes for one in parts]) if parts else np.empty((0, 4)),
        scores=np.concatenate([one.scores for one in parts]) if parts else np.empty(0),
        keypoints=np.concatenate(points) if points else None,
        settings=settings,
    )


def require_contract(card: ExportCard, session: Session, where: Path) -> None:
    """Compare a model's inputs and outputs with its card.

    Raises:
        DataError: they differ, so the card is of another file, or was edited.
    """
    facts = session.facts
    if len(facts.inputs) != 1:
        raise DataError("the model has several inputs", where=where, expected=1, got=len(facts.inputs))
    compared = [("input", input_shape(card.input), facts.inputs[0])]
    if not has_two_outputs(facts):
        compared.append(("output", card.output.shape, facts.outputs[0]))
    for what, expected, port in compared:
        if not _fits(expected, port):
            what = f"the card is wrong about the {what}"
            raise DataError(what, where=where, expected=expected, got=port.shape, hint=_EDITED)
    named = from_metadata(facts.metadata, where).classes
    if named is not None and named != card.output.classes:
        said, got = (", ".join(names[:5]) for names in (card.output.classes, named))
        raise DataError("the card is wrong about the classes", where=where, expected=said, got=got, hint=_EDITED)
    if facts.inputs[0].dtype != card.input.dtype:
        got = facts.inputs[0].dtype
        raise DataError("the card is wrong about the input's type", where=where, expected=card.input.dtype, got=got)


def has_two_outputs(facts: ModelFacts) -> bool:
    """Return whether a model gives boxes with scores (1, n, 5) and labels (1, n) apart, as Geti's detectors do."""
    if len(facts.outputs) < 2:
        return False
    boxes, labels = facts.outputs[:2]
    return len(boxes.shape) == 3 and boxes.shape[2] == 5 and len(labels.shape) == 2


def joined_outputs(outputs: Sequence[Tensor]) -> NDArray[np.float32]:
    """Return boxes with scores (1, n, 5) and labels (1, n) as one output (1, n, 6)."""
    boxes, labels = np.asarray(outputs[0], dtype=np.float32), np.asarray(outputs[1], dtype=np.float32)
    return np.concatenate([boxes, labels[..., None]], axis=2)


def input_shape(entry: InputContract) -> tuple[int | None, ...]:
    """Return the shape of the model's input."""
    if entry.layout == "NCHW":
        return (entry.batch, 3, entry.height, entry.width)
    return (entry.batch, entry.height, entry.width, 3)


def _fits(expected: Sequence[int | None], port: Port) -> bool:
    return len(expected) == len(port.shape) and all(
        given is None or said is None or given == said for given, said in zip(port.shape, expected, strict=True)
    )


def _over(model: LoadedModel, dataset: Dataset, use: UseSettings, progress: Progress) -> Iterator[Detections]:
    for index, image in enumerate(dataset.images):
        try:
            yield model.detect(read_pixels(image.path), use)
        except DataError as error:
            if error.where is None:
                hint = "the card does not describe this file: export again"
                raise DataError(
                    error.what, where=model.folder, expected=error.expected, got=error.got, hint=hint
                ) from None
            raise
        progress("predicting", index + 1, len(dataset.images))


def with_thresholds(use: UseSettings, conf: float | None, iou: float | None, max_det: int | None) -> UseSettings:
    """Return settings with those values changed that are not None.

    Raises:
        UsageError: a value is not possible.
    """
    changed = replace(
        use,
        conf=use.conf if conf is None else conf,
        iou=use.iou if iou is None else iou,
        max_det=use.max_det if max_det is None else max_det,
    )
    for name, value, possible in (
        ("conf", changed.conf, 0 <= changed.conf <= 1),
        ("iou", changed.iou, 0 < changed.iou <= 1),
        ("max_det", changed.max_det, changed.max_det >= 1),
    ):
        if not possible:
            expected = {"conf": "0 to 1", "iou": "above 0, to 1", "max_det": "at least 1"}[name]
            raise UsageError(f"{name} is out of range", expected=expected, got=value)
    return changed
