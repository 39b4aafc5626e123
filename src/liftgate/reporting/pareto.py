"""Picture of several models: accuracy over latency, each with its interval in both directions, as SVG."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.reporting.page import environment
from liftgate.stats.interval import Interval

_LEFT, _TOP, _WIDE, _HIGH = 58.0, 40.0, 380.0, 220.0
_FILLED = "Filled: no other is as fast and as accurate, by the estimates."
_NOTE = 84
"""Letters of a line of the notes: the picture is 560 wide, a letter about 5.7"""


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One model."""

    label: str
    latency: Interval
    """Less is better"""
    accuracy: Interval
    """More is better"""


@dataclass(frozen=True, slots=True)
class _Placed:
    label: str
    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    on_front: bool
    text: str
    row: str
    """The same with a label that leaves room for its numbers"""


def pareto_picture(
    points: Sequence[ParetoPoint], *, title: str, x_label: str, y_label: str, notes: Sequence[str]
) -> str:
    """Return the SVG. A model is filled where no other is at once as fast and as accurate, by the estimates.

    Args:
        points: the models; at least one.
        title: of the picture.
        x_label: of the latency.
        y_label: of the accuracy.
        notes: what the intervals rest on, in lines.

    >>> fast, good = (Interval(v, v - 1, v + 1, .95, "t", 90, 9) for v in (5.0, 8.0))
    >>> score = Interval(.5, .4, .6, .95, "t", 90, 9)
    >>> drawn = pareto_picture([ParetoPoint("a", fast, score), ParetoPoint("b", good, score)],
    ...                        title="t", x_label="ms", y_label="mAP", notes=["n"])
    >>> drawn.count('class="front"'), drawn.count('class="behind"')
    (1, 1)
    """
    across = _Axis([value for one in points for value in _ends(one.latency)], _LEFT, _LEFT + _WIDE)
    down = _Axis([value for one in points for value in _ends(one.accuracy)], _TOP + _HIGH, _TOP)
    placed = [
        _Placed(
            label=one.label,
            x=across(one.latency.estimate),
            y=down(one.accuracy.estimate),
            left=across(_ends(one.latency)[0]),
            right=across(_ends(one.latency)[-1]),
            top=down(_ends(one.accuracy)[-1]),
            bottom=down(_ends(one.accuracy)[0]),
            on_front=not any(_dominates(other, one) for other in points),
            text=f"{one.label}: {_numbers(one)}",
            row=f"{_shortened(one.label)}: {_numbers(one)}",
        )
        for one in points
    ]
    return (
        environment()
        .get_template("pareto.svg.j2")
        .render(
            title=title, x_label=x_label, y_label=y_label, points=placed, across=across, down=down,
            left=_LEFT, top=_TOP, wide=_WIDE, high=_HIGH,
            lines=[line for note in (_FILLED, *notes) for line in textwrap.wrap(note, _NOTE)],
        )
    )  # fmt: skip


def _numbers(one: ParetoPoint) -> str:
    return f"{_text(one.latency)} ms, {_text(one.accuracy)}"


def _shortened(label: str) -> str:
    """Return a label of at most 26 characters: the ends of file names tell them apart."""
    return label if len(label) <= 26 else f"{label[:9]}…{label[-16:]}"


def _dominates(other: ParetoPoint, one: ParetoPoint) -> bool:
    mine, theirs = (one.latency.estimate, one.accuracy.estimate), (other.latency.estimate, other.accuracy.estimate)
    return theirs[0] <= mine[0] and theirs[1] >= mine[1] and theirs != mine


def _ends(value: Interval) -> tuple[float, float, float]:
    low = value.estimate if value.low is None else value.low
    high = value.estimate if value.high is None else value.high
    return min(low, value.estimate), value.estimate, max(high, value.estimate)


def _text(value: Interval) -> str:
    bounds = f" [{value.low:.4g}, {value.high:.4g}]" if value.established else " (no interval)"
    return f"{value.estimate:.4g}{bounds}"


class _Axis:
    """Linear axis whose ends are the least and the greatest value drawn, a little apart from the frame."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = min(values), max(values)
        self._start, self._end = start + 0.05 * (end - start), end - 0.05 * (end - start)

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span > 0 else 0.5
        return self._start + share * (self._end - self._start)
