"""Positions of intervals and charts on the page.

Positions are per cent of the drawing's width and height, so that text keeps its size on a phone. Axes are range frames
(Tufte): their ends are the least and the greatest value drawn, not round numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from liftgate.reporting.content import Chart, SliceRow
from liftgate.stats.interval import Interval

Anchor = Literal["start", "middle", "end"]

_SIDE = 21.0
"""Per cent left free on each side of an interval, for the numbers at its ends"""
_CLOSE = 26.0
"""Reference lines nearer than this (per cent) have their labels on opposite sides."""


_MAX_TOOLTIPS = 24
"""Points of a line with a tooltip: more would lie under one finger and double the size of the page."""


class Reference(NamedTuple):
    """A vertical line that an interval is read against."""

    value: float
    text: str
    word: str


@dataclass(frozen=True, slots=True)
class PlacedReference:
    """A reference line with its position."""

    x: float
    text: str
    word: str
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class IntervalDrawing:
    """Positions, in per cent, of an interval's ends, its estimate and its reference lines."""

    estimate: float
    low: float | None
    high: float | None
    lines: tuple[PlacedReference, ...]


def place_interval(value: Interval, references: Sequence[Reference]) -> IntervalDrawing:
    """Place an interval and its reference lines on one axis.

    >>> drawing = place_interval(Interval(.2, .1, .3, .95, "t", 9, 9), [Reference(0., "0", "no change")])
    >>> [round(x) for x in (drawing.lines[0].x, drawing.low, drawing.estimate, drawing.high)]
    [21, 40, 60, 79]
    """
    values = [v for v in (value.low, value.high, value.estimate, *(r.value for r in references)) if v is not None]
    place = _LinearScale(min(values), max(values), _SIDE, 100 - _SIDE)
    merged: dict[float, Reference] = {}
    for reference in sorted(references):  # a margin of 0 is the same line as "no difference"
        known = merged.get(reference.value)
        word = f"{known.word}, {reference.word}" if known else reference.word
        merged[reference.value] = Reference(reference.value, reference.text, word)
    placed = [(place(reference.value), reference) for reference in merged.values()]
    lines = []
    for index, (x, reference) in enumerate(placed):
        anchor: Anchor = "middle"
        if index + 1 < len(placed) and placed[index + 1][0] - x < _CLOSE:
            anchor = "end"
        elif index and x - placed[index - 1][0] < _CLOSE:
            anchor = "start"
        lines.append(PlacedReference(x, reference.text, reference.word, anchor))
    return IntervalDrawing(
        place(value.estimate),
        None if value.low is None else place(value.low),
        None if value.high is None else place(value.high),
        tuple(lines),
    )


@dataclass(frozen=True, slots=True)
class ForestDrawing:
    """Differences of several slices on one axis, in per cent of its width."""

    low: float
    high: float
    """Ends of the axis, as values"""
    zero: float
    rows: tuple[IntervalDrawing | None, ...]


def place_forest(rows: Sequence[SliceRow]) -> ForestDrawing | None:
    """Place the differences of slices on one axis that holds 0; None: there are none.

    >>> delta = Interval(.1, 0., .2, .95, "t", 9, 9)
    >>> drawn = place_forest([SliceRow("a", 9, 9, (.5, .6), delta), SliceRow("b", 9, 9, (.5, None))])
    >>> drawn.low, drawn.high, round(drawn.rows[0].estimate), drawn.rows[1]
    (0.0, 0.2, 50, None)
    """
    deltas = [row.delta for row in rows]
    values = [v for one in deltas if one for v in (one.low, one.estimate, one.high) if v is not None]
    if not values:
        return None
    place = _LinearScale(min(0.0, *values), max(0.0, *values), 3.0, 97.0)
    drawn = tuple(
        None
        if one is None
        else IntervalDrawing(
            place(one.estimate),
            None if one.low is None else place(one.low),
            None if one.high is None else place(one.high),
            (),
        )
        for one in deltas
    )
    return ForestDrawing(min(0.0, *values), max(0.0, *values), place(0.0), drawn)


def share_of(value: float, whole: float) -> str:
    """Return the length of a bar in per cent of the longest.

    >>> share_of(3, 4), share_of(0, 0)
    ('75.0', '0.0')
    """
    return f"{100 * value / whole:.1f}" if whole else "0.0"


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """A point of a line with its tooltip."""

    x: float
    y: float
    at: float
    value: float
    marked: bool


@dataclass(frozen=True, slots=True)
class PlacedSeries:
    """One line of a chart: unbroken pieces as SVG `points` in a 100 × 100 square, and points with a tooltip."""

    label: str
    note: str
    slot: int
    pieces: tuple[str, ...]
    dots: tuple[PlacedPoint, ...]


@dataclass(frozen=True, slots=True)
class ChartDrawing:
    """A chart with the ends of its axes, which are values of its points."""

    curves: tuple[PlacedSeries, ...]
    x_low: float
    x_high: float
    y_low: float
    y_high: float


def place_chart(content: Chart) -> ChartDrawing | None:
    """Place a chart's points; None: it has none.

    >>> from liftgate.reporting.content import Series
    >>> drawn = place_chart(Chart("loss", (Series("a", ((1, 4.0), (2, None), (3, 2.0))),)))
    >>> (drawn.x_low, drawn.x_high, drawn.y_low, drawn.y_high), drawn.curves[0].pieces
    ((1, 3, 2.0, 4.0), ('0.0,0.0', '100.0,100.0'))
    """
    known = [(x, y) for series in content.series for x, y in series.points if _is_known(y)]
    if not known:
        return None
    xs, ys = [x for x, _ in known], [y for _, y in known if y is not None]
    across, down = _LinearScale(min(xs), max(xs), 0.0, 100.0), _LinearScale(min(ys), max(ys), 100.0, 0.0)
    curves = []
    for series in content.series:
        dots = [
            None if y is None or not _is_known(y) else PlacedPoint(across(x), down(y), x, y, x == series.mark)
            for x, y in series.points
        ]
        pieces = tuple(" ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in piece) for piece in _unbroken(dots))
        known_dots = [dot for dot in dots if dot]
        step = -(-len(known_dots) // _MAX_TOOLTIPS) or 1
        pointed_at = tuple(dot for n, dot in enumerate(known_dots) if n % step == 0 or dot.marked)
        curves.append(PlacedSeries(series.label, series.note, series.slot, pieces, pointed_at))
    return ChartDrawing(tuple(curves), min(xs), max(xs), min(ys), max(ys))


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _unbroken(dots: Iterable[PlacedPoint | None]) -> list[list[PlacedPoint]]:
    pieces: list[list[PlacedPoint]] = [[]]
    for dot in dots:
        if dot:
            pieces[-1].append(dot)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


class _LinearScale:
    """Linear map of [low, high] onto [start, end]; a single value lies in the middle."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.span, self.start, self.end = low, high - low, start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / self.span if self.span > 0 else 0.5
        return self.start + share * (self.end - self.start)
