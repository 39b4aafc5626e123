"""The picture page of `liftgate predict`: what a model finds, to look at, with labels where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.spec import DEFAULT_CONF
from liftgate.files import write_text
from liftgate.reporting.browsing import image_classes, in_random_order
from liftgate.reporting.content import BrowsedImage, ImageBrowser
from liftgate.reporting.page import environment
from liftgate.reporting.pictures import PictureBudget, picture

_MAX_IMAGES = 300
SOMETHING, NOTHING = "something found", "nothing found"
"""Filters for images with and without a detection"""


@dataclass(frozen=True, slots=True)
class PredictionPage:
    """Everything that the page shows."""

    model: str
    """Name of the model's file"""
    images: str
    """Name of the folder, file or data set"""
    browser: ImageBrowser
    n_detections: int
    """All of the predictions, at any confidence that was kept"""
    kept_conf: float
    """The least of them"""
    shown_conf: float
    """The least that is drawn"""
    labelled: bool
    notes: tuple[str, ...] = ()


def prediction_page(
    model: str, predictions: Predictions, dataset: Dataset, *, kept_conf: float, notes: Sequence[str] = ()
) -> PredictionPage:
    """Return the content of the page: images in random order, as many as a page of 8 MB holds.

    Args:
        model: name of the model's file.
        predictions: what it found.
        dataset: the images, with labels where there are any.
        kept_conf: least confidence of the predictions.
        notes: what a reader of the pictures must know.
    """
    shown_conf = max(DEFAULT_CONF, kept_conf)
    index = {image.id: number for number, image in enumerate(dataset.images)}
    budget = PictureBudget()
    shown = []
    for image in in_random_order(index)[:_MAX_IMAGES]:
        made = picture(dataset, index[image], {model: predictions}, conf=shown_conf)
        if not budget.take(made):
            break
        kinds = (SOMETHING,) if made.panels[0].boxes else (NOTHING,)
        shown.append(BrowsedImage(made, image_classes(made), kinds))
    return PredictionPage(
        model=model,
        images=dataset.name,
        browser=ImageBrowser(
            tuple(shown), len(index), f"In random order. Boxes from confidence {shown_conf:g}.", "Found"
        ),
        n_detections=len(predictions),
        kept_conf=kept_conf,
        shown_conf=shown_conf,
        labelled=len(dataset.labels) > 0,
        notes=tuple(notes),
    )


def render_predictions(content: PredictionPage, path: Path) -> Path:
    """Write the page to `path` as one self-contained HTML file and return `path`."""
    write_text(path, environment().get_template("predictions.html.j2").render(p=content))
    return path
