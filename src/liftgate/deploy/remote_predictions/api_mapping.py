"""The mapping of an HTTP API: how it takes an image, and where in its JSON the detections are.

    send: {as: multipart, field: image, fields: {conf: 0.001}, query: {model: v2}}    # or {as: body}
    boxes: predictions.*.bbox        # or four paths: [p.*.x, p.*.y, p.*.width, p.*.height]
    format: xyxy                     # xywh: left, top, width, height; cxcywh: centre and size
    unit: pixels                     # or fractions, of the image upright
    scores: predictions.*.confidence
    classes: predictions.*.class
    names: {handgun: gun, "7": knife, none: null}   # the API's class → the data set's class; null: leave it out

A path goes through objects by key and through lists by index; `*` takes every item. Without `boxes` the answers are of
whole images; without `scores` every score is 1. A class that is a number is an index of the data set's classes, from 0,
unless `names` has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from liftgate.data.detections.builder import PredictionsBuilder, box_in_pixels, parse_number
from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import DataError, UsageError
from liftgate.records import to_record


class Sending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the image is posted."""

    as_: Literal["multipart", "body"] = msgspec.field(default="multipart", name="as")
    field: str = "image"
    """Name of the form field that holds the image"""
    fields: dict[str, str | int | float | bool] = {}
    """Other fields of the form"""
    query: dict[str, str | int | float | bool] = {}
    """Query parameters of the address"""


class ApiMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requests to an API are built and its answers are read; see the module's example."""

    classes: str
    boxes: str | list[str] | None = None
    format: Literal["xyxy", "xywh", "cxcywh"] = "xyxy"
    unit: Literal["pixels", "fractions"] = "pixels"
    scores: str | None = None
    names: dict[str, str | None] = {}
    send: Sending = Sending()


def read_mapping(path: Path) -> ApiMapping:
    """Read a mapping from YAML or JSON.

    Raises:
        UsageError: it cannot be read, or has an unknown key or a wrong value.
    """
    try:
        document = load_yaml(path)
    except OSError as error:
        raise UsageError("cannot read the mapping", where=path, got=error.strerror) from None
    except DocumentError as error:
        raise UsageError("the mapping is no YAML", where=error.place(path), got=error.problem) from None
    if isinstance(document, dict) and isinstance(document.get("names"), dict):
        document["names"] = {_as_text(key): value for key, value in document["names"].items()}
    try:
        mapping = to_record(document, ApiMapping)
    except msgspec.ValidationError as error:
        raise UsageError(
            "the mapping is not valid", where=path, got=str(error), hint="see docs/predictions.md"
        ) from None
    if isinstance(mapping.boxes, list) and len(mapping.boxes) != 4:
        raise UsageError("boxes are one path or four", where=path, got=len(mapping.boxes))
    if mapping.send.as_ == "body" and mapping.send.fields:
        raise UsageError("a body has no further fields", where=path, hint="send: {as: multipart}, or query")
    return mapping


def add_answer(builder: PredictionsBuilder, where: str, place: int, answer: Any, mapping: ApiMapping) -> None:
    """Add the detections of one answer to the image with index `place`.

    Raises:
        DataError: the answer does not fit the mapping, or has a value that is not possible.
    """
    classes = follow(where, answer, mapping.classes)
    scores = [1.0] * len(classes) if mapping.scores is None else follow(where, answer, mapping.scores)
    boxes = [None] * len(classes) if mapping.boxes is None else _boxes(where, answer, mapping.boxes)
    if not len(classes) == len(scores) == len(boxes):
        counts = f"{len(boxes)} boxes, {len(scores)} scores, {len(classes)} classes"
        raise DataError("the answer's columns differ in length", where=where, got=counts)
    builder.cover(place)
    for index, (word, score, box) in enumerate(zip(classes, scores, boxes, strict=True)):
        spot = f"{where}[{index}]"
        cls = _class(builder, spot, word, mapping.names)
        if cls is not None:
            corners = (
                None if mapping.boxes is None else _corners(spot, box, mapping, builder.dataset.images[place].upright)
            )
            builder.add(spot, place, cls, parse_number(spot, "the score", score), corners)


def follow(where: str, answer: Any, path: str) -> list[Any]:
    """Return the values at a path: one for each item that `*` takes; without `*` the list there, or the one value.

    >>> follow("", {"found": [{"box": {"x": 1}}, {"box": {"x": 2}}]}, "found.*.box.x")
    [1, 2]
    >>> follow("", {"labels": ["a", "b"]}, "labels"), follow("", {"label": "a"}, "label"), follow("", {"x": None}, "x")
    (['a', 'b'], ['a'], [])

    Raises:
        DataError: the answer has nothing there.
    """
    parts = path.split(".") if path else []
    found = _descend(where, answer, parts, path)
    if "*" in parts:
        return found
    only = found[0]
    return only if isinstance(only, list) else [] if only is None else [only]


def _descend(where: str, value: Any, parts: Sequence[str], path: str) -> list[Any]:
    if not parts:
        return [value]
    head, rest = parts[0], parts[1:]
    if head == "*":
        if value is None:
            return []
        if not isinstance(value, list):
            raise _not_there(where, path, "a list at *", value)
        return [leaf for item in value for leaf in _descend(where, item, rest, path)]
    if isinstance(value, list) and head.isdecimal() and int(head) < len(value):
        return _descend(where, value[int(head)], rest, path)
    if not isinstance(value, dict) or head not in value:
        raise _not_there(where, path, repr(head), value)
    return _descend(where, value[head], rest, path)


def _not_there(where: str, path: str, expected: str, value: Any) -> DataError:
    got = f"an object with {', '.join(map(str, value))[:80] or 'nothing'}" if isinstance(value, dict) else (
        f"a list of {len(value)}" if isinstance(value, list) else json.dumps(value)[:80]
    )  # fmt: skip
    hint = "correct the mapping and run again: answers are saved, no image is sent twice"
    return DataError(f"the answer does not fit the mapping: {path}", where=where, expected=expected, got=got, hint=hint)


def _boxes(where: str, answer: Any, paths: str | list[str]) -> list[Any]:
    if isinstance(paths, str):
        return follow(where, answer, paths)
    columns = [follow(where, answer, path) for path in paths]
    if len({len(column) for column in columns}) > 1:
        raise DataError("the sides of the boxes differ in number", where=where, got=[len(column) for column in columns])
    return [list(box) for box in zip(*columns, strict=True)]


def _corners(where: str, box: Any, mapping: ApiMapping, size: tuple[int, int]) -> list[float]:
    if not isinstance(box, list) or len(box) != 4:
        raise DataError("not a box", where=where, expected="four numbers", got=json.dumps(box)[:80])
    a, b, c, d = (parse_number(where, "a side of the box", side) for side in box)
    if mapping.format != "xyxy" and (c < 0 or d < 0):
        raise DataError("the box has a negative size", where=where, expected=mapping.format, got=box)
    if mapping.format == "xywh":
        c, d = a + c, b + d
    elif mapping.format == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    if mapping.unit == "pixels":
        return [a, b, c, d]
    if max(abs(a), abs(b), abs(c), abs(d)) > 2:
        raise DataError("not a fraction of the image", where=where, got=box, hint="unit: pixels?")
    return box_in_pixels(where, (a, b, c - a, d - b), size)


def _class(builder: PredictionsBuilder, where: str, word: Any, names: Mapping[str, str | None]) -> int | None:
    if word is None:
        return None
    spelled = _as_text(word)
    if spelled in names:
        name = names[spelled]
        return None if name is None else builder.class_by_name(where, name)
    if isinstance(word, int) and not isinstance(word, bool):
        return builder.class_by_number(where, word)
    if not isinstance(word, str):
        raise DataError("a class is a name or a number", where=where, got=spelled[:80])
    return builder.class_by_name(where, word)


def _as_text(word: Any) -> str:
    return word if isinstance(word, str) else json.dumps(word, default=str)
