"""How records look in a notebook: one line as text, a small table as HTML, a data frame on request."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from liftgate.errors import UsageError
from liftgate.stats.interval import Interval, percent

if TYPE_CHECKING:
    from liftgate.evaluation.records import Comparison, Comparisons, Evaluation

Row = Mapping[str, Any]


def evaluation_rows(evaluation: Evaluation) -> list[Row]:
    """One row per metric, with what must stand beside a number."""
    return [_row(name, value, evaluation.intervals.get(name)) for name, value in evaluation.metrics.items()]


def comparison_rows(comparison: Comparison) -> list[Row]:
    """The metric itself, then the classes."""
    delta = comparison.delta
    first = _row(comparison.metric, delta.estimate, delta)
    overall = {"of": "all", "control": comparison.control, "treatment": comparison.treatment, **first, "p_holm": None}
    overall["delta"] = overall.pop("value")
    rest = {key: None for key in overall if key not in ("of", "control", "treatment", "delta", "p_holm")}
    return [overall, *({"of": name, **rest, **row} for name, row in comparison.per_class.items())]


def treatment_rows(comparisons: Comparisons) -> list[Row]:
    """One row per treatment, its verdict last."""
    rows: list[Row] = []
    for name, one in comparisons.treatments.items():
        row = {"treatment": name, **_row(one.metric, one.delta.estimate, one.delta)}
        row["delta"] = row.pop("value")
        rows.append(row | {"p_adjusted": one.p_adjusted, "margin": one.margin, "verdict": one.verdict})
    return rows


def evaluation_line(evaluation: Evaluation) -> str:
    """`Evaluation(mAP50-95 0.505 [0.454, 0.555], …; 100 images, 100 groups, 95%)`."""
    shown = [name for name in ("mAP50-95", "mAP50", "recall", "precision") if evaluation.metrics.get(name) is not None]
    parts = ", ".join(_value(name, evaluation.metrics[name], evaluation.intervals.get(name)) for name in shown)
    sample = f"{evaluation.n_images} images, {evaluation.n_groups} groups, {percent(evaluation.level)}"
    return f"Evaluation({parts or 'nothing defined'}; {sample})"


def comparison_line(comparison: Comparison) -> str:
    """`Comparison(PASS: …)`."""
    return f"Comparison({comparison.verdict}: {comparison.reason})"


def html_table(title: str, rows: Sequence[Row], foot: str) -> str:
    """A plain table that takes the notebook's own colours."""
    columns = list(rows[0]) if rows else []
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) + "</tr>" for row in rows)
    return (
        f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table><p>{escape(foot)}</p>"
    )


def data_frame(rows: Sequence[Row], library: str) -> Any:
    """The rows as a DataFrame of `pandas` or `polars`; neither is a dependency of ours.

    Raises:
        UsageError: it is not installed.
    """
    try:
        found = importlib.import_module(library)
    except ImportError:
        raise UsageError(f"{library} is not installed", hint=f"pip install {library}, or use to_dict()") from None
    columns = {name: [row.get(name) for row in rows] for name in (rows[0] if rows else ())}
    return found.DataFrame(columns)


def _row(name: str, value: float | None, interval: Interval | None) -> dict[str, Any]:
    names = ("low", "high", "level", "method", "n_images", "n_groups", "design_effect", "n_effective", "note")
    return {"metric": name, "value": value, **{key: getattr(interval, key, None) for key in names}}


def _value(name: str, value: float | None, interval: Interval | None) -> str:
    bounds = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval is not None and interval.established else ""
    return f"{name} {value:.3f}{bounds}"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else escape(str(value))
