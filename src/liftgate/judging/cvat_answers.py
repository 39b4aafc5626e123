"""Answers that were given in CVAT: read from its export, checked against the draw as those of the page are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from liftgate.data.formats.cvat.elements import top_elements
from liftgate.errors import DataError
from liftgate.hashing import short
from liftgate.judging.answers import Answer, require_answer
from liftgate.judging.cvat_task import ANSWER, CLASS, OPEN, WORDS, TaskBox, task_boxes
from liftgate.judging.draw import Draw, Question

SUFFIXES = (".xml", ".zip")
"""Of CVAT's exports"""
_NAME = re.compile(r"(?:.*/)?([0-9a-f]{64})/(q\d+)\.jpg")
_MOVED = 0.5  # pixels; exports round


class _Given(NamedTuple):
    """A box of the export."""

    box: TaskBox
    answer: str | None
    """None: it has no such attribute"""


def read_cvat_answers(path: Path, draw: Draw) -> list[Answer]:
    """Read the answers of one export for images 1.1, an XML or a zip; questions that are open have none.

    The person is the one that the task or job is assigned to, else the file's name.

    Raises:
        DataError: not such an export, of another draw, an unknown question, a question that is there twice or whose
            boxes were changed, or a word that is no answer to it.
    """
    questions = {one.id: one for one in draw.questions}
    expected, people = draw.hash, set[str]()
    words: dict[str, str] = {}
    for element in top_elements(path):
        if element.tag == "meta":
            people |= {name for one in element.iterfind(".//assignee/username") if (name := (one.text or "").strip())}
        if element.tag != "image":
            continue
        hash_, id_ = _named(element, path)
        where = f"{path}: {id_}"
        if hash_ != expected:
            raise DataError(
                "answers to another draw: other models, other images or another seed", where=where,
                expected=short(expected), got=short(hash_),
                hint="name the draw.json of the folder whose task was imported",
            )  # fmt: skip
        if id_ not in questions:
            raise DataError("no such question in the draw", where=where, got=id_)
        if id_ in words:
            raise DataError(f"{id_} is there twice", where=where, hint="export one task: one file for each person")
        words[id_] = _word(questions[id_], draw, list(_boxes(element, where)), where)
    if not words:
        raise DataError("no answers in this export", where=path, hint="CVAT for images 1.1, of the whole task")
    person = people.pop() if len(people) == 1 else path.stem
    return [Answer(id_, word, person, None) for id_, word in words.items() if word != OPEN]


def _named(image: Element, path: Path) -> tuple[str, str]:
    """Return hash of the draw and id of the question, from the name of a picture.

    Raises:
        DataError: it has another name.
    """
    name = (image.get("name") or "").replace("\\", "/")
    if (found := _NAME.fullmatch(name)) is None:
        raise DataError(
            "not a picture of a judgement", where=path, expected="HASH/q001.jpg", got=name or "no name",
            hint="the export of a task that was made of images.zip of `liftgate judge --to cvat`",
        )  # fmt: skip
    return found[1], found[2]


def _boxes(image: Element, where: str) -> Iterator[_Given]:
    """Yield the boxes of a picture.

    Raises:
        DataError: a box without numbers.
    """
    for element in image.iterfind("box"):
        try:
            left, top, right, bottom = (float(element.get(side) or "") for side in ("xtl", "ytl", "xbr", "ybr"))
        except ValueError:
            raise DataError("a box without its place", where=where, got=str(dict(element.attrib))[:200]) from None
        values = {one.get("name"): " ".join((one.text or "").split()) for one in element.iterfind("attribute")}
        label, cls = element.get("label") or "", values.get(CLASS, "")
        yield _Given(TaskBox(label, cls, (left, top, right, bottom)), values.get(ANSWER))


def _word(question: Question, draw: Draw, given: list[_Given], where: str) -> str:
    """Return the answer in the words of answers.csv, or OPEN.

    Raises:
        DataError: the boxes are not those that were asked about, or it is no answer.
    """
    expected = task_boxes(draw, question)
    for one in expected:
        if not any(_same(one, other.box) for other in given):
            raise DataError(
                f"the boxes of {question.id} were changed, so the answer is about something else", where=where,
                expected=f"{one.label} {one.cls} at {_place(one)}",
                got="; ".join(f"{other.box.label} {other.box.cls} at {_place(other.box)}" for other in given[:4]),
                hint="upload annotations.xml again and answer this one, or export before boxes are moved",
            )  # fmt: skip
    answered = [one for one in given if one.answer is not None]
    if len(answered) != 1:
        raise DataError(
            f"{question.id} is answered twice" if answered else f"{question.id} has lost its answer", where=where,
            got=", ".join(f"{one.box.label}: {one.answer}" for one in answered) or None,
        )  # fmt: skip
    said = (answered[0].answer or OPEN).lower()
    word = WORDS.get(said, said)
    if word != OPEN:
        require_answer(question, word, where)
    return word


def _same(one: TaskBox, other: TaskBox) -> bool:
    near = all(abs(a - b) <= _MOVED for a, b in zip(one.box, other.box, strict=True))
    return near and (one.label, one.cls) == (other.label, other.cls)


def _place(one: TaskBox) -> str:
    return " ".join(f"{value:.0f}" for value in one.box)
