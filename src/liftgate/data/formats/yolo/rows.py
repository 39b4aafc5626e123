"""Parse a label file of YOLO rows: `class cx cy w h`, an outline `class x y x y x y …`, or a box with keypoints.

The rules are those of Ultralytics 8.4 (read, not copied), which drops the whole image for one bad row; here only the
row is left out and reported with its line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_TOLERANCE = 0.01
_MAX_COLUMNS = 200_001
"""A class and an outline of 100,000 corners: more are no outline, and cost hundreds of megabytes."""


class LabelRow(NamedTuple):
    """One good row; everything in fractions of the image."""

    line: int
    cls: int
    box: tuple[float, float, float, float]
    """centre and size"""
    points: tuple[float, ...] = ()
    """keypoints as the file has them, 2 or 3 numbers each"""
    area: float | None = None
    """of the outline, where the row is one"""


@dataclass(slots=True)
class LabelRows:
    """Rows of one file: the good ones, and (kind, line, message) for each invalid one."""

    good: list[LabelRow] = field(default_factory=list)
    bad: list[tuple[str, int, str]] = field(default_factory=list)


def parse_rows(text: str, n_classes: int, n_keypoints: int = 0, dims: int = 3) -> LabelRows:
    r"""Parse the text of one label file; never raises.

    >>> rows = parse_rows("0 .5 .5 .2 .2\n7 .5 .5 .2 .2", n_classes=2)
    >>> rows.good[0].box, rows.bad
    ((0.5, 0.5, 0.2, 0.2), [('class_out_of_range', 2, 'class 7, but there are 2 classes')])
    """
    rows = LabelRows()
    seen: set[tuple[float, ...]] = set()
    outlines = 0
    for line, content in enumerate(text.splitlines(), 1):
        words = content.split(maxsplit=_MAX_COLUMNS)
        if not words:
            continue
        if len(words) > _MAX_COLUMNS:
            rows.bad.append(("row_columns", line, f"more than {_MAX_COLUMNS:,} columns"))
            continue
        outcome = _parse_row(words, line, n_classes, n_keypoints, dims)
        if not isinstance(outcome, LabelRow):
            rows.bad.append((outcome[0], line, outcome[1]))
            continue
        values = (outcome.cls, *outcome.box, *outcome.points, outcome.area or 0.0)
        if values in seen:
            rows.bad.append(("row_duplicate", line, "the same row is above"))
            continue
        seen.add(values)
        outlines += outcome.area is not None
        rows.good.append(outcome)
    if 0 < outlines < len(rows.good):
        rows.bad.append(("rows_mixed", 1, f"{outlines} outlines among {len(rows.good)} rows"))
    return rows


def _parse_row(
    words: Sequence[str], line: int, n_classes: int, n_keypoints: int, dims: int
) -> LabelRow | tuple[str, str]:
    wanted = 5 + n_keypoints * dims
    if len(words) in (6, 7) and not n_keypoints and _is_track(words):
        return (
            "row_columns",
            f"{len(words)} columns, expected {wanted}: the last seems to be a track id (yolo track)",
        )
    outline = not n_keypoints and len(words) > 6 and len(words) % 2 == 1
    if len(words) != wanted and not outline:
        hint = ": the sixth seems to be a confidence" if len(words) == 6 and not n_keypoints else ""
        return "row_columns", f"{len(words)} columns, expected {wanted}{hint}"
    try:
        values = [float(word) for word in words]
    except ValueError:
        return "row_not_number", f"not a number in {' '.join(words)[:80]!r}"
    if not all(map(math.isfinite, values)):
        return "row_not_number", f"NaN or infinity in {' '.join(words)[:80]!r}"
    cls = values[0]
    if cls % 1:
        return "class_not_integer", f"class {cls:g}"
    if not 0 <= cls < n_classes:
        return "class_out_of_range", f"class {cls:.0f}, but there are {n_classes} classes"
    return _outline(line, int(cls), values[1:]) if outline else _box(line, int(cls), values[1:], dims)


def _is_track(words: Sequence[str]) -> bool:
    """Return whether a row ends in a track id: a whole number from 1 (a corner of an outline is at most 1)."""
    last = words[-1]
    return last.isdigit() and last != "0" and (last != "1" or not {"0", "1"} & set(words[1:-1]))


def _box(line: int, cls: int, values: list[float], dims: int) -> LabelRow | tuple[str, str]:
    x, y, width, height = values[:4]
    points = tuple(values[4:])
    if width < 0 or height < 0:
        return "row_out_of_range", f"size {width:g} × {height:g}"
    # With keypoints Ultralytics limits only these to 1.01; a box that is too large is accepted there, and so here.
    bounded = [number for index, number in enumerate(points) if index % dims < 2] if points else values
    if max(bounded) > 1 + _TOLERANCE or min(values) < -_TOLERANCE:
        worst = max((*bounded, min(values)), key=lambda number: abs(number - 0.5))
        pixels = ": pixels, not fractions?" if worst > 2 else ""
        return "row_out_of_range", f"coordinate {worst:g}{pixels}"
    return LabelRow(line, cls, (x, y, width, height), points)


def _outline(line: int, cls: int, values: list[float]) -> LabelRow | tuple[str, str]:
    xs, ys = values[0::2], values[1::2]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    twice = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    # Ultralytics checks the range of the outline's box, not of its corners.
    row = _box(line, cls, [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], dims=3)
    return LabelRow(line, cls, row.box, area=abs(twice) / 2) if isinstance(row, LabelRow) else row
