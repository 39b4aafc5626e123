"""The folder of files for a paper or an issue: Markdown, tables as CSV and LaTeX, figures as SVG and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from liftgate.files import write_text
from liftgate.hashing import short
from liftgate.reporting import drawing, latex, number_format, tables
from liftgate.reporting.content import Chart, GateContent, ReportContent
from liftgate.reporting.markdown import render_markdown
from liftgate.reporting.page import N_LINE_STYLES, environment, seeds_of
from liftgate.stats.interval import Interval
from liftgate.visible import visible_line

# Where a chart lies in its SVG, in pixels of its own.
_LEFT, _TOP, _WIDE, _HIGH = 58.0, 34.0, 400.0, 190.0


def write_paper(content: ReportContent, folder: Path) -> tuple[Path, ...]:
    """Write `report.md`, `verdicts.*`, and for every gate `GATE-figures.*`, `-seeds.tex`, `-classes.*` and its figures.

    CSV has numbers in full and every seed, LaTeX as the page rounds them.
    """
    written = []
    for name, text in _files(content):
        written.append(folder / name)
        write_text(written[-1], text)
    return tuple(written)


def _files(content: ReportContent) -> Iterator[tuple[str, str]]:
    yield "report.md", render_markdown(content)
    if content.gates:
        yield "verdicts.csv", as_csv(tables.verdict_rows(content))
        yield "verdicts.tex", latex.verdict_table(content)
    for gate in content.gates:
        yield from _of_gate(gate)
    for chart in content.charts:
        yield from _of_chart("training", chart)
    searched = [f"mistakes-{_slug(found.dataset)}-{_slug(found.arm)}" for found in content.mistakes]
    for name, found in zip(searched, content.mistakes, strict=True):
        several = f"-{short(found.step)}" if searched.count(name) > 1 else ""
        yield f"{name}{several}.csv", as_csv(tables.mistake_rows(found))


def _of_gate(gate: GateContent) -> Iterator[tuple[str, str]]:
    name = _slug(gate.gate.name)
    measured = [arm.evaluation for arm in gate.arms if arm.evaluation]
    if measured:
        yield f"{name}-figures.csv", as_csv(tables.figure_rows(gate))
        yield f"{name}-figures.tex", latex.figure_table(gate)
        if slices := tables.slice_rows(gate):
            yield f"{name}-slices.csv", as_csv(slices)
        if len(seeds_of(gate.arms)) > 1:
            yield f"{name}-seeds.tex", latex.seed_table(gate)
        if measured[0].per_class:
            yield f"{name}-classes.csv", as_csv(tables.class_rows(gate))
            yield f"{name}-classes.tex", latex.class_table(gate)
    if gate.comparison:
        against = [drawing.Reference(0.0, "0", "no change")]
        against += [drawing.Reference(at, number_format.signed(at), "margin") for at in gate.comparison.reached_at]
        title = f"{gate.comparison.metric}, {gate.gate.treatment} \u2212 {gate.gate.control}"
        yield f"{name}-difference.svg", interval_svg(gate.comparison.delta, against, title, signed=True)
    for one in gate.claims:
        ends = (-one.at_least, one.at_least) if one.is_difference else (one.at_least,)
        text = number_format.signed if one.is_difference else number_format.number
        against = [drawing.Reference(at, text(at), "margin" if one.is_difference else one.side) for at in ends]
        title = f"{one.metric}, {gate.gate.arm}"
        yield f"{name}-{_slug(one.metric)}.svg", interval_svg(one.value, against, title, signed=one.is_difference)
    for chart in gate.charts:
        yield from _of_chart(name, chart)


def _of_chart(prefix: str, chart: Chart) -> Iterator[tuple[str, str]]:
    drawn = chart_svg(chart)
    if drawn is not None:
        name = f"{prefix}-{_slug(chart.title)}"
        yield f"{name}.svg", drawn
        points = ((s.label, s.note, x, y) for s in chart.series for x, y in s.points)
        yield f"{name}.csv", as_csv([("line", "note", chart.x_label, chart.y_label or chart.title), *points])


def interval_svg(value: Interval, against: Sequence[drawing.Reference], title: str, signed: bool = False) -> str:
    """Return an SVG of an interval with its reference lines, and sample and method below."""
    return _drawn(
        "interval.svg.j2",
        value=value,
        d=drawing.place_interval(value, against),
        title=title,
        write=number_format.signed if signed else number_format.number,
    )


def chart_svg(chart: Chart) -> str | None:
    """Return an SVG of a chart; None: it has no points."""
    drawn = drawing.place_chart(chart)
    if drawn is None:
        return None
    styles = {curve.label: curve.slot % N_LINE_STYLES for curve in drawn.curves}
    place = {"left": _LEFT, "top": _TOP, "wide": _WIDE, "high": _HIGH}
    return _drawn("chart.svg.j2", c=chart, d=drawn, looks=styles, moved=_moved, **place)


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV; None becomes an empty cell."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        ["" if cell is None else _cell(cell) for cell in row] for row in rows
    )
    return out.getvalue()


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet runs as a formula: a class may be called `=cmd()`."""
    text = visible_line(str(value))
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _moved(piece: str) -> str:
    """Return points in per cent of a drawing as pixels of the SVG."""
    pairs = (point.split(",") for point in piece.split())
    return " ".join(f"{_LEFT + float(x) * _WIDE / 100:.1f},{_TOP + float(y) * _HIGH / 100:.1f}" for x, y in pairs)


def _drawn(template: str, **values: object) -> str:
    return environment().get_template(template).render(**values)


def _slug(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name).strip("-").lower() or "unnamed"
