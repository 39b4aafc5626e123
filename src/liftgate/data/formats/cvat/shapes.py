"""Convert a shape of a CVAT XML (box, outline, skeleton, …) to a box and keypoints."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

OUTLINES = frozenset({"polygon", "polyline", "ellipse", "mask", "cuboid"})
SHAPES = OUTLINES | {"box", "skeleton"}
"""Elements that can become a box; `points` and `tag` cannot."""

_CROWD = frozenset({"is_crowd", "iscrowd", "crowd"})
_IGNORE = frozenset({"ignore", "ignored", "difficult"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape on one image; pixels."""

    label: str
    box: tuple[float, float, float, float]
    area: float | None = None
    points: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """keypoint name → x, y, visibility"""
    crowd: bool = False
    ignore: bool = False


class BadShape(Exception):
    """A shape is invalid; its arguments are kind and message of a fault. The reader catches it."""


def parse_shape(element: Element, label: str | None = None) -> Shape:
    """Read one shape element; in a track the label is the track's.

    Raises:
        BadShape: no label, or invalid coordinates.
    """
    label = label or element.get("label") or ""
    if not label:
        raise BadShape("row_columns", f"a {element.tag} without a label")
    if (plain := _plain_box(element)) is not None:
        return Shape(label, plain)
    points: dict[str, tuple[float, float, float]] = {}
    area = None
    if element.tag == "skeleton":
        points = _skeleton(element, label)
        corners = [(x, y) for x, y, seen in points.values() if seen]
        if not corners:
            raise BadShape("box_missing", f"{label}: a skeleton without a visible point")
        box = _around(corners)
    elif element.tag in ("box", "mask", "ellipse"):
        box, area = _sided(element, label)
    elif element.tag == "cuboid":
        corners = [(x, y) for x, y in zip(*(_all(element, label, axis) for axis in "xy"), strict=True)]
        box = _around(corners)
    else:
        corners = _pairs(element.get("points"), label)
        box = _around(corners)
        area = _shoelace(corners) if element.tag == "polygon" else None
    flags = {
        (attribute.get("name") or "").lower()
        for attribute in element.findall("attribute")
        if (attribute.text or "").strip().lower() in ("true", "1", "yes")
    }
    return Shape(label, box, area, points, crowd=bool(flags & _CROWD), ignore=bool(flags & _IGNORE))


def _plain_box(element: Element) -> tuple[float, float, float, float] | None:
    """Return an upright box without attributes, the most common shape, fast; None: another or invalid shape."""
    if element.tag != "box" or len(element) or "rotation" in element.attrib:
        return None
    at = element.attrib
    try:
        box = (float(at["xtl"]), float(at["ytl"]), float(at["xbr"]), float(at["ybr"]))
    except (KeyError, ValueError):
        return None
    return box if -1e9 < box[0] <= box[2] < 1e9 and -1e9 < box[1] <= box[3] < 1e9 else None


def between(first: Shape, second: Shape, share: float) -> Shape:
    """Return the shape at `share` (0 … 1) of the way between two key frames, by linear interpolation."""
    box = tuple(a + (b - a) * share for a, b in zip(first.box, second.box, strict=True))
    points = {
        name: (
            x + (second.points[name][0] - x) * share,
            y + (second.points[name][1] - y) * share,
            seen,
        )
        for name, (x, y, seen) in first.points.items()
        if name in second.points
    }
    return Shape(first.label, (box[0], box[1], box[2], box[3]), None, points, first.crowd, first.ignore)


def _sided(element: Element, label: str) -> tuple[tuple[float, float, float, float], float | None]:
    """Return the box around a box, mask or ellipse, rotated by `rotation` if given, and its area."""
    if element.tag == "ellipse":
        x, y, rx, ry = (_number(element, label, name) for name in ("cx", "cy", "rx", "ry"))
        return (x - rx, y - ry, x + rx, y + ry), math.pi * rx * ry
    if element.tag == "mask":
        left, top, width, height = (_number(element, label, name) for name in ("left", "top", "width", "height"))
        return (left, top, left + width, top + height), None
    left, top, right, bottom = (_number(element, label, name) for name in ("xtl", "ytl", "xbr", "ybr"))
    if right < left or bottom < top:
        raise BadShape("box_inverted", f"{label}: {left:g} {top:g} {right:g} {bottom:g}")
    turn = math.radians(_finite(element.get("rotation") or "0", label))
    if not turn:
        return (left, top, right, bottom), None
    x, y, half_w, half_h = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
    wide = abs(half_w * math.cos(turn)) + abs(half_h * math.sin(turn))
    high = abs(half_w * math.sin(turn)) + abs(half_h * math.cos(turn))
    return (x - wide, y - high, x + wide, y + high), 4 * half_w * half_h


def _skeleton(element: Element, label: str) -> dict[str, tuple[float, float, float]]:
    points = {}
    for point in element.findall("points"):
        name = point.get("label") or ""
        if point.get("outside") == "1":
            points[name] = (0.0, 0.0, 0.0)
        else:
            (x, y), *_ = _pairs(point.get("points"), label)
            points[name] = (x, y, 1.0 if point.get("occluded") == "1" else 2.0)
    return points


def _pairs(text: str | None, label: str) -> list[tuple[float, float]]:
    pairs = []
    for word in (text or "").replace(" ", "").split(";"):
        numbers = word.split(",")
        if len(numbers) != 2:
            raise BadShape("row_not_number", f"{label}: points {text!r:.60}")
        pairs.append((_finite(numbers[0], label), _finite(numbers[1], label)))
    return pairs


def _all(element: Element, label: str, axis: str) -> list[float]:
    names = [name for name in element.attrib if re.fullmatch(f"{axis}[tb][lr][12]", name)]
    if not names:
        raise BadShape("box_missing", f"{label}: a cuboid without corners")
    return [_number(element, label, name) for name in sorted(names)]


def _number(element: Element, label: str, name: str) -> float:
    text = element.get(name)
    if text is None:
        raise BadShape("box_missing", f"{label}: no {name}")
    return _finite(text, label)


def _finite(text: str, label: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) < 1e9:
        raise BadShape("row_not_number", f"{label}: {text!r:.60}")
    return number


def _around(corners: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _shoelace(corners: Sequence[tuple[float, float]]) -> float:
    twice = sum(corners[i - 1][0] * corners[i][1] - corners[i][0] * corners[i - 1][1] for i in range(len(corners)))
    return abs(twice) / 2
