"""The questions of a draw as a task for CVAT: a picture for each question, whose box has the answer as an attribute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from liftgate.data.core.archive import pack
from liftgate.data.core.dataset import Dataset
from liftgate.data.prelabels.export import IMAGES, LABELS, XML
from liftgate.files import replacing, write_json, write_text
from liftgate.hashing import short
from liftgate.judging.answers import UNSURE
from liftgate.judging.crops import Box, cut, window_of
from liftgate.judging.draw import MISSED, Draw, Mark, Question
from liftgate.progress import Progress, silent
from liftgate.visible import visible_line

FOLDER = "cvat"
CLASS, ANSWER = "class", "answer"
"""Attributes of a box: what the model calls it, and what the person says"""
OPEN = "open"
"""Value of ANSWER before somebody answers"""
WORDS = {"both": "both", "only blue": "first", "only orange": "second", "neither": "neither"}
"""What CVAT offers for a pair, and the word of answers.csv"""

ONE, BLUE, ORANGE, IMAGE, FOUND, COUNTED = "fits?", "blue", "orange", "missed?", "found", "counted already"
_COLOURS = {ONE: "#58a6ff", BLUE: "#58a6ff", ORANGE: "#ff9e3d", IMAGE: "#f778ba", FOUND: "#58a6ff", COUNTED: "#9aa4af"}
_OFFERED = {ONE: (OPEN, "yes", "no", UNSURE), BLUE: (OPEN, *WORDS, UNSURE)}
_SHOWN_CLASSES = 12
_NOT_XML = re.compile("[\ufffe\uffff]")


class TaskBox(NamedTuple):
    """A box on a picture of the task."""

    label: str
    cls: str
    """What it is said to be; of IMAGE, the classes that are looked for"""
    box: Box
    """xyxy in pixels of the picture"""

    @property
    def asks(self) -> bool:
        """Whether it has the answer."""
        return self.label in (ONE, BLUE, IMAGE)


def write_task(draw: Draw, dataset: Dataset, folder: Path, *, progress: Progress = silent) -> Path:
    """Write what CVAT imports (labels.json, images.zip, annotations.xml) and a README.md, and return the XML's path.

    Neither the models nor their confidence are in it. A picture is called by the hash of the draw and its question.

    Args:
        draw: the questions.
        dataset: the images.
        folder: where to write.
        progress: called with the number of pictures cut and in all.

    Raises:
        DataError: an image cannot be read.
    """
    paths, hash_ = {image.id: image.path for image in dataset.images}, draw.hash

    def pictures() -> Iterator[tuple[str, bytes]]:
        for done, question in enumerate(draw.questions, 1):
            image = draw.images[question.image]
            yield picture_name(hash_, question.id), cut(paths[image.id], _window(draw, question))
            progress("pictures", done, len(draw.questions))

    pack(folder / IMAGES, pictures())
    write_json(folder / LABELS, _labels())
    write_text(folder / "README.md", _README.format(hash=hash_))
    with replacing(folder / XML) as file:
        file.writelines(_lines(draw, hash_))
    return folder / XML


def picture_name(draw: str, question: str) -> str:
    """Return the name of a question's picture, which nobody can change in CVAT.

    Args:
        draw: its hash.
        question: its id.
    """
    return f"{draw}/{question}.jpg"


def task_boxes(draw: Draw, question: Question) -> list[TaskBox]:
    """Return the boxes of a question's picture; the one that has the answer comes first."""
    left, top, right, bottom = window = _window(draw, question)
    if question.kind == MISSED:
        asked = [TaskBox(IMAGE, looked_for(draw), (0.0, 0.0, right - left, bottom - top))]
        # In order of place, not of model.
        asked += sorted(_task_box(FOUND, mark, window) for mark in question.marks)
    elif len(question.marks) == 1:
        asked = [_task_box(ONE, question.marks[0], window)]
    else:
        asked = [_task_box(label, mark, window) for label, mark in zip((BLUE, ORANGE), question.marks, strict=True)]
    return asked + [_task_box(COUNTED, mark, window) for mark in question.surer]


def looked_for(draw: Draw) -> str:
    """Return the classes that are looked for, the first of them where there are many."""
    shown = ", ".join(shown_text(name) for name in draw.classes[:_SHOWN_CLASSES])
    more = len(draw.classes) - _SHOWN_CLASSES
    return f"{shown} and {more} more" if more > 0 else shown


def shown_text(name: str) -> str:
    r"""Return a name that an XML can hold: control characters as escapes, blanks as CVAT keeps them.

    >>> shown_text("a\x1b\n b")
    'a\\u001b\\u000a b'
    """
    plain = visible_line(name).encode("utf-8", "backslashreplace").decode()
    return " ".join(_NOT_XML.sub("?", plain).split())


def _window(draw: Draw, question: Question) -> Box:
    image = draw.images[question.image]
    boxes = () if question.kind == MISSED else tuple(mark.box for mark in question.marks)
    return window_of((image.width, image.height), boxes)


def _task_box(label: str, mark: Mark, window: Box) -> TaskBox:
    """Return a mark on the picture, cut at its edge: CVAT knows no boxes outside."""
    width, height = window[2] - window[0], window[3] - window[1]
    x0, y0 = (min(max(0.0, mark.box[axis] - window[axis]), size - 1) for axis, size in ((0, width), (1, height)))
    x1, y1 = min(mark.box[2] - window[0], width), min(mark.box[3] - window[1], height)
    return TaskBox(label, shown_text(mark.cls), (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))


def _labels() -> list[dict[str, object]]:
    """Return the task's labels as CVAT's Raw editor takes them."""
    return [
        {"name": name, "color": colour, "type": "rectangle", "attributes": [
            {"name": attribute, "mutable": False, "input_type": kind, "default_value": values[0], "values": values}
            for attribute, kind, values in _attributes(name)
        ]}
        for name, colour in _COLOURS.items()
    ]  # fmt: skip


def _attributes(label: str) -> list[tuple[str, str, list[str]]]:
    """Return name, kind of input and values of a label's attributes, the default first."""
    found = [(CLASS, "text", [""])]
    if label in _OFFERED:
        found.append((ANSWER, "select", list(_OFFERED[label])))
    elif label == IMAGE:
        found.append((ANSWER, "text", [OPEN]))
    return found


def _lines(draw: Draw, hash_: str) -> Iterator[str]:
    """Yield the lines of annotations.xml."""
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    yield f"  <meta><task><name>liftgate judge {short(hash_)}</name><labels>\n"
    for name in _COLOURS:
        declared = "".join(
            f"<attribute><name>{attribute}</name><mutable>False</mutable><input_type>{kind}</input_type>"
            f"<default_value>{values[0]}</default_value><values>{'&#10;'.join(values)}</values></attribute>"
            for attribute, kind, values in _attributes(name)
        )
        yield f"    <label><name>{name}</name><attributes>{declared}</attributes></label>\n"
    yield "  </labels></task></meta>\n"
    for number, question in enumerate(draw.questions):
        left, top, right, bottom = _window(draw, question)
        name = quoteattr(picture_name(hash_, question.id))
        yield f'  <image id="{number}" name={name} width="{right - left:.0f}" height="{bottom - top:.0f}">\n'
        for one in task_boxes(draw, question):
            sides = zip(("xtl", "ytl", "xbr", "ybr"), one.box, strict=True)
            place = " ".join(f'{side}="{value:.2f}"' for side, value in sides)
            answer = f'<attribute name="{ANSWER}">{OPEN}</attribute>' if one.asks else ""
            yield (
                f'    <box label="{one.label}" source="file" occluded="0" {place} z_order="{int(one.label != IMAGE)}">'
                f'<attribute name="{CLASS}">{escape(one.cls)}</attribute>{answer}</box>\n'
            )
        yield "  </image>\n"
    yield "</annotations>\n"


_README = """# Questions about two models, for CVAT

Draw {hash}.

1. In CVAT make a task: the content of labels.json into the Raw tab of the labels, images.zip as its files, sorted
   lexicographically. Then Upload annotations, CVAT 1.1, annotations.xml.
2. Answer in the Attribute annotation workspace: every picture has one box with the attribute `answer`.
3. Export the task (or finished jobs) as CVAT for images 1.1 and give the zip or the XML to
   `liftgate compare --judgements EXPORT --draw FOLDER`, FOLDER being where draw.json is.

| label of the box | question | answers |
|---|---|---|
| fits? | is this an object of the class, and does the box fit? | yes, no, unsure |
| blue, orange | which of the two boxes is right? Answer at the blue one | both, only blue, only orange, neither, \
unsure |
| missed? | how many objects of these classes have no fitting box? Boxes called `found` are what there is | a number, \
`at most 3`, unsure |
| counted already | nothing: a box about the same object as this one is a repetition, and not right | |

A box fits when it covers the object and little else; about as much as half too large or too small is still a fit.
Where you cannot tell, say unsure: that is doubt, never no. `open` is no answer. Leave boxes and classes as they are:
a question whose boxes were moved is refused. Pictures are parts of the images, and as confidential as they are.
"""
