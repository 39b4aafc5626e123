"""Random predictions to mark right or wrong: drawn from a seed, marked on a page, and what the marks say of all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.hashed_record import read_hashed, write_hashed
from liftgate.data.core.predictions import Predictions
from liftgate.errors import DataError, UsageError
from liftgate.files import atomic_folder, require_empty
from liftgate.hashing import content_hash
from liftgate.judging.crops import crop
from liftgate.judging.page import write_page_of
from liftgate.judging.review import read_words
from liftgate.progress import Progress, silent
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard

MARKS, PAGE = "marks.json", "marks.html"


@dataclass(frozen=True, slots=True)
class DrawnPrediction:
    """One prediction to look at."""

    id: str
    image: str
    group: str
    cls: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class MarkDraw:
    """Predictions that were drawn, each with the same chance."""

    items: tuple[DrawnPrediction, ...]
    n_predictions: int
    """All that could be drawn"""
    conf: float
    """Their least confidence"""
    predictions: str
    seed: int

    @property
    def hash(self) -> str:
        """Hash of everything; marks carry it."""
        return content_hash(self)


@dataclass(frozen=True, slots=True)
class MarkedRate:
    """What the marks say of all predictions."""

    marked: int
    right: int
    unsure: int
    n_predictions: int
    rate: Interval
    """Of right ones; its lower bound counts what is unsure as wrong, its upper bound as right"""

    @property
    def text(self) -> str:
        """The result in a sentence."""
        one = self.rate
        spread = f"[{one.low:.3f}, {one.high:.3f}]" if one.established else f"no interval: {one.note}"
        doubt = f", {self.unsure} unsure" if self.unsure else ""
        return (
            f"{self.right} of {self.marked} marked predictions are right{doubt}; of all {self.n_predictions:,} "
            f"{one.estimate:.3f} {spread} ({one.basis})"
        )


def draw_marks(dataset: Dataset, predictions: Predictions, conf: float, *, most: int = 100, seed: int = 0) -> MarkDraw:
    """Draw predictions at random, each with the same chance, so that they speak for all.

    Args:
        dataset: the images, with their groups.
        predictions: what a model found.
        conf: least confidence of those that are drawn from.
        most: number to draw; all where there are fewer.
        seed: of the draw.

    Raises:
        UsageError: there is no prediction of that confidence, or they have no boxes.
    """
    if predictions.image_level:
        raise UsageError("these are predictions of whole images: there is no box to mark")
    rows = np.flatnonzero(predictions.scores >= conf)
    if not len(rows):
        raise UsageError("there is no prediction to mark", expected=f"confidence ≥ {conf:g}", got="none")
    keys = {image.id: image.key for image in dataset.images}
    chosen = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    items = []
    for number, row in enumerate(chosen.tolist(), 1):
        image, (x0, y0, x1, y1) = predictions.images[predictions.image[row]], predictions.boxes[row].tolist()
        name = predictions.classes[predictions.cls[row]]
        items.append(DrawnPrediction(f"p{number:04d}", image, keys[image], name, (x0, y0, x1, y1)))
    return MarkDraw(tuple(items), len(rows), conf, predictions.content_hash(), seed)


def write_marks(draw: MarkDraw, dataset: Dataset, folder: Path, verb: str, *, progress: Progress = silent) -> Path:
    """Write marks.html and marks.json into a new folder and return the path of the page.

    Args:
        draw: the predictions.
        dataset: the images.
        folder: a new folder.
        verb: the command that reads the marks, for the end of the page.
        progress: called with the number of pictures.

    Raises:
        DataError: the folder is not empty, or an image cannot be read.
    """
    require_empty(folder)
    paths = {image.id: image.path for image in dataset.images}
    cards: list[dict[str, object]] = []
    for done, one in enumerate(draw.items, 1):
        part = crop(paths[one.image], (one.box,))
        mark = {"cls": one.cls, "box": [round(side, 2) for side in one.box]}
        cards.append(
            {"id": one.id, "kind": "single", "jpeg": part.jpeg, "window": part.window, "marks": [mark], "surer": [],
             "turn": 0}
        )  # fmt: skip
        progress("pictures", done, len(draw.items))
    content = {"draw": draw.hash, "classes": list(dataset.classes), "groups": 0, "verb": verb, "cards": cards}
    with atomic_folder(folder) as made:
        write_page_of(json.dumps(content, ensure_ascii=True), made / PAGE)
        write_hashed(draw, made / MARKS, "marks")
    return folder / PAGE


def read_draw_of_marks(path: Path) -> MarkDraw:
    """Read marks.json, or the folder that holds it.

    Raises:
        DataError: it cannot be read, or was edited.
    """
    path = path / MARKS if path.is_dir() else path
    hint = "the folder `marks` of `evaluate --api-url … --out FOLDER`"
    return read_hashed(path, MarkDraw, "marks", name="the draw of predictions to mark", hint=hint)


def marked_rate(draw: MarkDraw, answers: Path, level: float = 0.95) -> MarkedRate:
    """Return what a person's marks say of all predictions.

    Args:
        draw: the predictions.
        answers: answers.csv of the page.
        level: of the interval.

    Raises:
        DataError: marks of another draw, given twice or incomplete.
    """
    words = read_words(answers, draw.hash, [one.id for one in draw.items])
    unsure = sum(word == "unsure" for word in words.values())
    right = sum(word == "yes" for word in words.values())
    if unsure == len(words):
        raise DataError("every prediction is marked unsure, which says nothing of how many are right", where=answers)
    low, high = _rate(draw, words, ("yes",), level), _rate(draw, words, ("yes", "unsure"), level)
    middle = right / (len(words) - unsure)
    both = low.established and high.established
    note = low.note or high.note or ("what is unsure widens both bounds" if unsure else "")
    rate = replace(low, estimate=middle, low=low.low if both else None, high=high.high if both else None, note=note)
    return MarkedRate(len(words), right, unsure, draw.n_predictions, rate)


def _rate(draw: MarkDraw, words: dict[str, str], right: tuple[str, ...], level: float) -> Interval:
    hits = np.array([words[one.id] in right for one in draw.items], dtype=np.float64)
    groups, group = np.unique([one.group for one in draw.items], return_inverse=True)
    return korn_graubard(
        np.bincount(group, hits, minlength=len(groups)), np.bincount(group, minlength=len(groups)), level,
        n_images=len({one.image for one in draw.items}),
    )  # fmt: skip
