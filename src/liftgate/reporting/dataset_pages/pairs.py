"""The page of image pairs that show the same, which `liftgate data duplicates --page` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liftgate.files import write_text
from liftgate.reporting.dataset_pages.page import templates

MAX_PAIRS_SHOWN = 200
"""Pairs that a page shows at most"""


@dataclass(frozen=True, slots=True)
class PairImage:
    """One image of a pair."""

    dataset: str
    image: str
    split: str | None
    jpeg: bytes | None
    """None: it could not be read"""


@dataclass(frozen=True, slots=True)
class ImagePair:
    """Two images side by side."""

    first: PairImage
    second: PairImage
    kind: str
    alike: float
    crosses: bool


@dataclass(frozen=True, slots=True)
class PairsPage:
    """Content of the page."""

    title: str
    summary: Mapping[str, Any]
    """What checks.duplicates.summary returned"""
    pairs: Sequence[ImagePair]
    n_pairs: int
    command: str = ""
    """Command that writes the page again"""


def render_pairs(content: PairsPage, path: Path) -> Path:
    """Write the page to `path` as one self-contained HTML file and return `path`."""
    write_text(path, templates().get_template("pairs.html.j2").render(page=content))
    return path
