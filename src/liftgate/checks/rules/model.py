"""Rules about model files: exports of Liftgate, Ultralytics, Geti and Roboflow, and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject


@rule("model.unusable", "error")
def unusable(subject: Subject) -> Iterator[Finding]:
    """A model file that cannot be run, or must not be.

    It is cut short, was replaced after its card was written, is of another task, has operations or an opset that the
    runtime lacks, lacks a file of its weights, was built for another device, or loading it could run code.

    Fix: the message names the cause; copy the whole folder again, or export again.
    """
    for model in subject.models:
        if model.unusable:
            yield unusable.finding(model.name, model.unusable, hint=model.hint)


@rule("model.contract", "warning")
def contract(subject: Subject) -> Iterator[Finding]:
    """An export whose files do not say how it is to be used.

    Which way round the channels are, how pixels are scaled, how an image is fitted, what the classes are called: a
    wrong guess gives plausible wrong detections, not an error. What is not said is taken as Ultralytics' models have
    it, and named. `predict`, `bench` and `export --prove` measure the model all the same.

    Fix: compare with its checkpoint, `liftgate export best.pt --exports FILE --prove data.yaml`, or export it with
    `liftgate export`, which writes a card.
    """
    for model in subject.models:
        for text in model.missing:
            yield contract.finding(model.name, f"its files do not say {text}")


@rule("model.preparation", "warning")
def preparation(subject: Subject) -> Iterator[Finding]:
    """An export that was made for images that are prepared as Liftgate does not prepare them.

    Crops, contrast, grey images or another way of fitting before the model: its detections here are worse than where it
    came from, and a comparison with another model is not fair to it.

    Fix: prepare the images so yourself, or measure its detections as it made them: `liftgate evaluate --predictions`.
    """
    for model in subject.models:
        for text in model.ignored:
            yield preparation.finding(model.name, text)


@rule("model.limits", "info", "warning")
def limits(subject: Subject) -> Iterator[Finding]:
    """An export whose numbers end somewhere, or that was calibrated badly.

    With suppression inside the file nothing below a confidence comes out, so its curve and its mAP are cut there.
    Ranges of INT8 that were measured on few images, or on val or test, are a warning.

    Fix: export it without `nms`, or calibrate on `train` with at least 32 images (`liftgate export --data`).
    """
    for model in subject.models:
        for text in model.limits:
            bad = "calibrated" in text
            yield limits.finding(model.name, text, severity="warning" if bad else "info")
