"""Images to look through: which, and what the filters go by. Rows of the recorded evaluations; nothing is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.records import Evaluation, ImageCounts
from liftgate.hashing import content_hash
from liftgate.reporting.content import BrowsedImage, Gallery, ImageBrowser, Picture
from liftgate.reporting.pictures import PictureBudget, picture

_MAX_CHANGED = 80
"""Images at most that gained, and as many that lost"""
_MAX_RANDOM = 100
_MAX_IMAGES = 300
_MAX_SAMPLES = 8
"""Labelled images of a dataset"""


def image_browser(
    truth: Dataset,
    loaded: Mapping[str, Predictions],
    evaluations: Mapping[str, Evaluation],
    *,
    conf: float,
    budget: PictureBudget,
) -> ImageBrowser | None:
    """Return images to look through: those that changed, some at random, and the worst; None: no images are recorded.

    Args:
        truth: images and objects that were measured.
        loaded: arm → its predictions.
        evaluations: arm → its evaluation with all images; the last arm's errors are what is filtered by.
        conf: least confidence of the boxes.
        budget: of the page.
    """
    if not loaded or not evaluations:
        return None
    names = list(evaluations)
    after = {row["id"]: row for row in evaluations[names[-1]].images}
    before = {row["id"]: row for row in evaluations[names[0]].images} if len(names) > 1 else {}
    change = {image: _change(before[image], row) for image, row in after.items() if image in before}
    lost = [image for image, word in change.items() if word == "lost"][:_MAX_CHANGED]
    gained = [image for image, word in change.items() if word == "gained"][:_MAX_CHANGED]
    random = at_random(after, _MAX_RANDOM)
    index = {image.id: number for number, image in enumerate(truth.images)}
    order = dict.fromkeys([*_in_turn(lost, gained), *random, *after])
    shown = []
    for image in islice((one for one in order if one in index), _MAX_IMAGES):
        made = picture(truth, index[image], loaded, conf=conf, note=_note(after[image]))
        if not budget.take(made):
            break
        kinds = tuple(after[image].get("errors", {})) or _kinds_by_count(after[image])
        shown.append(BrowsedImage(made, image_classes(made), kinds, change.get(image, ""), image in random))
    if not shown:
        return None
    picked = f"{min(_MAX_RANDOM, len(after)):,} drawn at random, then the worst"
    if change:
        picked = f"those where the arms found different objects (at most {_MAX_CHANGED} each way), {picked}"
    return ImageBrowser(tuple(shown), len(after), f"Chosen: {picked}. Boxes from confidence {conf:g}, first seed.")


def label_samples(name: str, dataset: Dataset, budget: PictureBudget) -> Gallery | None:
    """Return training images with their labels, drawn at random; None: the dataset has no training images."""
    training = dataset.split("train") if "train" in dataset.splits else None
    if training is None or not training.images:
        return None
    index = {image.id: number for number, image in enumerate(training.images)}
    drawn = (picture(training, index[image], {}, conf=0.0) for image in at_random(index, _MAX_SAMPLES))
    kept = tuple(one for one in drawn if budget.take(one))
    return Gallery(f"Labels of {name}.train", kept, f"{len(kept)} of {len(index):,} training images, drawn at random.")


def at_random(images: Iterable[str], count: int) -> list[str]:
    """Return some of the images, the same on every machine: by the hash of their names.

    >>> at_random("abcdef", 2) == at_random("fedcba", 2)
    True
    """
    return in_random_order(images)[:count]


def in_random_order(images: Iterable[str]) -> list[str]:
    """Return images in an order that says nothing about them, the same on every machine."""
    return sorted(images, key=lambda image: content_hash(["drawn", image]))


def _change(before: ImageCounts, after: ImageCounts) -> str:
    old, new = (before["tp"], -before["fp"]), (after["tp"], -after["fp"])
    return "gained" if new > old else "lost" if new < old else "same"


def _kinds_by_count(row: ImageCounts) -> tuple[str, ...]:
    """Return what an evaluation without error types says: missed and false."""
    return tuple(name for name, key in (("missed", "fn"), ("false", "fp")) if row[key])  # type: ignore[literal-required]


def _note(row: ImageCounts) -> str:
    return f"{row['tp']} found, {row['fn']} missed, {row['fp']} false"


def image_classes(made: Picture) -> tuple[str, ...]:
    """Return the classes of a picture's objects and detections, each once."""
    boxes = (*made.truth, *(box for panel in made.panels for box in panel.boxes))
    return tuple(dict.fromkeys(box.label for box in boxes))


def _in_turn(first: list[str], second: list[str]) -> Iterator[str]:
    for pair in zip(first, second, strict=False):
        yield from pair
    yield from max(first, second, key=len)[min(len(first), len(second)) :]
