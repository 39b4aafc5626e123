"""A model as `bench` runs it: fit images into its input, run it, choose detections, and time each of the three.

All formats go through the same preparation and the same choice of detections, so that they differ in the model's own
time alone. Images are pixels in memory: decoding files is not part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.deploy.export.card import InputContract, OutputContract, UseSettings
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.runtime.images import Pixels
from liftgate.deploy.runtime.letterbox import input_tensor, letterbox
from liftgate.deploy.runtime.predict import RUNS_IN_CHILD, load_model
from liftgate.deploy.runtime.suppression import choose_detections

Run = Callable[[NDArray[np.generic]], NDArray[np.generic]]


class Times(NamedTuple):
    """Milliseconds of one request."""

    pre: float
    inference: float
    post: float

    @property
    def total(self) -> float:
        """All three together."""
        return self.pre + self.inference + self.post


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model with its contract."""

    run: Run
    """(batch, …) input → (batch, …) output"""
    input: InputContract
    output: OutputContract
    use: UseSettings
    format: str
    precision: str
    runtime: str
    size_bytes: int
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def calls_for(self, batch: int) -> int:
        """Return how many calls a request of `batch` images takes; 0: they cannot be divided into such calls."""
        at_once = self.input.batch
        if at_once is None or at_once == batch:
            return 1
        return 0 if batch % at_once else batch // at_once

    def request(self, images: Sequence[Pixels]) -> Times:
        """Detect on images and return the times."""
        begun = time.perf_counter()
        fitted = [letterbox(image, self.input) for image in images]
        tensors = [input_tensor(one.pixels, self.input) for one in fitted]
        at_once = self.input.batch or len(tensors)
        parts = [np.concatenate(tensors[i : i + at_once]) for i in range(0, len(tensors), at_once)]
        prepared = time.perf_counter()
        outputs = [self.run(part) for part in parts]
        ran = time.perf_counter()
        rows = (row for output in outputs for row in output)
        for row, one in zip(rows, fitted, strict=True):
            choose_detections(row, self.output, one.placement, self.use)
        done = time.perf_counter()
        return Times((prepared - begun) * 1e3, (ran - prepared) * 1e3, (done - ran) * 1e3)


def open_export(path: Path, threads: int, use: UseSettings) -> Engine:
    """Open an export, with a card or without. Call it in a sealed child process alone: some take torch's tensors.

    Raises:
        DataError: it cannot be read, or its output is none that Liftgate knows.
        UsageError: it does not run here.
    """
    export = describe_export(path)
    card = export.card
    if card.format in RUNS_IN_CHILD:
        from liftgate.backends.ultralytics.raw_model import open_exported_program

        program = open_exported_program(export.path, threads=threads)
        run, runtime = program.run, program.runtime
    else:
        model = load_model(card, export.folder, threads=threads)
        run, runtime = model.run, model.session.facts.runtime
    return Engine(
        run=run,
        input=card.input,
        output=card.output,
        use=use,
        format=card.format,
        precision=card.precision,
        runtime=runtime,
        size_bytes=card.n_bytes,
        missing=export.missing,
        notes=card.notes,
    )


def open_checkpoint(path: Path, threads: int, use: UseSettings, *, imgsz: int | None, device: str | None) -> Engine:
    """Open a checkpoint by its own framework. Call it in the sealed child process alone.

    Raises:
        TrainingError: it cannot be loaded.
    """
    from liftgate.backends.ultralytics.raw_model import open_raw_model

    model = open_raw_model(path, threads=threads, imgsz=imgsz, device=device)
    values = 0 if model.keypoints is None else model.keypoints[0] * model.keypoints[1]
    shape = (None, None, 6 + values) if model.end_to_end else (None, 4 + len(model.classes) + values, None)
    return Engine(
        run=model.run,
        input=InputContract(model.imgsz, model.imgsz, batch=None),
        output=OutputContract(
            layout="detections" if model.end_to_end else "anchors",
            shape=shape,
            classes=model.classes,
            boxes="xyxy" if model.end_to_end else "cxcywh",
            nms=model.end_to_end,
            keypoints=model.keypoints,
        ),
        use=use,
        format="pt",
        precision="fp32",
        runtime=model.runtime,
        size_bytes=path.stat().st_size,
    )
