"""Display of results in notebooks: an HTML table, or a DataFrame of pandas or polars."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from liftgate.errors import UsageError

Value = str | int | float | None
Row = Mapping[str, Value]


def html_table(title: str, rows: Sequence[Row], foot: str) -> str:
    """Return rows as an HTML table that inherits the notebook's colours."""
    columns = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) + "</tr>" for row in rows)
    return (
        f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table><p>{escape(foot)}</p>"
    )


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
    return f"{value:.4f}" if isinstance(value, float) else escape(str(value))
