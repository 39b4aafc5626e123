"""Positions of histograms and heat maps, in per cent of the drawing, so that text keeps its size on a phone."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from liftgate.data.overview.record import Distribution

_NEAR = 9.0
"""Ticks nearer than this (per cent) to each other or to an end are left out: their numbers would overlap."""


class Bar(NamedTuple):
    """One bin: left edge, width and height in per cent, and its tooltip."""

    x: float
    width: float
    height: float
    text: str


class Tick(NamedTuple):
    """A value at the axis."""

    x: float
    value: float


@dataclass(frozen=True, slots=True)
class HistogramDrawing:
    """Bars of the first data set, outline of the second, over the bins that any of them has."""

    bars: tuple[Bar, ...]
    outline: str | None
    """SVG points of a 100 × 100 square"""
    low: float
    high: float
    top: float
    """Share of the highest bin"""
    ticks: tuple[Tick, ...]
    open_low: bool
    """The first bin also holds what lies below it"""
    open_high: bool


def histogram(sides: Sequence[Distribution], marks: Sequence[float] = ()) -> HistogramDrawing | None:
    """Place one distribution, or two with the same bins; None: it is empty.

    >>> one = Distribution("n", "n", "", "images", (0.0, 1.0, 2.0, 3.0), (0, 3, 1), (0, 0), 4, 1.0, 1.0, 2.0)
    >>> drawn = histogram([one])
    >>> drawn.low, drawn.high, drawn.top, [round(bar.height) for bar in drawn.bars]
    (1.0, 3.0, 0.75, [100, 33])
    """
    shares = [[count / side.n if side.n else 0.0 for count in side.counts] for side in sides]
    filled = [index for row in shares for index, share in enumerate(row) if share > 0]
    if not filled:
        return None
    first, last = min(filled), max(filled)
    edges, top = sides[0].edges, max(max(row) for row in shares)
    step = 100 / (last - first + 1)
    bars = tuple(
        Bar((index - first) * step, step, shares[0][index] / top * 100, _tooltip(sides[0], index, shares[0][index]))
        for index in range(first, last + 1)
    )
    outline = None
    if len(sides) > 1:
        points = ["0,100"]
        for index in range(first, last + 1):
            y = 100 - shares[1][index] / top * 100
            points += [f"{(index - first) * step:.2f},{y:.2f}", f"{(index - first + 1) * step:.2f},{y:.2f}"]
        outline = " ".join([*points, "100,100"])
    return HistogramDrawing(
        bars,
        outline,
        edges[first],
        edges[last + 1],
        top,
        tuple(_ticks(edges[first : last + 2], marks)),
        first == 0 and any(side.beyond[0] for side in sides),
        last == len(edges) - 2 and any(side.beyond[1] for side in sides),
    )


def _ticks(edges: Sequence[float], marks: Sequence[float]) -> list[Tick]:
    placed: list[Tick] = []
    for value in marks:
        if not edges[0] < value < edges[-1]:
            continue
        index = bisect.bisect_right(edges, value) - 1
        x = (index + (value - edges[index]) / (edges[index + 1] - edges[index])) / (len(edges) - 1) * 100
        if _NEAR < x < 100 - _NEAR and (not placed or x - placed[-1].x > _NEAR):
            placed.append(Tick(x, value))
    return placed


def _tooltip(side: Distribution, index: int, share: float) -> str:
    low, high = side.edges[index], side.edges[index + 1]
    whole = side.name == "objects_per_image"
    span = f"{low:g}" if whole and high - low == 1 else f"{low:.3g} to {high - 1 if whole else high:.3g}"
    return f"{span}: {side.counts[index]:,} {side.of}, {share:.1%}"


class Level(NamedTuple):
    """Cells of a heat map that are painted alike."""

    opacity: float
    path: str


def heat_levels(heat: Sequence[Sequence[float]], steps: int = 12) -> tuple[Level, ...]:
    """Return the cells of a heat map in `steps` levels of opacity; one path for each level keeps the page small.

    >>> heat_levels([[0.0, 0.5], [1.0, 0.0]], steps=2)
    (Level(opacity=0.5, path='M1 0h1v1h-1z'), Level(opacity=1.0, path='M0 1h1v1h-1z'))
    """
    most = max((value for row in heat for value in row), default=0.0)
    if most <= 0:
        return ()
    paths: dict[int, list[str]] = {}
    for y, row in enumerate(heat):
        for x, value in enumerate(row):
            level = round(value / most * steps)
            if level:
                paths.setdefault(level, []).append(f"M{x} {y}h1v1h-1z")
    return tuple(Level(level / steps, "".join(paths[level])) for level in sorted(paths))
