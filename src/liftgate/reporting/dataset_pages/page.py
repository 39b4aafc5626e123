"""The HTML of the pages about data: the report's own style, scripts and policy around templates of this room."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.files import write_text
from liftgate.reporting.dataset_pages import drawing
from liftgate.reporting.dataset_pages.dataset_content import DatasetPage
from liftgate.reporting.page import environment

if TYPE_CHECKING:
    from jinja2 import Environment


def render_dataset(content: DatasetPage, path: Path) -> Path:
    """Write the page to `path` as one self-contained HTML file and return `path`. The same content, the same bytes."""
    write_text(path, templates().get_template("dataset.html.j2").render(page=content))
    return path


@cache
def templates() -> Environment:
    """The report's environment with this room's templates in front; autoescape stays on, since names are untrusted."""
    import jinja2

    base = environment()
    assert base.loader is not None
    made = base.overlay(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("liftgate.reporting.dataset_pages"), base.loader])
    )
    made.globals = {
        **base.globals,
        "share": share,
        "draw_histogram": drawing.histogram,
        "heat_levels": drawing.heat_levels,
    }
    return made


def share(value: float | None) -> str:
    """A share in everyday words.

    >>> share(0.2418), share(0.0083), share(0.0004), share(0.0), share(0.9996), share(None)
    ('24%', '0.8%', '<0.1%', '0%', '>99.9%', '–')
    """
    if value is None:
        return "–"
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    digits = 1 if 0 < value < 0.1 or 0.99 < value < 1 else 0
    return f"{value:.{digits}%}"
