"""The page on which questions are answered: one HTML file with its pictures, offline, by keyboard or by touch."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TypedDict

from liftgate.data.core.dataset import Dataset
from liftgate.files import write_text
from liftgate.judging.crops import crop
from liftgate.judging.draw import MISSED, Draw, Mark, Question
from liftgate.progress import Progress, silent

_DATA = "/*DATA*/null"


class _Rectangle(TypedDict):
    cls: str
    box: tuple[float, float, float, float]


class _Card(TypedDict):
    id: str
    kind: str
    jpeg: str
    window: tuple[float, float, float, float]
    marks: list[_Rectangle]
    surer: list[_Rectangle]
    turn: int
    """Place of its group in the order of groups, from 1; 0: questions are in no order of groups"""


def write_page(draw: Draw, dataset: Dataset, path: Path, *, progress: Progress = silent) -> Path:
    """Write the page and return its path. It does not say which model a box is of, nor how sure the model was.

    Args:
        draw: the questions.
        dataset: the images.
        path: of the HTML file.
        progress: called with the number of pictures cut and in all.

    Raises:
        DataError: an image cannot be read.
    """
    paths = {image.id: image.path for image in dataset.images}
    turns = {group: place for place, group in enumerate(draw.group_order, 1)}
    cards = []
    for done, question in enumerate(draw.questions, 1):
        image = draw.images[question.image]
        cards.append(_card(question, paths[image.id], turns.get(image.group, 0)))
        progress("pictures", done, len(draw.questions))
    content = {"draw": draw.hash, "classes": list(draw.classes), "groups": len(draw.group_order), "cards": cards}
    return write_page_of(json.dumps(content, ensure_ascii=True), path)


def write_page_of(content: str, path: Path) -> Path:
    """Write the page with its questions as JSON and return its path."""
    template = files("liftgate.judging").joinpath("page.html").read_text(encoding="utf-8")
    before, after = template.split(_DATA)
    write_text(path, before + content.replace("<", "\\u003c") + after)
    return path


def _card(question: Question, image: Path, turn: int) -> _Card:
    whole = question.kind == MISSED
    shown = () if whole else tuple(mark.box for mark in question.marks)
    part = crop(image, shown)
    kind = "missed" if whole else "pair" if len(question.marks) == 2 else "single"
    return _Card(
        id=question.id, kind=kind, jpeg=part.jpeg, window=part.window,
        marks=[_rectangle(mark) for mark in question.marks], surer=[_rectangle(mark) for mark in question.surer],
        turn=turn,
    )  # fmt: skip


def _rectangle(mark: Mark) -> _Rectangle:
    left, top, right, bottom = (round(value, 2) for value in mark.box)
    return _Rectangle(cls=mark.cls, box=(left, top, right, bottom))
