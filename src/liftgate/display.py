"""Display of results in notebooks: an HTML table, a small picture, or a DataFrame of pandas or polars."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from liftgate.errors import UsageError

Value = str | int | float | None
Row = Mapping[str, Value]


def _escape(text: str) -> str:
    from html import escape  # here: every verb imports this module, only notebooks show its tables

    return escape(text)


def html_table(title: str, rows: Sequence[Row], foot: str) -> str:
    """Return rows as an HTML table that inherits the notebook's colours."""
    columns = list(rows[0]) if rows else []
    head = "".join(f"<th>{_escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) + "</tr>" for row in rows)
    return (
        f"<table><caption>{_escape(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table><p>{_escape(foot)}</p>"
    )


def bar_svg(counts: Mapping[str, int], colours: Mapping[str, str]) -> str:
    """Return a bar with a part for each count, as inline SVG with its figures in the title."""
    total, at, parts = sum(counts.values()), 0.0, []
    for name, count in counts.items():
        if count:
            width = 300 * count / total
            label = f"<title>{count} {_escape(name)}</title>"
            parts.append(f'<rect x="{at:.1f}" width="{width:.1f}" height="14" fill="{colours[name]}">{label}</rect>')
            at += width
    text = _escape(", ".join(f"{count} {name}" for name, count in counts.items()))
    return f'<svg role="img" aria-label="{text}" width="300" height="14">{"".join(parts)}</svg>'


def curve_svg(values: Sequence[float | None], mark: int | None, label: str) -> str:
    """Return a curve as inline SVG, with a dot at one place.

    Args:
        values: one for each epoch; None leaves a gap.
        mark: index of the dot.
        label: what is drawn, for readers of the screen.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)

    def place(number: int, value: float) -> str:
        x, y = 4 + 292 * number / (len(values) - 1), 56 - 52 * (value - low) / ((high - low) or 1)
        return f"{x:.1f},{y:.1f}"

    points = " ".join(place(number, value) for number, value in enumerate(values) if value is not None)
    dot = values[mark] if mark is not None and 0 <= mark < len(values) else None
    x, y = ("", "") if dot is None or mark is None else place(mark, dot).split(",")
    circle = f'<circle cx="{x}" cy="{y}" r="3.5" fill="#c2410c"/>' if x else ""
    text = _escape(f"{label}, from {low:.4g} to {high:.4g}")
    line = f'<polyline points="{points}" fill="none" stroke="#2563eb" stroke-width="1.5"/>'
    return f'<svg role="img" aria-label="{text}" width="300" height="60">{line}{circle}</svg>'


def interval_svg(low: float, estimate: float, high: float, margin: float, label: str) -> str:
    """Return an interval against 0 and a margin as inline SVG."""
    marks = (0.0, margin, low, estimate, high)
    least, most = min(marks), max(marks)

    def place(value: float) -> str:
        return f"{8 + 284 * (value - least) / ((most - least) or 1):.1f}"

    lines = [
        f'<line x1="{place(value)}" x2="{place(value)}" y1="2" y2="30" stroke="{colour}" stroke-dasharray="{dash}"/>'
        for value, colour, dash in ((0.0, "#6b7280", "none"), (margin, "#d97706", "3 2"))
    ]
    lines.append(f'<line x1="{place(low)}" x2="{place(high)}" y1="16" y2="16" stroke="#2563eb" stroke-width="3"/>')
    dot = f'<circle cx="{place(estimate)}" cy="16" r="5" fill="#2563eb"/>'
    text = _escape(f"{label}: {estimate:+.4f} from {low:+.4f} to {high:+.4f}, margin {margin:+g}")
    return f'<svg role="img" aria-label="{text}" width="300" height="32">{"".join(lines)}{dot}</svg>'


def page_frame(page: str) -> str:
    """Return a whole HTML page as a frame in a notebook, closed against the notebook around it."""
    return f'<iframe srcdoc="{_escape(page)}" sandbox="allow-scripts" width="100%" height="720"></iframe>'


def data_frame(rows: Sequence[Row], library: str) -> Any:
    """Return the rows as a DataFrame of `pandas` or `polars`, which Liftgate does not depend on.

    Raises:
        UsageError: it is not installed.
    """
    try:
        found = importlib.import_module(library)
    except ImportError:
        raise UsageError(f"{library} is not installed", hint=f"pip install {library}, or use to_dict()") from None
    columns = {name: [row.get(name) for row in rows] for name in (rows[0] if rows else ())}
    return found.DataFrame(columns)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else _escape(str(value))
