"""The HTML of the board: the whole page once, then only the parts that changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from liftgate.live.read import Board
from liftgate.reporting.page import environment

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the board, which is replaced as a whole."""

    id: str
    html: str

    @property
    def hash(self) -> str:
        """Short hash of its HTML: the browser keeps what it has."""
        return hashlib.sha256(self.html.encode()).hexdigest()[:16]


def render_page(board: Board) -> str:
    """Return the whole page, with all its parts."""
    return templates().get_template("board.html.j2").render(parts=render_parts(board), board=board)


def render_parts(board: Board) -> tuple[Part, ...]:
    """Return the parts of the board: one for each study, shadow test and registry of models."""
    names = ("study.html.j2", "shadow.html.j2", "models.html.j2")
    study, shadow, registry = (templates().get_template(name) for name in names)
    return (
        *(Part(f"study-{number}", study.render(s=one, number_of=number)) for number, one in enumerate(board.studies)),
        *(Part(f"shadow-{number}", shadow.render(t=one)) for number, one in enumerate(board.shadows)),
        *(
            Part(f"models-{number}", registry.render(r=one, number_of=number))
            for number, one in enumerate(board.registries)
        ),
    )


@cache
def templates() -> Environment:
    """Return the report's environment with the board's templates in front; autoescape stays on."""
    import jinja2

    base = environment()
    assert base.loader is not None
    return base.overlay(loader=jinja2.ChoiceLoader([jinja2.PackageLoader("liftgate.live"), base.loader]))
