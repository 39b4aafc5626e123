"""Commands of the documentation's pages, as a reader copies them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples" / "README.md")
    if path.name != "CHANGELOG.md"
]


class Command(NamedTuple):
    """A command of a page, without its comment."""

    page: str
    text: str
    codes: frozenset[int]
    """Exit codes that the page expects: after `# exit`, else 0"""

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def commands() -> Iterator[Command]:
    """Yield every command with an argument, each page's in its order; a bare verb in a sentence is only a name."""
    for path in sorted(PAGES):
        page = path.relative_to(ROOT).as_posix()
        seen = set()
        for line in lines(path.read_text("utf-8")):
            text, _, comment = re.sub(r"\s+#(?= )", "\0", line, count=1).partition("\0")
            text = re.sub(r"\s+", " ", text).strip()
            expected = re.match(r" exit ([\d, or]+)", comment)
            codes = frozenset(map(int, re.findall(r"\d+", expected[1]))) if expected else frozenset({0})
            if text not in seen:
                seen.add(text)
                yield Command(page, text, codes)


def lines(text: str) -> Iterator[str]:
    text = text.replace("\\\n", " ")
    yield from re.findall(r"^ *(?:\$ )?(liftgate [a-z].*)$", text, re.MULTILINE)
    sentences = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`(liftgate [a-z][^`\n]*)`", sentences):
        if not re.fullmatch(r"liftgate (data |models |ledger |shadow |size )?\w+", code):
            yield code
